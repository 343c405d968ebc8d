"""`<batch>.to-fix.csv`: invalid and rejected rows as they came in, to be corrected and given back."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import polars as pl

from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.transfer import State
from batchcredit.writer import table
from batchcredit.writer.cells import Cells
from batchcredit.writer.person_files import pages_in, write_list

#: What stands behind the input's own columns; where one of those is called so, ours has a `_` behind it.
TO_FIX_COLUMNS = ("row", "problem", "cure", "batch", "seal")

_TO_FIX = (State.REJECTED, State.INVALID)


class Advice(NamedTuple):
    """What is wrong with a row, and what to do about it: in words, for the person who mends the file."""

    problem: str
    cure: str


def write_to_fix(
    ledger: LedgerReader, batch: BatchRecord, path: Path, advise: Callable[[ResultRow], Advice]
) -> Path | None:
    """Write the rows of a batch that a person has to correct: the input's columns, then TO_FIX_COLUMNS.

    Returns the name that was written, as `write_list` does, None where nothing is left to correct. Raises
    StorageError where the disk refuses.
    """

    cells = cache(lambda: Cells(ledger, batch))

    def frames() -> Iterator[pl.DataFrame]:
        rows = chain.from_iterable(pages_in(ledger, batch, _TO_FIX))
        wanted = next(rows, None)
        for first, piece in cells() if wanted else ():
            here = []
            while wanted is not None and wanted.row < first + piece.height:
                here.append(wanted)
                wanted = next(rows, None)
            if here:
                yield _frame(piece[[row.row - first for row in here]], batch, here, advise)

    return write_list(path, batch, frames, ours=TO_FIX_COLUMNS)


def _frame(
    cells: pl.DataFrame,
    batch: BatchRecord,
    rows: Sequence[ResultRow],
    advise: Callable[[ResultRow], Advice],
) -> pl.DataFrame:
    advice = pl.DataFrame([advise(row) for row in rows], schema=Advice._fields, orient="row")
    known = table.chunk(batch, rows).hstack(advice).select(TO_FIX_COLUMNS)
    clashing = {name: f"{name}_" for name in TO_FIX_COLUMNS if name in cells.columns}
    return cells.hstack(known.rename(clashing))
