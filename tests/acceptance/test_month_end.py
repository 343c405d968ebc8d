"""Whole journeys: whatever happens on the way, at the end every client has exactly what the file said."""

import csv
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from books import Row, batch_rows, payment
from command_line import CommandLine, Sandbox, run, wait_for

QUIET_S = 1.0

#: Rows for 40 clients at each provider: every 20th names a client that is not there.
ROWS = batch_rows(240, accounts=40, refused_every=20)
INVALID = [("clicksend", "70001", "12,5o", "USD", "i1"), ("fastmessage", "kiosk", "-3", "KES", "i2")]

#: So long nobody listens: enough for a command to begin, and to give up after `outage_wait`.
AWAY_S = 9

#: Both wallets are empty about half-way.
WALLET = 7000
ENOUGH = 1_000_000


@pytest.fixture
def month(cli: CommandLine, sandbox: Sandbox) -> CommandLine:
    """Settings of a small shop: a slow rate, so that there is a middle in which things can happen."""
    profile = {"rate": "150/s", "in_doubt_limit": 100, "concurrency": 8}
    cli.configure(
        sandbox.address,
        sandbox.login,
        clicksend=profile,
        fastmessage=profile,
        top='outage_wait = "1s"',
        tables=f'[reconcile]\nquiet = "{QUIET_S:.0f}s"',
    )
    return cli


def test_a_month_end(month: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    """A crash, empty wallets, an outage and rows in doubt; then evidence and corrections: nothing is left."""
    control = sandbox.control
    control.set(wallet=WALLET)
    for row in ROWS[::7]:
        control.script(row[1], ["close_after" if int(row[4][1:]) % 3 else "reset_before"])
    month.write("march.csv", [*ROWS, *INVALID])

    # the run is killed, goes on, and meets empty wallets
    running = month.start("run", "march.csv", "--yes", "--json", "--skip-invalid")
    wait_for(lambda: len(sandbox.book()) > 30)
    running.kill()
    ended = run(month, Path("march.csv"), "--skip-invalid")
    assert ended.json["reasons"]["wallet_empty"] > 0, ended
    batch = ended.json["batch"]

    # the wallets are filled, and the provider is away; then it is back
    control.set(wallet=ENOUGH)
    control.refuse(AWAY_S)
    away = month("resume", batch, "--yes", "--json")
    assert away.json["reasons"]["unreachable"] > 0, away
    wait_for(lambda: is_back(sandbox))
    ended = month("resume", batch, "--yes", "--json")
    assert "not_sent" not in ended.counts, ended
    assert ended.counts["in_doubt"] >= 30

    settle_all(month, sandbox, batch, tmp_path)
    corrected = correct_all(month, batch)
    assert_each_has_what_the_file_said(month, sandbox, batch, corrected)
    assert month("audit", batch).code == 0


def is_back(sandbox: Sandbox) -> bool:
    """Whether the provider listens again."""
    try:
        return bool(sandbox.control.totals())
    except OSError:
        return False


def settle_all(month: CommandLine, sandbox: Sandbox, batch: str, folder: Path) -> None:
    """One provider's history is at hand; of the other only balances are, and somebody looks up the rest."""
    time.sleep(QUIET_S + 1.1)  # a statement is read to the second
    statement = write_statement(folder / "history.csv", sandbox, "clicksend")
    whole = ("--provider", "clicksend", "--statement-from", "2020-01-01T00:00:00Z")
    by_statement = month("reconcile", batch, "--statement", statement, *whole, "--apply", "--yes", "--json")
    left = [row for row in results(month, batch) if row["status"] == "in_doubt"]
    assert {row["provider"] for row in left} == {"fastmessage"}, by_statement
    month("reconcile", batch, "--accept-likely", "--yes", "--json")
    in_doubt = month.folder / f"{batch}.in-doubt.csv"
    if any(row["status"] == "in_doubt" for row in results(month, batch)):
        look_up(in_doubt, sandbox)
        assert month("resolve", batch, "--from", in_doubt, "--yes", "--json").code == 0
    assert not [row for row in results(month, batch) if row["status"] == "in_doubt"]
    ended = month("resume", batch, "--yes", "--json")
    assert ended.code == 1, ended


def correct_all(month: CommandLine, batch: str) -> dict[int, Row]:
    """Mend every row of the to-fix file and give it back; the rows as they should have been, by number."""
    path = month.folder / f"{batch}.to-fix.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ROWS) // 20 + len(INVALID)
    for row in rows:
        row["account"] = row["account"].replace("0404", "0005").replace("unknown", "found")
        row["amount"] = {"12,5o": "12.50", "'-3": "3", "-3": "3"}.get(row["amount"], row["amount"])
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    ended = month("resume", path, "--yes", "--json")
    assert (ended.code, ended.counts) == (0, {"credited": len(ROWS) + len(INVALID)}), ended
    assert not path.exists(), "nothing is left to fix"
    return {int(row["row"]): row for row in rows}


def assert_each_has_what_the_file_said(
    month: CommandLine, sandbox: Sandbox, batch: str, corrected: Mapping[int, Row]
) -> None:
    """By the providers' own book, and by the results of the whole batch."""
    names = ("provider", "account", "amount", "currency", "reference")
    wanted = [
        payment(corrected.get(number) or dict(zip(names, row, strict=True)))
        for number, row in enumerate([*ROWS, *INVALID], 1)
    ]
    assert Counter(map(payment, sandbox.book())) == Counter(wanted)
    assert [payment(row) for row in results(month, batch)] == wanted


def results(month: CommandLine, batch: str) -> list[dict[str, str]]:
    """The batch as its results, rebuilt now, tell it."""
    assert month("results", batch).code == 0
    return month.results(f"{batch}.results.csv")


def write_statement(path: Path, sandbox: Sandbox, provider: str) -> Path:
    """What the provider's history would show: an honest export of its book, up to now."""
    ahead_s = time.time() - time.monotonic()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "account", "amount", "currency"])
        for entry in sandbox.book():
            if entry["provider"] == provider:
                at = datetime.fromtimestamp(entry["executed_at"] + ahead_s, UTC)
                writer.writerow([at.isoformat(), entry["account"], entry["amount"], entry["currency"]])
        # the export is of this moment, and its last line says so
        writer.writerow([datetime.now(UTC).isoformat(), "1", "0.01", "USD"])
    return path


def look_up(path: Path, sandbox: Sandbox) -> None:
    """Fill in the in-doubt file as a person does who sees the provider's history."""
    executed = Counter(map(payment, sandbox.book()))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["verdict"] = "credited" if executed[payment(row)] else "not credited"
        row["note"] = "seen in the history"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
