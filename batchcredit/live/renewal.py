"""The page as it was drawn last, and when it is drawn again."""

import time
from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync

from batchcredit.errors import BatchcreditError

#: The page is drawn no more often than that, and takes this much of a core at the most.
LEAST_S, SHARE = 2.0, 0.05


class Renewal:
    """Draws in a thread, one at a time, whoever asks. While that lasts, or when the ledger can't be asked,
    the page before is given: it says from when it is."""

    def __init__(
        self, draw: Callable[[], str], first: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`first` is given until one has been drawn."""
        self._draw = draw
        self._clock = clock
        self._page = first.encode()
        self.drawn_s = self._due_s = float("-inf")
        self._expired = False
        self._lock = anyio.Lock()

    def expire(self) -> None:
        """Something else is to be seen now: whoever asks next has it drawn, also if it is not due."""
        self._expired = True

    async def page(self) -> bytes:
        """The newest page there is."""
        if (self._expired or self._clock() >= self._due_s) and not self._lock.statistics().locked:
            async with self._lock:
                await self._renew()
        return self._page

    async def _renew(self) -> None:
        self._expired, began_s = False, self._clock()
        page, busy_s = await run_sync(_timed, self._draw)
        self._due_s = began_s + max(LEAST_S, busy_s / SHARE)
        if page is not None:
            self._page, self.drawn_s = page, began_s


def _timed(draw: Callable[[], str]) -> tuple[bytes | None, float]:
    """A page, None where the ledger can't be asked now; and for how long a core was busy with it."""
    began_s = time.thread_time()
    try:
        page = draw().encode()
    except BatchcreditError:
        page = None
    return page, time.thread_time() - began_s
