"""Parquet as a table: cells keep their own dtypes, and are read in slices."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.reader.table import Block, Table, refused

_SLICE_ROWS = 1 << 16


class ParquetTable(Table):
    """A Parquet file. Nested and binary columns are refused: a results file could not hold them."""

    def __init__(self, file: Path, path: Path) -> None:
        self.path = path
        try:
            self._frame = pl.scan_parquet(file, glob=False, hive_partitioning=False)
            self.schema = self._frame.collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise refused(
                self.path,
                f"this can not be read as Parquet: {str(error)[:200]}",
                "file_damaged",
                "save it again, or save it as CSV UTF-8",
            ) from error
        self._check_dtypes()

    def blocks(self) -> Iterator[Block]:
        """The data rows, in slices."""
        first = 1
        try:
            for cells in self._frame.collect_batches(chunk_size=_SLICE_ROWS, maintain_order=True):
                if cells.height:
                    yield Block(first, None, cells)
                first += cells.height
        except (pl.exceptions.PolarsError, OSError) as error:
            raise refused(
                self.path,
                f"row {first} or later can not be read: {str(error)[:200]}",
                "file_damaged",
                "save the file again",
            ) from error

    def _check_dtypes(self) -> None:
        for name, dtype in self.schema.items():
            if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
                raise refused(
                    self.path,
                    f"column {name!r} holds {dtype}, which no cell of a table can hold",
                    "column_type",
                    "leave the column out, or save it as text",
                )
