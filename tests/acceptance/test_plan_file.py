"""One person checks a file, another runs exactly that: `check --plan` and `run --plan`."""

import json
import time

import pytest
from command_line import CommandLine, Sandbox, refused
from live_provider import live_providers
from terminal import terminal

LIKE = ("--yes", "--json", "--plan", "plan.json")
ROWS = [("clicksend", 1, "5.50", "USD", "a"), ("fastmessage", "jane", 6, "KES", "b")]


@pytest.fixture
def checked(shop: CommandLine) -> CommandLine:
    """A command line with `batch.csv`, checked into `plan.json`."""
    ended = shop("check", shop.write("batch.csv", ROWS), "--json", "--plan", "plan.json")
    assert (ended.code, ended.json["next"][-2:]) == (0, ["--plan", "plan.json"]), ended
    return shop


def test_what_was_checked_goes(checked: CommandLine, sandbox: Sandbox) -> None:
    """The question names the checker, the ledger remembers them, and the same command goes on."""
    (checked.folder / "batch.csv").rename(checked.folder / "copy.csv")
    with terminal(checked, "run", "copy.csv", "--plan", "plan.json", "--limit", 1) as person:
        person.wait_for("type the number of rows")
        person.type("2\n")
        assert person.end() == 4
    said = json.loads((checked.folder / "plan.json").read_text())
    by = f"checked by {said['checked_by']} on {said['checked_on']} at "
    assert by in person.shown
    assert checked("run", "copy.csv", *LIKE).code == 0
    assert len(sandbox.book()) == 2
    history = checked("history", "--json").json["transfers"]
    assert {entry["approval"].partition("plan ")[0] for entry in history} == {"asked and agreed; ", "--yes; "}
    assert all(by in entry["approval"] for entry in history)


@pytest.mark.parametrize(
    ("rows", "flags", "named"),
    [
        ([ROWS[0], ("fastmessage", "jane", "6.01", "KES", "b")], (), "6 was checked, now it is 6.01"),
        ([*ROWS, ("clicksend", 2, 1, "USD", "c")], (), "rows: 2 was checked, now it is 3"),
        (ROWS, ("--allow-repeat",), "flags allow_repeat"),
        (ROWS, ("--skip-invalid",), "flags skip_invalid"),
        (ROWS, ("--batch", "second"), "batch"),
    ],
)
def test_anything_else_is_refused(
    rows: list[tuple[object, ...]], flags: tuple[str, ...], named: str, checked: CommandLine, sandbox: Sandbox
) -> None:
    """Another amount, row, flag or batch: refused, with what differs, and nothing is sent or kept."""
    said = refused(checked("run", checked.write("batch.csv", rows), *LIKE, *flags), "plan_differs")
    assert named in said
    assert sandbox.arrivals() == []
    assert not checked.ledger.exists()


def test_another_login_is_refused(checked: CommandLine, sandbox: Sandbox) -> None:
    """What was checked for one account is not paid from another."""
    checked.configure(sandbox.address, "other-shop")
    said = refused(checked("run", "batch.csv", *LIKE), "plan_differs")
    assert f"{sandbox.login} was checked, now it is other-shop" in said


def test_an_edited_or_old_plan_is_refused(checked: CommandLine, sandbox: Sandbox) -> None:
    """A plan that was changed by hand is no plan, and one from last month is not meant."""
    plan = checked.folder / "plan.json"
    text = plan.read_text()
    plan.write_text(text.replace('"5.5"', '"9.5"'))
    refused(checked("run", "batch.csv", *LIKE), "plan_edited")
    plan.write_text(text)
    checked.configure(sandbox.address, sandbox.login, top='repeat_window = "1s"')
    time.sleep(1)
    refused(checked("run", "batch.csv", *LIKE), "plan_old")
    assert sandbox.arrivals() == []


def test_a_plan_bounds_what_a_ledger_that_knows_less_would_send(shop: CommandLine, sandbox: Sandbox) -> None:
    """Rows that the checker's ledger knows as credited are not sent through another ledger."""
    assert shop("run", shop.write("first.csv", ROWS[:1]), "--yes").code == 0
    path = shop.write("batch.csv", ROWS)
    assert shop("check", path, "--plan", "plan.json").code == 0
    said = refused(shop("run", path, *LIKE, "--ledger", f"sqlite:///{shop.home}/other.db"), "plan_differs")
    assert "0 rows, 0 USD were checked, now there are 1 rows, 5.5 USD" in said
    assert shop("run", path, *LIKE).code == 0
    assert len(sandbox.book()) == 2


def test_a_plan_bounds_real_money(cli: CommandLine, sandbox: Sandbox) -> None:
    """A live --yes needs a bound, and a plan is one."""
    with live_providers(sandbox, cli.home) as live:
        live.configure(cli, sandbox)
        path = cli.write("batch.csv", ROWS[:1])
        flags = ("--yes", "--json", "--new-ledger", "--accept-profile", "clicksend")
        refused(cli("run", path, *flags), "no_limits")
        assert cli("check", path, "--plan", "plan.json").code == 0
        cli("run", path, *flags, "--plan", "plan.json")
    assert len(sandbox.book()) == 1


def test_a_plan_replaces_nothing_but_a_plan(checked: CommandLine) -> None:
    """Neither the input nor a foreign file is overwritten."""
    other = checked.folder / "other.json"
    other.write_text("{}")
    for name, reason in (("batch.csv", "out_is_input"), ("other.json", "out_exists")):
        before = (checked.folder / name).read_bytes()
        refused(checked("check", "batch.csv", "--json", "--plan", name), reason)
        assert (checked.folder / name).read_bytes() == before
    assert checked("check", "batch.csv", "--plan", "plan.json").code == 0
