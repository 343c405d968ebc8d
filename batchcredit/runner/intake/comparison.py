"""A file against a ledger: what it is to it, what of it was asked for before, and what is left to send.

Only reads, so that `check` and `run` come to the same answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from batchcredit.ledger.base import BatchRecord, LedgerReader, RowKey
from batchcredit.reader import Survey, Total, Worksheet
from batchcredit.runner.intake import correction, guard, overlap
from batchcredit.runner.intake.enrolment import Target, row_keys
from batchcredit.runner.intake.unusual import Unusual
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.desk import Desk, Needed
from batchcredit.runner.picked import Picked


class Comparison:
    """An examined file that would become a new batch, or the correction of one; refused where it may not."""

    def __init__(
        self,
        ledger: LedgerReader,
        desk: Desk,
        given: InputOptions,
        survey: Survey,
        worksheet: Worksheet,
        target: Target,
    ) -> None:
        self._ledger = ledger
        self._how = desk.how
        self._survey = survey
        self._target = target
        kept = ledger.batch_lanes(target.batch.id) if target.batch else []
        found = lanes.ways(list(survey.provider_rows), desk.known, ledger, kept, desk.how)
        # a lane that this ledger has never seen has no equal rows, but references are known without lanes
        self._ids = lanes.lane_ids(found)
        since = overlap.window(desk.settings.repeat_window_ms)
        self._unusual = Unusual(ledger, target.batch.id if target.batch else 0)
        keys = self._unusual.watch(self._changed(row_keys(worksheet, self._ids)))
        self._overlap = overlap.survey_overlap(ledger, keys, target.batch, since)
        self._refuse(given)
        rows, caps = self._cap_rows(worksheet), desk.settings.caps
        guard.refuse_over_caps(by_currency(self.needed), rows, caps, ledger, target.batch)

    def _changed(self, keys: Iterable[RowKey]) -> Iterator[RowKey]:
        """All rows of a new batch; of a correction those that it changes, which nobody has approved yet."""
        if self._target.batch is None:
            return iter(keys)
        changed = self._target.changed
        return (key for key in keys if key.row in changed)

    def _kept(self) -> Iterator[RowKey]:
        """What else is left to send of a batch that is corrected."""
        target = self._target
        if target.batch is None:
            return iter(())
        changed = target.changed
        left = left_rows(self._ledger, target.batch, self._how, target.only)
        return (key for key in left if key.row not in changed)

    def keys(self, worksheet: Worksheet, ids: Mapping[str, int]) -> Iterator[RowKey]:
        """The rows that would be sent, given the lane of each profile."""
        return chain(self._changed(row_keys(worksheet, ids)), self._kept())

    def _cap_rows(self, worksheet: Worksheet) -> Iterator[guard.CapRow]:
        """The rows that would be sent: what was credited before counts as spent already."""
        if self._target.batch is None:
            rows = guard.rows_of_file(worksheet, self._ids)
            return (row for row in rows if not self._overlap.is_left_out(row.number, self._how))
        return guard.rows_left(self.keys(worksheet, self._ids))

    def _refuse(self, given: InputOptions) -> None:
        overlap.refuse_clashes(self._overlap)
        if given.batch is None and self._target.batch is None:
            batches = {batch.id: batch for batch in self._ledger.batches()}
            overlap.refuse_correction(self._ledger, self._overlap, self._survey.rows, batches, given.path)
        overlap.refuse_repeats(self._overlap, self._how)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What will not be sent, or is sent once more, in sentences."""
        found, notes = self._overlap, []
        if self._survey.valid < self._survey.rows:
            notes.append(f"{self._survey.rows - self._survey.valid} invalid rows are left out")
        if found.recognised.rows:
            notes.append(f"{found.recognised.rows} rows were credited before: {found.recognised}")
        if found.repeats.rows and self._how.skip_repeats:
            notes.append(f"{found.repeats.rows} repeats are left out: {found.repeats}")
        elif found.repeats.rows and self._how.allow_repeat:
            notes.append(f"{found.repeats.rows} rows are sent once more: {found.repeats}")
        totals = by_currency(self.needed)
        return (*notes, *overlap.waiting_note(found), *self._unusual.warnings(totals))

    @property
    def credited_before(self) -> int:
        """How many rows are left out because they were credited before."""
        repeats = self._overlap.repeats.rows if self._how.skip_repeats else 0
        return self._overlap.recognised.rows + repeats

    @property
    def waiting_rows(self) -> int:
        """How many rows are open elsewhere."""
        return self._overlap.waiting.rows

    @property
    def waiting(self) -> frozenset[str]:
        """The profiles with rows that are open elsewhere."""
        return self._overlap.waiting.profiles

    @property
    def needed(self) -> Needed:
        """What is to be sent, by profile and currency."""
        if self._target.batch:
            return _needed_after(self._kept(), self._target.changes)
        found = self._overlap
        needed: dict[str, dict[str, Total]] = {}
        for (profile, currency), total in self._survey.totals.items():
            less = (part.amounts.get((profile, currency), Total()) for part in found.left_out(self._how))
            needed.setdefault(profile, {})[currency] = total - sum(less, Total())
        return needed


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left to send of a batch as the ledger has it. `waiting`: profiles with rows open elsewhere."""

    needed: Needed
    waiting: frozenset[str]
    warnings: tuple[str, ...]


def left_rows(
    ledger: LedgerReader, batch: BatchRecord, how: SendOptions, only: Picked | None = None
) -> Iterator[RowKey]:
    """The rows of a batch that a run would send, of those that are picked."""
    keys = ledger.left_keys(batch.id, rejected=how.rejected)
    return keys if only is None else (key for key in keys if key.row in only)


def picked_by_flags(ledger: LedgerReader, batch: BatchRecord, how: SendOptions) -> Picked | None:
    """The rows that --only leaves of those that a run would send; None where it names none."""
    if not (how.only_statuses or how.only_providers):
        return None
    not_sent = Picked(batch.rows, (key.row for key in ledger.left_keys(batch.id, rejected=False)))
    return Picked(
        batch.rows,
        (
            key.row
            for key in ledger.left_keys(batch.id, rejected=how.rejected)
            if is_asked_for("not_sent" if key.row in not_sent else "rejected", key.provider, how)
        ),
    )


def is_asked_for(status: str, provider: str, how: SendOptions) -> bool:
    """Whether --only leaves a row of this status and profile."""
    by_status = not how.only_statuses or status in how.only_statuses
    return by_status and (not how.only_providers or provider in how.only_providers)


def remainder(ledger: LedgerReader, desk: Desk, batch: BatchRecord, only: Picked | None = None) -> Remainder:
    """What a run would send of this batch now; refused where repeats or limits stand against it."""
    since = overlap.window(desk.settings.repeat_window_ms, batch.repeats_allowed_ms)
    found = overlap.survey_overlap(ledger, left_rows(ledger, batch, desk.how, only), batch, since)
    overlap.refuse_repeats(found, desk.how)
    needed = _left(ledger, batch, found, desk.how, only)
    keys = left_rows(ledger, batch, desk.how, only)
    rows = guard.rows_left(key for key in keys if not found.is_left_out(key.row, desk.how))
    guard.refuse_over_caps(by_currency(needed), rows, desk.settings.caps, ledger, batch)
    return Remainder(needed, found.waiting.profiles, overlap.waiting_note(found))


def _left(
    ledger: LedgerReader, batch: BatchRecord, found: overlap.Overlap, how: SendOptions, only: Picked | None
) -> Needed:
    """What is left of a batch, less what will be recognised, waits or is left out."""
    if only is None:
        needed: dict[str, dict[str, Total]] = {}
        for part in ledger.left(batch.id, rejected=how.rejected):
            needed.setdefault(part.profile, {})[part.currency] = Total(part.rows, part.amount)
    else:
        needed = _summed(left_rows(ledger, batch, how, only))
    for kind in found.left_out(how):
        for (profile, currency), less in kind.amounts.items():
            needed[profile][currency] -= less
    return needed


def _summed(keys: Iterable[RowKey]) -> dict[str, dict[str, Total]]:
    needed: dict[str, dict[str, Total]] = {}
    for key in keys:
        _add(needed, key.provider, key.currency, key.amount)
    return needed


def _add(needed: dict[str, dict[str, Total]], profile: str, currency: str, amount: str) -> None:
    so_far = needed.setdefault(profile, {}).get(currency, Total())
    needed[profile][currency] = so_far + Total(1, Decimal(amount))


def by_currency(needed: Needed) -> dict[str, Decimal]:
    """What is to be sent in each currency, over all profiles."""
    sums: dict[str, Decimal] = {}
    for totals in needed.values():
        for currency, total in totals.items():
            sums[currency] = sums.get(currency, Decimal(0)) + total.amount
    return sums


def _needed_after(kept: Iterable[RowKey], changes: Sequence[correction.Change]) -> Needed:
    """What is left of a batch once its corrections are in."""
    needed = _summed(kept)
    for change in changes:
        if change.is_valid:
            _add(needed, change.now[0], change.now[3], change.now[2])
    return needed
