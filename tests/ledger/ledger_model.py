"""What a ledger promises, said once more as plain lists and loops: the model that random plays compare with.

It knows nothing of SQL. `Rows` stand in the order of their batches, so a batch is older than those behind it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from batchcredit.ledger.base import Caps
from batchcredit.transfer import MOVES, SPENT, Event, State

LEFT = (State.PENDING, State.UNSENT)


@dataclass
class ModelRow:
    """One row of the model. `executed` is what the provider did with it, which the ledger can't see."""

    batch: int
    row: int
    profile: str
    lane: int
    account_key: str
    amount: str
    currency: str
    reference: str | None
    state: State
    reason: str = ""
    attempts: int = 0
    generation: int = 1
    settled_by: str = ""
    sent_ms: int = 0
    ended_ms: int = 0
    credited_ms: int = 0
    executed: int = 0

    def move(self, event: Event) -> None:
        self.state = MOVES[self.state, event]

    def equals(self, other: "ModelRow") -> bool:
        """The same request for money in another batch."""
        mine = (self.account_key, self.amount, self.currency)
        return (
            self.batch != other.batch
            and mine == (other.account_key, other.amount, other.currency)
            and (self.lane == other.lane or self.profile == other.profile)
            and (None in (self.reference, other.reference) or self.reference == other.reference)
        )


@dataclass
class ModelBatch:
    """One batch of the model."""

    name: str
    rows: list[ModelRow]
    allowed_ms: int
    lanes: dict[str, int]
    stop_reason: str = "interrupted"
    finished: bool = False
    halts: dict[str, str] = field(default_factory=dict)  # profile -> reason

    @property
    def has_left(self) -> bool:
        return any(row.state in LEFT for row in self.rows)


@dataclass
class Model:
    """A ledger as far as its promise goes."""

    batches: dict[int, ModelBatch] = field(default_factory=dict)
    caps: Caps | None = None
    window_ms: int = 0

    def rows(self) -> Iterator[ModelRow]:
        for number in sorted(self.batches):
            yield from self.batches[number].rows

    def where(self, holds: Callable[[ModelRow], bool]) -> list[ModelRow]:
        return [row for row in self.rows() if holds(row)]

    # what a claim is told

    def refusals(self, row: ModelRow, now_ms: int) -> set[str]:
        """The words that may be told of a claim; empty where it is granted."""
        held = {self._held_up(row, other, now_ms) for other in self.rows()} - {""}
        over = self._over(row, now_ms)
        if row.state is not State.PENDING:
            return held | ({over} - {""}) | {"not_pending"}
        if held:
            return held
        if over:
            return {over}
        return self._taken(row)

    def _held_up(self, row: ModelRow, other: ModelRow, now_ms: int) -> str:
        if not row.equals(other):
            return ""
        if other.state in (State.SENDING, State.IN_DOUBT):
            return "open_elsewhere"
        if other.state in LEFT and other.batch < row.batch:
            return "open_elsewhere"
        since_ms = max(now_ms - self.window_ms, self.batches[row.batch].allowed_ms)
        return "repeat" if other.state is State.CREDITED and other.credited_ms > since_ms else ""

    def _taken(self, row: ModelRow) -> set[str]:
        words = set()
        others = [other for other in self.rows() if other is not row]
        if row.reference and any(
            other.reference == row.reference and other.state in SPENT for other in others
        ):
            words.add("reference_taken")
        account = (row.lane, row.account_key)
        if any((o.lane, o.account_key) == account and o.state is State.SENDING for o in others):
            words.add("account_in_flight")
        return words

    def _over(self, row: ModelRow, now_ms: int) -> str:
        """The first limit that would be exceeded; the sums are made anew each time."""
        if self.caps is None:
            return ""
        day_ms = self.caps.day_start(now_ms)
        account = (row.lane, row.account_key)
        spent = self.where(lambda o: o.state in SPENT and o.currency == row.currency)
        today = [other for other in spent if other.sent_ms >= day_ms]
        sums = (
            ("limit_max_amount", self.caps.transfer, []),
            ("limit_max_account", self.caps.account_day, [o for o in today if _account(o) == account]),
            ("limit_max_total", self.caps.batch, [o for o in spent if o.batch == row.batch]),
            ("limit_max_day", self.caps.day, today),
        )
        for word, caps, others in sums:
            total = sum((Decimal(other.amount) for other in others), Decimal(row.amount))
            if row.currency in caps and total > caps[row.currency]:
                return word
        return ""

    # what moves rows

    def claim(self, row: ModelRow, now_ms: int) -> None:
        row.move(Event.CLAIM)
        row.attempts += 1
        row.sent_ms, row.reason, row.settled_by = now_ms, "", ""

    def settle(self, row: ModelRow, event: Event, reason: str, now_ms: int) -> None:
        row.move(event)
        row.reason, row.ended_ms = reason, now_ms
        row.settled_by = "provider" if event in (Event.CREDIT, Event.REJECT) else ""
        if event is Event.CREDIT:
            row.credited_ms = now_ms

    def begin_run(
        self,
        number: int,
        allow_ms: int,
        skip_since_ms: int | None,
        *,
        rejected: bool,
        only: set[int] | None,
    ) -> None:
        batch = self.batches[number]
        for row in batch.rows:
            if only is not None and row.row not in only:
                if row.state is State.PENDING:
                    row.move(Event.SET_ASIDE)
                    row.reason = "not_picked"
            elif row.state is State.UNSENT or (rejected and row.state is State.REJECTED):
                row.move(Event.REOPEN)
            if row.state is State.PENDING:
                row.reason = ""
        batch.stop_reason, batch.finished, batch.halts = "interrupted", False, {}
        self.recognise(number, skip_since_ms)
        batch.allowed_ms = max(batch.allowed_ms, allow_ms)

    def recognise(self, number: int, skip_since_ms: int | None) -> None:
        for row in self.batches[number].rows:
            equal = self.where(lambda o, row=row: o.state is State.CREDITED and row.equals(o))  # type: ignore[misc]
            if row.state is not State.PENDING:
                continue
            if any(row.reference and other.reference == row.reference for other in equal):
                row.move(Event.RECOGNISE)
                row.reason = "same_reference"
            elif skip_since_ms is not None and any(other.credited_ms > skip_since_ms for other in equal):
                row.move(Event.RECOGNISE)
                row.reason = "repeat"

    def doubt_what_is_sending(self, now_ms: int) -> None:
        for row in self.where(lambda o: o.state is State.SENDING):
            row.move(Event.DOUBT)
            row.reason, row.ended_ms = "interrupted", now_ms

    def verdict(self, row: ModelRow, event: Event, now_ms: int) -> None:
        row.move(event)
        row.reason, row.settled_by = "verdict", "person"
        batch = self.batches[row.batch]
        if event is Event.CONFIRM:
            row.credited_ms = max(row.ended_ms, now_ms)
        if event is Event.DENY:
            batch.finished = False
            row.lane = batch.lanes[row.profile]
        self.finish(batch)

    def cancel(self, row: ModelRow) -> None:
        row.move(Event.CANCEL)
        row.reason, row.settled_by = "cancelled", "person"

    def correct(self, row: ModelRow, account_key: str, amount: str, lane: int) -> ModelRow:
        """The row's next generation, in its place."""
        state = State.PENDING if row.state is State.PENDING else MOVES[row.state, Event.REOPEN]
        new = replace(row, account_key=account_key, amount=amount, lane=lane, state=state)
        new.generation, new.reason, new.settled_by = row.generation + 1, "", ""
        rows = self.batches[row.batch].rows
        rows[rows.index(row)] = new
        return new

    def finish(self, batch: ModelBatch) -> None:
        batch.finished = batch.finished or not batch.has_left

    def shown_reason(self, row: ModelRow) -> str:
        if row.reason or row.state not in LEFT:
            return row.reason
        batch = self.batches[row.batch]
        return batch.halts.get(row.profile) or batch.stop_reason


def _account(row: ModelRow) -> tuple[int, str]:
    return row.lane, row.account_key
