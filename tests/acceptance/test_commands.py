"""resume, results, show, resolve, cancel, providers, sandbox: what a person does beside `run`."""

import csv
import gzip
from pathlib import Path
from signal import SIGINT

import polars as pl
import pytest
from command_line import CommandLine, Ended, Sandbox, wait_for
from terminal import terminal

from batchcredit.sandbox import SandboxSettings

ROWS = [("clicksend", number, f"{number}.50", "USD", f"r{number}") for number in range(1, 5)]
LIKE = ("--yes", "--json")


def enrol(shop: CommandLine, *flags: object, name: str = "march") -> Ended:
    """Run ROWS as a batch of this name."""
    path = shop.write(f"{name}.csv", ROWS)
    return shop("run", path, *LIKE, "--batch", name, "--out", f"{name}.results.csv", *flags)


def statuses(shop: CommandLine, name: str = "march") -> list[str]:
    return [row["status"] for row in shop.results(f"{name}.results.csv")]


# resume


@pytest.mark.parametrize("command", ["resume", "rerun"])
def test_resume_sends_what_is_left(command: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """With a name, and without one the newest batch that is not finished."""
    assert enrol(shop, "--limit", 1).code == 4
    assert shop(command, "march", *LIKE, "--limit", 1).code == 4
    ended = shop(command, *LIKE)
    assert (ended.code, ended.json["batch"]) == (0, "march")
    assert statuses(shop) == ["credited"] * 4
    assert len(sandbox.arrivals()) == 4
    assert shop(command, *LIKE).refusal == (2, "no_batch")
    assert shop(command, "march", *LIKE).code == 0
    assert len(sandbox.arrivals()) == 4


def test_without_a_ledger_there_is_nothing_to_resume(shop: CommandLine) -> None:
    """Commands that need a batch do not make a ledger on the way."""
    for command in (("resume",), ("show",), ("results", "march"), ("cancel", "march", "--note", "x")):
        assert shop(*command, "--json").refusal == (2, "no_ledger")
    assert not shop.ledger.exists()


def test_rejected_rows_are_sent_again_only_when_asked(shop: CommandLine, sandbox: Sandbox) -> None:
    """`--include rejected` tries them once more, for instance when the client has been opened since."""
    path = shop.write("march.csv", [("clicksend", 70404, 5, "USD"), ("clicksend", 80404, 5, "USD")])
    assert shop("run", path, *LIKE, "--batch", "march").code == 1
    sandbox.control.set(accounts={"70404": {}})
    assert shop("resume", "march", *LIKE).code == 1
    assert len(sandbox.arrivals()) == 2
    ended = shop("resume", "march", *LIKE, "--include", "rejected")
    assert (ended.code, ended.json["counts"]["credited"], ended.json["counts"]["rejected"]) == (1, 1, 1)
    assert len(sandbox.book()) == 1


# results


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_results_in_each_format(ending: str, shop: CommandLine) -> None:
    """`results --out` writes the same rows in the format that the name asks for."""
    assert enrol(shop).code == 0
    ended = shop("results", "march", "--out", f"again.{ending}")
    path = shop.folder / f"again.{ending}"
    assert (ended.code, ended.stdout) == (0, f"{path}\n"), ended
    if ending == "parquet":
        found = [
            {name: str(cell or "") for name, cell in row.items()} for row in pl.read_parquet(path).to_dicts()
        ]
    else:
        text = gzip.decompress(path.read_bytes()) if ending == "csv.gz" else path.read_bytes()
        found = list(csv.DictReader(text.decode().splitlines()))
    wanted = shop.results("march.results.csv")
    assert [row["seal"] for row in found] == [row["seal"] for row in wanted]
    assert [row["status"] for row in found] == ["credited"] * 4
    assert list(found[0]) == list(wanted[0])


# resolve


@pytest.fixture
def doubtful(cli: CommandLine, sandbox: Sandbox) -> CommandLine:
    """A batch `march` whose row 2 was lost before it was executed, and nobody has to keep quiet."""
    cli.configure(sandbox.address, sandbox.login, tables='[reconcile]\nquiet = "0s"')
    sandbox.control.script("2", ["close_before"])
    assert enrol(cli).code == 3
    assert statuses(cli) == ["credited", "in_doubt", "credited", "credited"]
    return cli


def resolve(cli: CommandLine, verdict: str, *naming: object, row: int = 2) -> Ended:
    naming = naming or ("--account", row)
    return cli("resolve", "march", "--row", row, "--as", verdict, "--note", "seen", *LIKE, *naming)


def test_a_verdict_not_credited_sends_the_row_again(doubtful: CommandLine, sandbox: Sandbox) -> None:
    """The row goes out once more, and cannot be judged again afterwards."""
    ended = resolve(doubtful, "not-credited")
    assert (ended.code, ended.json["counts"]["not_sent"]) == (0, 1), ended
    assert doubtful("resume", "march", *LIKE).code == 0
    assert [entry["account"] for entry in sandbox.book()].count("2") == 1
    assert [entry["account"] for entry in sandbox.arrivals()].count("2") == 2
    for verdict in ("not-credited", "credited", "in-doubt"):
        assert resolve(doubtful, verdict).refusal == (2, "verdict")


def test_a_verdict_credited_ends_the_row(doubtful: CommandLine, sandbox: Sandbox) -> None:
    """It is never sent again, and the results name the person as the source."""
    assert resolve(doubtful, "credited", "--reference", "r2").code == 0
    assert doubtful("resume", "march", *LIKE).code == 0
    assert len(sandbox.arrivals()) == 4
    row = doubtful.results("march.results.csv")[1]
    assert (row["status"], row["settled_by"], row["message"]) == ("credited", "person", "seen")


@pytest.mark.parametrize("verdict", ["credited", "not-credited"])
def test_a_verdict_is_taken_back(verdict: str, doubtful: CommandLine, sandbox: Sandbox) -> None:
    """Until the row has been sent since, its verdict can be withdrawn; the provider's word can not."""
    assert resolve(doubtful, verdict).code == 0
    ended = resolve(doubtful, "in-doubt")
    assert (ended.code, ended.json["counts"]["in_doubt"]) == (0, 1), ended
    assert doubtful("resume", "march", *LIKE).code == 3
    assert len(sandbox.arrivals()) == 4
    assert resolve(doubtful, "in-doubt", row=1).refusal == (2, "verdict")


def test_a_row_is_named_twice(doubtful: CommandLine) -> None:
    """With --yes its account or its reference stands beside its number, and has to be the right one."""
    assert doubtful("resolve", "march", "--row", 2, "--as", "credited", "--note", "x", *LIKE).refusal == (
        2,
        "usage",
    )
    assert resolve(doubtful, "credited", "--account", "3").refusal == (2, "other_row")
    assert resolve(doubtful, "credited", "--reference", "r3").refusal == (2, "other_row")
    assert resolve(doubtful, "credited", row=9).refusal == (2, "no_row")
    assert doubtful("show", "march", "--json").json["counts"]["in_doubt"] == 1


def test_not_credited_needs_quiet_time(shop: CommandLine, sandbox: Sandbox) -> None:
    """A lost request may be executed late: the verdict has to wait, and says until when."""
    sandbox.control.script("2", ["close_before"])
    assert enrol(shop).code == 3
    ended = resolve(shop, "not-credited")
    assert ended.refusal == (2, "verdict")
    assert "20" in ended.json["error"]["message"]
    assert resolve(shop, "credited").code == 0


@pytest.mark.parametrize(("typed", "code", "status"), [("yes", 0, "credited"), ("no", 2, "in_doubt")])
def test_a_verdict_is_asked_for(typed: str, code: int, status: str, doubtful: CommandLine) -> None:
    """The question shows account, amount and time of the row; only yes writes the verdict."""
    command = ("resolve", "march", "--row", 2, "--as", "credited", "--note", "seen")
    with terminal(doubtful, *command) as person:
        person.wait_for("Type yes to go on: ")
        for shown in ("Row 2", "account 2", "2.5 USD", "last sent 20"):
            assert shown in person.shown
        person.type(f"{typed}\n")
        assert person.end() == code, person.shown
    assert doubtful("show", "march", "--json").json["counts"][status] == (4 if code == 0 else 1)


# cancel


def test_cancel_withdraws_what_is_open(shop: CommandLine, sandbox: Sandbox) -> None:
    """Rows that are not sent are withdrawn for ever, one or all; what was credited stays."""
    assert enrol(shop, "--limit", 1).code == 4
    ended = shop("cancel", "march", "--row", 3, "--note", "left us", *LIKE)
    assert (ended.code, ended.json["counts"]["cancelled"], ended.json["counts"]["not_sent"]) == (0, 1, 2)
    assert shop("cancel", "march", "--row", 1, "--note", "x", *LIKE).refusal == (2, "not_open")
    assert shop("cancel", "march", "--note", "wrong month", *LIKE).json["counts"]["cancelled"] == 3
    assert shop("resume", "march", *LIKE).code == 0
    assert statuses(shop) == ["credited", "cancelled", "cancelled", "cancelled"]
    assert [row["message"] for row in shop.results("march.results.csv")][1:] == [
        "wrong month",
        "left us",
        "wrong month",
    ]
    assert len(sandbox.arrivals()) == 1


def test_cancel_asks(shop: CommandLine) -> None:
    """Anything but yes leaves all rows as they are."""
    assert enrol(shop, "--limit", 1).code == 4
    with terminal(shop, "cancel", "march", "--note", "x") as person:
        person.wait_for("Type yes to go on: ")
        person.type("y\n")
        assert person.end() == 2, person.shown
    assert shop("show", "march", "--json").json["counts"]["not_sent"] == 3


# providers


def test_providers_lists_adapters_and_profiles(shop: CommandLine, sandbox: Sandbox) -> None:
    """Where each comes from, and who logs in where."""
    said = shop("providers", "--json").json
    assert said["adapters"].keys() >= {"clicksend", "fastmessage"}
    assert {"name": "clicksend", "kind": "clicksend", "login": sandbox.login} in [
        {key: profile[key] for key in ("name", "kind", "login")} for profile in said["profiles"]
    ]
    shown = shop("providers").stdout
    for text in ("clicksend", "fastmessage", sandbox.login, "batchcredit.toml"):
        assert text in shown


def test_providers_test(shop: CommandLine, sandbox: Sandbox) -> None:
    """A probe tells the own balance, or why there is none, and moves nothing."""
    sandbox.control.set(wallet="123.45", logins={sandbox.login: "clicksend-key"})
    good = shop("providers", "test", "clicksend")
    assert good.code == 0
    assert "own balance 123.45" in good.stdout
    assert shop("providers", "test", "clicksend", "--json").json["balance"].startswith("123.45")
    assert shop("providers", "test", "fastmessage", "--json").refusal == (2, "credentials")
    assert shop("providers", "test", "fastmesage", "--json").code == 2
    assert sandbox.arrivals() == []


# sandbox


def test_the_sandbox_prints_settings_that_work(cli: CommandLine) -> None:
    """What it prints is pasted as it stands, a run goes through, and Ctrl-C ends it."""
    running = cli.start("sandbox", "--seed", 7, "--fault", "status_500_before=0", "--set", "latency_s=0.01")
    wait_for(lambda: running.has_ended or "/book" in running.stdout)
    assert not running.has_ended, running.end()
    settings = cli.folder / "batchcredit.toml"
    settings.touch(mode=0o600)
    settings.write_text(running.stdout)
    rows = [("clicksend", 7, "1.50", "USD"), ("fastmessage", "jane", "20", "KES")]
    ended = cli("run", cli.write("batch.csv", rows), *LIKE)
    assert (ended.code, ended.json["counts"]["credited"]) == (0, 2), ended
    running.signal(SIGINT)
    assert running.end(10).code == 0


def test_a_rehearsal_needs_no_settings(cli: CommandLine) -> None:
    """`run --sandbox` plays a file through, in a ledger of its own, and starts anew when it has finished."""
    cli.env = {name: value for name, value in cli.env.items() if not name.startswith("BATCHCREDIT_")}
    path = cli.write("batch.csv", [("clicksend", 7, "1.50", "USD"), ("fastmessage", "jane", "20", "KES")])
    for _ in range(2):
        ended = cli("run", path, "--sandbox", *LIKE)
        assert (ended.code, ended.json["counts"]["credited"]) == (0, 2), ended
        assert ended.json["rows_per_s"] > 0
        assert Path(ended.json["results"]).name.startswith("sandbox-")
    assert cli("show", "--json").refusal == (2, "no_ledger")
    assert len(cli("show", "--sandbox", "--json").json["batches"]) == 1


def test_the_fixture_takes_its_settings_back(sandbox: Sandbox) -> None:
    """What one test sets at the shared sandbox does not reach the next."""
    shown = sandbox.control.settings()
    defaults = SandboxSettings().model_dump(mode="json")
    assert shown == {name: defaults[name] for name in shown}
