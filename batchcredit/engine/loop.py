"""The event loop's clock, and waiting for a change. On the way of every row, so without any machinery."""

import asyncio

import anyio


def now() -> float:
    """Seconds on the running loop's clock: what waits and deadlines are measured by."""
    return asyncio.get_running_loop().time()


class Change:
    """Wakes all who wait, and costs nothing as long as nobody does."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Something has changed: whoever waits looks again."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, most_s: float | None = None) -> None:
        """Until the next change, or for so long."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            with anyio.move_on_after(most_s):
                await waiter
        finally:
            if waiter in self._waiting:  # nothing changed in that time, or whoever waited was cancelled
                self._waiting.remove(waiter)
