"""Lists that a person works with, beside the results: what to fix, what is in doubt, what to take back.

Each is CSV and ends with columns of ours. It takes the place of an earlier list of the same batch, and of
nothing else: not of a list into which somebody has written what was not given back yet.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.transfer import State
from batchcredit.writer.csv_file import csv_pieces, write_csv
from batchcredit.writer.csv_records import UNREADABLE, is_regular, records
from batchcredit.writer.table import csv_text
from batchcredit.writer.target import disk_error, ending, is_taken, replace, second_name

#: The rows of a list, in order, each time anew: one walk writes them, another compares them.
Frames = Callable[[], Iterator[pl.DataFrame]]

#: So many lists of one name stand beside each other at the most.
_NAMES_MOST = 99

_PAGE_ROWS = 10_000


def list_path(
    results: Path, batch: BatchRecord, name: str, out: Path | None = None, *, sandbox: bool
) -> Path:
    """Where the list `name` of a batch goes: `out`, or beside its results. Raises RefusedError for an `out`
    that is no CSV file."""
    if out is None:
        return results.parent / f"{'sandbox-' if sandbox else ''}{batch.name}.{name}.csv"
    if ending(out) != ".csv":
        raise RefusedError(
            f"{out}: this list is written as CSV",
            reason="out_format",
            cure="name a file that ends in .csv with --out",
        )
    return out.absolute()


def pages_in(
    ledger: LedgerReader, batch: BatchRecord, states: Sequence[State]
) -> Iterator[Sequence[ResultRow]]:
    """The rows of a batch in these states, in order, however many they are; no page is empty."""
    last = 0
    while page := ledger.rows_in(batch.id, states, (), _PAGE_ROWS, after_row=last):
        yield page
        last = page[-1].row


def write_list(
    path: Path, batch: BatchRecord, frames: Frames, *, ours: Sequence[str], filled_in: Sequence[str] = ()
) -> Path | None:
    """Write a list to `path`, or remove it where there are no rows.

    `ours` are the columns it ends with, `row` and `batch` among them; a person writes into those before them,
    and into `filled_in`. Returns the name that was written: a second one where the first is somebody else's,
    or holds what was written into it and not given back. None where there was nothing to write. Raises
    StorageError where the disk refuses.
    """
    first = next(frames(), None)
    kind = _Kind(batch.name, tuple(ours), tuple(filled_in))
    if first is None:
        _remove(path, kind)
        return None
    header = csv_text(first.clear()).columns

    def may_replace(taken: Path) -> bool:
        return _may_go(taken, kind, header, _cells(frames()))

    return replace(path, lambda file: write_csv(frames(), file), may_replace)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What kind of list it is, and of which batch."""

    batch: str
    ours: tuple[str, ...]
    filled_in: tuple[str, ...]

    def is_header(self, columns: Sequence[str]) -> bool:
        return tuple(name.removesuffix("_") for name in columns[-len(self.ours) :]) == self.ours

    def written_into(self, columns: Sequence[str]) -> list[int]:
        """The places in which a person may have written."""
        own = range(len(columns) - len(self.ours))
        return [*own, *(columns.index(name) for name in self.filled_in)]


def _cells(frames: Iterable[pl.DataFrame]) -> Iterator[list[str]]:
    """The rows as a reader of the file will find them, without the header."""
    lines = chain.from_iterable(io.StringIO(str(piece, "utf-8"), newline="") for piece in csv_pieces(frames))
    found = csv.reader(lines, strict=True)
    next(found)
    return found


def _remove(path: Path, kind: _Kind) -> None:
    """Nothing is left to do: lists that told otherwise go, as far as they are ours."""
    for number in range(1, _NAMES_MOST + 1):
        name = path if number == 1 else second_name(path, number)
        if not is_taken(name):
            return
        if _may_go(name, kind, None, iter(())):
            try:
                name.unlink(missing_ok=True)
            except OSError as error:
                raise disk_error(name, error) from error


def _may_go(taken: Path, kind: _Kind, header: Sequence[str] | None, cells: Iterator[list[str]]) -> bool:
    """Whether what stands there is a list of this kind, with nothing in it that would be lost.

    `header` is that of the new list, None where any will do; `cells` are its rows. What a person wrote into a
    row that the new list no longer has is settled.
    """
    if not is_regular(taken):
        return False
    try:
        with taken.open("rb") as file:
            old = records(file)
            columns = next(old, [])
            if not kind.is_header(columns) or header not in (None, columns):
                return False
            return _all_alike(old, cells, columns, kind)
    except UNREADABLE:
        return False


def _all_alike(
    old: Iterator[list[str]], new: Iterator[list[str]], columns: Sequence[str], kind: _Kind
) -> bool:
    """Both go upwards by row, so neither has to be held; a list that a person has sorted does not."""
    row_at, batch_at, places = columns.index("row"), columns.index("batch"), kind.written_into(columns)
    ours, last = next(new, None), 0
    for theirs in old:
        if len(theirs) != len(columns) or theirs[batch_at] != kind.batch:
            return False
        before, last = last, int(theirs[row_at])
        if last <= before:
            return False
        while ours is not None and int(ours[row_at]) < last:
            ours = next(new, None)
        if ours is not None and int(ours[row_at]) == last and any(ours[at] != theirs[at] for at in places):
            return False
    return last > 0
