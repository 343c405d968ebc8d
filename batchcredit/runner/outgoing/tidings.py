"""What other senders of the batch learned while this one sends: pauses, halts, and that it shall end."""

from collections.abc import Callable, Sequence

import anyio

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.pipeline import Pipeline
from batchcredit.ledger.base import Tidings
from batchcredit.ledger.journal import Journal

#: They are asked for so often.
TIDINGS_S = 0.5


class TidingsWatch:
    """Heeds what the ledger tells of others until it is cancelled. `end` is told why this sender ends."""

    def __init__(
        self,
        batch: int,
        lanes: Sequence[Lane],
        journal: Journal,
        pipeline: Pipeline,
        end: Callable[[str], None],
    ) -> None:
        self._batch = batch
        self._lanes = lanes
        self._journal = journal
        self._pipeline = pipeline
        self._end = end

    async def run(self) -> None:
        """Ask at once, and then again and again until this sender is to end."""
        while True:
            if not self._goes_on(await self._journal.tidings(self._batch)):
                return
            await anyio.sleep(TIDINGS_S)

    def _goes_on(self, tidings: Tidings) -> bool:
        for lane in self._lanes:
            number = lane.record.id
            if until_ms := tidings.paused_until_ms.get(number):
                _pause(lane, (until_ms - host.now_ms()) / 1000)
            if number in tidings.halts and lane.goes_on:
                self._pipeline.halt(lane, *tidings.halts[number])
        if tidings.evicted:
            self._end("somebody has evicted this sender")
        elif tidings.driver_gone:
            self._end("the run that started this sender has ended")
        return not (tidings.evicted or tidings.driver_gone)


def _pause(lane: Lane, seconds: float) -> None:
    """What is known already ends nobody's wait once more."""
    seconds = min(seconds, lane.policy.max_pause_s)
    if seconds > 0 and now() + seconds > lane.paused_until + TIDINGS_S / 2:
        lane.pause(seconds)
