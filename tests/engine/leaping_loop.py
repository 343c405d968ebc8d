"""An event loop whose clock leaps to the next timer, so that minutes of waiting take milliseconds."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: What one round of the loop takes: without it a wait that is too short to be a number would not end.
TICK_S = 1e-6

LONGEST_S = 30 * 86_400


class LeapingLoop(asyncio.SelectorEventLoop):
    """Waits for nothing but timers; each fires up to `late_s` late, by dice of its own."""

    def __init__(self, late_s: float, seed: int) -> None:
        super().__init__()
        self._now_s = 1000.0
        self._late_s = late_s
        self._dice = random.Random(seed)
        self._selector.select = self._leap  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now_s

    def _leap(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set")
        if self._now_s > LONGEST_S:
            raise RuntimeError("a month went by: everybody waits for what does not come")
        late_s = self._dice.uniform(0, self._late_s) if timeout > 0 else 0.0
        self._now_s += timeout + late_s + TICK_S
        return []


def run_leaping(work: Coroutine[Any, Any, T], late_s: float = 0.0, seed: int = 0) -> T:
    """Run to the end on the leaping clock. Raises RuntimeError where nothing could ever go on."""
    with asyncio.Runner(loop_factory=lambda: LeapingLoop(late_s, seed)) as runner:
        return runner.run(work)
