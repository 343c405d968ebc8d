"""Spreadsheets as batches."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from batch_reading import read
from sheet_file import number, row, text, unpacked_here, write

from batchcredit import trial
from batchcredit.errors import RefusedError
from batchcredit.formulas import escaped
from batchcredit.reader import Worksheet, text_table
from batchcredit.workbook import reading

HEAD = row(*map(text, ("provider", "account", "amount", "currency", "reference", "note")))
FORMATS = ("00000", "yyyy-mm-dd", "0%", "#,##0.00")


@pytest.fixture(autouse=True)
def unpack_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "tried", unpacked_here)


def transfer(account: str = number("11"), amount: str = number("5.5"), *more: str, given: str = "") -> str:
    return row(text("clicksend"), account, amount, text("USD"), *more, given=given)


@pytest.fixture
def sheet(tmp_path: Path) -> Callable[..., Path]:
    """A workbook with one sheet."""

    def written(*rows: str, **given: Any) -> Path:
        return write(tmp_path / "march.xlsx", {"March": HEAD + "".join(rows)}, formats=FORMATS, **given)

    return written


def refusal(path: Path, **options: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read(path, **options)
    return caught.value


def test_a_sheet_is_a_batch(sheet: Callable[..., Path]) -> None:
    """Numbers keep their digits, whatever a float would do; lines are those that people see."""
    blank = row(given='r="3"')
    more = (number("77"), text("=1+1"))
    found = read(sheet(transfer(), blank, transfer(text("12"), number("13.200000000000001"), *more)))
    assert [(each["row"], each["line"], each["account"], each["amount"]) for each in found.rows] == [
        (1, 2, "11", "5.5"),
        (2, 4, "12", "13.2"),
    ]
    assert found.rows[1]["reference"] == "77"
    assert found.cells[1]["note"] == "=1+1"
    assert found.problems == [None, None]
    assert any("13.2 for 13.200000000000001 (line 4)" in note for note in found.survey.notes)


def test_the_same_table_is_the_same_batch_in_every_format(sheet: Callable[..., Path], tmp_path: Path) -> None:
    """Content decides, not the file."""
    path = sheet(transfer(amount=number("12.5")), transfer(text("12"), number("7", 4), text("r-1")))
    frame = pl.DataFrame(
        {
            "provider": ["clicksend"] * 2,
            "account": ["11", "12"],
            "amount": ["12.50", "7.00"],
            "currency": ["USD"] * 2,
            "reference": ["", "r-1"],
        }
    )
    frame.write_csv(tmp_path / "march.csv")
    frame.write_parquet(tmp_path / "march.parquet")
    contents = {read(each).survey.content for each in (path, *tmp_path.glob("march.[cp]*"))}
    assert len(contents) == 1
    assert len(list(tmp_path.glob("march.*"))) == 3


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ((number("1234567890123456"),), "account_number"),
        ((number("11.5"),), "account_number"),
        ((number("42", 1),), "account_format"),
        ((number("45992", 2),), "account_date"),
        (('<c t="b"><v>1</v></c>',), "account_logic"),
        (('<c t="e"><v>#REF!</v></c>',), "account_error"),
        (("<c><f>A1</f></c>",), "account_formula"),
        ((number("11"), number("45992", 2)), "amount_date"),
        ((number("11"), number("0.5", 3)), "amount_percent"),
        ((number("11"), '<c t="b"><v>0</v></c>'), "amount_logic"),
        ((number("11"), '<c t="e"><v>#N/A</v></c>'), "amount_error"),
        ((number("11"), "<c><f>A1</f><v/></c>"), "amount_formula"),
        ((number("11"), number("5"), number("42", 1)), "reference_format"),
        ((number("11"), number("5"), number("1.5")), "reference_number"),
        ((number("11"), number("5"), number("45992", 2)), "reference_date"),
        ((number("11"), number("5"), '<c t="e"><v>#REF!</v></c>'), "reference_error"),
    ],
)
def test_cells_that_can_not_be_relied_on(
    sheet: Callable[..., Path], cells: tuple[str, ...], problem: str
) -> None:
    """Also where the provider would take the text: what stands there is not what a person typed."""
    rows = row(text("kenya"), cells[0], *(cells[1:2] or (number("5"),)), text("KES"), *cells[2:])
    assert read(sheet(rows)).problems == [problem]


def test_an_old_formula_has_its_value(sheet: Callable[..., Path]) -> None:
    """What a spreadsheet program has computed is what a person sees."""
    found = read(sheet(transfer(amount="<c><f>2*2</f><v>4</v></c>")))
    assert (found.problems, found.rows[0]["amount"]) == ([None], "4")


def test_hidden_rows_are_told(sheet: Callable[..., Path]) -> None:
    """A filter hides rows from people, and people forget it."""
    found = read(sheet(transfer(), transfer(number("12"), given='hidden="1"')))
    assert found.survey.valid == 2
    assert "1 rows are hidden in the sheet, and read like all others: line 3" in found.survey.notes


def test_one_of_several_sheets(tmp_path: Path) -> None:
    """Empty and hidden ones are no choice; a hidden one can be named."""
    sheets = {"a b": HEAD + transfer(), "Empty": "", "Old": HEAD + transfer() + transfer(number("12"))}
    path = write(tmp_path / "m.xlsx", sheets, states={"Old": "hidden"})
    assert read(path).survey.rows == 1
    assert read(path, sheet="Old").survey.rows == 2
    two = write(tmp_path / "m.xlsx", sheets)
    error = refusal(two)
    assert error.reason == "several_sheets"
    assert "'a b', 'Empty', 'Old'" in str(error)
    assert "--sheet 'a b'" in error.cure
    assert refusal(two, sheet="May").reason == "no_sheet"
    assert refusal(two, sheet="Empty").reason == "empty_file"


def test_a_sheet_of_a_csv_file_is_no_choice(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("a\n1\n")
    assert refusal(tmp_path / "m.csv", sheet="March").reason == "usage"


def test_what_stands_beside_the_table_is_refused(tmp_path: Path, sheet: Callable[..., Path]) -> None:
    """A title above the header, a note beside it: neither is guessed away."""
    title = write(tmp_path / "title.xlsx", {"S": row(text("Payments")) + HEAD + transfer()})
    error = refusal(title)
    assert error.reason == "header"
    assert "line 2 has a cell in column B, which the header (line 1) does not name" in str(error)
    assert refusal(sheet(transfer(), after='<mergeCells><mergeCell ref="A2:A3"/></mergeCells>')).reason == (
        "merged_cells"
    )
    below = sheet(transfer(), after='<mergeCells><mergeCell ref="A9:B9"/></mergeCells>')
    assert read(below).survey.valid == 1
    total = sheet(transfer(), transfer(number("12")), row(text("clicksend"), number("1"), number("11")))
    assert refusal(total).reason == "total_line"


def test_formatted_empty_cells_are_nothing(sheet: Callable[..., Path]) -> None:
    """Spreadsheets keep thousands of them behind the last row and column."""
    empty = '<c r="ZZ2" s="1"/><c s="1"><v></v></c><c t="inlineStr"><is><t></t></is></c>'
    found = read(sheet(transfer(number("11"), number("5"), empty), *(row('<c s="1"/>') for _ in range(50))))
    assert found.survey.rows == 1


@pytest.mark.parametrize(
    "part",
    [
        '<!DOCTYPE x [<!ENTITY a "1">]><worksheet><sheetData><row><c><v>&a;</v></c></row>'
        "</sheetData></worksheet>",
        "<worksheet><sheetData><row>",
        '<worksheet><sheetData><row r="9999999"/></sheetData></worksheet>',
        '<worksheet><sheetData><row r="2"/><row r="1"/></sheetData></worksheet>',
        '<worksheet><sheetData><row><c r="ZZZZ1"><v>1</v></c></row></sheetData></worksheet>',
        '<worksheet><sheetData><row><c t="s"><v>7</v></c></row></sheetData></worksheet>',
        "<worksheet><sheetData><row><c><v>seven</v></c></row></sheetData></worksheet>",
        "\0",
        "<worksheet><sheetData><row><c><v>1</v></c></row>",
    ],
)
def test_damaged_sheets_are_refused(tmp_path: Path, part: str) -> None:
    path = write(tmp_path / "m.xlsx", {"S": ""}, **{"xl/s1.xml": part})
    assert refusal(path).reason == "file_damaged"


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """A thousand times its size is no sheet; nor is one text a million times."""
    bomb = write(tmp_path / "m.xlsx", {"S": HEAD + " " * (70 << 20)})
    assert "unpacks to far more" in str(refusal(bomb))
    shared = row(text("x" * 30_000)) + row('<c t="inlineStr"><is><t>%s</t></is></c>' % ("x" * 30_000)) * 2300
    assert "unpacks to far more" in str(refusal(write(tmp_path / "m.xlsx", {"S": shared})))


def test_locked_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert refusal(path).reason == "file_locked"
    path.write_bytes(b"PK\x03\x04")
    assert refusal(path).reason == "file_damaged"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a.txt", "a")
    assert refusal(path).reason == "file_damaged"


def test_a_workbook_of_another_program(tmp_path: Path) -> None:
    """Shared texts, places, styles: as openpyxl writes them; and a formula kept text comes back as it was."""
    frame = pl.DataFrame({"=a": ["=1+1", "'x"], "b": ["007", ""], "c": ["_x0041_\n\u00e9 ", "-5"]})
    book = openpyxl.Workbook()
    for cells in (escaped(frame).columns, *escaped(frame).rows()):
        book.active.append(cells)
    book.save(path := tmp_path / "m.results.xlsx")
    with Worksheet() as worksheet:
        [block] = text_table(path, worksheet).blocks()
        assert block.cells.rows() == [("=1+1", "007", "A\n\u00e9 "), ("'x", "", "-5")]
        assert block.cells.columns == ["=a", "b", "c"]


def test_it_is_unpacked_in_a_process_that_may_fail(
    sheet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of that process, this one refuses or reads."""
    program = trial._PROGRAM
    monkeypatch.setattr(reading, "tried", trial.tried)
    path = sheet(transfer())
    assert read(path).survey.valid == 1
    monkeypatch.setattr(trial, "_PROGRAM", "import os; os.abort()")
    assert refusal(path).reason == "file_damaged"
    small = "from batchcredit import trial; trial._MEMORY_BYTES = 1 << 20; "
    monkeypatch.setattr(trial, "_PROGRAM", small + program)
    big = write(path, {"S": row(text("a")) + row(text("x" * 500_000)) * 30})
    assert "asks for too much memory" in str(refusal(big))
    monkeypatch.setattr(trial, "_PROGRAM", program)
    assert refusal(big).reason == "missing_column"  # it was read
