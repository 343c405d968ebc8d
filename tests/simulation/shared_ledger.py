"""A ledger that several senders share, as far as its promise goes.

One SQLite ledger plays the database, which each process reaches through a session of its own. It knows who
claimed what, what a sender that lost its session left, and whose moment of the rate comes next.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from batchcredit import host
from batchcredit.errors import StorageError
from batchcredit.ledger.base import Answered, Claim, Claimed, NotClaimed, Operation, Settle, Slots, Tidings
from batchcredit.ledger.sql.sending import SETTLE, ending
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.transfer import State, Transfer

_BUSY = """SELECT o.id, o.row, o.sent_at FROM transfer t JOIN transfer o ON o.lane = t.lane
    AND o.account_key = t.account_key AND o.state = 'sending' WHERE t.id = ?"""

_TO_DOUBT = """UPDATE transfer SET state = 'in_doubt', reason = 'interrupted', ended_at = ?
    WHERE id = ? AND state = 'sending'"""

_LATE = SETTLE.replace("state = 'sending'", "state = 'in_doubt'")


@dataclass
class Server:
    """The database: what stands in it, and who has a session."""

    ledger: SqliteLedger
    clock: Callable[[], float]
    living: dict[int, "SharedLedger"] = field(default_factory=dict)  # sender -> who it is now
    claimed_by: dict[int, tuple["SharedLedger", int]] = field(default_factory=dict)  # transfer -> sender
    held: set[int] = field(default_factory=set)
    late: int = 0
    halts: int = 0
    _last: int = 0
    _next_us: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger._end_sending = lambda: None  # type: ignore[method-assign]

    def enter(self, who: "SharedLedger") -> int:
        self._last += 1
        self.living[self._last] = who
        return self._last

    def state(self, transfer: int) -> str:
        ((state,),) = self.ledger._all("SELECT state FROM transfer WHERE id = ?", transfer)
        return str(state)

    def bury(self, *also: "SharedLedger") -> None:
        """What those that have no session any more left on its way is in doubt."""
        for transfer, (who, sender) in self.claimed_by.items():
            if sender not in self.living or who in also:
                with self.ledger._transaction():
                    self.ledger._change(_TO_DOUBT, host.now_ms(), transfer)

    def claim(self, who: "SharedLedger", claim: Claim) -> Claimed | NotClaimed:
        number = claim.transfer.id
        if (busy := self._busy(claim)) is not None:
            return busy
        answer = self.ledger.commit([claim])[0]
        assert isinstance(answer, Claimed | NotClaimed)
        if isinstance(answer, Claimed):
            self.claimed_by[number] = who, who.sender
        elif self.state(number) == State.PENDING:
            self.held.add(number)
        return answer

    def _busy(self, claim: Claim) -> NotClaimed | None:
        for other, row, sent_ms in self.ledger._all(_BUSY, claim.transfer.id):
            if other == claim.transfer.id:
                return NotClaimed("not_pending", "")
            busy_s = (host.now_ms() - sent_ms) / 1000
            if busy_s <= claim.patience_s:
                return NotClaimed("account_in_flight", f"row {row}", max(0.0, busy_s))
        return None

    def settle(self, who: "SharedLedger", settle: Settle) -> None:
        number = settle.transfer.id
        assert self.claimed_by[number][0] is who, "an answer to somebody else's attempt"
        if self.state(number) == State.SENDING:
            self.ledger.commit([settle])
            return
        with self.ledger._transaction():
            assert self.ledger._change(_LATE, *ending(settle, host.now_ms())), "an answer without a doubt"
        self.late += 1

    def reserve(self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int) -> Slots:
        now_us = round(self.clock() * 1e6)
        paused = self.ledger._all("SELECT paused_until FROM lane WHERE id = ?", lane)[0][0] or 0
        if paused > host.now_ms():
            return Slots((), (paused - host.now_ms()) / 1000, now_us / 1e6)
        first_us = max(self._next_us.get(lane, 0), now_us + after_us)
        taken = max(0, min(count, (now_us + horizon_us - first_us) // spacing_us + 1))
        if taken:
            self._next_us[lane] = first_us + taken * spacing_us
        at_s = tuple((first_us + number * spacing_us - now_us) / 1e6 for number in range(taken))
        next_us = self._next_us.get(lane, first_us)
        return Slots(at_s, max(0, next_us - now_us - horizon_us) / 1e6, now_us / 1e6)


class SharedLedger:
    """What one process has of the server. Only what senders do together is said here; all else is asked of
    the ledger itself."""

    is_shared = True

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sender = 0
        self.killed = self.evicted = self.hurried = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server.ledger, name)

    def close(self) -> None:
        self._server.living.pop(self.sender, None)

    def lose_session(self) -> None:
        """The server has ended it; this process finds out when it asks for something."""
        self._server.living.pop(self.sender, None)

    @contextmanager
    def _session(self) -> Iterator[Server]:
        """The server, as a sender that lives: as a new one where the session was lost meanwhile."""
        if self.killed or self.evicted:
            raise StorageError("this sender has ended", reason="evicted" if self.evicted else "gone")
        if self.sender and self.sender not in self._server.living:
            self.sender = self._server.enter(self)
        yield self._server

    def begin_run(self, batch: int, *given: Any, **more: Any) -> int:
        with self._session() as server:
            server.held.clear()
            run = server.ledger.begin_run(batch, *given, **more)
            self.enlist(run)
        return run

    def enlist(self, run: int, driver: int | None = None) -> int:
        self.sender = self._server.enter(self)
        return self.sender

    def end_run(self, run: int, batch: int, reason: str) -> None:
        with self._session() as server:
            server.bury(self)
            server.ledger.end_run(run, batch, reason)
            self.close()

    def hurry(self) -> None:
        self.hurried = True

    def tidings(self, batch: int) -> Tidings:
        with self._session() as server:
            server.bury()
            lanes = server.ledger.batch_lanes(batch)
            return Tidings(
                {one.lane.id: one.lane.paused_until_ms for one in lanes if one.lane.paused_until_ms},
                {one.lane.id: (one.halt_reason, one.halt_message) for one in lanes if one.halt_reason},
            )

    def reserve(self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int = 0) -> Slots:
        with self._session() as server:
            return server.reserve(lane, count, spacing_us, horizon_us, after_us)

    def candidates(
        self, batch: int, lane: int, after_row: int, limit: int, *, own: bool = False
    ) -> list[tuple[Transfer, int]]:
        with self._session() as server:
            rows = server.ledger.candidates(batch, lane, after_row, 10**6)
            return [one for one in rows if self._may_try(one[0], own=own)][:limit]

    def _may_try(self, transfer: Transfer, *, own: bool) -> bool:
        senders = sorted(self._server.living)
        mine = crc32(transfer.account_key.encode()) % max(1, len(senders))
        is_own = not own or self.sender not in senders or senders.index(self.sender) == mine
        return is_own and transfer.id not in self._server.held

    def halt(self, batch: int, lane: int, reason: str, message: str) -> None:
        with self._session() as server:
            server.halts += 1
            server.ledger.halt(batch, lane, reason, message)

    def commit(self, operations: Sequence[Operation]) -> list[Answered]:
        with self._session():
            return [self._apply(operation) for operation in operations]

    def _apply(self, operation: Operation) -> Answered:
        if isinstance(operation, Claim):
            return self._server.claim(self, operation)
        if isinstance(operation, Settle):
            return self._server.settle(self, operation)
        return self._server.ledger.commit([operation])[0]
