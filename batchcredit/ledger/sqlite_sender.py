"""The hot path of the SQLite ledger: claims and settlements, many in one transaction."""

import contextlib
from collections.abc import Iterator, Sequence
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
from batchcredit.ledger.sqlite_file import storage_errors
from batchcredit.ledger.sqlite_reader import SAME_CONTENT, SqliteReader, quoted
from batchcredit.transfer import MOVES, SPENT, Event, State, Transfer, states_allowing

_CLAIM = f"""UPDATE transfer SET state = 'sending', attempts = attempts + 1, sent_at = ?1, ended_at = NULL,
    duration_ms = NULL, http_status = NULL, provider_code = '', message = '', reason = '', units = NULL,
    balance_before = NULL, balance_after = NULL, settled_by = '', not_before = 0
    WHERE id = ?2 AND batch = ?3 AND state IN ({quoted(states_allowing(Event.CLAIM))})"""

#: Equal rows elsewhere that hold this one up: any that may be executed, older ones that may still be sent,
#: and those credited within the window that nobody approved as repeats.
_OPEN_ELSEWHERE = f"""SELECT b.name, o.row, o.state FROM transfer o JOIN batch b ON b.id = o.batch
    WHERE {SAME_CONTENT.format(lane="?1", key="?2", amount="?3", currency="?4", reference="?5", batch="?6")}
    AND (o.state IN ('sending', 'in_doubt')
        OR (o.state IN ('pending', 'unsent') AND o.batch < ?6 AND b.state = 'ready')
        OR (o.state = 'credited' AND o.ended_at > ?7
            AND o.ended_at > (SELECT repeats_allowed_at FROM batch WHERE id = ?6)))
    LIMIT 1"""

_SETTLE = """UPDATE transfer SET state = ?1, reason = ?2, http_status = ?3, provider_code = ?4, message = ?5,
    units = ?6, balance_before = ?7, balance_after = ?8, ended_at = ?9, duration_ms = ?10, not_before = ?11,
    settled_by = ?12 WHERE id = ?13 AND batch = ?14 AND state = 'sending'"""

_CANDIDATES = """SELECT id, row, account, account_key, amount, currency, coalesce(reference, ''), not_before
    FROM transfer WHERE batch = ? AND row > ? AND lane = ? AND state = 'pending' ORDER BY row LIMIT ?"""


class SqliteSender(SqliteReader):
    """Claims and settles. Used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self._caps: CapCheck | None = None
        self._repeat_window_ms = 0

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with storage_errors(self._path), self._connection:
            yield

    def _change(self, sql: str, *bindings: Any) -> int:
        """Run one statement in the transaction at hand; how many rows it changed."""
        self._connection.execute(sql, bindings)
        return self._connection.changes()

    def guard(self, batch: int, caps: Caps, repeat_window_ms: int) -> None:
        limited = caps.transfer or caps.account_day or caps.batch or caps.day
        self._caps = CapCheck(caps, batch, self) if limited else None
        self._repeat_window_ms = repeat_window_ms

    def candidates(self, batch: int, lane: int, after_row: int, limit: int) -> list[tuple[Transfer, int]]:
        found = self._all(_CANDIDATES, batch, after_row, lane, limit)
        return [(Transfer(*row[:7]), row[7]) for row in found]

    def commit(self, operations: Sequence[Operation]) -> list[Answered]:
        now_ms = host.now_ms()
        with self._transaction():
            return [self._apply(operation, now_ms) for operation in operations]

    def _apply(self, operation: Operation, now_ms: int) -> Answered:
        match operation:
            case Claim():
                return self._claim(operation, now_ms)
            case Settle():
                self._settle(operation, now_ms)
            case Pause():
                self._change(
                    "UPDATE lane SET paused_until = ? WHERE id = ?", operation.until_ms, operation.lane
                )
        return None

    def _claim(self, claim: Claim, now_ms: int) -> Claimed | NotClaimed:
        refused = self._refusal(claim, now_ms) or self._claim_row(claim, now_ms)
        if refused:
            self._change(
                "UPDATE transfer SET reason = ?, message = ? WHERE id = ? AND state = 'pending'",
                *(refused.reason, refused.message, claim.transfer.id),
            )
            return refused
        if self._caps:
            self._caps.add(claim.transfer.currency, claim.transfer.amount)
        self._change("UPDATE lane SET last_sent_at = ? WHERE id = ?", now_ms, claim.lane)
        return Claimed(host.boot_s())

    def _refusal(self, claim: Claim, now_ms: int) -> NotClaimed | None:
        elsewhere = self._connection.execute(_OPEN_ELSEWHERE, self._elsewhere_key(claim, now_ms)).fetchone()
        if elsewhere:
            name, row, state = elsewhere
            word = "repeat" if state == State.CREDITED else "open_elsewhere"
            return NotClaimed(word, f"the same transfer is row {row} of batch {name}, {state}")
        return self._caps.refusal(claim, now_ms) if self._caps else None

    def _elsewhere_key(self, claim: Claim, now_ms: int) -> tuple[Any, ...]:
        transfer, since_ms = claim.transfer, now_ms - self._repeat_window_ms
        key = (claim.lane, transfer.account_key, transfer.amount, transfer.currency)
        return (*key, transfer.reference or None, claim.batch, since_ms)

    def _claim_row(self, claim: Claim, now_ms: int) -> NotClaimed | None:
        try:
            changed = self._change(_CLAIM, now_ms, claim.transfer.id, claim.batch)
        except apsw.ConstraintError as error:
            if "transfer.reference" in str(error):
                return NotClaimed("reference_taken", self._reference_holder(claim.transfer.reference))
            return NotClaimed("account_in_flight", "another transfer of this account is being sent")
        return None if changed else NotClaimed("not_pending", "the row is no longer to be sent")

    def _reference_holder(self, reference: str) -> str:
        found = self._all(
            f"""SELECT b.name, t.row, t.state FROM transfer t JOIN batch b ON b.id = t.batch
            WHERE t.reference = ? AND t.state IN ({quoted(SPENT)})""",
            reference,
        )
        return "the reference stands for row {1} of batch {0}, {2}".format(*found[0])

    def _settle(self, settle: Settle, now_ms: int) -> None:
        outcome, transfer = settle.outcome, settle.transfer
        state = MOVES[State.SENDING, outcome.event]
        changed = self._change(
            _SETTLE,
            *(state.value, outcome.reason, outcome.http_status, outcome.provider_code, outcome.message),
            *(_text(outcome.units), _text(outcome.balance_before), _text(outcome.balance_after)),
            *(now_ms, settle.duration_ms, settle.not_before_ms),
            "provider" if outcome.event in (Event.CREDIT, Event.REJECT) else "",
            *(transfer.id, settle.batch),
        )
        if not changed:
            raise DefectError(f"transfer {transfer.id} was settled twice", reason="defect")
        if self._caps and state not in SPENT:
            self._caps.add(transfer.currency, transfer.amount, sign=-1)

    def spent_by_account(self, claim: Claim, since_ms: int) -> Decimal:
        """What this claim's account has got since then, sending and in doubt included."""
        sql = f"""SELECT coalesce(decimal_sum(amount), '0') FROM transfer WHERE lane = ? AND account_key = ?
            AND currency = ? AND sent_at >= ? AND state IN ({quoted(SPENT)})"""
        transfer = claim.transfer
        return Decimal(self._all(sql, claim.lane, transfer.account_key, transfer.currency, since_ms)[0][0])


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
