"""One lane while rows go through it: who may start now, and what its endings mean for those that follow.

Everything here happens in one event loop and without waiting, except `admit`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

import anyio

from batchcredit import host
from batchcredit.engine.backoff import connect_wait_s, pause_s
from batchcredit.engine.judgement import Ending, Judged
from batchcredit.engine.limiter import Pace
from batchcredit.engine.loop import Change, now
from batchcredit.engine.meter import Meter
from batchcredit.engine.shared_pace import SharedPace
from batchcredit.engine.wire.base import Exchange, Line, Wire
from batchcredit.ledger.base import LaneRecord
from batchcredit.providers.base import Provider
from batchcredit.transfer import Event

#: So many pauses without a success in between halt the lane.
PAUSES_MOST = 10

#: The provider's word that the reseller's own account has too little.
WALLET_EMPTY = "wallet_empty"


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What a profile says about a lane."""

    concurrency: int
    timeout_s: float
    attempts: int
    in_doubt_limit: int
    max_pause_s: float
    outage_wait_s: float
    wait_funds_s: float = 0.0  # how long somebody looks after an empty wallet; 0: it halts the lane


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a lane sends nothing more in this run: its rows are not sent for this reason."""

    reason: str
    message: str


class LaneState(StrEnum):
    """What a person is told about a lane."""

    SENDING = "sending"
    PAUSED = "paused"
    PROBING = "unreachable"
    SHORT = "waiting for funds"
    CAREFUL = "one at a time"
    HALTED = "halted"


@dataclass(slots=True)
class Lane:
    """The gate of one lane. `dice` makes the jitter."""

    profile: str
    record: LaneRecord
    provider: Provider
    wire: Wire
    pace: Pace | SharedPace
    policy: LanePolicy
    dice: random.Random
    rows: int = 0
    amounts: Mapping[str, Decimal] = field(default_factory=dict)  # to be sent, by currency
    meter: Meter = field(default_factory=Meter)
    halted: Halt | None = None
    closed: bool = False
    short: bool = False  # the wallet is empty; `refill` ends it
    paused_until: float = 0.0
    _in_flight: int = 0
    _careful: bool = False
    _doubts: int = 0
    _pauses: int = 0
    _unconnected: int = 0
    _outage_since: float | None = None
    _prober: int | None = None  # the one row that probes an unreachable lane
    _probes: int = 0
    _turns: set[anyio.CancelScope] = field(default_factory=set)  # of those who wait for a token or a line
    _change: Change = field(default_factory=Change)

    @property
    def state(self) -> LaneState:
        if self.halted:
            return LaneState.HALTED
        if self._outage_since is not None:
            return LaneState.PROBING
        if self.short:
            return LaneState.SHORT
        if self.paused_until > now():
            return LaneState.PAUSED
        return LaneState.CAREFUL if self._careful else LaneState.SENDING

    @property
    def in_flight(self) -> int:
        """Rows that have been let in, and have not come out."""
        return self._in_flight

    @property
    def probing(self) -> bool:
        """Whether the lane is unreachable: its attempts then count against no row."""
        return self._outage_since is not None

    @property
    def width(self) -> int:
        """How many requests may be in flight now."""
        return 1 if self._careful or self.probing else self.policy.concurrency

    def probes(self, transfer_id: int) -> bool:
        """Whether this is the row that probes the unreachable lane."""
        return self._prober == transfer_id

    @property
    def goes_on(self) -> bool:
        """Whether the lane may still send in this run, now or later."""
        return not self.closed and self.halted is None

    def may_send(self) -> bool:
        """Whether a request may still leave, asked again after each wait."""
        return self.goes_on and not self.short and self.paused_until <= now()

    async def admit(self, transfer_id: int) -> bool:
        """Wait for a place in flight; False when there will be none in this run."""
        while self.goes_on:
            wait_s = self.paused_until - now()
            may_probe = self._prober in (None, transfer_id)
            if wait_s <= 0 and not self.short and self._in_flight < self.width and may_probe:
                self._in_flight += 1
                return True
            await self._change.wait(wait_s if wait_s > 0 else None)
        return False

    async def turn(self) -> Line | Exchange | None:
        """Wait for a token of the rate and for a line, or learn how the attempt to get a line ended.

        None when the lane was closed, halted, paused or narrowed meanwhile, which ends the wait at once: at a
        slow rate it could be hours. The token comes first: a connection that waits for one grows old, a token
        that waits for a connection is only used late.
        """
        if self.pace.is_free and (idle := self.wire.idle()):
            return idle
        line = None
        with anyio.CancelScope() as scope:
            self._turns.add(scope)
            try:
                await self.pace.turn()
                line = await self.wire.line(self.policy.timeout_s)
            finally:
                self._turns.discard(scope)
        if self.may_send() and not scope.cancel_called:
            return line
        if isinstance(line, Line):
            line.release()
        return None

    def release(self) -> None:
        """Give the place back."""
        self._in_flight -= 1
        self._change.tell()

    def close(self) -> None:
        """No new request starts; those in flight are heard out."""
        self.closed = True
        self._end_turns()
        self._change.tell()

    def yields(self) -> None:
        """A claim was not granted; another row may have its turn, and may probe."""
        self.pace.unused()
        self._prober = None

    def pause(self, seconds: float) -> None:
        """No request for so long, as the provider asked or as the ledger remembers."""
        self.paused_until = max(self.paused_until, now() + seconds)
        self._end_turns()

    def heard(self, judged: Judged, exchange: Exchange, transfer_id: int) -> float:
        """Draw the consequences of an ending that is durable; called in commit order. How many seconds the
        lane pauses because of it, or 0."""
        asked_s = 0.0
        match judged.ending:
            case Ending.DEFINITE | Ending.LANE_REFUSED:
                self._answered()
                self._careful, self._doubts, self._pauses = False, 0, 0
            case Ending.DOUBTFUL:
                self._answered()
                self._doubted()
            case Ending.THROTTLED:
                self._answered()
                asked_s = self._throttled(exchange)
            case Ending.UNCONNECTED:
                goes_on = judged.outcome.event is Event.RETRY
                self._failed_to_connect(transfer_id if goes_on else None)
            case Ending.STALE | Ending.PUT_OFF:
                pass  # says nothing about the lane
        if self.policy.wait_funds_s and _is_empty_wallet(judged):
            self.short = True
            self._end_turns()
        elif judged.halts:
            self._halt(judged.outcome.reason, judged.outcome.message)
        self._change.tell()
        return asked_s

    async def until_short(self) -> None:
        """Wait until the wallet is empty."""
        while not self.short:
            await self._change.wait()

    def refill(self) -> None:
        """There are funds again."""
        self.short = False
        self._change.tell()

    def halt(self, reason: str, message: str) -> None:
        """Send nothing more in this run; called where no ending says so."""
        self._halt(reason, message)
        self._change.tell()

    def _answered(self) -> None:
        self._unconnected, self._outage_since, self._prober = 0, None, None

    def _doubted(self) -> None:
        if not self._careful:
            self._careful = True
            self._end_turns()
        self._doubts += 1
        if self._doubts >= self.policy.in_doubt_limit:
            self._halt("in_doubt_limit", f"{self._doubts} endings in a row are in doubt")

    def _throttled(self, exchange: Exchange) -> float:
        assert exchange.answer is not None
        if self.paused_until <= now():
            self._pauses += 1  # else it left together with the request that asked for the pause at hand
        wait_s = pause_s(exchange.answer.headers, max(0, self._pauses - 1), host.utc_now())
        if wait_s > self.policy.max_pause_s:
            self._halt(
                "rate_limited", f"the provider asks for a pause of {wait_s:.0f} s, more than max_pause"
            )
        elif self._pauses > PAUSES_MOST:
            self._halt("rate_limited", f"{PAUSES_MOST} pauses without a success in between")
        else:
            self.pause(wait_s)
            return self.paused_until - now()
        return 0.0

    def _failed_to_connect(self, transfer_id: int | None) -> None:
        self._unconnected += 1
        if self._outage_since is None and self._unconnected >= self.policy.concurrency:
            self._outage_since, self._probes = host.boot_s(), 0
        # Those that were dialling when the outage became known say nothing new, and lengthen no wait.
        if self._outage_since is not None and self._prober in (None, transfer_id):
            self._probe_again(host.boot_s() - self._outage_since, transfer_id)

    def _probe_again(self, outage_s: float, transfer_id: int | None) -> None:
        if outage_s >= self.policy.outage_wait_s:
            self._halt("unreachable", f"no connection for {outage_s:.0f} s")
        self._prober = transfer_id
        self._probes += 1
        self.pause(connect_wait_s(self._probes, self.dice))

    def _halt(self, reason: str, message: str) -> None:
        if self.halted is None:
            self.halted = Halt(reason, message)
            self._end_turns()

    def _end_turns(self) -> None:
        for scope in self._turns:
            scope.cancel()


def _is_empty_wallet(judged: Judged) -> bool:
    return judged.ending is Ending.LANE_REFUSED and judged.outcome.reason == WALLET_EMPTY
