"""Parquet as a table: cells keep their own dtypes, and are read in slices."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.reader.parquet_trial import count_rows, scanned, slices, why_unreadable
from batchcredit.reader.records import MAX_RECORD_BYTES
from batchcredit.reader.table import Block, Table, refused

#: Repeated texts take no room in a file, but in memory they do: so much of them comes in one block.
_BLOCK_BYTES = 32 << 20


class ParquetTable(Table):
    """A Parquet file. Nested and binary columns are refused: a results file could not hold them."""

    def __init__(self, file: Path, path: Path) -> None:
        self.path = path
        problem = why_unreadable(file)
        if problem:
            raise refused(
                path,
                f"this can not be read as Parquet: {problem}",
                "file_damaged",
                "save it again, or save it as CSV UTF-8",
            )
        self._frame = scanned(file)
        self.schema = self._frame.collect_schema()
        self._rows = count_rows(self._frame)
        self._check_dtypes()

    def blocks(self) -> Iterator[Block]:
        """The data rows, in slices, and in smaller pieces where their texts are long."""
        row = 1
        for cells in slices(self._frame, self._rows):
            for piece in self._pieces(cells, row):
                yield Block(row, None, piece)
                row += piece.height

    def _pieces(self, cells: pl.DataFrame, row: int) -> Iterator[pl.DataFrame]:
        text = cells.select(pl.col(pl.String).str.len_bytes().cast(pl.Int64).fill_null(0))
        if not text.width:
            yield cells
            return
        sizes = text.sum_horizontal()
        if len(long := (sizes > MAX_RECORD_BYTES).arg_true()):
            raise refused(
                self.path,
                f"row {row + long[0]} holds more than {MAX_RECORD_BYTES >> 20} MiB of text",
                "row_length",
                "mend the row",
            )
        first = 0
        for count in (sizes.cum_sum() // _BLOCK_BYTES).rle().struct.field("len"):
            yield cells.slice(first, count)
            first += count

    def _check_dtypes(self) -> None:
        for name, dtype in self.schema.items():
            if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Duration):
                raise refused(
                    self.path,
                    f"column {name[:40]!r} holds {dtype}, which no cell of a table can hold",
                    "column_type",
                    "leave the column out, or save it as text",
                )
