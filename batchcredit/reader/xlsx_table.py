"""A spreadsheet's sheet as a table of text, each cell as a person sees it."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.reader.table import Block, Table, refused
from batchcredit.workbook import Workbook, WorkbookFaultError


class XlsxTable(Table):
    """An .xlsx or .xlsm file, of whose macros nothing is run. It is unpacked beside `file`."""

    def __init__(self, file: Path, path: Path, sheet: str = "") -> None:
        self.path = path
        try:
            self._book = Workbook(file, file.parent, sheet)
        except WorkbookFaultError as fault:
            raise refused(path, fault.problem, fault.reason, fault.cure) from None
        self.schema = pl.Schema(dict.fromkeys(self._book.names, pl.String()))
        self.notes = self._book.notes

    def blocks(self) -> Iterator[Block]:
        row = 1
        for piece in self._book.pieces():
            yield Block(row, piece.lines, piece.cells, piece.kinds)
            row += piece.cells.height
