"""health: what monitoring learns of a ledger, in a line and an exit code."""

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from command_line import CommandLine, Ended, Sandbox, wait_for

from batchcredit.cli import app as cli
from batchcredit.runner.settling import health

if TYPE_CHECKING:
    from postgres_server import Server


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, shop: CommandLine) -> str:
    """Each kind of ledger."""
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        shop.env["BATCHCREDIT_LEDGER"] = server.fresh_url()
    return str(request.param)


def asked(shop: CommandLine, *flags: object) -> Ended:
    """As monitoring asks: its object says the exit code, and the line is one."""
    ended = shop("health", *flags, "--json")
    line = shop("health", *flags)
    assert (ended.json["exit_code"], line.code) == (ended.code, ended.code)
    assert len(line.stdout.splitlines()) == (0 if ended.code == 2 else 1)
    return ended


def test_from_nothing_to_all_is_well(ledger: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """No ledger; then a batch with a refused row, until it is withdrawn; then a run that is too long ago."""
    if ledger == "sqlite":
        assert asked(shop).refusal == (2, "no_ledger")
    path = shop.write("batch.csv", [("clicksend", 11, 1, "USD"), ("clicksend", 20404, 2, "USD")])
    assert shop("run", path, "--yes", "--batch", "march").code == 1
    found = asked(shop, "--within", "26h")
    assert (found.code, found.json["late"], found.json["next"]) == (
        1,
        False,
        ["batchcredit", "show", "march"],
    )
    assert [(each["batch"], each["to_correct"]) for each in found.json["troubles"]] == [("march", 1)]
    assert shop("cancel", "march", "--note", "x", "--yes").code == 0
    assert asked(shop).code == 0
    well = asked(shop, "--within", "26h")
    assert (well.code, well.json["troubles"], well.json["last_run"]["how"]) == (0, [], "done")
    assert "all is well" in shop("health").stdout
    time.sleep(1.1)
    late = asked(shop, "--within", "1s")
    assert (late.code, late.json["late"], late.json["troubles"]) == (1, True, [])


def test_rows_in_doubt_and_rows_left(ledger: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """Doubt is told first, in whichever batch it is; a run that was stopped early has not ended well."""
    first = shop.write("first.csv", [("clicksend", number, 1, "USD") for number in range(1, 6)])
    assert shop("run", first, "--yes", "--batch", "first", "--limit", 2).code == 4
    left = asked(shop, "--within", "26h")
    assert (left.code, left.json["late"]) == (4, True)
    assert left.json["next"][:3] == ["batchcredit", "resume", "first"]
    sandbox.control.script("77", ["half_answer"])
    second = shop.write("second.csv", [("clicksend", 77, 1, "USD")])
    assert shop("run", second, "--yes", "--batch", "second").code == 3
    doubt = asked(shop)
    assert (doubt.code, doubt.json["next"][:3]) == (3, ["batchcredit", "reconcile", "second"])
    said = {each["batch"]: (each["in_doubt"], each["not_sent"]) for each in doubt.json["troubles"]}
    assert said == {"first": (0, 3), "second": (1, 0)}
    assert (
        shop(
            "resolve", "second", "--row", 1, "--as", "credited", "--note", "x", "--account", 77, "--yes"
        ).code
        == 0
    )
    assert asked(shop).code == 4


def test_while_a_run_goes_on_and_after_it_was_killed(
    ledger: str, shop: CommandLine, sandbox: Sandbox
) -> None:
    """What is being sent needs nobody; what a dead process left in flight is in doubt."""
    sandbox.control.set(latency_s=20)
    path = shop.write("batch.csv", [("clicksend", number, 1, "USD") for number in range(1, 60)])
    running = shop.start("run", path, "--yes", "--batch", "march")
    wait_for(lambda: running.has_ended or len(sandbox.arrivals()) == 16)
    found = asked(shop, "--within", "1m")
    assert (found.code, found.json["last_run"]["how"]) == (0, "running"), found
    running.kill()
    sandbox.control.set(latency_s=0)
    wait_for(lambda: asked(shop).code == 3)
    dead = asked(shop).json
    assert dead["last_run"]["how"] == "interrupted"
    assert [(each["in_doubt"], each["not_sent"]) for each in dead["troubles"]] == [(16, 43)]


def test_what_was_not_looked_at_is_said(
    shop: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is well only as far as it has looked."""
    for number in (1, 2):
        path = shop.write(f"{number}.csv", [("clicksend", number, 1, "USD")])
        assert shop("run", path, "--yes").code == 0
    assert asked(shop).json["older"] == 0
    monkeypatch.setattr(health, "BATCHES_MOST", 1)
    assert cli.run(["health", "--ledger", f"sqlite:///{shop.ledger}"]) == 0
    assert "all is well; 1 older batches were not looked at" in capsys.readouterr().out


def test_what_may_be_paid_twice_needs_somebody(shop: CommandLine, sandbox: Sandbox) -> None:
    """Such a row is credited, and no good end."""
    shop("run", shop.write("batch.csv", [("clicksend", 11, 1, "USD")]), "--yes", "--batch", "march")
    with closing(sqlite3.connect(shop.ledger)) as ledger, ledger:
        ledger.execute("UPDATE transfer SET reason = 'overpaid'")
    found = asked(shop)
    assert (found.code, found.json["next"][:3]) == (3, ["batchcredit", "audit", "march"])
    assert [each["overpaid"] for each in found.json["troubles"]] == [1]
