"""A month end from a spreadsheet, into one, through the hands of a spreadsheet program."""

from decimal import Decimal
from pathlib import Path

import openpyxl
from command_line import HEADER, CommandLine, Sandbox
from sheet_file import read_xlsx

ROWS = (
    ("clicksend", 11, 1.5, "USD", "A-1"),
    ("clicksend", 10404, 2, "USD", "A-2"),
    ("fastmessage", "007", 20.25, "KES", "A-3"),
)


def workbook(path: Path, *sheets: str) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name in sheets:
        sheet = book.create_sheet(name)
        sheet.append(HEADER)
        for row in ROWS:
            sheet.append(row)
    book.save(path)
    return path


def test_a_spreadsheet_is_paid_and_its_results_survive_a_spreadsheet_program(
    shop: CommandLine, sandbox: Sandbox
) -> None:
    """The book has what the cells say; the same sheet again pays nothing, and replaces its results."""
    path = workbook(shop.folder / "month.xlsx", "March", "Draft")
    refused = shop("run", path, "--yes", "--json")
    assert refused.refusal == (2, "several_sheets")
    assert "--sheet March" in refused.stderr
    ended = shop("run", path, "--sheet", "March", "--yes", "--json", "--batch", "march")
    assert ended.code == 1, ended
    assert sandbox.sums() == {"USD": Decimal("1.5"), "KES": Decimal("20.25")}
    assert {entry["account"] for entry in sandbox.book()} == {"11", "007"}
    results = shop.folder / "march.results.xlsx"
    assert ended.json["results"] == str(results)
    found = read_xlsx(results)
    assert found["account"].to_list() == ["11", "10404", "007"]
    assert found["status"].to_list() == ["credited", "rejected", "credited"]
    openpyxl.load_workbook(results).save(results)
    again = shop("run", path, "--sheet", "March", "--yes", "--json", "--batch", "march")
    assert again.code == 1, again
    assert read_xlsx(results).equals(found)
    assert len(sandbox.book()) == 2
    given_back = shop("run", results, "--yes", "--json")
    assert given_back.refusal == (2, "results_file")
    assert "batchcredit resume march" in given_back.stderr
