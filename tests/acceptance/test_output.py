"""What is said, where, and with which exit code: --json, logs, help, -q and -v, questions."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest
from command_line import PROGRAM, CommandLine, Ended, Sandbox
from terminal import CTRL_D, terminal

KEYS = {
    "schema",
    "batch",
    "rows",
    "counts",
    "reasons",
    "amounts",
    "results",
    "seconds",
    "rows_per_s",
    "latency_ms",
    "exit_code",
    "next",
}
MIXED = [
    ("clicksend", 11, "1.50", "USD", "a"),
    ("clicksend", 20404, "2", "USD", "b"),
    ("fastmessage", "jane", "20.25", "KES", "c"),
]
FLAGS = (
    *("out", "batch", "provider", "map", "yes", "new-ledger", "accept-profile", "sandbox", "skip-invalid"),
    *("allow-duplicates", "allow-repeat", "skip-repeats", "allow-currency-mismatch", "skip-preflight"),
    *("online", "canary", "limit", "expect-rows", "expect-total", "concurrency", "rate"),
    *("config", "ledger", "log-format", "json", "verbose", "quiet"),
)
SLOW_TO_IMPORT = ("polars", "httpx", "ray", "apsw", "uvicorn", "altair", "vl_convert", "jinja2")
COMMANDS = ("run", "check", "resume", "results", "show", "resolve", "cancel", "providers", "sandbox")


def assert_contract(ended: Ended) -> None:
    """The keys of the contract are all there, and the exit code is the command's."""
    said = ended.json
    assert said.keys() >= KEYS
    more = {"error", "batches", "adapters", "profiles", "profile", "login", "balance", "money"}
    more |= {"to_fix", "warnings"}
    assert said.keys() - KEYS <= more
    assert (said["schema"], said["exit_code"]) == (1, ended.code)
    assert said["latency_ms"].keys() == {"p50", "p95", "p99"}
    assert said["next"] is None or all(isinstance(word, str) for word in said["next"])


def test_json_of_every_command(shop: CommandLine, sandbox: Sandbox) -> None:
    """One object on one line of stdout with the contract's keys, whatever the command and its ending."""
    path = shop.write("batch.csv", MIXED)
    checked = shop("check", path, "--json")
    assert_contract(checked)
    assert (checked.code, checked.json["counts"]["not_sent"]) == (0, 3)

    ended = shop("run", path, "--yes", "--json", "--batch", "march", "--out", "out.csv")
    assert_contract(ended)
    said = ended.json
    assert (ended.code, said["batch"], said["rows"]) == (1, "march", 3)
    assert said["counts"]["credited"] == 2
    assert said["counts"]["rejected"] == 1
    assert said["reasons"] == {"unknown_account": 1}
    assert said["amounts"] == {"USD": {"credited": "1.5", "rejected": "2"}, "KES": {"credited": "20.25"}}
    assert said["results"] == str(shop.folder / "out.csv")
    assert said["seconds"] > 0
    assert said["rows_per_s"] > 0
    assert said["latency_ms"]["p50"] is not None
    assert said["next"] == ["batchcredit", "show", "march"]

    for command, code in (
        (("resume", "march", "--yes"), 1),
        (("results", "march"), 0),
        (("show",), 0),
        (("show", "march"), 0),
        (("resolve", "march", "--row", 1, "--as", "credited", "--note", "x", "--account", 11, "--yes"), 2),
        (("cancel", "march", "--note", "x", "--yes"), 0),
        (("providers",), 0),
        (("providers", "test", "clicksend"), 0),
        (("show", "april"), 2),
        (("run", "missing.csv", "--yes"), 2),
        (("run", path, "--frobnicate"), 2),
        (("frobnicate",), 2),
    ):
        ended = shop(*command, "--json")
        assert ended.code == code, ended
        assert_contract(ended)
        assert ("error" in ended.json) == (code == 2)
    for batch in shop("show", "--json").json["batches"]:
        assert batch.keys() == KEYS


@pytest.mark.parametrize(("loud", "told"), [("-q", {2}), ("-v", {2}), ("-vv", {1, 2, 3})])
def test_logs_in_json(loud: str, told: set[int], shop: CommandLine) -> None:
    """Every line on stderr is a JSON object with event, level and time;
    a refused row has an event at any level, with -vv each attempt."""
    path = shop.write("batch.csv", MIXED)
    for command, code in ((("run", path, "--yes"), 1), (("run", "missing.csv", "--yes"), 2)):
        ended = shop(*command, "--log-format", "json", loud)
        assert ended.code == code, ended
        lines = [json.loads(line) for line in ended.stderr.splitlines()]
        assert lines
        assert all(line.keys() >= {"event", "level", "timestamp"} for line in lines)
        if code == 1:
            assert {line["row"] for line in lines if line["event"] == "attempt"} == told


def test_quiet_and_loud(shop: CommandLine) -> None:
    """-q tells less than nothing said, -v more, -vv each row; on stdout there is the results' path alone."""
    told = {}
    for number, loud in enumerate((("-q",), (), ("-v",), ("-vv",))):
        rows = [(*row[:2], f"{number + 1}", row[3]) for row in MIXED]
        ended = shop("run", shop.write(f"{number}.csv", rows), "--yes", "--out", f"out{number}.csv", *loud)
        assert (ended.code, ended.stdout) == (1, f"{shop.folder / f'out{number}.csv'}\n"), ended
        told[loud] = ended.stderr
    assert len(told["-q",].splitlines()) < len(told[()].splitlines())
    assert " TEST " not in told["-q",]
    assert "row 2: reject" not in told[()]
    assert "row 2: reject" in told["-v",]
    assert "row 1: credit" not in told["-v",]
    assert "row 1: credit" in told["-vv",]


def test_the_last_lines_say_what_to_do(shop: CommandLine) -> None:
    """When not all is well, the end names the rows, why, and the exact next command."""
    path = shop.write("batch.csv", MIXED)
    stopped = shop("run", path, "--yes", "--limit", 1, "--batch", "march")
    assert stopped.code == 4
    assert stopped.stderr.splitlines()[-1] == "next: batchcredit resume march"
    assert "not sent" in stopped.stderr
    done = shop("resume", "march", "--yes", "--config", shop.folder / "batchcredit.toml")
    assert done.code == 1
    assert "unknown_account" in done.stderr
    settings = shop.folder / "batchcredit.toml"
    to_fix = shop.folder / "march.to-fix.csv"
    assert done.stderr.splitlines()[-1] == f"next: batchcredit resume {to_fix} --config {settings}"
    assert "unknown_account" in shop("show", "march").stdout


# help


def cpu_s(*argv: str) -> float:
    """Seconds of CPU that a command takes: what a busy machine does not change."""
    process = subprocess.Popen([*PROGRAM, *argv], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("argv", [["--help"], *([command, "--help"] for command in COMMANDS), ["--version"]])
def test_help_is_quick(argv: list[str]) -> None:
    """Help imports neither polars nor an HTTP client, and is there in less than a second."""
    script = (
        "import sys; from batchcredit.cli import run; code = run(sys.argv[1:]); "
        f"print(code, *(name for name in {SLOW_TO_IMPORT} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "0", done.stdout
    assert len(done.stdout) > 5
    if argv in (["--help"], ["run", "--help"]):
        assert min(cpu_s(*argv) for _ in range(3)) < 1


def test_help_names_everything(cli: CommandLine) -> None:
    """Each command is in --help, and each flag of run in its own."""
    shown = cli("--help").stdout
    assert all(command in shown for command in COMMANDS)
    shown = cli("run", "--help").stdout
    for flag in FLAGS:
        assert f"--{flag}" in shown, flag


@pytest.mark.parametrize(
    "argv",
    [
        ("run",),
        ("run", "a.csv", "b.csv"),
        ("run", "a.csv", "--limit", "many"),
        ("run", "a.csv", "--limit", "0"),
        ("run", "a.csv", "--rate", "fast"),
        ("run", "a.csv", "--expect-total", "USD"),
        ("run", "a.csv", "--map", "amount"),
        ("run", "a.csv", "--log-format", "xml"),
        ("resolve", "march", "--row", "1", "--as", "perhaps", "--note", "x"),
        ("resolve", "march", "--row", "1", "--as", "credited"),
        ("cancel", "march"),
        ("results",),
        ("sandbox", "--fault", "nonsense=0.1"),
        ("sandbox", "--set", "nonsense=1"),
    ],
)
def test_usage(argv: tuple[str, ...], shop: CommandLine) -> None:
    """What can't be understood is refused with exit 2 and a sentence, before anything is read."""
    ended = shop(*argv)
    assert ended.code == 2, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("batchcredit: ")


# questions


@pytest.mark.parametrize(
    ("typed", "code"), [("21.75", 0), ("21.750", 0), ("21.7", 2), ("y", 2), ("yes", 2), ("2", 2), ("", 2)]
)
def test_the_question_wants_the_total(typed: str, code: int, shop: CommandLine, sandbox: Sandbox) -> None:
    """Only the total, by value, lets a batch go; anything else sends nothing and keeps nothing."""
    path = shop.write("batch.csv", [("clicksend", 7, "20.50", "USD"), ("clicksend", 8, "1.25", "USD")])
    with terminal(shop, "run", path) as person:
        person.wait_for("type the total in USD: ")
        for shown in ("TEST", sandbox.login, "127.0.0.1", "21.75", "ledger", "about a second"):
            assert shown in person.shown
        person.type(f"{typed}\n")
        assert person.end() == code, person.shown
    assert len(sandbox.book()) == (0 if code else 2)
    assert len(shop("show", "--json").json["batches"]) == (0 if code else 1)


@pytest.mark.parametrize(("typed", "code"), [("3", 1), ("23.75", 2)])
def test_with_several_currencies_it_wants_the_number_of_rows(
    typed: str, code: int, shop: CommandLine, sandbox: Sandbox
) -> None:
    """A sum over currencies means nothing, so the rows are counted."""
    path = shop.write("batch.csv", MIXED)
    with terminal(shop, "run", path) as person:
        person.wait_for("type the number of rows: ")
        person.type(f"{typed}\n")
        assert person.end() == code, person.shown
    assert sandbox.sums() == ({} if code == 2 else {"USD": Decimal("1.5"), "KES": Decimal("20.25")})


def test_end_of_input_is_no_answer(shop: CommandLine, sandbox: Sandbox) -> None:
    """Ctrl-D at the question is a no."""
    path = shop.write("batch.csv", MIXED)
    with terminal(shop, "run", path) as person:
        person.wait_for("type the number of rows: ")
        person.type(CTRL_D)
        assert person.end() == 2, person.shown
    assert sandbox.book() == []


def test_nobody_to_ask(shop: CommandLine, sandbox: Sandbox) -> None:
    """Without a terminal and without --yes nothing is sent, and --yes is named."""
    ended = shop("run", shop.write("batch.csv", MIXED), "--json")
    assert ended.refusal == (2, "usage")
    assert "--yes" in ended.stderr
    assert sandbox.arrivals() == []
    assert shop("show", "--json").json["batches"] == []
