"""One pass over a batch file: everything that can be known of it before any of it is enrolled."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import polars as pl

from batchcredit.reader.identity import Identity, canonical
from batchcredit.reader.overlap import overlapped
from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.reader.survey import Survey, Twins
from batchcredit.reader.table import Table, refused
from batchcredit.reader.tally import Tally
from batchcredit.reader.twins import find_twins
from batchcredit.reader.validate import Chunk
from batchcredit.reader.worksheet import Worksheet, storing


def examine(
    path: Path,
    options: ReadOptions,
    profiles: Mapping[str, ProfileRules],
    worksheet: Worksheet,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Reads all of `path` into `worksheet` and says what is in it. `progress` is told the rows so far.

    Raises RefusedError where the file as a whole can not be a batch: no such file, another format, a broken
    record, a missing column, no data row, a total line. Invalid rows and duplicates are counted, not raised.
    """
    worksheet.open(path, options, profiles)
    return _examined(worksheet, None, progress)


def examine_table(
    table: Table,
    options: ReadOptions,
    profiles: Mapping[str, ProfileRules],
    worksheet: Worksheet,
    among: Collection[int] | None = None,
) -> Survey:
    """The same of rows that come from elsewhere than a batch file; of the rows that repeat each other, those
    with one of `among` in the pair, where that is given."""
    worksheet.take(table, options, profiles)
    return _examined(worksheet, among, None)


def _examined(
    worksheet: Worksheet, among: Collection[int] | None, progress: Callable[[int], None] | None
) -> Survey:
    source = worksheet.source
    path, tally = source.path, Tally(source.profiles)
    identity = Identity(worksheet.folder)
    with storing("sort the rows in the temporary folder"):
        for chunk, lines in overlapped(map(_with_lines, source.chunks())):
            tally.add(chunk)
            identity.add(lines)
            if progress is not None:
                progress(tally.rows)
        _refuse_no_rows(path, tally)
        _refuse_total_line(path, tally)
        content = identity.digest()
        duplicates, references = _twins(worksheet, tally, identity, among)
    return Survey(
        rows=tally.rows,
        valid=tally.valid,
        problems=tally.problems(),
        totals=tally.totals(),
        content=content,
        duplicates=duplicates,
        duplicate_references=references,
        notes=(*source.table.notes, *source.header.notes),
    )


def _with_lines(chunk: Chunk) -> tuple[Chunk, pl.DataFrame]:
    return chunk, canonical(chunk.rows)


def _twins(
    worksheet: Worksheet, tally: Tally, identity: Identity, among: Collection[int] | None
) -> tuple[Twins, Twins]:
    """Sorting for the identity has shown equal rows side by side, but not all kinds of them.

    A row with and one without a reference, or two spellings of one account, stand far apart: then, and where
    something was seen, all rows are compared once more, by what makes them equal.
    """
    apart = identity.bare and (identity.named or tally.respelled)
    return find_twins(worksheet, among) if apart or identity.repeats else (Twins(), Twins())


def _refuse_no_rows(path: Path, tally: Tally) -> None:
    if not tally.rows:
        raise refused(path, "there is a header and no data row", "no_rows", "check that the export ended")


def _refuse_total_line(path: Path, tally: Tally) -> None:
    last = tally.total_line()
    if last is not None:
        line = "" if last["line"] is None else f" (line {last['line']})"
        raise refused(
            path,
            f"row {last['row']}{line}: the last amount, {last['amount']}, is the sum of the others: "
            "this looks like a total line",
            "total_line",
            "delete it; if it is a transfer, move the row away from the end",
        )
