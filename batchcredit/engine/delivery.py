"""One transfer on its way: the order of one attempt.

A place in flight, then the rate token, then the durable intent, then the request at once, then the durable
ending. So a crash costs at most as many rows in doubt as requests were in flight.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from batchcredit import host
from batchcredit.engine.backoff import connect_wait_s
from batchcredit.engine.judgement import Ending, Judged, given_up, judge, stale
from batchcredit.engine.lane import Lane
from batchcredit.engine.queue import Job
from batchcredit.engine.wire import Exchange, WithheldError
from batchcredit.ledger.base import Claim, NotClaimed, Pause, Settle
from batchcredit.ledger.journal import Journal
from batchcredit.transfer import Event

#: An intent that is older when its turn to send comes is not sent.
INTENT_MOST_S = 2.0

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
            if not await self.lane.turn():
                return anyio.current_time()
            return await self._claimed_attempt(job)
        finally:
            self.lane.release()

    async def _claimed_attempt(self, job: Job) -> float | None:
        claimed = await self.journal.claim(Claim(self.batch, self.lane.record.id, job.transfer))
        if isinstance(claimed, NotClaimed):
            job.held = True
            self.lane.held()
            return None
        started = time.monotonic()
        exchange, judged = await self._send(job, claimed.boot_s)
        duration_ms = round((time.monotonic() - started) * 1000)
        return await self._settle(job, exchange, judged, duration_ms)

    async def _send(self, job: Job, intent_boot_s: float) -> tuple[Exchange, Judged]:
        lane = self.lane

        async def departs() -> None:
            await lane.pace.window()
            if host.boot_s() - intent_boot_s > INTENT_MOST_S:
                raise WithheldError

        request = lane.provider.transfer(job.transfer)
        exchange = await lane.wire.exchange(request, lane.policy.timeout_s, departs)
        if exchange.withheld:
            return exchange, stale()
        return exchange, judge(lane.provider, job.transfer, exchange)

    async def _settle(self, job: Job, exchange: Exchange, judged: Judged, duration_ms: int) -> float | None:
        judged = self._counted(job, judged)
        retry = judged.outcome.event is Event.RETRY
        wait_s = connect_wait_s(job.tries, self.lane.dice) if job.tries and retry else 0.0
        not_before_ms = host.now_ms() + round(wait_s * 1000) if retry else 0
        await self.journal.settle(
            Settle(self.batch, job.transfer, judged.outcome, duration_ms, not_before_ms)
        )
        await self._draw_consequences(job, exchange, judged, duration_ms)
        return anyio.current_time() + wait_s if retry else None

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
        lane.meter.settled(job.transfer, judged.outcome, duration_ms)
        halted = lane.halted
        pause_s = lane.heard(judged, exchange, job.transfer.id)
        if self.listener:
            self.listener(lane, job, judged, duration_ms)
        if lane.halted and not halted:
            await self.journal.halt(self.batch, lane.record.id, lane.halted.reason, lane.halted.message)
        if pause_s:
            await self.journal.pause(Pause(lane.record.id, host.now_ms() + round(pause_s * 1000)))
