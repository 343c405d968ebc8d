"""resume FILE: results and to-fix files that come back, with the provider's book as the oracle."""

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from command_line import CommandLine, Sandbox, refused, run

ROWS = [
    ("clicksend", "11", "1.50", "USD", "A-1"),
    ("clicksend", "10404", "2", "USD"),  # the sandbox knows no such client
    ("fastmessage", "0012", "20", "KES", "A-3"),
    ("fastmessage", "jane", "5.25", "KES"),
]


def paid(sandbox: Sandbox) -> Counter[tuple[str, Decimal]]:
    """What the providers executed: account and amount."""
    return Counter((entry["account"], Decimal(entry["amount"])) for entry in sandbox.book())


def results_of(cli: CommandLine) -> Path:
    """The only results file."""
    (path,) = cli.folder.glob("*.results.csv")
    return path


def edited(path: Path, *changes: tuple[int, str, str], keep: set[int] | None = None) -> Path:
    """The file with cells changed: (row, column, text), and with only the rows `keep`."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), list(reader.fieldnames or ())
    for number, column, text in changes:
        next(row for row in rows if row["row"] == str(number))[column] = text
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(row for row in rows if keep is None or int(row["row"]) in keep)
    return path


def first_row_sent(shop: CommandLine, *more: object) -> dict[str, Any]:
    """A run that stops after its first rows."""
    return run(shop, shop.write("march.csv", ROWS), "--limit", 1, *more).json


def test_a_results_file_sends_what_is_left(shop: CommandLine, sandbox: Sandbox) -> None:
    """The rows in it that were not sent go, each once; rows left out of it stay."""
    first_row_sent(shop)
    ended = shop("resume", edited(results_of(shop), keep={1, 4}), "--yes", "--json")
    assert ended.code == 4, ended
    assert paid(sandbox) == {("11", Decimal("1.5")): 1, ("jane", Decimal("5.25")): 1}
    assert [row["reason"] for row in shop.results(results_of(shop).name)] == [
        *("", "not_picked", "not_picked", "")
    ]
    ended = shop("rerun", results_of(shop), "--yes", "--json")
    assert ended.counts == {"credited": 3, "rejected": 1}
    assert max(paid(sandbox).values()) == 1


def test_a_corrected_row_is_paid_once_under_its_new_name(shop: CommandLine, sandbox: Sandbox) -> None:
    """A refused row without a reference is corrected in the results, shown, sent, and linked to what it was;
    the results have the new cell, and the same file again pays nothing."""
    run(shop, shop.write("march.csv", ROWS))
    path = edited(results_of(shop), (2, "account", "12"))
    again = path.read_bytes()
    ended = shop("resume", path, "--yes", "--json")
    assert ended.counts == {"credited": 4}, ended
    assert "row 2: account 10404 -> 12" in ended.stderr
    assert paid(sandbox)["12", Decimal(2)] == 1
    row = shop.results(path.name)[1]
    assert (row["account"], row["transfer_id"][-2:]) == ("12", ".2")
    path.write_bytes(again)
    assert shop("resume", path, "--yes", "--json").counts == {"credited": 4}
    assert sum(paid(sandbox).values()) == 4
    assert (
        run(shop, shop.write("same.csv", [ROWS[0], ("clicksend", "12", "2", "USD"), *ROWS[2:]]))
        .json["batch"]
        .startswith("march")
    )


def test_a_to_fix_file_is_corrected_and_given_back(shop: CommandLine, sandbox: Sandbox) -> None:
    """What a run lists as to be fixed is corrected there and goes with the command that the run named."""
    rows = [*ROWS, ("clicksend", "13", "1,5", "USD")]
    ended = run(shop, shop.write("march.csv", rows), "--skip-invalid")
    assert ended.counts == {"credited": 3, "rejected": 1, "invalid": 1}
    (path,) = shop.folder.glob("*.to-fix.csv")
    edited(path, (2, "account", "12"), (5, "amount", "1.5"))
    ended = shop("resume", path, "--yes", "--json")
    assert ended.counts == {"credited": 5}, ended
    assert paid(sandbox) == Counter(
        (account, Decimal(amount))
        for account, amount in (("11", "1.5"), ("12", "2"), ("0012", "20"), ("jane", "5.25"), ("13", "1.5"))
    )


REFUSED: list[tuple[list[tuple[int, str, str]], str, str]] = [
    ([(1, "amount", "9.50")], "not_correctable", "is credited already"),
    ([(3, "account", "4.5E+11")], "unclear_cell", "row 3 (line 4), account"),
    ([(3, "batch", "april")], "mixed_batches", "'april'"),
    ([(3, "row", "4")], "returned_row", "row 4 is there twice"),
    ([(3, "row", "5")], "returned_row", "no row of batch"),
    ([(3, "account", "x"), (3, "seal", ""), (3, "transfer_id", "")], "not_proven", "neither its seal"),
    ([(3, "account", "")], "invalid_rows", "row 3, account"),
    ([(3, "account", "jane"), (3, "amount", "5.25"), (3, "reference", "")], "duplicate_rows", "row 4"),
]


def test_edits_that_can_not_be_meant_are_refused(shop: CommandLine, sandbox: Sandbox) -> None:
    """Row, column and cure are named, and nothing is sent."""
    first_row_sent(shop)
    before, path = paid(sandbox), results_of(shop)
    written = path.read_bytes()
    for changes, reason, said in REFUSED:
        path.write_bytes(written)
        ended = shop("resume", edited(path, *changes), "--yes", "--json")
        assert said in refused(ended, reason), changes
    assert paid(sandbox) == before


def test_what_a_spreadsheet_did_is_no_edit(shop: CommandLine, sandbox: Sandbox) -> None:
    """Lost zeros, a decimal comma, padding and a date of a balance change nothing of what is sent."""
    first_row_sent(shop)
    path = edited(
        results_of(shop), (3, "account", "12"), (4, "amount", "5,25"), (1, "amount", "1.5"), (1, "seal", "")
    )
    path.write_text(path.read_text().replace(",,", ",,"), encoding="utf-8-sig")
    ended = shop("resume", path, "--yes", "--json")
    assert ended.counts == {"credited": 3, "rejected": 1}, ended
    assert paid(sandbox)["0012", Decimal(20)] == 1
    assert "row 3 (line 4), account: 12 for 0012" in ended.stderr
    assert "1 rows say something else" in ended.stderr


def test_a_status_that_was_edited_does_not_send(shop: CommandLine, sandbox: Sandbox) -> None:
    """credited made not_sent is not sent again; not_sent made credited is left out, and both are said."""
    first_row_sent(shop)
    path = edited(results_of(shop), (1, "status", "not_sent"), (3, "status", "credited"))
    ended = shop("resume", path, "--yes", "--json")
    assert ended.counts == {"credited": 2, "rejected": 1, "not_sent": 1}
    assert paid(sandbox) == {("11", Decimal("1.5")): 1, ("jane", Decimal("5.25")): 1}
    assert "their status was edited by hand: row 3" in ended.stderr


def test_only_narrows_what_is_sent(shop: CommandLine, sandbox: Sandbox) -> None:
    """By profile, of the ledger's rows and of a file's."""
    first_row_sent(shop)
    ended = shop("resume", "march", "--only", "provider=clicksend", "--yes", "--json")
    assert ended.counts == {"credited": 1, "rejected": 1, "not_sent": 2}
    ended = shop(
        "resume",
        *(results_of(shop), "--only", "status=rejected,provider=clicksend"),
        *("--include", "rejected", "--yes", "--json"),
    )
    assert ended.counts == {"credited": 1, "rejected": 1, "not_sent": 2}
    assert sum(paid(sandbox).values()) == 1


def test_a_run_of_a_results_file_names_the_command(shop: CommandLine) -> None:
    """Who gives a results file to run is told of resume."""
    first_row_sent(shop)
    assert "batchcredit resume march-" in refused(run(shop, results_of(shop)), "results_file")
