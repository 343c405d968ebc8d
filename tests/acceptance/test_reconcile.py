"""What became of the rows in doubt: the sandbox's book is the judge of each verdict, and of what follows."""

import csv
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from books import Payment, payment
from command_line import CommandLine, Ended, Sandbox, run

QUIET = {"tables": '[reconcile]\nquiet = "1s"'}


@pytest.fixture
def shop(cli: CommandLine, sandbox: Sandbox) -> CommandLine:
    """Profiles on `sandbox`, whose clients had money before, and a quiet time that a test can wait for."""
    cli.configure(
        sandbox.address,
        sandbox.login,
        clicksend={"concurrency": 1, "in_doubt_limit": 100},
        fastmessage={"concurrency": 1, "in_doubt_limit": 100},
        **QUIET,
    )
    return cli


def wait_out_quiet() -> None:
    time.sleep(2.1)  # a statement is read to the second


def rows_of(account: str, amounts: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    return [("clicksend", account, amount, "AUD", f"{account}-{amount}") for amount in amounts]


def statement(
    shop: CommandLine, sandbox: Sandbox, *, without: Sequence[str] = (), name: str = "statement.csv"
) -> Path:
    """What the provider would export: each execution of this login, with its time of day, in UTC."""
    now, ticks = time.time(), time.monotonic()
    path = shop.folder / "statement.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Client", "Credit", "Currency", "Date"])
        for entry in sandbox.book():
            at = datetime.fromtimestamp(now - ticks + entry["executed_at"], UTC)
            cells = entry["account"], entry["amount"], entry["currency"], f"{at:%Y-%m-%d %H:%M:%S}"
            if entry["amount"] not in without:
                writer.writerow(cells)
    return path


def read_as(path: Path) -> tuple[object, ...]:
    """The flags with which that statement is understood, complete until now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    columns = ("--map", "account=Client", "--map", "amount=Credit", "--map", "time=Date")
    return ("--statement", path, *columns, "--statement-tz", "UTC", "--statement-until", now)


def found(ended: Ended) -> dict[int, dict[str, Any]]:
    """The findings by row."""
    return {finding["row"]: finding for finding in ended.json["findings"]}


def verdicts(ended: Ended) -> dict[int, tuple[str, str]]:
    return {row: (finding["verdict"], finding["certainty"]) for row, finding in found(ended).items()}


def lost_answers(shop: CommandLine, sandbox: Sandbox) -> list[tuple[str, str, str, str, str]]:
    """A batch of which two rows are in doubt: row 3 was executed, row 6 was not."""
    rows = rows_of("111", ["5", "6", "7.5"]) + rows_of("222", ["8", "9", "11.25", "12"])
    sandbox.control.script("111", ["none", "none", "reset_after"])
    sandbox.control.script("222", ["none", "none", "reset_before"])
    assert run(shop, shop.write("march.csv", rows), "--batch", "march").code == 3
    return rows


def payments(rows: Sequence[Sequence[str]]) -> Counter[Payment]:
    """What the file asks for."""
    return Counter(Payment(row[0], row[1], Decimal(row[2]), row[3]) for row in rows)


def test_balances_make_it_likely(shop: CommandLine, sandbox: Sandbox) -> None:
    """Both verdicts are right; nothing is written before somebody accepts what is likely; then resume sends
    exactly what was not credited."""
    rows = lost_answers(shop, sandbox)
    wait_out_quiet()
    told = shop("reconcile", "march", "--apply", "--yes", "--json")
    assert verdicts(told) == {3: ("credited", "likely"), 6: ("not credited", "likely")}
    assert (told.code, told.json["counts"]["in_doubt"]) == (3, 2)
    (line,) = told.json["money"]["lines"]
    assert (line["enrolled"], line["amounts"]["in_doubt"]) == ("58.75", "18.75")
    done = shop("reconcile", "march", "--apply", "--accept-likely", "--yes", "--json")
    assert done.code == 4
    assert [finding["applied"] for finding in done.json["findings"]] == [True, True]
    assert done.json["next"][:3] == ["batchcredit", "resume", "march"]
    assert not (shop.folder / "march.in-doubt.csv").exists()
    assert shop("resume", "march", "--yes").code == 0
    assert Counter(map(payment, sandbox.book())) == payments(rows)
    results = shop.results("march.results.csv")
    assert [row["settled_by"] for row in results] == ["provider"] * 2 + ["balance"] + ["provider"] * 4
    assert "rose from" in results[2]["message"]


def test_a_statement_makes_it_certain(shop: CommandLine, sandbox: Sandbox) -> None:
    """One that lacks a known row proves no absence; a whole one decides both, with no provider asked."""
    rows = lost_answers(shop, sandbox)
    wait_out_quiet()
    path = statement(shop, sandbox, without=["9"])
    asked = shop("reconcile", "march", *read_as(path), "--offline", "--json")
    assert verdicts(asked) == {3: ("credited", "certain"), 6: ("undecided", "none")}
    assert "it lacks row 5 (account 222, 9 AUD), known as credited" in found(asked)[6]["reason"]
    assert "--apply" in asked.json["next"]
    path = statement(shop, sandbox)
    done = shop("reconcile", "march", *read_as(path), "--offline", "--apply", "--yes", "--json")
    assert verdicts(done) == {3: ("credited", "certain"), 6: ("not credited", "certain")}
    assert shop("resume", "march", "--yes").code == 0
    assert Counter(map(payment, sandbox.book())) == payments(rows)
    settled = [row["settled_by"] for row in shop.results("march.results.csv")]
    assert settled == ["provider"] * 2 + ["statement"] + ["provider"] * 4


def test_before_the_quiet_time_nothing_is_absent(cli: CommandLine, sandbox: Sandbox) -> None:
    """The request may still be executed late, so the row stays; people read a table, a sentence for each row,
    what could not be asked, where the list is and what to type next. A results file names its batch."""
    cli.configure(sandbox.address, sandbox.login, clicksend={"concurrency": 1})
    lost_answers(cli, sandbox)
    del cli.env["BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY"]
    flags = *read_as(statement(cli, sandbox)), "--apply", "--accept-likely", "--yes"
    told = cli("reconcile", "march.results.csv", *flags)
    assert told.code == 3
    assert "the evidence is from the ledger alone" in told.stderr
    assert "next: batchcredit resolve march --from" in told.stderr
    assert " of the statement is this row's 7.5" in told.stdout
    assert "row 6: the statement is not known to reach" in told.stdout
    assert "enrolled" in told.stdout
    (row,) = cli.results("march.in-doubt.csv")
    assert (row["row"], row["account"], row["verdict"], row["note"]) == ("6", "222", "", "")
    assert Decimal(row["balance_if_credited"]) - Decimal(row["balance_if_not"]) == Decimal("11.25")


def test_a_snapshot_is_a_balance_from_before(shop: CommandLine, sandbox: Sandbox) -> None:
    """The batch's only row is in doubt: what the run read of its client beforehand makes it likely."""
    sandbox.control.set(listed=["333"], currency="AUD")
    sandbox.control.script("333", ["reset_after"])
    path = shop.write("one.csv", rows_of("333", ["5"]))
    assert run(shop, path, "--batch", "one", "--snapshot").code == 3
    told = shop("reconcile", "one", "--json")
    assert verdicts(told) == {1: ("credited", "likely")}


def test_units_are_reconciled_from_the_chain(shop: CommandLine, sandbox: Sandbox) -> None:
    """Fast Message tells balances in answers alone: the client's next row shows what became of this one."""
    sandbox.control.set(sms_rate="0.8")
    sandbox.control.script("anna", ["none", "reset_after"])
    sandbox.control.script("ben", ["none", "reset_before"])
    rows = [("fastmessage", name, amount, "KES") for name in ("anna", "ben") for amount in ("8", "16", "24")]
    assert run(shop, shop.write("units.csv", rows), "--batch", "units").code == 3
    wait_out_quiet()
    more = [("fastmessage", name, "4", "KES") for name in ("anna", "ben")]
    assert run(shop, shop.write("more.csv", more)).code == 0
    told = shop("reconcile", "units", "--json")
    assert verdicts(told) == {2: ("credited", "likely"), 5: ("not credited", "likely")}
    assert "which is this row's 16" in found(told)[2]["reason"]
