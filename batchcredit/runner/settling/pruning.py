"""prune: old batches go to archive files, and out of the ledger."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, Ledger, LedgerReader, refuse_pruned
from batchcredit.ledger.registry import sqlite_path
from batchcredit.runner.batch import find_batch, holding_known, refuse_unagreed
from batchcredit.runner.intake.overlap import CORRECTION_MS
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.reconciling import AROUND_MS
from batchcredit.settings import Settings
from batchcredit.writer import Archive, write_archive


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """Which batches go, and where to: all that have not changed for so long, or of these the ones named."""

    older_than_ms: int
    note: str
    batches: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Staying:
    """A batch that is old, and why it stays all the same."""

    batch: BatchRecord
    why: str


@dataclass(frozen=True, slots=True)
class Pruning:
    """What goes, where to, and what stays."""

    going: Sequence[BatchRecord]
    staying: Sequence[Staying]
    folder: Path


@dataclass(frozen=True, slots=True)
class Pruned:
    """A batch that went, and the file that has its rows now."""

    batch: BatchRecord
    archive: Archive


def prune(
    asked: PruneOptions, how: SendOptions, settings: Settings, confirm: Callable[[Pruning], bool]
) -> tuple[list[Pruned], Sequence[Staying]]:
    """Archive old batches, each whole and read back before a row of it is deleted. `confirm` shows what goes
    and asks. Killed at any moment, the same command goes on.

    Raises RefusedError where a batch that was named has to stay, or nobody agrees; StorageError where ledger
    or disk fail.
    """
    before_ms = host.now_ms() - _age_ms(asked, settings)
    with holding_known(how, settings) as ledger:
        ledger.sweep()
        pruning = _sorted(ledger, asked, before_ms)
        if not pruning.going:
            return [], pruning.staying
        refuse_unagreed(how, lambda: confirm(pruning))
        gone = []
        for batch in pruning.going:
            archive = write_archive(ledger, batch, pruning.folder)
            ledger.prune(batch.id, before_ms, str(archive.path), archive.sha256, asked.note)
            how.note(f"batch {batch.name}: {batch.rows} rows are in {archive.path} now")
            gone.append(Pruned(batch, archive))
        return gone, pruning.staying


def _age_ms(asked: PruneOptions, settings: Settings) -> int:
    """Younger rows are still compared with new files, and counted against limits of a day."""
    least_ms = max(settings.repeat_window_ms, CORRECTION_MS)
    if asked.older_than_ms < least_ms:
        days = -(-least_ms // 86_400_000)
        raise RefusedError(
            f"--older-than has to be {days}d or more: new files are compared with what is younger",
            reason="usage",
            cure=f"batchcredit prune --older-than {days}d",
        )
    return asked.older_than_ms


def _sorted(ledger: Ledger, asked: PruneOptions, before_ms: int) -> Pruning:
    folder = _folder(ledger, asked)
    batches = ledger.batches()
    doubts = _doubts(ledger, batches)
    going, staying = [], []
    for batch in _named(ledger, asked) or _old(batches, before_ms):
        why = ledger.stays(batch, before_ms) or _needed_as_evidence(ledger, batch, doubts)
        if not why:
            going.append(batch)
        elif asked.batches:
            raise RefusedError(
                f"batch {batch.name} stays: {why}",
                reason="not_prunable",
                cure=f"batchcredit show {batch.name}",
            )
        else:
            staying.append(Staying(batch, why))
    return Pruning(going, staying, folder)


def _folder(ledger: LedgerReader, asked: PruneOptions) -> Path:
    if asked.folder is not None:
        return asked.folder.absolute()
    if ledger.is_shared:
        raise RefusedError(
            "nothing says where the archives of a shared ledger go",
            reason="usage",
            cure="name a folder that is backed up: --out FOLDER",
        )
    return sqlite_path(ledger.url).parent / "archive"


def _named(ledger: LedgerReader, asked: PruneOptions) -> list[BatchRecord]:
    found = {batch.id: batch for batch in (find_batch(ledger, name) for name in asked.batches)}
    for batch in found.values():
        refuse_pruned(batch)
    return list(found.values())


def _old(batches: Iterable[BatchRecord], before_ms: int) -> list[BatchRecord]:
    """Those that were there already, oldest first."""
    found = [batch for batch in batches if batch.pruned_ms is None and batch.created_ms < before_ms]
    return found[::-1]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A batch with rows in doubt, and when its first row was sent through the lane."""

    batch: str
    since_ms: int


def _doubts(ledger: LedgerReader, batches: Iterable[BatchRecord]) -> dict[int, _Doubt]:
    """The earliest of them by lane."""
    found: dict[int, _Doubt] = {}
    for batch in batches:
        if batch.closed_ms is None and batch.pruned_ms is None:
            for lane in ledger.rows_in_doubt(batch.id):
                span = ledger.sent_span(batch.id, lane)
                doubt = _Doubt(batch.name, span[0] if span else 0)
                if lane not in found or doubt.since_ms < found[lane].since_ms:
                    found[lane] = doubt
    return found


def _needed_as_evidence(ledger: LedgerReader, batch: BatchRecord, doubts: dict[int, _Doubt]) -> str:
    """Why rows of another batch could not be reconciled without this one, or ""."""
    for lane, doubt in doubts.items():
        span = ledger.sent_span(batch.id, lane)
        if span and doubt.batch != batch.name and doubt.since_ms - AROUND_MS <= span[1]:
            return f"it is evidence for rows of batch {doubt.batch} that are in doubt: settle those first"
    return ""
