"""A changed file under the name of a batch that the ledger knows: a correction, or a mistake."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.reader import Chunk, Worksheet
from batchcredit.transfer import CORRECTABLE, INPUT_COLUMNS, State

_COLUMNS = (*INPUT_COLUMNS, "problem")


@dataclass(frozen=True, slots=True)
class Change:
    """One corrected row: what it said and what it says (provider, account, amount, currency, reference)."""

    row: int
    was: tuple[str, ...]
    now: tuple[str, ...]
    is_valid: bool

    def __str__(self) -> str:
        pairs = zip(INPUT_COLUMNS, self.was, self.now, strict=True)
        said = [f"{name} {was or 'none'} -> {now or 'none'}" for name, was, now in pairs if was != now]
        return f"row {self.row}: " + (", ".join(said) or "it is valid now")


def changes(ledger: LedgerReader, batch: BatchRecord, worksheet: Worksheet, path: Path) -> list[Change]:
    """The rows that differ; refused where one of them is not a row that may be corrected.

    More than 10,000 corrected rows are refused: that is another file.
    """
    found = list(islice(_changes(ledger, batch, worksheet, path), 10_001))
    if len(found) > 10_000:
        raise _refused(path, batch, "more than 10,000 rows differ")
    return found


def _changes(ledger: LedgerReader, batch: BatchRecord, worksheet: Worksheet, path: Path) -> Iterator[Change]:
    rows = 0
    for chunk in worksheet.chunks():
        known = ledger.rows(batch.id, chunk.first_row, chunk.first_row + len(chunk.rows) - 1)
        rows += len(chunk.rows)
        if rows > batch.rows:
            break
        for now, was in zip(_texts(chunk), known, strict=True):
            yield from _change(now, was, batch, path)
    if rows != batch.rows:
        raise _refused(path, batch, f"the number of rows differs from the {batch.rows} of the batch")


def edited(
    ledger: LedgerReader, batch: BatchRecord, worksheet: Worksheet, rows: Collection[int], path: Path
) -> list[Change]:
    """What corrections of these rows of a file that came back change.

    Refused where a corrected row is not valid, or where the file is understood in another way than it was:
    then a row that nobody corrected would say something else.
    """
    found, invalid = [], []
    for chunk in worksheet.chunks():
        known = ledger.rows(batch.id, chunk.first_row, chunk.first_row + len(chunk.rows) - 1)
        for (*now, column, detail), was in zip(_diagnosed(chunk), known, strict=True):
            texts, problem = tuple(now[:5]), now[5]
            if was.row not in rows:
                _refuse_other_reading(texts, was, path)
                continue
            if problem is not None:
                invalid.append(f"row {was.row}, {column}: {detail}")
            found.append(Change(was.row, _said(was), texts, problem is None))
    if invalid:
        raise RefusedError(
            f"{path.name}: {len(invalid)} corrected rows are not valid: {'; '.join(invalid[:20])}",
            reason="invalid_rows",
            cure="correct them, or leave them out; nothing was sent",
        )
    return found


def _diagnosed(chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    yield from chunk.rows.select(*_COLUMNS, "column", "detail").iter_rows()


def _said(was: ResultRow) -> tuple[str, ...]:
    return (was.provider, was.account, was.amount, was.currency, was.reference or "")


def _refuse_other_reading(texts: tuple[str, ...], was: ResultRow, path: Path) -> None:
    if was.state is not State.INVALID and texts != _said(was):
        raise RefusedError(
            f"{path.name}: row {was.row} would be {', '.join(texts[:4])}, and was enrolled as "
            f"{', '.join(_said(was)[:4])}: the file is understood in another way than it was",
            reason="other_reading",
            cure="give the flags of the first run: --provider, --map, --currency, --thousands",
        )


def _texts(chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    yield from chunk.rows.select(_COLUMNS).iter_rows()


def _change(now: tuple[Any, ...], was: ResultRow, batch: BatchRecord, path: Path) -> Iterator[Change]:
    before = _said(was)
    texts, is_valid = now[:5], now[5] is None
    has_become_valid = was.state is State.INVALID and is_valid and bool(was.reference)
    if texts == before and not has_become_valid:
        return
    if not was.reference or texts[4] != was.reference:
        raise _refused(
            path, batch, f"row {was.row} differs, and only its reference could say that it is the same row"
        )
    if was.state not in CORRECTABLE:
        raise _refused(path, batch, f"row {was.row} differs, and it is {was.state} already")
    yield Change(was.row, before, texts, is_valid)


def _refused(path: Path, batch: BatchRecord, why: str) -> RefusedError:
    return RefusedError(
        f"{path} is not what batch {batch.name} was made of: {why}",
        reason="changed_content",
        cure="if it is new, name it with --batch NAME; a correction keeps rows and order and changes "
        "only rows with a reference that were not credited and are not in doubt; as it was, it goes on with: "
        f"batchcredit resume {batch.name}",
    )
