"""The hot path of the SQLite ledger: claims and settlements, many in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
from batchcredit.ledger.sql.database import TakenError
from batchcredit.ledger.sql.ledger import SqlLedger
from batchcredit.ledger.sql.sending import (
    CANDIDATES,
    CLAIM,
    HELD_UP_BY,
    HOLD_BACK,
    PAUSE_ANEW,
    PAUSE_ON,
    REFERENCE_HOLDER,
    SETTLE,
    ending,
    held_up,
    reference_taken,
)
from batchcredit.ledger.sqlite.database import SqliteDatabase
from batchcredit.ledger.sqlite.reader import SqliteReader
from batchcredit.transfer import MOVES, SPENT, State, Transfer


@dataclass(slots=True)
class _Group:
    """What the operations of one transaction share. `lanes`: those that a claim was granted for."""

    now_ms: int
    claimed: Claimed
    lanes: set[int] = field(default_factory=set)


class SqliteSender(SqliteReader, SqlLedger):
    """Claims and settles. Used by one thread at a time."""

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database)
        self._caps: CapCheck | None = None
        self._repeat_window_ms = 0

    def guard(self, batch: int, caps: Caps, repeat_window_ms: int) -> None:
        limited = caps.transfer or caps.account_day or caps.batch or caps.day
        self._caps = CapCheck(caps, batch, self) if limited else None
        self._repeat_window_ms = repeat_window_ms

    def candidates(
        self, batch: int, lane: int, after_row: int, limit: int, *, own: bool = False
    ) -> list[tuple[Transfer, int]]:
        found = self._all(CANDIDATES, batch, after_row, lane, limit)
        return [(Transfer(*row[:8]), row[8]) for row in found]

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
            self._pause(operation, group.now_ms)
        return None

    def _pause(self, pause: Pause, now_ms: int) -> None:
        self._change("UPDATE lane SET paused_until = ? WHERE id = ?", pause.until_ms, pause.lane)
        told = (pause.batch, pause.lane, now_ms, pause.until_ms)
        self._change(PAUSE_ON, *told)
        self._change(PAUSE_ANEW, *told, pause.why)

    def _claim(self, claim: Claim, group: _Group) -> Claimed | NotClaimed:
        over = self._caps.refusal(claim, group.now_ms) if self._caps else None
        key = (claim.batch, group.now_ms - self._repeat_window_ms, claim.transfer.id)
        try:
            if over is None and self._change(CLAIM, *key, group.now_ms):
                return self._granted(claim, group)
        except TakenError as error:
            return self._held_back(claim, self._taken(claim, error))
        why = self._held_up(key) or over or NotClaimed("not_pending", "the row is no longer to be sent")
        return self._held_back(claim, why)

    def _granted(self, claim: Claim, group: _Group) -> Claimed:
        group.lanes.add(claim.lane)
        if self._caps:
            self._caps.add(claim.transfer)
        return group.claimed

    def _held_back(self, claim: Claim, why: NotClaimed) -> NotClaimed:
        self._change(HOLD_BACK, why.reason, why.message, claim.transfer.id)
        return why

    def _held_up(self, key: tuple[int, int, int]) -> NotClaimed | None:
        found = self._all(HELD_UP_BY, *key)
        if not found:
            return None
        return held_up(*found[0])

    def _taken(self, claim: Claim, error: TakenError) -> NotClaimed:
        """Which of the two constraints on rows that are being sent spoke; any other is a defect."""
        if "transfer.reference" in str(error):
            return reference_taken(*self._all(REFERENCE_HOLDER, claim.transfer.reference)[0])
        if "transfer.account_key" in str(error):
            return NotClaimed("account_in_flight", "another transfer of this account is being sent")
        raise error

    def _settle(self, settle: Settle, now_ms: int) -> None:
        transfer, changed = settle.transfer, self._change(SETTLE, *ending(settle, now_ms))
        if not changed:
            raise DefectError(f"transfer {transfer.id} was settled twice", reason="defect")
        if self._caps:
            self._caps.ended(transfer, spent=MOVES[State.SENDING, settle.outcome.event] in SPENT)
