"""Who sends the rest of a batch, after its first rows, where it is not this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from batchcredit.engine.lane import Lane
from batchcredit.ledger.base import BatchRecord, Ledger
from batchcredit.runner.outgoing.desk import Desk


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a batch in one run. `ledger` is held by the sender that drives the others, and
    `stopping` tells whether somebody has asked it to stop."""

    desk: Desk
    ledger: Ledger
    batch: BatchRecord
    run: int
    stopping: Callable[[], bool]


class Fleet(Protocol):
    """Other processes, each of them a sender of the same ledger."""

    async def send(self, rest: Rest, lanes: Sequence[Lane]) -> str:
        """Send through these lanes until nothing is left; the reason why rows are left, or "".

        The meters of `lanes` go up with what the others did. When told to stop they hear out what is in
        flight; when this is cancelled they stop at once. None of them sends any more when it returns."""
