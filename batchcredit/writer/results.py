"""From the ledger to a results file: every row of the batch once, in order, in bounded memory."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
from polars.io.plugins import register_io_source

from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.writer import table
from batchcredit.writer.cells import Cells, lost
from batchcredit.writer.csv_file import write_csv, write_csv_gz
from batchcredit.writer.ownership import Vetted, is_evidence, is_of_batch
from batchcredit.writer.target import ending, replace
from batchcredit.writer.xlsx import write_xlsx

Progress = Callable[[int], None]

_GROUP_ROWS = 100_000


def write_results(
    ledger: LedgerReader,
    batch: BatchRecord,
    path: Path,
    progress: Progress | None = None,
    vetted: Vetted | None = None,
) -> Path:
    """Write the results of a batch to `path`, in the format of its ending; `progress` hears of rows written.
    A file that is `vetted` may be replaced, whatever stands in it.

    Returns the name that was written: a second one, where the first is held open, has become another file,
    or is older than the ledger's restoration.
    Raises StorageError where the disk refuses, and DefectError where a row is missing or there twice.
    """
    formats = {".csv": write_csv, ".csv.gz": write_csv_gz, ".parquet": write_parquet, ".xlsx": write_xlsx}
    write = formats[ending(path)]
    chunks = Chunks(ledger, batch, progress or _silent)

    def may_replace(taken: Path) -> bool:
        ours = (vetted is not None and vetted.is_at(taken)) or is_of_batch(taken, batch, ledger)
        return ours and not is_evidence(taken, ledger)

    return replace(path, lambda file: write(chunks, file), may_replace)


def _silent(_: int) -> None:
    return None


class Chunks:
    """The results of a batch in chunks, each with the same columns; each walk asks the ledger anew."""

    def __init__(self, ledger: LedgerReader, batch: BatchRecord, progress: Progress = _silent) -> None:
        self._ledger = ledger
        self._batch = batch
        self._progress = progress
        self._cells = Cells(ledger, batch)

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({**self._cells.columns, **table.COLUMNS})

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for first, piece in self._cells:
            yield self._completed(piece, first)
            self._progress(first + piece.height - 1)

    def _completed(self, cells: pl.DataFrame, first: int) -> pl.DataFrame:
        last = first + cells.height - 1
        rows = self._ledger.rows(self._batch.id, first, last)
        if [row.row for row in rows] != list(range(first, last + 1)):
            raise lost(self._batch, f"rows {first} to {last} are not there exactly once, in order")
        return cells.hstack(table.chunk(self._batch, rows))


def write_parquet(chunks: Chunks, file: BinaryIO) -> None:
    def source(*_: object) -> Iterator[pl.DataFrame]:
        yield from chunks

    watched = _Watched(file)
    try:
        frame = register_io_source(source, schema=chunks.schema)
        frame.sink_parquet(cast(BinaryIO, watched), row_group_size=_GROUP_ROWS)
    except pl.exceptions.PolarsError:
        if watched.error is not None:
            raise watched.error from None
        raise


class _Watched(io.RawIOBase):
    """Passes on what is written, and keeps the disk's refusal, of which polars leaves only the text."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        try:
            return self._file.write(data)  # type: ignore[call-overload, no-any-return]
        except OSError as error:
            self.error = error
            raise
