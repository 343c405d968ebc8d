"""Results as a spreadsheet: what people open and save has to come back whole.

Only amounts, balances and counts are numbers, with their decimals; all else is text in cells that are
formatted as text, so that no program takes a zero off or makes a date of it when it saves the file again.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from batchcredit.errors import StorageError
from batchcredit.writer.table import csv_text

if TYPE_CHECKING:
    from xlsxwriter.format import Format  # type: ignore[import-untyped]
    from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

_NUMBERS = frozenset(
    (
        "row",
        "http_status",
        "attempts",
        "duration_ms",
        "units",
        "balance_before",
        "balance_after",
        "client_balance",
    )
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.([0-9]+))?")
_MOST_COLUMNS = 1 << 14
_MOST_DIGITS = 15  # spreadsheets keep no more
_MOST_CHARS = 32_767
_WIDEST = 40
_ALWAYS = datetime(2000, 1, 1)  # noqa: DTZ001  the same results are the same file
_HEADER = "#D9E1F2"
_COLOURS = {
    "credited": "#C6EFCE",
    "already_credited": "#E2EFDA",
    "not_sent": "#FFF2CC",
    "in_doubt": "#F8CBAD",
    "rejected": "#FFC7CE",
    "invalid": "#FFC7CE",
    "cancelled": "#D9D9D9",
}


def write_xlsx(frames: Iterable[pl.DataFrame], file: BinaryIO) -> None:
    """Write frames with the same columns to one sheet, a row at a time, in constant memory.

    In results, the cells from `row` on have the colour of the row's `status`. Raises StorageError for a text
    that no cell can hold.
    """
    import xlsxwriter  # type: ignore[import-untyped]

    book = xlsxwriter.Workbook(
        file,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"created": _ALWAYS})
    try:
        sheet = _Sheet(book)
        for frame in frames:
            sheet.add(frame)
        sheet.finish()
    finally:
        _close(book)


def _close(book: "Workbook") -> None:
    """Its temporary files go, and where the disk refuses, that is heard as from any other file."""
    from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

    try:
        book.close()
    except FileCreateError as error:
        raise error.args[0] from None


class _Sheet:
    """The one sheet of a workbook, on its way."""

    def __init__(self, book: "Workbook") -> None:
        self._sheet: Worksheet = book.add_worksheet("results")
        # It takes a text from <r> to </r> for formatted XML, and writes it as such: here no text is any.
        self._sheet._xml_rich_inline_string = self._plain  # noqa: SLF001
        self._format = _formats(book)
        self._line = 0
        self._columns: list[str] = []
        self._ours = self._status = _MOST_COLUMNS  # where our own columns begin, and which is the status

    def _plain(self, text: str, attributes: Any) -> None:
        self._sheet._xml_inline_string(text, True, attributes)  # noqa: SLF001

    def add(self, frame: pl.DataFrame) -> None:
        """The frame's rows; before the first of them the header."""
        texts = csv_text(frame).with_columns(pl.all().cast(pl.String))
        if not self._columns:
            self._begin(texts)
        for cells in texts.iter_rows():
            self._line += 1
            colour = _COLOURS.get(cells[self._status], "") if self._status < len(cells) else ""
            for column, text in enumerate(cells):
                if text is not None:
                    self._write(column, text, colour if column >= self._ours else "")

    def _begin(self, texts: pl.DataFrame) -> None:
        self._columns = texts.columns
        if "row" in self._columns:
            self._ours, self._status = self._columns.index("row"), self._columns.index("status")
        sizes = texts.select(pl.all().str.len_chars().max()).row(0)
        for column, (name, size) in enumerate(zip(self._columns, sizes, strict=True)):
            self._sheet.set_column(column, column, min(_WIDEST, max(len(name), size or 0) + 2))
            self._sheet.write_string(0, column, name, self._format("@", _HEADER))
        self._sheet.freeze_panes(1, 0)

    def _write(self, column: int, text: str, colour: str) -> None:
        name = self._columns[column]
        code = _number_format(text) if name in _NUMBERS or name.casefold() == "amount" else ""
        if code:
            self._sheet.write_number(self._line, column, float(text), self._format(code, colour))
        elif self._sheet.write_string(self._line, column, text, self._format("@", colour)):
            raise StorageError(
                f"row {self._line}, column {name}: no cell of a spreadsheet holds {len(text)} characters",
                reason="out_format",
                cure="write the results to a file of another kind: batchcredit results BATCH --out NAME.csv",
            )

    def finish(self) -> None:
        """What needs to know how many rows there are."""
        if self._columns:
            self._sheet.autofilter(0, 0, self._line, len(self._columns) - 1)


def _number_format(text: str) -> str:
    """With just the decimals of this number, or "" for what a spreadsheet would not keep as it is."""
    found = _NUMBER.fullmatch(text)
    if not found or sum(map(str.isdigit, text)) > _MOST_DIGITS:
        return ""
    return f"0.{'0' * len(found[1])}" if found[1] else "0"


def _formats(book: "Workbook") -> "Callable[[str, str], Format]":
    @cache
    def made(code: str, colour: str) -> "Format":
        return book.add_format(
            {"num_format": code, "bold": colour == _HEADER} | ({"bg_color": colour} if colour else {})
        )

    return made
