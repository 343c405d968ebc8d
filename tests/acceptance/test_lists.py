"""The lists that a person finds beside the results after a run."""

import csv
from pathlib import Path

from command_line import CommandLine, Sandbox

from batchcredit.writer import TO_FIX_COLUMNS

MIXED = [
    ("clicksend", "10001", "12.50", "USD", "r1", "=1+1"),
    ("clicksend", "70404", "5", "USD", "r2", "second"),
    ("clicksend", "10002", "-5", "USD", "r3", "third"),
]
HEADER = ("provider", "account", "amount", "currency", "reference", "who asked")


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_to_correct_are_listed_until_nothing_is_left(shop: CommandLine, sandbox: Sandbox) -> None:
    """As they came in, with words for a person and the command that takes the list; and it goes by itself."""
    path = shop.write("march.csv", MIXED, HEADER)
    ended = shop("run", path, "--yes", "--json", "--batch", "march", "--skip-invalid")
    assert ended.code == 1
    to_fix = shop.folder / "march.to-fix.csv"
    assert ended.json["to_fix"] == str(to_fix)
    assert f"batchcredit resume {to_fix}\n" in ended.stderr
    refused, invalid = rows = listed(to_fix)
    assert tuple(refused) == (*HEADER, *TO_FIX_COLUMNS)
    assert [tuple(row[name] for name in HEADER) for row in rows] == MIXED[1:]
    assert refused["problem"].startswith("The provider has no such client. (")
    assert refused["cure"] == "Correct the account."
    assert (invalid["problem"], invalid["cure"]) == (
        "The amount is negative. (amount: -5)",
        "Credit can not be pulled back here: delete the row.",
    )
    seals = {row["row"]: row["seal"] for row in shop.results("march.results.csv")}
    assert [(row["row"], row["seal"]) for row in rows] == [("2", seals["2"]), ("3", seals["3"])]
    to_fix.unlink()
    assert shop("results", "march", "--json").json["to_fix"] == str(to_fix)
    assert listed(to_fix) == rows
    assert shop("cancel", "march", "--yes", "--row", 2, "--note", "not ours", "--json").code == 0
    assert [row["row"] for row in listed(to_fix)] == ["2", "3"], "cancel writes no results either"
    assert shop("results", "march", "--json").code == 0
    assert [row["row"] for row in listed(to_fix)] == ["3"]


def test_with_all_rows_credited_no_list_is_left(shop: CommandLine, sandbox: Sandbox) -> None:
    """The refused row goes through later; a rehearsal's list has its own name."""
    path = shop.write("march.csv", MIXED[:2], HEADER)
    assert shop("run", path, "--yes", "--json", "--batch", "march").code == 1
    to_fix = shop.folder / "march.to-fix.csv"
    assert to_fix.exists()
    sandbox.control.set(accounts={"70404": {}})
    assert "to_fix" not in shop("resume", "march", "--yes", "--json", "--include", "rejected").json
    assert not to_fix.exists()
    rehearsed = shop("run", path, "--yes", "--json", "--batch", "march", "--sandbox")
    assert rehearsed.json["to_fix"] == str(shop.folder / "sandbox-march.to-fix.csv")


def test_what_a_wrong_file_credited_is_listed_when_it_is_withdrawn(
    shop: CommandLine, sandbox: Sandbox
) -> None:
    """Just what the provider executed, and who takes it back; a single row's withdrawal lists nothing."""
    rows = [("clicksend", f"1000{number}", f"{number}.5", "USD", f"r{number}") for number in range(1, 5)]
    path = shop.write("march.csv", rows)
    assert shop("run", path, "--yes", "--json", "--batch", "march", "--limit", 2).code == 4
    listed_in = shop.folder / "march.to-reverse.csv"
    assert shop("cancel", "march", "--yes", "--json", "--row", 4, "--note", "wrong").code == 0
    assert not listed_in.exists()
    ended = shop("cancel", "march", "--yes", "--json", "--note", "wrong month")
    assert ended.code == 0
    executed = [(entry["account"], entry["amount"]) for entry in sandbox.book()]
    assert (
        [(row["account"], row["amount"]) for row in listed(listed_in)]
        == executed
        == [rows[0][1:3], rows[1][1:3]]
    )
    assert str(listed_in) in ended.stderr
    assert "to take credit back at clicksend: by hand in the dashboard" in ended.stderr
    elsewhere = shop.folder / "elsewhere.csv"
    assert shop("cancel", "march", "--yes", "--note", "n", "--json", "--out", "x.parquet").refusal == (
        2,
        "out_format",
    )
    assert shop("cancel", "march", "--yes", "--note", "again", "--out", elsewhere).code == 0
    assert elsewhere.read_bytes() == listed_in.read_bytes()
