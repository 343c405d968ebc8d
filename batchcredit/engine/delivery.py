"""One transfer on its way: the order of one attempt.

A place in flight, then the rate token, then a connection that stands, then the durable intent, then the
request at once, then the durable ending. So a crash costs at most as many rows in doubt as requests were in
flight.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from batchcredit import host
from batchcredit.engine.backoff import connect_wait_s
from batchcredit.engine.judgement import Ending, Judged, given_up, judge, put_off, stale
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.queue import Job
from batchcredit.engine.wire.base import Exchange, Line, WithheldError
from batchcredit.ledger.base import Claim, Claimed, NotClaimed, Pause, Settle
from batchcredit.ledger.journal import Journal
from batchcredit.transfer import Event

#: An intent that is older when its turn to send comes is not sent.
INTENT_MOST_S = 2.0

#: A row whose account another sender has in flight is tried again after so long, and no more once that
#: request must have been answered for so long: its sender stands still.
BUSY_WAIT_S, BUSY_SLACK_S = 0.5, 5.0

#: What a listener hears of each ending that is durable.
Listener = Callable[[Lane, Job, Judged, int], None]


@dataclass(slots=True)
class Delivery:
    """Delivers transfers of one batch through one lane."""

    batch: int
    lane: Lane
    journal: Journal
    listener: Listener | None = None

    async def deliver(self, job: Job) -> float | None:
        """Try until the row has ended for this run, which is None, or is to be put back until a loop time.

        The row that probes an unreachable lane is not put back: everybody else waits for it at the gate, and
        nobody would take it up again.
        """
        again_at = await self._attempt(job)
        while again_at is not None and self.lane.probes(job.transfer.id):
            again_at = await self._attempt(job)
        return again_at

    async def _attempt(self, job: Job) -> float | None:
        """Make one attempt, if the lane lets it."""
        if not await self.lane.admit(job.transfer.id):
            return None
        try:
            line = await self.lane.turn()
            if line is None:
                return now()
            return await self._attempt_on(line, job)
        finally:
            self.lane.release()

    async def _attempt_on(self, line: Line | Exchange, job: Job) -> float | None:
        """`line`, or how the attempt to get one ended: that is written down like any other ending."""
        claimed = await self._claim(line, job)
        if isinstance(claimed, NotClaimed):
            return self._leave(job, claimed)
        started = now()
        exchange = line if isinstance(line, Exchange) else await self._send(line, job, claimed.boot_s)
        judged = self._judged(exchange, job)
        duration_ms = round((now() - started) * 1000)
        return await self._settle(job, exchange, judged, duration_ms)

    def _judged(self, exchange: Exchange, job: Job) -> Judged:
        if not exchange.withheld:
            return judge(self.lane.provider, job.transfer, exchange)
        return stale() if self.lane.may_send() else put_off()

    async def _claim(self, line: Line | Exchange, job: Job) -> Claimed | NotClaimed:
        claimed = None
        try:
            claimed = await self.journal.claim(
                Claim(self.batch, self.lane.record.id, job.transfer, self._patience_s)
            )
        finally:
            if isinstance(line, Line) and not isinstance(claimed, Claimed):
                line.release()
        return claimed

    @property
    def _patience_s(self) -> float:
        return self.lane.policy.timeout_s + BUSY_SLACK_S

    def _leave(self, job: Job, why: NotClaimed) -> float | None:
        """Nothing was sent: put the row back, or leave it to whoever took it, or held with its reason."""
        job.held = True
        self.lane.yields()
        if why.busy_s is not None:
            return now() + BUSY_WAIT_S
        job.taken = self.journal.is_shared and why.reason == "not_pending"
        self.lane.meter.held += not job.taken
        return None

    async def _send(self, line: Line, job: Job, intent_boot_s: float) -> Exchange:
        lane = self.lane

        def left_s() -> float:
            return INTENT_MOST_S - (host.boot_s() - intent_boot_s)

        async def departs() -> None:
            if not lane.pace.is_free and not (await lane.pace.window(left_s()) and lane.may_send()):
                raise WithheldError
            if left_s() < 0:
                raise WithheldError

        return await line.exchange(lane.provider.transfer(job.transfer), lane.policy.timeout_s, departs)

    async def _settle(self, job: Job, exchange: Exchange, judged: Judged, duration_ms: int) -> float | None:
        judged = self._counted(job, judged)
        retry = judged.outcome.event is Event.RETRY
        wait_s = connect_wait_s(job.tries, self.lane.dice) if job.tries and retry else 0.0
        not_before_ms = host.now_ms() + round(wait_s * 1000) if retry else 0
        settle = Settle(self.batch, job.transfer, judged.outcome, duration_ms, not_before_ms)
        if judged.ending is Ending.DEFINITE and not judged.halts:
            # The sender goes on at once: its next intent does not become durable before this ending.
            self.journal.note(settle, partial(self._tell, job, exchange, judged, duration_ms))
            return None
        await self.journal.settle(settle)
        await self._draw_consequences(job, exchange, judged, duration_ms)
        return now() + wait_s if retry else None

    def _counted(self, job: Job, judged: Judged) -> Judged:
        """Count a try that did not leave, while the lane as a whole is reachable.

        One whose intent grew old is among them: a connection that takes longer to stand than an intent lasts
        would be dialled for ever.
        """
        if judged.ending not in (Ending.UNCONNECTED, Ending.STALE) or self.lane.probing:
            return judged
        job.tries += 1
        return given_up(judged) if job.tries >= self.lane.policy.attempts else judged

    async def _draw_consequences(
        self, job: Job, exchange: Exchange, judged: Judged, duration_ms: int
    ) -> None:
        lane = self.lane
        halted = lane.halted
        pause_s = self._tell(job, exchange, judged, duration_ms)
        if lane.halted and not halted:
            await self.journal.halt(self.batch, lane.record.id, lane.halted.reason, lane.halted.message)
        if pause_s:
            until_ms, asked = host.now_ms() + round(pause_s * 1000), judged.outcome
            why = f"HTTP {asked.http_status}: {asked.message}"
            await self.journal.pause(Pause(self.batch, lane.record.id, until_ms, why))

    def _tell(self, job: Job, exchange: Exchange, judged: Judged, duration_ms: int) -> float:
        """Tell everybody of an ending that is durable; for how many seconds the lane pauses, or 0."""
        lane = self.lane
        lane.meter.settled(job.transfer, judged.outcome, duration_ms)
        pause_s = lane.heard(judged, exchange, job.transfer.id)
        if self.listener:
            self.listener(lane, job, judged, duration_ms)
        return pause_s
