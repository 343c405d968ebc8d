"""Whose place a results file's name is, settled before anything is sent.

What stands there must be the results of the same batch, by the same ledger, and not newer than what the
ledger knows: so a lost, restored or wrong ledger is noticed before it sends again what another one has sent.
A hidden file beside the place says the same while there are no results yet, to a colleague's ledger too.
"""

import contextlib
import gzip
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import polars as pl

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.private_folder import PrivateFolder
from batchcredit.transfer import HIDDEN, State, looks_like_results
from batchcredit.workbook import Workbook, WorkbookFaultError
from batchcredit.writer.csv_records import UNREADABLE, is_regular, records
from batchcredit.writer.target import ending, is_taken, linked, part_of, refuse_rows

_CHUNK_ROWS = 10_000
_OWNER_BYTES = 4096
_CELL_CHARS = 1000  # none of the cells that are kept is nearly as long
_ROWS_MOST = 1 << 63  # a ledger knows no larger numbers
_UNREADABLE = (
    *UNREADABLE,
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),  # that one is no Exception
    *(TypeError, OverflowError),  # cells of other types than ours
)
_GENERATION = re.compile(r"[1-9][0-9]{0,8}")
_READ = ("row", "status", "attempts", "settled_by", "transfer_id", "batch")


class _Line(NamedTuple):
    """What a results file says of one row, as far as it can be ahead of a ledger."""

    row: int
    status: str
    attempts: int
    settled_by: str
    transfer_id: str
    batch: str


@dataclass(frozen=True, slots=True)
class _Owner:
    ledger: str
    batch: str
    user: str
    host: str
    pid: int
    at: str

    def __str__(self) -> str:
        return f"ledger {self.ledger}, by {self.user} on {self.host} at {self.at}"


@dataclass(frozen=True, slots=True)
class Vetted:
    """A file as it was when it was read whole: where it still is that one, nothing in it is unknown."""

    version: tuple[int, int, int, int]

    @classmethod
    def of(cls, path: Path) -> "Vetted | None":
        """None where there is no file."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))

    def is_at(self, path: Path) -> bool:
        """Whether it stands there, unchanged."""
        return Vetted.of(path) == self


def claim_path(
    path: Path,
    input_path: Path | None,
    batch_name: str,
    batch: BatchRecord | None,
    ledger: LedgerReader,
    *,
    vetted: Vetted | None = None,
    former: str = "",
) -> None:
    """Make `path` this batch's, or raise RefusedError before a cent has moved. Leaves a hidden owner file.

    `batch` is None where the ledger does not have it yet, `input_path` where the command has no input.
    `vetted`: a file that the command has read, which may stand there. `former`: the ledger from which the
    batch is about to be adopted; what it owns becomes ours with the first claim after that.
    Reasons: `out_is_input`, `out_exists`, `out_unwritable`, `out_format`, `file_name`, `other_ledger`,
    `results_ahead`.
    """
    refuse_path(path, input_path, batch_name, batch, ledger, vetted=vetted)
    _own(path, batch_name, batch, ledger, former)


def refuse_path(
    path: Path,
    input_path: Path | None,
    batch_name: str,
    batch: BatchRecord | None,
    ledger: LedgerReader | None,
    *,
    vetted: Vetted | None = None,
) -> None:
    """Raise RefusedError as `claim_path` would, and leave nothing. `ledger` is None if there is none yet."""
    _refuse_hidden(path)
    ending(path)
    _refuse_input(path, input_path)
    _refuse_unwritable(path)
    if batch is not None:
        refuse_rows(path, batch.rows)
    if not is_taken(path) or (vetted is not None and vetted.is_at(path)):
        return
    if ledger is None:
        raise _refused(path, "a file stands there, and the ledger that wrote it is not there", "out_exists")
    _refuse_foreign(path, batch_name, batch, ledger)
    # a test ledger may forget a batch and begin it again
    if ledger.is_live() is not False and not is_evidence(path, ledger):
        _refuse_ahead(path, batch, ledger)


def release_path(path: Path, ledger: LedgerReader) -> None:
    """Take back a claim under which nothing was sent: the owner file goes, unless results stand there."""
    if not is_taken(path):
        leave_path(path, ledger)


def leave_path(path: Path, ledger: LedgerReader) -> None:
    """Take back a claim: what stands there stays, and whoever goes on with it may claim the place."""
    owner = _owner(path)
    if owner is not None and owner.ledger == ledger.id:
        with contextlib.suppress(OSError):  # what stopped the command is told, and ours is not in our way
            owner_path(path).unlink(missing_ok=True)


def owner_path(path: Path) -> Path:
    """The hidden file that says whose place `path` is."""
    return path.with_name(f".{path.name}.owner")


def is_of_batch(path: Path, batch: BatchRecord, ledger: LedgerReader) -> bool:
    """Whether what stands at `path` begins like results of this batch by this ledger."""
    try:
        first = next(_lines(path, most_rows=1), None)
    except _NoResults:
        return False
    return (
        first is not None
        and first[0].batch == batch.name
        and ledger_of(first[0].transfer_id) in _ledgers_of(batch, ledger)
    )


def _ledgers_of(batch: BatchRecord | None, ledger: LedgerReader) -> set[str]:
    """Whose ids the rows of a batch may have: ours, and those of the ledger from which it was adopted."""
    first = ledger.rows(batch.id, 1, 1) if batch else []
    return {ledger.id, *(ledger_of(row.transfer_id) for row in first)}


def is_evidence(path: Path, ledger: LedgerReader) -> bool:
    """Whether what stands there was written before the ledger was restored from a copy: it may know of rows
    what the ledger does not, so nothing takes its place."""
    accepted_ms = ledger.custody().accepted_ms
    return accepted_ms is not None and path.stat().st_mtime_ns // 1_000_000 <= accepted_ms


def ledger_of(transfer_id: str) -> str:
    """The id of the ledger that made a transfer's id, or ""."""
    parts = transfer_id.split("-", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "t" else ""


def generation_of(transfer_id: str) -> tuple[str, int]:
    """The id that a row had at first, and which of its generations this is: a correction gives it a new id,
    the first one with a higher number behind a point. Where no such number stands, it is a first id."""
    first, _, number = transfer_id.partition(".")
    return (first, int(number)) if _GENERATION.fullmatch(number) else (transfer_id, 1)


def _refuse_hidden(path: Path) -> None:
    if HIDDEN.search(str(path)):
        raise RefusedError(
            f"{str(path)!a}: there are characters in this name that can not be seen, or are no text",
            reason="file_name",
            cure="name another file with --out",
        )


def _refuse_input(path: Path, input_path: Path | None) -> None:
    if input_path is None:
        return
    same = path.resolve() == input_path.resolve()
    if same or (path.exists() and input_path.exists() and path.samefile(input_path)):
        raise _refused(path, "the results would overwrite the input", "out_is_input")


def _refuse_unwritable(path: Path) -> None:
    try:
        with part_of(path):
            pass
    except OSError as error:
        raise _refused(path, f"nothing can be written there: {error.strerror}", "out_unwritable") from None


def _refuse_foreign(path: Path, batch_name: str, batch: BatchRecord | None, ledger: LedgerReader) -> None:
    try:
        first = next(_lines(path, most_rows=1), None)
    except _NoResults as error:
        raise _refused(path, f"another file stands there ({error})", "out_exists") from None
    if not first:
        raise _refused(path, "another file stands there (it has no rows)", "out_exists")
    found = ledger_of(first[0].transfer_id)
    if found not in _ledgers_of(batch, ledger):
        owner = _owner(path)
        whose = str(owner) if owner and owner.ledger == found else f"ledger {found}"
        raise _other_ledger(path, ledger, whose)
    if first[0].batch != batch_name:
        raise _refused(path, f"the results of another batch stand there: {first[0].batch}", "out_exists")


def _refuse_ahead(path: Path, batch: BatchRecord | None, ledger: LedgerReader) -> None:
    try:
        for lines in _lines(path):
            for line, known in _beside(lines, batch, ledger):
                if known is None or _is_ahead(line, known):
                    raise _ahead(path, line, known, ledger)
    except _NoResults as error:
        raise _refused(path, f"what stands there is damaged ({error})", "out_exists") from None


def _beside(
    lines: Sequence[_Line], batch: BatchRecord | None, ledger: LedgerReader
) -> Iterator[tuple[_Line, ResultRow | None]]:
    for run in _runs(lines):
        rows = ledger.rows(batch.id, run[0].row, run[-1].row) if batch else []
        known = {row.row: row for row in rows}
        yield from ((line, known.get(line.row)) for line in run)


def _runs(lines: Sequence[_Line]) -> Iterator[Sequence[_Line]]:
    """Stretches of consecutive rows: one each chunk, unless a person has sorted the file."""
    begin = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or lines[end].row != lines[end - 1].row + 1:
            yield lines[begin:end]
            begin = end


def _is_ahead(line: _Line, known: ResultRow) -> bool:
    """Whether the file tells of something that the ledger has not seen."""
    if line.transfer_id != known.transfer_id:
        return not _is_earlier_generation(line.transfer_id, known.transfer_id)
    credited = line.status == "credited" and line.settled_by == "provider"
    return line.attempts > known.attempts or (credited and known.state is not State.CREDITED)


def _is_earlier_generation(written: str, known: str) -> bool:
    (first, generation), (known_first, known_generation) = generation_of(written), generation_of(known)
    return first == known_first and generation < known_generation


class _NoResults(Exception):  # noqa: N818  it ends a question, it is no error of the program
    """What stands there can't be read as a results file."""


def _lines(path: Path, most_rows: int = 0) -> Iterator[Sequence[_Line]]:
    """A results file's rows in chunks. Raises _NoResults as soon as it is none. With `most_rows`, at least
    these: a spreadsheet is unpacked before its first row is read."""
    if not is_regular(path):
        raise _NoResults("it is no regular file")
    try:
        if ending(path) == ".xlsx":
            yield from _xlsx_lines(path, most_rows)
        else:
            yield from _parquet_lines(path) if ending(path) == ".parquet" else _csv_lines(path)
    except WorkbookFaultError as fault:
        raise _NoResults(fault.problem) from None
    except _UNREADABLE as error:
        raise _NoResults(f"it can not be read as results: {type(error).__name__}") from None


def _csv_lines(path: Path) -> Iterator[Sequence[_Line]]:
    with _opened(path) as raw:
        found = records(raw)
        header = next(found, [])
        _refuse_other_columns(header)
        lines = _kept(found, len(header), [header.index(name) for name in _READ])
        while chunk := list(islice(lines, _CHUNK_ROWS)):
            yield chunk


def _kept(found: Iterator[list[str]], width: int, places: Sequence[int]) -> Iterator[_Line]:
    for cells in found:
        if len(cells) != width:
            raise _NoResults("a row of it breaks off")
        yield _line(*(cells[place] for place in places))


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if ending(path) == ".csv.gz" else path.open("rb")


def _parquet_lines(path: Path) -> Iterator[Sequence[_Line]]:
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    _refuse_other_columns(scan.collect_schema().names())
    scan = scan.select(_READ)
    begin = 0
    while (frame := scan.slice(begin, _CHUNK_ROWS).collect()).height:
        yield [_line(*cells) for cells in frame.iter_rows()]
        begin += frame.height


def _xlsx_lines(path: Path, most_rows: int) -> Iterator[Sequence[_Line]]:
    with PrivateFolder() as folder:
        book = Workbook(path, folder.path, most_rows=most_rows)
        _refuse_other_columns(book.names)
        for piece in book.pieces():
            yield [_line(*cells) for cells in piece.cells.select(_READ).iter_rows()]


def _line(row: Any, status: Any, attempts: Any, settled_by: Any, transfer_id: Any, batch: Any) -> _Line:
    number = int(row)
    if not 0 < number < _ROWS_MOST:
        raise _NoResults(f"it has a row {number}")
    texts = [str(cell or "") for cell in (status, settled_by, transfer_id, batch)]
    if max(map(len, texts)) > _CELL_CHARS:
        raise _NoResults("a cell of it is longer than ours are")
    ended, by, transfer, name = texts
    return _Line(number, ended, int(attempts), by, transfer, name.removeprefix("'"))


def _refuse_other_columns(columns: Sequence[str]) -> None:
    if not looks_like_results(columns) or not set(_READ) <= set(columns):
        raise _NoResults("it has not the columns of a results file")


def _own(path: Path, batch_name: str, batch: BatchRecord | None, ledger: LedgerReader, former: str) -> None:
    mine = _Owner(ledger.id, batch_name, host.user(), host.name(), os.getpid(), host.iso(host.now_ms()))
    for _ in range(3):
        if _create_owner(path, mine):
            return
        owner = _owner(path)
        if owner is None:
            raise _refused(path, f"{owner_path(path)} is in the way and can't be read", "out_exists")
        if (owner.ledger, owner.batch) == (mine.ledger, mine.batch):
            return
        if owner.batch == batch_name and owner.ledger == former:
            return
        if owner.batch != batch_name or owner.ledger not in _ledgers_of(batch, ledger):
            _refuse_owner(path, owner, ledger)
        owner_path(path).unlink(missing_ok=True)
    raise _refused(path, "its owner changes all the time", "out_exists")


def _refuse_owner(path: Path, owner: _Owner, ledger: LedgerReader) -> None:
    if owner.ledger != ledger.id:
        raise _other_ledger(path, ledger, str(owner))
    known = [batch for batch in ledger.batches(owner.batch) if batch.name == owner.batch]
    if known and known[0].finished_ms is None:
        raise _refused(path, f"it is kept for the results of batch {owner.batch}", "out_exists")


def _create_owner(path: Path, owner: _Owner) -> bool:
    """Whole or not at all, since half of one would be in the way for ever; whether the place was free."""
    fields = {name: getattr(owner, name) for name in _Owner.__slots__}
    try:
        with part_of(path) as (file, part):
            file.write(json.dumps(fields).encode())
            file.flush()
            os.fsync(file.fileno())
            if not linked(part, place := owner_path(path)):
                place.touch(exist_ok=False)  # where there are no links; where it is taken, this says so
                part.replace(place)
    except FileExistsError:
        return False
    except OSError as error:
        raise _refused(
            path, f"nothing can be written beside it: {error.strerror}", "out_unwritable"
        ) from None
    return True


def _owner(path: Path) -> _Owner | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        descriptor = os.open(owner_path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = _Owner(**json.loads(file.read(_OWNER_BYTES)))
        if all(isinstance(getattr(found, name), kind) for name, kind in _Owner.__annotations__.items()):
            return found
    return None


def _other_ledger(path: Path, ledger: LedgerReader, whose: str) -> RefusedError:
    return RefusedError(
        f"{path}: this ledger is not the one that wrote it, or is older than it: this is ledger {ledger.id} "
        f"({ledger.url}), and that place belongs to {whose}",
        reason="other_ledger",
        cure="use that ledger (--ledger URL). Only if it will never send this batch again, and you know what "
        f"was sent: move {path.name} and {owner_path(path).name} away",
    )


def _ahead(path: Path, line: _Line, known: ResultRow | None, ledger: LedgerReader) -> RefusedError:
    knows = f"{known.attempts} and {known.state.value}" if known else "nothing of it"
    return RefusedError(
        f"{path}: this ledger is not the one that wrote it, or is older than it: row {line.row} has "
        f"{line.attempts} attempts and is {line.status} there, of which ledger {ledger.id} ({ledger.url}) "
        f"knows {knows}; {_written_by(path)}",
        reason="results_ahead",
        cure="was this ledger restored from a backup? Use the newest one; send nothing with this one",
    )


def _written_by(path: Path) -> str:
    owner = _owner(path)
    return f"the file is kept by {owner}" if owner else "nothing beside the file says who wrote it"


def _refused(path: Path, what: str, reason: str) -> RefusedError:
    return RefusedError(f"{path}: {what}", reason=reason, cure="name another file with --out")
