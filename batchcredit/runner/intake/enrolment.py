"""From an examined file to a batch of the ledger: its name, whether it is known, and its rows."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import (
    BatchRecord,
    EnrolChunk,
    EnrolRow,
    Ledger,
    LedgerReader,
    RowKey,
    refuse_closed,
)
from batchcredit.reader import Chunk, Survey, Worksheet
from batchcredit.runner.intake import correction
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.picked import Picked
from batchcredit.transfer import BATCH_NAME, State
from batchcredit.writer import pack, refuse_rows, results_path


@dataclass(frozen=True, slots=True)
class Target:
    """What a file is to this ledger: a new batch (`batch` is None), a known one, or a correction of one.

    `only`: of a file that came back, the rows that it picks; all others stay as they are.
    """

    name: str
    batch: BatchRecord | None = None
    changes: tuple[correction.Change, ...] = ()
    only: Picked | None = None

    @property
    def changed(self) -> frozenset[int]:
        """The rows that are corrected."""
        return frozenset(change.row for change in self.changes)


def identify(
    ledger: LedgerReader, given: InputOptions, survey: Survey, worksheet: Worksheet, repeat_window_ms: int
) -> Target:
    """What this file is to this ledger. A batch is known by its content, whatever its file is called."""
    if given.batch is None:
        same = ledger.batches_of(survey.content)
        if same:
            return Target(same[0].name, _still_open(same[0], repeat_window_ms))
    name = batch_name(given, survey.content)
    known = find_exact(ledger, name)
    if known is None:
        return Target(name)
    if known.content == survey.content:
        return Target(name, _still_open(known, repeat_window_ms))
    refuse_closed(known)
    return Target(name, known, tuple(correction.changes(ledger, known, worksheet, given.path)))


def batch_name(given: InputOptions, content: bytes) -> str:
    """The name that a new batch of this file would have; a RefusedError for one that no file could have."""
    name = default_name(given.path, content) if given.batch is None else given.batch
    refuse_name(name)
    return name


def refuse_name(name: str) -> None:
    """Raises RefusedError for what no batch can be called."""
    if not BATCH_NAME.fullmatch(name):
        raise RefusedError(
            f"{name!r} is no name for a batch",
            reason="usage",
            cure="up to 100 letters, digits, points, dashes and underscores, a letter or digit first",
        )


def results_place(given: InputOptions, target: Target, how: SendOptions, rows: int) -> Path:
    """Where this file's results go: a known batch's stay where they are, unless --out names another place.
    Refused where so many rows have no room in a file of that format."""
    if how.out:
        refuse_rows(how.out, rows)
    named = None if how.is_passed else how.out
    if target.batch and not named:
        return Path(target.batch.results)
    place = results_path(given.path, target.name, named, sandbox=how.sandbox)
    if not how.out:
        refuse_rows(place, rows)
    return place


def find_exact(ledger: LedgerReader, name: str) -> BatchRecord | None:
    """The batch of exactly this name."""
    return next((batch for batch in ledger.batches(name) if batch.name == name), None)


def default_name(path: Path, content: bytes) -> str:
    """The file's stem and 8 hex digits of its content."""
    stem = re.sub(r"\.(csv|csv\.gz|parquet|xlsx|xlsm)$", "", path.name, flags=re.IGNORECASE)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:80] or "batch"
    return f"{stem}-{content.hex()[:8]}"


def _still_open(batch: BatchRecord, repeat_window_ms: int) -> BatchRecord:
    """An old finished batch is not taken up again by chance: next month's file may look the same."""
    if batch.finished_ms is not None and host.now_ms() - batch.finished_ms > repeat_window_ms:
        raise RefusedError(
            f"these rows are batch {batch.name}, which was finished on {host.iso(batch.finished_ms)}",
            reason="finished_batch",
            cure="if the same transfers are meant once more, give them a new name with --batch NAME; "
            f"what became of the old ones: batchcredit show {batch.name}",
        )
    return batch


def row_keys(worksheet: Worksheet, lanes: Mapping[str, int]) -> Iterator[RowKey]:
    """The valid rows whose lanes this ledger knows, as other batches are compared with them."""
    columns = ("row", "provider", "account_key", "amount", "currency", "reference", "account_name", "problem")
    for chunk in worksheet.chunks():
        for row, provider, key, amount, currency, reference, name, problem in chunk.rows.select(
            columns
        ).iter_rows():
            if problem is None and provider in lanes:
                yield RowKey(row, lanes[provider], key, amount, currency, reference or None, provider, name)


def enrol_chunks(
    worksheet: Worksheet, lanes: Mapping[str, int], progress: Callable[[int], None] = lambda _: None
) -> Iterator[EnrolChunk]:
    """The examined rows as the ledger takes them, in order. `progress` is told the rows so far."""
    for chunk in worksheet.chunks():
        progress(chunk.first_row - 1)
        yield EnrolChunk(
            chunk.first_row, [_enrol_row(row, lanes) for row in _tuples(chunk)], pack(chunk.cells)
        )


_COLUMNS = ("row", "provider", "account", "account_key", "amount", "currency", "reference", "problem")


def _tuples(chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    yield from chunk.rows.select(*_COLUMNS, "column", "detail").iter_rows()


def _enrol_row(row: tuple[Any, ...], lanes: Mapping[str, int]) -> EnrolRow:
    number, provider, account, key, amount, currency, reference, problem, column, detail = row
    texts = (provider or "", account or "", key or "", amount or "", currency or "", reference or None)
    if problem is None:
        return (number, lanes.get(provider), *texts, State.PENDING.value, "", "")
    return (number, lanes.get(provider), *texts, State.INVALID.value, problem, f"{column}: {detail}")


def forget_rehearsal(ledger: Ledger, target: Target) -> Target:
    """A rehearsal that has ended starts anew."""
    if target.batch is None or target.batch.finished_ms is None or target.changes:
        return target
    ledger.forget(target.batch.id)
    return Target(target.name)
