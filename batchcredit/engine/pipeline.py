"""Claim, send, settle: many rows at once, each lane for itself.

A fixed number of senders per lane take rows from the lane's queue. Closing the queues is the shutdown: no new
request starts, those in flight are heard out.
"""

from collections.abc import Sequence

import anyio

from batchcredit import host
from batchcredit.engine.delivery import Delivery, Listener
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.queue import Budget, Job, LaneQueue
from batchcredit.ledger.journal import Journal
from batchcredit.transfer import Transfer


class Pipeline:
    """Sends the pending rows of one batch through its lanes."""

    def __init__(
        self, batch: int, lanes: Sequence[Lane], journal: Journal, listener: Listener | None = None
    ) -> None:
        self._batch = batch
        self._lanes = lanes
        self._journal = journal
        self._listener = listener
        self._queues: list[LaneQueue] = []
        self._stopped = False

    async def run(self, budgets: Sequence[Budget]) -> None:
        """Send until no row is left, every lane has halted, its budget is spent, or `stop` was called.

        `budgets` holds one for each lane, in the order of the lanes.
        """
        async with anyio.create_task_group() as tasks:
            for lane, budget in zip(self._lanes, budgets, strict=True):
                queue = LaneQueue(self._fetch(lane), budget, lane.dice if self._journal.is_shared else None)
                self._queues.append(queue)
                delivery = Delivery(self._batch, lane, self._journal, self._listener)
                # no more than may begin: a sender too many would drop the rows behind one that is held
                for _ in range(min(lane.policy.concurrency, budget.most)):
                    tasks.start_soon(self._sender, queue, delivery)
            if self._stopped:
                self.stop()
        await self._journal.drained()

    def stop(self) -> None:
        """No new request starts in any lane."""
        self._stopped = True
        for lane in self._lanes:
            lane.close()
        for queue in self._queues:
            queue.close()

    def halt(self, lane: Lane, reason: str, message: str) -> None:
        """No new request starts in this lane; called where no ending says so."""
        lane.halt(reason, message)
        for opened, queue in zip(self._lanes, self._queues, strict=False):  # not all have begun
            if opened is lane:
                queue.close()

    def _fetch(self, lane: Lane) -> "LaneFetch":
        return LaneFetch(self._batch, lane, self._journal)

    async def _sender(self, queue: LaneQueue, delivery: Delivery) -> None:
        while job := await queue.next():
            again_at = await delivery.deliver(job)
            self._put_back(queue, delivery.lane, job, again_at)

    def _put_back(self, queue: LaneQueue, lane: Lane, job: Job, again_at: float | None) -> None:
        if again_at is None:
            queue.done(job)
        else:
            queue.again(job, again_at)
        if lane.halted:
            queue.close()


class LaneFetch:
    """Reads a lane's pending rows from the ledger, page by page."""

    def __init__(self, batch: int, lane: Lane, journal: Journal) -> None:
        self._batch = batch
        self._lane = lane
        self._journal = journal

    async def __call__(self, after_row: int, limit: int, own: bool) -> list[tuple[Transfer, float]]:
        found = await self._journal.candidates(self._batch, self._lane.record.id, after_row, limit, own=own)
        now_s, now_ms, most_s = now(), host.now_ms(), self._lane.policy.max_pause_s
        return [(transfer, now_s + min(most_s, (wait_ms - now_ms) / 1000)) for transfer, wait_ms in found]
