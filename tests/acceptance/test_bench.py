"""bench: what it measures and says, and that nothing of the user's is touched or left behind."""

import hashlib
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import pytest
from command_line import CommandLine, Running, Sandbox, wait_for
from plugins import broken_in, install

BOTH = pytest.mark.parametrize("number", [SIGINT, SIGTERM])


def without_settings(cli: CommandLine) -> CommandLine:
    """`cli` as on a new machine, with a temporary folder of its own."""
    cli.env = {name: value for name, value in cli.env.items() if not name.startswith("BATCHCREDIT_")}
    temporary = cli.home / "tmp"
    temporary.mkdir()
    cli.env["TMPDIR"] = str(temporary)
    return cli


def files_below(folder: Path) -> dict[str, str]:
    """Each file and folder but the commands' outputs, with a digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes() if path.is_file() else b""
        ).hexdigest()
        for path in folder.rglob("*")
        if not path.name.startswith("command-")
    }


def only_profile(said: dict[str, Any]) -> dict[str, Any]:
    (profile,) = said["profiles"]
    assert isinstance(profile, dict)
    return profile


# what it measures and says


def test_a_new_machine_needs_no_settings(cli: CommandLine) -> None:
    """Both simulated kinds are measured with their defaults; a table, a sentence each, what to type next."""
    without_settings(cli)
    before = files_below(cli.home)
    ended = cli("bench", "--rows", 300)
    assert ended.code == 0, ended
    head, clicksend, fastmessage, memory, _, *verdicts, last = ended.stdout.splitlines()
    assert head.split()[:3] == ["profile", "at", "a"]
    assert clicksend.split()[:3] == ["clicksend", "16", "300"]
    assert fastmessage.split()[:3] == ["fastmessage", "8", "300"]
    assert memory.startswith("peak memory ")
    assert verdicts[0].startswith(
        "clicksend: the rate of 10/s will be the limit: 300 rows take about 30 seconds; this machine could"
    )
    assert verdicts[0].endswith("16 at a time keep that up as long as an answer takes less than 1.6 s")
    assert verdicts[1].startswith("fastmessage: the rate of 5/s will be the limit: 300 rows take about 60 s")
    assert last == "next: batchcredit bench --rows 300 --latency 300ms"
    assert "clicksend: 300 made-up rows, 16 at a time, to the sandbox" in ended.stderr
    assert files_below(cli.home) == before
    assert list(cli.folder.iterdir()) == []


def test_the_object_of_json(cli: CommandLine) -> None:
    """The keys of every command, for all profiles together, and those of each profile."""
    ended = without_settings(cli)("bench", "--rows", 100, "--json", "-q")
    said, common = ended.json, cli("providers", "--json").json
    assert common.keys() - {"adapters", "profiles"} <= said.keys()
    assert said.keys() - common.keys() == {"peak_memory_mb", "cores", "skipped"}
    assert (ended.code, ended.stderr, said["exit_code"]) == (0, "", 0)
    assert (said["rows"], said["counts"]["credited"], said["batch"], said["skipped"]) == (200, 200, None, [])
    assert 20 < said["peak_memory_mb"] < 450
    assert said["next"] == ["batchcredit", "bench", "--rows", "100", "--latency", "300ms"]
    assert [profile["profile"] for profile in said["profiles"]] == ["clicksend", "fastmessage"]
    assert said["seconds"] == pytest.approx(sum(profile["seconds"] for profile in said["profiles"]), abs=0.01)
    for profile in said["profiles"]:
        assert profile["rows_per_s"] == pytest.approx(100 / profile["seconds"], rel=0.05)
        assert profile["latency_ms"]["p50"] <= profile["latency_ms"]["p99"]
        assert 10 < profile["cpu_us_per_row"] < 1e6 * profile["seconds"] / 100 * 2
        assert (profile["rate_kept"], profile["limit"]) == (False, "rate")


def test_a_slow_provider(shop: CommandLine) -> None:
    """Where answers take their time, latency and concurrency decide, and more at a time is the next try."""
    flags = ("--provider", "clicksend", "--latency", "2s", "--concurrency", 4, "--rows", 8)
    said = shop("bench", *flags, "--json").json
    profile = only_profile(said)
    assert (profile["limit"], profile["simulated_latency_s"], profile["rate"]) == ("latency", 2, None)
    assert profile["latency_ms"]["p50"] >= 2000
    assert 1.8 <= profile["rows_per_s"] <= 2
    again = ["--provider", "clicksend", "--rows", "8", "--latency", "2000ms", "--concurrency", "8"]
    assert said["next"] == ["batchcredit", "bench", *again]


def test_a_rate_that_is_kept(shop: CommandLine) -> None:
    """--rate is kept to, and then is what limits."""
    said = shop("bench", "--provider", "fastmessage", "--rows", 40, "--rate", "20/s", "--json").json
    profile = only_profile(said)
    assert (profile["limit"], profile["rate"], profile["rate_kept"]) == ("rate", "20/s", True)
    assert 18 < profile["rows_per_s"] < 20 * 40 / 39
    assert said["next"][2:] == [
        "--provider",
        "fastmessage",
        "--rows",
        "40",
        "--rate",
        "20/s",
        "--latency",
        "300ms",
    ]


def test_so_many_rows_as_take_some_seconds(shop: CommandLine) -> None:
    """Without --rows nobody waits an hour for a slow rate: it is measured over 20 seconds' worth of rows."""
    assert shop("bench", "--rate", "3/min", "--provider", "clicksend", "--json").json["rows"] == 1


# nothing real, nothing left


def test_nothing_of_the_user_is_touched(shop: CommandLine, sandbox: Sandbox) -> None:
    """The ledger beside which it is measured stays as it is, the configured address is not dialled, no secret
    is needed, and the profile's own form of files and limits on money do not disturb."""
    path = shop.write("batch.csv", [("clicksend", 7, "5", "USD", "r1")])
    assert shop("run", path, "--yes").code == 0
    own = {"map": None, "currency": "AUD", "thousands": ",", "concurrency": 3}
    limits = '[limits]\nmax_amount = { USD = "1", KES = "1" }'
    settings = shop.configure(sandbox.address, sandbox.login, clicksend=own, tables=limits)
    with settings.open("a") as file:  # the last profile is fastmessage
        file.write('map = { account = "phone" }\n')
    without_settings(shop)
    before, arrived = (files_below(shop.home), files_below(shop.folder)), len(sandbox.arrivals())
    ended = shop("bench", "--rows", 50, "--json")
    assert ended.code == 0, ended
    assert [profile["concurrency"] for profile in ended.json["profiles"]] == [3, 16]
    assert (files_below(shop.home), files_below(shop.folder)) == before
    assert len(sandbox.arrivals()) == arrived == 1


def test_plugins_are_named_and_left_out(shop: CommandLine, sandbox: Sandbox) -> None:
    """The sandbox plays two kinds; a profile of another one is skipped, and alone refused."""
    install(shop, "broken", broken_in("transfer"))
    table = '[providers.corner]\nkind = "broken"\nbase_url = "https://corner.example"\n'
    shop.configure(sandbox.address, sandbox.login, tables=table)
    ended = shop("bench", "--rows", 20, "--json")
    assert (ended.code, ended.json["skipped"]) == (0, ["corner"]), ended
    assert [profile["profile"] for profile in ended.json["profiles"]] == ["clicksend", "fastmessage"]
    assert "corner is left out: the sandbox does not play broken" in ended.stderr
    alone = shop("bench", "--provider", "corner", "--json")
    assert alone.refusal == (2, "not_simulated")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--rows", 0), "usage"),
        (("--rows", 1_000_001), "usage"),
        (("--concurrency", 1025), "usage"),
        (("--latency", "3"), "usage"),
        (("--latency", "601s"), "usage"),
        (("--latency", "10s"), "usage"),  # the timeout of `shop`'s profiles
        (("--rate", "fast"), "usage"),
        (("--provider", "clicksent"), "unknown_provider"),
    ],
)
def test_refusals(flags: tuple[Any, ...], word: str, shop: CommandLine) -> None:
    """What can't be measured is refused with its reason, before anything is started."""
    ended = shop("bench", *flags, "--json")
    assert ended.refusal == (2, word), ended
    assert ended.json["error"]["cure"]


def test_a_ledger_that_could_not_be_there(cli: CommandLine) -> None:
    """Nothing can be measured where no ledger can be written: exit 5, as a run would end."""
    ended = without_settings(cli)(
        "bench", "--rows", 20, "--ledger", "sqlite:////proc/none/ledger.db", "--json"
    )
    assert ended.refusal == (5, "ledger_unusable"), ended


# Ctrl-C


def bench_folders(cli: CommandLine) -> list[Path]:
    return list(cli.home.glob("batchcredit-bench-*"))


def assert_stopped_without_a_trace(cli: CommandLine, running: Running, before: dict[str, str]) -> None:
    ended = running.end(10)
    assert ended.refusal == (2, "stopped"), ended
    assert files_below(cli.home) == before
    assert list(cli.folder.iterdir()) == []


@BOTH
@pytest.mark.parametrize("times", [1, 2])
def test_stopped_while_sending(number: Signals, times: int, cli: CommandLine) -> None:
    """It ends at once, though an answer would take 20 seconds; a second signal disturbs no cleaning up."""
    before = files_below(without_settings(cli).home)
    running = cli.start("bench", "--latency", "20s", "--json", "--log-format", "json")
    wait_for(lambda: running.has_ended or '"progress"' in running.stderr)
    assert len(bench_folders(cli)) == 1
    for _ in range(times):
        running.signal(number)
    assert_stopped_without_a_trace(cli, running, before)


@BOTH
def test_stopped_before_sending(number: Signals, cli: CommandLine) -> None:
    """The same while rows are made up, read and enrolled."""
    before = files_below(without_settings(cli).home)
    running = cli.start("bench", "--rows", 300_000, "--json")
    wait_for(lambda: running.has_ended or bench_folders(cli))
    running.signal(number)
    assert_stopped_without_a_trace(cli, running, before)
