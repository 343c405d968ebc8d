"""The event loop, its clock, and waiting for a change. On the way of every row, so without any machinery."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from batchcredit.errors import defect

T = TypeVar("T")


def in_loop(call: Callable[[], Awaitable[T]]) -> T:
    """Run to the end in the event loop of a program that does nothing else."""
    return in_own_loop(call, _tell)


def _tell(text: str) -> None:
    sys.stderr.write(f"batchcredit: {text}\n")


def in_own_loop(call: Callable[[], Awaitable[T]], tell: Callable[[str], None]) -> T:
    """Run to the end in a new event loop of this thread, the faster one where it is installed; `tell` hears
    of an error that no row and no command hears of."""
    try:
        import uvloop  # noqa: F401
    except ImportError:
        quick = False
    else:
        quick = True

    def told(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):  # a network's are told elsewhere
            tell(str(defect(error)))

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(told)
        return await call()

    return anyio.run(watched, backend_options={"use_uvloop": quick})


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
