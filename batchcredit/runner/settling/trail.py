"""The audit trail, verified: against itself, against the rows, and against a head that was kept elsewhere."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from batchcredit.errors import RefusedError
from batchcredit.ledger.audit import AuditEntry, breaks
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.runner.batch import find_batch
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.records import reading
from batchcredit.settings import Settings
from batchcredit.transfer import STATUS, State

#: So many breaks are named; one is enough to trust nothing behind it.
_NAMED = 20

#: What the newest entry says of a row that stands as it does by decision; of all others `not-credited`.
_DECIDED = {State.CREDITED: "credited", State.IN_DOUBT: "in-doubt", State.CANCELLED: "cancelled"}

#: And what a row is, as long as such an entry is the newest on it.
_DECIDES = {what: state for state, what in _DECIDED.items()}


@dataclass(frozen=True, slots=True)
class TrailView:
    """Entries of one batch or of all; how many there are in all, the newest hash, and what is broken."""

    entries: Sequence[AuditEntry]
    count: int
    head: str
    broken: Sequence[str]


def trail(name: str, expected: str, how: SendOptions, settings: Settings) -> TrailView:
    """The trail of a batch, or with "" of the ledger; verified whole in any case. `expected` is a head that
    it once had, or ""."""
    with reading(how, settings) as ledger:
        batches = [find_batch(ledger, name)] if name else ledger.batches()
        entries = list(ledger.audit(batches[0].name if name else ""))
        whole = _Whole(ledger)
        broken = [*whole.breaks(expected), *_contradictions(ledger, batches)]
        return TrailView(entries, whole.count, whole.head, broken[:_NAMED])


def refuse_broken(view: TrailView) -> None:
    """Raise RefusedError (`audit_broken`) where the trail is not as it was written."""
    if view.broken:
        raise RefusedError(
            "the audit trail is not what was written: " + "; ".join(view.broken),
            reason="audit_broken",
            cure="send nothing more with this ledger, keep it as it is, and compare it with a backup",
        )


def broken(ledger: LedgerReader) -> list[str]:
    """Where the whole trail is not as it was written, or contradicts the rows."""
    return [*_Whole(ledger).breaks(""), *_contradictions(ledger, ledger.batches())][:_NAMED]


class _Whole:
    """The whole trail in one pass, however long it is."""

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self.count, self.head = 0, ""

    def breaks(self, expected: str) -> list[str]:
        """What is wrong with the chain; `expected` is a hash that has to be in it."""
        entries = self._counted(expected)
        found = [f"entry {number}: {what}" for number, what in islice(breaks(entries), _NAMED)]
        for _ in entries:
            pass  # counted to the end, however much of it is broken
        if expected and not self._met:
            found.append(f"no entry has the hash {expected}: it was cut off, or is another ledger's")
        return found

    def _counted(self, expected: str) -> Iterator[AuditEntry]:
        self._met = False
        for entry in self._ledger.audit():
            self.count, self.head = self.count + 1, entry.hash
            self._met = self._met or entry.hash == expected
            yield entry


def _contradictions(ledger: LedgerReader, batches: Iterable[BatchRecord]) -> Iterator[str]:
    for batch in batches:
        newest = {entry.transfer_id: entry for entry in ledger.audit(batch.name)}
        for row in ledger.decided(batch.id):
            yield from _undecided(batch, row, newest)
        for entry in newest.values():
            if entry.row is not None and entry.what in _DECIDES:
                yield from _contradicted(batch, entry, ledger.rows(batch.id, entry.row, entry.row))


def _undecided(batch: BatchRecord, row: ResultRow, newest: Mapping[str, AuditEntry]) -> Iterator[str]:
    """A row that rests on a decision of which the trail knows nothing, or another one."""
    entry = newest.get(row.transfer_id)
    if entry is None and any(known.what == "adopted" for known in newest.values()):
        return  # decided in another ledger
    said = (entry.what, entry.settled_by) if entry else None
    if said != (_DECIDED.get(row.state, "not-credited"), row.settled_by):
        says = f"its newest entry says {entry.what}" if entry else "no entry says so"
        yield f"row {row.row} of {batch.name} is {STATUS[row.state]} by {row.settled_by}, and {says}"


def _contradicted(batch: BatchRecord, entry: AuditEntry, rows: Sequence[ResultRow]) -> Iterator[str]:
    """A decision that is the newest on its row, which stands otherwise. A corrected row has another id."""
    for row in rows:
        if row.transfer_id == entry.transfer_id and row.state is not _DECIDES[entry.what]:
            yield (
                f"entry {entry.id} says {entry.what} of row {row.row} of {batch.name}, which is "
                f"{STATUS[row.state]}"
            )
