"""Parquet as a table: cells keep their own dtypes, and are read in slices."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.reader.table import Block, Table, refused

_SLICE_ROWS = 1 << 17


class ParquetTable(Table):
    """A Parquet file. Nested and binary columns are refused: a results file could not hold them."""

    def __init__(self, file: Path, path: Path) -> None:
        self.path = path
        try:
            self._frame = pl.scan_parquet(file, glob=False, hive_partitioning=False)
            self.schema = self._frame.collect_schema()
            self._rows: int = self._frame.select(pl.len()).collect().item()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise refused(
                self.path,
                f"this can not be read as Parquet: {str(error)[:200]}",
                "file_damaged",
                "save it again, or save it as CSV UTF-8",
            ) from error
        self._check_dtypes()

    def blocks(self) -> Iterator[Block]:
        """The data rows, in slices: polars' own batches hold whole row groups, some of them ahead."""
        for start in range(0, self._rows, _SLICE_ROWS):
            yield Block(start + 1, None, self._slice(start))

    def _slice(self, start: int) -> pl.DataFrame:
        try:
            return self._frame.slice(start, _SLICE_ROWS).collect(engine="in-memory")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise refused(
                self.path,
                f"row {start + 1} or later can not be read: {str(error)[:200]}",
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
