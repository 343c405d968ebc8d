"""The input's own cells, as a ledger keeps them: in order, all with the same columns."""

from collections.abc import Iterator

import polars as pl

from batchcredit.errors import DefectError
from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.writer import table

_PIECE_ROWS = 10_000  # the rows of a ledger are some 20 times larger in memory than in a file


class Cells:
    """The cells of one batch, in pieces that memory bears beside the ledger's rows."""

    def __init__(self, ledger: LedgerReader, batch: BatchRecord) -> None:
        self._ledger = ledger
        self._batch = batch
        self.columns = self._common_columns()

    def _common_columns(self) -> dict[str, pl.DataType]:
        """A corrected file may have had other columns than the first: then each block lacks some."""
        columns: dict[str, pl.DataType] = {}
        for _, _, block in self._ledger.cells(self._batch.id):
            for name, kind in table.unpack(block).schema.items():
                columns[name] = kind if columns.get(name, kind) == kind else pl.String()
        if clash := columns.keys() & table.COLUMNS.keys():
            raise DefectError(f"the input has a column of ours: {sorted(clash)}", reason="defect")
        return columns

    def __iter__(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """(first row, cells) of each piece. Raises DefectError where a row is missing or there twice."""
        done = 0
        for first, count, block in self._ledger.cells(self._batch.id):
            cells = self._aligned(table.unpack(block))
            if first != done + 1 or cells.height != count:
                raise lost(self._batch, f"cells of row {done + 1} are missing or there twice")
            for piece in cells.iter_slices(_PIECE_ROWS):
                yield done + 1, piece
                done += piece.height
        if done != self._batch.rows:
            raise lost(self._batch, f"{done} rows of {self._batch.rows} are there")

    def _aligned(self, cells: pl.DataFrame) -> pl.DataFrame:
        if dict(cells.schema) == self.columns:
            return cells
        return pl.DataFrame(
            [
                cells[name].cast(kind)
                if name in cells.columns
                else pl.Series(name, [None] * cells.height, kind)
                for name, kind in self.columns.items()
            ]
        )


def lost(batch: BatchRecord, what: str) -> DefectError:
    """What a batch was enrolled with is not what the ledger has of it."""
    return DefectError(f"batch {batch.name}: {what}; no results were written", reason="conservation")
