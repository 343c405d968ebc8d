"""Any file that comes back or is exported, as a table of text: results, to-fix files, statements."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from batchcredit.formulas import unescaped
from batchcredit.reader.mended import bare_names
from batchcredit.reader.parquet_table import ParquetTable
from batchcredit.reader.source import open_format
from batchcredit.reader.table import Block, Table
from batchcredit.reader.worksheet import Worksheet

_MOMENT = "%Y-%m-%dT%H:%M:%S%.3f"


def text_table(path: Path, worksheet: Worksheet, sheet: str = "", content: Path | None = None) -> Table:
    """`path` as a Table of which every cell is text, "" where it has none; of a private copy in `worksheet`.

    CSV and spreadsheets: each cell as it stands, less the one `'` that keeps a formula text, in names too.
    Parquet: numbers by all their digits, dates and times as ISO 8601 (`Z` behind those that have a zone, as
    in a results file). `sheet` names one of a spreadsheet, of which each block keeps its `kinds`: no text can
    say that a cell was a date, or a number whose digits may be lost. `content` is read in the place of
    `path`, where that is only what it is called. Nothing is said of the columns: that is for who asked.
    Raises RefusedError where the file can't be read.
    """
    return _TextTable(open_format(path, worksheet.copy(path, content), sheet))


class _TextTable(Table):
    """`table` with nothing but text in it."""

    def __init__(self, table: Table) -> None:
        self.path, self.notes = table.path, table.notes
        self._table = table
        self._escaped = not isinstance(table, ParquetTable)
        names = bare_names(self.path, table.schema) if self._escaped else list(table.schema)
        self.schema = pl.Schema(dict.fromkeys(names, pl.String()))

    def blocks(self) -> Iterator[Block]:
        for block in self._table.blocks():
            cells = unescaped(block.cells) if self._escaped else _texts(block.cells)
            yield replace(block, cells=cells)


def _texts(cells: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame([_text(column).fill_null("") for column in cells])


def _text(column: pl.Series) -> pl.Series:
    if not isinstance(column.dtype, pl.Datetime):
        return column.cast(pl.String)
    if column.dtype.time_zone is None:
        return column.dt.strftime(_MOMENT)
    return column.dt.convert_time_zone("UTC").dt.strftime(f"{_MOMENT}Z")
