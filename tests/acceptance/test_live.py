"""Live ledgers, without leaving this machine: what a run has to be told before real money moves."""

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import trustme
from command_line import CommandLine, Sandbox, refused, run
from live_provider import CLICKSEND_URL, FASTMESSAGE_URL, LiveProviders, live_providers
from terminal import terminal

ROWS = [("clicksend", "11", "1.50", "USD"), ("clicksend", "12", "2", "USD"), ("clicksend", "13", "3", "USD")]
SHILLINGS = [("fastmessage", "jane", "20", "KES"), ("fastmessage", "joe", "21", "KES")]
LIMITS = '[limits]\nmax_total = { USD = "1000", KES = "1000" }'
FIRST = ["--new-ledger", "--accept-profile", "clicksend", "--accept-profile", "fastmessage"]


@pytest.fixture
def live(cli: CommandLine, sandbox: Sandbox, tmp_path: Path) -> Iterator[LiveProviders]:
    """Live profiles with limits; the clients have accounts in the currency of the file."""
    sandbox.control.set(currency="USD")
    with live_providers(sandbox, tmp_path) as live:
        live.configure(cli, sandbox, tables=LIMITS)
        yield live


def test_a_first_live_run_has_to_be_told_three_things(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """A bound, the new ledger, and each lane; before that not even a probe leaves, and no ledger is made."""
    path = cli.write("march.csv", [*ROWS, *SHILLINGS])
    live.configure(cli, sandbox)
    said = refused(run(cli, path), "no_limits")
    assert "[limits]" in said
    assert "--expect-total" in said
    totals = ["--expect-total", "USD=6.50", "--expect-total", "KES=41"]
    assert "--new-ledger" in refused(run(cli, path, *totals), "new_ledger")
    assert not cli.ledger.exists()
    said = refused(run(cli, path, *totals, *FIRST[:3]), "new_lane")
    for shown in ("fastmessage", sandbox.login, FASTMESSAGE_URL, "--accept-profile fastmessage"):
        assert shown in said
    assert live.lines == []
    assert sandbox.arrivals() == []
    assert cli("show", "--json").json["batches"] == []
    ended = run(cli, path, *totals, *FIRST)
    assert (ended.code, ended.counts) == (0, {"credited": 5}), ended
    assert sorted(entry["account"] for entry in sandbox.book()) == ["11", "12", "13", "jane", "joe"]
    assert live.lines[0] == "GET /v3/account HTTP/1.1"


def test_what_was_confirmed_is_not_asked_again(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """The second batch through a lane needs only its bound, and its rows go side by side."""
    assert run(cli, cli.write("march.csv", ROWS), *FIRST).code == 0
    asked = [line for line in live.lines if "/reseller/accounts/" in line]
    assert asked == ["GET /v3/reseller/accounts/11 HTTP/1.1"]
    april = [("clicksend", "21", "5", "USD"), ("clicksend", "22", "6", "USD")]
    ended = run(cli, cli.write("april.csv", april))
    assert (ended.code, ended.counts) == (0, {"credited": 2})
    assert [line for line in live.lines if "/reseller/accounts/" in line] == asked
    other = Sandbox(sandbox.address, f"{sandbox.login}b")
    live.configure(cli, sandbox, tables=LIMITS, login=other.login)
    may = cli.write("may.csv", [("clicksend", "31", "7", "USD")])
    assert other.login in refused(run(cli, may), "new_lane")
    assert other.arrivals() == []


def test_a_first_row_that_does_not_add_up_stops_the_lane(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """The client got another sum than was sent: credited, said, and nothing more is sent through the lane."""
    sandbox.control.set(currency="AUD", clicksend_mismatch="convert")
    path = cli.write("march.csv", ROWS)
    for sent in (1, 2):
        ended = run(cli, path, *FIRST)
        assert (ended.code, len(sandbox.book())) == (4, sent), ended
        assert ended.json["reasons"] == {"canary": 3 - sent}
        assert f"clicksend row {sent}" in ended.stderr
        assert "balances do not tell: nothing more is sent" in ended.stderr


def test_a_first_row_whose_balances_contradict_stops_the_lane(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """Balances in the right currency that grow by something else are no proof of the lane."""
    sandbox.control.set(clicksend_fractions="truncated")
    ended = run(cli, cli.write("march.csv", ROWS), *FIRST)
    assert (ended.code, ended.counts) == (4, {"credited": 1, "not_sent": 2}), ended
    assert len(sandbox.arrivals()) == 1
    assert "does not add up" in ended.stderr


@pytest.mark.parametrize(("account", "code"), [("10404", 4), ("11", 3)])
def test_a_first_row_that_was_not_credited_stops_the_lane(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders, account: str, code: int
) -> None:
    """A first row that was refused, or whose answer was lost, proves nothing."""
    sandbox.control.script("11", ["close_after"])
    ended = run(cli, cli.write("march.csv", [("clicksend", account, "7", "USD"), *ROWS[1:]]), *FIRST)
    assert ended.code == code, ended
    assert ended.counts["not_sent"] == 2
    assert len(sandbox.arrivals()) == 1


def test_a_first_row_that_waits_proves_nothing(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """Where the first row is open elsewhere, the lane is still new: never more than one row goes unproven."""
    sandbox.control.script("11", ["close_after"])
    first = run(cli, cli.write("march.csv", [ROWS[0]]), *FIRST)
    assert first.code == 3, first
    sandbox.control.set(clicksend_fractions="truncated")
    rows = [ROWS[0], ("clicksend", "41", "4.5", "USD"), ("clicksend", "42", "5.5", "USD")]
    ended = run(cli, cli.write("april.csv", rows), "--allow-repeat")
    assert (ended.code, ended.counts) == (4, {"not_sent": 2, "credited": 1}), ended
    assert ended.json["reasons"] == {"open_elsewhere": 1, "canary": 1}
    assert [entry["account"] for entry in sandbox.book()] == ["11", "41"]
    assert "clicksend row 2" in ended.stderr
    assert "does not add up: nothing more is sent" in ended.stderr


def test_a_person_sees_the_balances_and_decides(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """Asked three times: is this the account, the total, and after the first row whether the rest follows."""
    path = cli.write("march.csv", ROWS)
    with terminal(cli, "run", path) as person:
        person.wait_for("Is this the right account?")
        assert f"login {sandbox.login} at {CLICKSEND_URL}" in person.shown
        assert live.lines == []
        person.type("yes\n")
        person.wait_for("type the total in USD")
        assert "LIVE" in person.shown
        person.type("6.50\n")
        person.wait_for("Send the rest?")
        (first,) = sandbox.book()
        before, after = (f"{value.normalize():,f}" for value in _balances(sandbox, first["account"]))
        assert before in person.shown
        assert after in person.shown
        person.type("no\n")
        assert person.end() == 4, person.shown
    with terminal(cli, "run", path) as person:
        person.wait_for("type the total in USD")
        assert "Is this the right account?" not in person.shown
        person.type("5\n")
        person.wait_for("Send the rest?")
        person.type("yes\n")
        assert person.end() == 0, person.shown
    with terminal(cli, "run", cli.write("april.csv", [("clicksend", "21", "5", "USD")])) as person:
        person.wait_for("type the total in USD")
        person.type("5\n")
        assert person.end() == 0, person.shown
        assert "Send the rest?" not in person.shown
    assert sandbox.book()[0]["account"] == "11"
    assert len(sandbox.book()) == 4


def _balances(sandbox: Sandbox, account: str) -> tuple[Decimal, Decimal]:
    from decimal import Decimal

    known = next(
        one
        for one in sandbox.control.accounts()
        if one["account"] == account and one["login"] == sandbox.login
    )
    return Decimal(known["opening"]), Decimal(known["balance"])


def test_live_and_test_do_not_share_a_ledger(cli: CommandLine, sandbox: Sandbox, live: LiveProviders) -> None:
    """A ledger is live or test from its first batch on; the other kind is refused, a rehearsal too."""
    march = cli.write("march.csv", ROWS)
    assert run(cli, march, *FIRST).code == 0
    cli.configure(sandbox.address, sandbox.login)
    april = cli.write("april.csv", [("clicksend", "21", "5", "USD")])
    assert "is a live ledger" in refused(run(cli, april), "live_and_test")
    ledger = f"sqlite:///{cli.ledger}"
    assert "is a live ledger" in refused(run(cli, april, "--sandbox", "--ledger", ledger), "live_and_test")
    other = f"sqlite:///{cli.home / 'test.db'}"
    assert run(cli, april, "--ledger", other).code == 0
    live.configure(cli, sandbox, tables=LIMITS)
    may = cli.write("may.csv", [("clicksend", "31", "6", "USD")])
    for command in (["run", may, "--yes"], ["check", may]):
        ended = cli(*command, "--json", "--ledger", other)
        assert "is a test ledger" in refused(ended, "live_and_test")
    resumed = cli("resume", "april", "--yes", "--json", "--ledger", other)
    assert "is a test ledger" in refused(resumed, "live_and_test")
    assert sorted(entry["account"] for entry in sandbox.book()) == ["11", "12", "13", "21"]


def test_a_file_is_live_or_test(cli: CommandLine, sandbox: Sandbox, live: LiveProviders) -> None:
    """One file that names a real provider and an address of this machine is refused."""
    common = {"base_url": CLICKSEND_URL, "proxy": live.proxy, "ca_file": str(live.ca_file), "rate": "10/s"}
    cli.configure(sandbox.address, sandbox.login, clicksend=common, tables=LIMITS)
    said = refused(run(cli, cli.write("march.csv", [*ROWS, *SHILLINGS]), *FIRST), "live_and_test")
    assert "clicksend (live)" in said
    assert "fastmessage (test)" in said
    assert live.lines == []
    assert sandbox.arrivals() == []


def test_a_certificate_that_does_not_verify(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders, tmp_path: Path
) -> None:
    """Refused in preflight; with --skip-preflight the lane halts, and no row has left either way."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    live.configure(cli, sandbox, tables=LIMITS, ca_file=other)
    path = cli.write("march.csv", ROWS)
    assert "certificate" in refused(run(cli, path, *FIRST), "tls_untrusted")
    assert cli("show", "--json").json["batches"] == []
    halted = run(cli, path, *FIRST, "--skip-preflight")
    assert (halted.code, halted.counts) == (4, {"not_sent": 3}), halted
    assert set(halted.json["reasons"]) == {"tls_untrusted"}
    assert live.lines == []
    assert sandbox.arrivals() == []
    live.configure(cli, sandbox, tables=LIMITS)
    again = run(cli, path)
    assert (again.code, again.counts) == (0, {"credited": 3}), again


def test_redirects_are_not_followed(cli: CommandLine, sandbox: Sandbox, live: LiveProviders) -> None:
    """Wherever an answer points, credentials and money do not go there: one request, and the lane halts."""
    live.redirect = f"{FASTMESSAGE_URL}/elsewhere"
    path = cli.write("march.csv", ROWS)
    ended = run(cli, path, *FIRST)
    assert (ended.code, ended.counts) == (3, {"in_doubt": 1, "not_sent": 2}), ended
    asked = [line.split()[:2] for line in live.lines]
    assert asked.count(["PUT", "/v3/reseller/transfer-credit"]) == 1
    assert not [path for _, path in asked if "elsewhere" in path]
    assert sandbox.arrivals() == []


def test_an_older_copy_of_the_ledger_is_noticed(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """Restored from before the last run, a ledger knows less than the results beside the file."""
    path = cli.write("march.csv", ROWS)
    assert run(cli, path, *FIRST, "--limit", 1).code == 4
    backup = cli.home / "backup.db"
    shutil.copy(cli.ledger, backup)
    done = run(cli, path)
    assert done.code == 0, done
    for left in cli.home.glob("ledger.db*"):
        left.unlink()
    shutil.copy(backup, cli.ledger)
    for command in (["run", path, "--yes"], ["resume", done.json["batch"], "--yes"]):
        said = refused(cli(*command, "--json"), "results_ahead")
        assert "is older than it" in said
        assert "row 2 has 1 attempts and is credited there" in said
    assert len(sandbox.book()) == 3


def test_an_unattended_live_run_needs_a_bound(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders
) -> None:
    """resume asks for the same as run: --yes alone says nothing of how much it may be."""
    path = cli.write("march.csv", ROWS)
    first = run(cli, path, *FIRST, "--limit", 1)
    live.configure(cli, sandbox)
    for again in (run(cli, path), cli("resume", first.json["batch"], "--yes", "--json")):
        refused(again, "no_limits")
    said = refused(run(cli, path, "--expect-total", "USD=6.51"), "control_totals")
    assert "6.5" in said
    assert run(cli, path, "--expect-total", "USD=6.50").code == 0
    assert len(sandbox.book()) == 3


@pytest.mark.parametrize(("canary", "credited"), [(2, 4), (3, 3)])
def test_a_canary_does_not_replace_the_first_row(
    cli: CommandLine, sandbox: Sandbox, live: LiveProviders, canary: int, credited: int
) -> None:
    """On a new lane one row goes alone, then the rest of the canary, then the rest if all were credited."""
    rows = [*ROWS[:2], ("clicksend", "10404", "9", "USD"), ("clicksend", "15", "4", "USD"), ROWS[2]]
    ended = run(cli, cli.write("march.csv", rows), *FIRST, "--canary", canary, "--concurrency", 1)
    asked = [line.split()[0] for line in live.lines if "transfer" in line or "/accounts/" in line]
    assert asked[:2] == ["GET", "PUT"]
    assert (ended.code, ended.counts.get("not_sent", 0)) == ((1, 0) if credited == 4 else (4, 2)), ended
    assert len(sandbox.arrivals()) == (5 if credited == 4 else 3)


def test_check_asks_no_new_lane(cli: CommandLine, sandbox: Sandbox, live: LiveProviders) -> None:
    """check looks at the file alone; --online has to be told that a new lane is right, and keeps nothing."""
    path = cli.write("march.csv", ROWS)
    assert cli("check", path, "--json").code == 0
    refused(cli("check", path, "--online", "--json"), "usage")
    assert live.lines == []
    sandbox.control.set(listed=["11", "12", "13"])
    ended = cli("check", path, "--online", "--accept-profile", "clicksend", "--json")
    assert ended.code == 0, ended
    assert live.lines[0] == "GET /v3/account HTTP/1.1"
    assert not cli.ledger.exists()
    assert sandbox.arrivals() == []
