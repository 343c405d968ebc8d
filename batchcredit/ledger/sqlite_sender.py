"""The hot path of the SQLite ledger: claims and settlements, many in one transaction."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import (
    Answered,
    Caps,
    Claim,
    Claimed,
    NotClaimed,
    Operation,
    Pause,
    Settle,
)
from batchcredit.ledger.caps import CapCheck
from batchcredit.ledger.sqlite_file import storage_errors, transaction
from batchcredit.ledger.sqlite_reader import CREDITED_AT, SqliteReader, quoted, same_as
from batchcredit.transfer import MOVES, SPENT, Event, State, Transfer, states_allowing

#: Equal rows elsewhere that hold a row up: any that may be executed, older ones that may still be sent, and
#: those credited within the window that nobody approved as repeats. ?1 is the batch, ?2 the window's begin.
_HOLDS_UP = f"""{same_as("t")} AND (o.state IN ('sending', 'in_doubt')
    OR (o.state IN ('pending', 'unsent') AND o.batch < ?1 AND b.state = 'ready')
    OR (o.state = 'credited' AND {CREDITED_AT} > ?2
        AND {CREDITED_AT} > (SELECT repeats_allowed_at FROM batch WHERE id = ?1)))"""

#: The guards stand in the statement that makes the intent: one statement per claim, and nothing in between.
_CLAIM = f"""UPDATE transfer AS t SET state = 'sending', attempts = attempts + 1, sent_at = ?4,
    ended_at = NULL, duration_ms = NULL, http_status = NULL, provider_code = '', message = '', reason = '',
    units = NULL, balance_before = NULL, balance_after = NULL, settled_by = '', not_before = 0
    WHERE id = ?3 AND batch = ?1 AND state IN ({quoted(states_allowing(Event.CLAIM))})
    AND (SELECT closed_at FROM batch WHERE id = ?1) IS NULL
    AND NOT EXISTS (SELECT 1 FROM transfer o JOIN batch b ON b.id = o.batch WHERE {_HOLDS_UP})"""

_HELD_UP_BY = f"""SELECT b.name, o.row, o.state FROM transfer t, transfer o JOIN batch b ON b.id = o.batch
    WHERE t.id = ?3 AND {_HOLDS_UP} LIMIT 1"""

_HOLD_BACK = "UPDATE transfer SET reason = ?, message = ? WHERE id = ? AND state = 'pending'"

_SETTLE = """UPDATE transfer SET state = ?1, settled_by = ?2, reason = ?3, http_status = ?4,
    provider_code = ?5, message = ?6, units = ?7, balance_before = ?8, balance_after = ?9, ended_at = ?10,
    duration_ms = ?11, not_before = ?12 WHERE id = ?13 AND batch = ?14 AND state = 'sending'"""

#: Event -> what a settled row's `state` and `settled_by` become.
_ENDINGS = {
    event: (state.value, "provider" if event in (Event.CREDIT, Event.REJECT) else "")
    for (was, event), state in MOVES.items()
    if was is State.SENDING
}

_CANDIDATES = """SELECT id, row, account, account_key, amount, currency, coalesce(reference, ''), not_before
    FROM transfer WHERE batch = ? AND row > ? AND lane = ? AND state = 'pending' ORDER BY row LIMIT ?"""


@dataclass(slots=True)
class _Group:
    """What the operations of one transaction share. `lanes`: those that a claim was granted for."""

    now_ms: int
    claimed: Claimed
    lanes: set[int] = field(default_factory=set)


class SqliteSender(SqliteReader):
    """Claims and settles. Used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self._cursor = connection.cursor()
        self._caps: CapCheck | None = None
        self._repeat_window_ms = 0

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with storage_errors(self._path), transaction(self._connection):
            yield

    def _change(self, sql: str, *bindings: Any) -> int:
        """Run one statement in the transaction at hand; how many rows it changed."""
        self._cursor.execute(sql, bindings)
        return self._connection.changes()

    def guard(self, batch: int, caps: Caps, repeat_window_ms: int) -> None:
        limited = caps.transfer or caps.account_day or caps.batch or caps.day
        self._caps = CapCheck(caps, batch, self) if limited else None
        self._repeat_window_ms = repeat_window_ms

    def candidates(
        self, batch: int, lane: int, after_row: int, limit: int, *, own: bool = False
    ) -> list[tuple[Transfer, int]]:
        found = self._all(_CANDIDATES, batch, after_row, lane, limit)
        return [(Transfer(*row[:7]), row[7]) for row in found]

    def commit(self, operations: Sequence[Operation]) -> list[Answered]:
        group = _Group(host.now_ms(), Claimed(host.boot_s()))
        with self._transaction():
            answers = [self._apply(operation, group) for operation in operations]
            for lane in group.lanes:
                self._change("UPDATE lane SET last_sent_at = ? WHERE id = ?", group.now_ms, lane)
        return answers

    def _apply(self, operation: Operation, group: _Group) -> Answered:
        if isinstance(operation, Claim):
            return self._claim(operation, group)
        if isinstance(operation, Settle):
            self._settle(operation, group.now_ms)
        elif isinstance(operation, Pause):
            self._change("UPDATE lane SET paused_until = ? WHERE id = ?", operation.until_ms, operation.lane)
        return None

    def _claim(self, claim: Claim, group: _Group) -> Claimed | NotClaimed:
        over = self._caps.refusal(claim, group.now_ms) if self._caps else None
        key = (claim.batch, group.now_ms - self._repeat_window_ms, claim.transfer.id)
        try:
            if over is None and self._change(_CLAIM, *key, group.now_ms):
                return self._granted(claim, group)
        except apsw.ConstraintError as error:
            return self._held_back(claim, self._taken(claim, error))
        why = self._held_up(key) or over or NotClaimed("not_pending", "the row is no longer to be sent")
        return self._held_back(claim, why)

    def _granted(self, claim: Claim, group: _Group) -> Claimed:
        group.lanes.add(claim.lane)
        if self._caps:
            self._caps.add(claim.transfer)
        return group.claimed

    def _held_back(self, claim: Claim, why: NotClaimed) -> NotClaimed:
        self._change(_HOLD_BACK, why.reason, why.message, claim.transfer.id)
        return why

    def _held_up(self, key: tuple[int, int, int]) -> NotClaimed | None:
        found = self._all(_HELD_UP_BY, *key)
        if not found:
            return None
        name, row, state = found[0]
        word = "repeat" if state == State.CREDITED else "open_elsewhere"
        return NotClaimed(word, f"the same transfer is row {row} of batch {name}, {state}")

    def _taken(self, claim: Claim, error: apsw.ConstraintError) -> NotClaimed:
        """Which of the two constraints on rows that are being sent spoke; any other is a defect."""
        if "transfer.reference" in str(error):
            return NotClaimed("reference_taken", self._reference_holder(claim.transfer.reference))
        if "transfer.account_key" in str(error):
            return NotClaimed("account_in_flight", "another transfer of this account is being sent")
        raise error

    def _reference_holder(self, reference: str) -> str:
        found = self._all(
            f"""SELECT b.name, t.row, t.state FROM transfer t JOIN batch b ON b.id = t.batch
            WHERE t.reference = ? AND t.state IN ({quoted(SPENT)})""",
            reference,
        )
        return "the reference stands for row {1} of batch {0}, {2}".format(*found[0])

    def _settle(self, settle: Settle, now_ms: int) -> None:
        outcome, transfer = settle.outcome, settle.transfer
        changed = self._change(
            _SETTLE,
            *_ENDINGS[outcome.event],
            *(outcome.reason, outcome.http_status, outcome.provider_code, outcome.message),
            *(_text(outcome.units), _text(outcome.balance_before), _text(outcome.balance_after)),
            *(now_ms, settle.duration_ms, settle.not_before_ms),
            *(transfer.id, settle.batch),
        )
        if not changed:
            raise DefectError(f"transfer {transfer.id} was settled twice", reason="defect")
        if self._caps:
            self._caps.ended(transfer, spent=MOVES[State.SENDING, outcome.event] in SPENT)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
