"""Group commit: what many senders ask for at once becomes durable in one transaction.

One thread does all of the ledger's work while senders run; whatever waits when a transaction ends goes into
the next one. So durability costs one sync per group, not one per row.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, TypeVar, cast

import anyio

from batchcredit import host
from batchcredit.ledger.base import (
    Answered,
    Claim,
    Claimed,
    Ledger,
    NotClaimed,
    Operation,
    Pause,
    Settle,
    Slots,
    Tidings,
)
from batchcredit.transfer import Event, Outcome, Transfer

T = TypeVar("T")

#: Who waits for an operation, or what is called when it is durable.
Waiter = asyncio.Future[Answered] | Callable[[], object]

#: So many operations go into one transaction at the most.
GROUP_MOST = 1_000

#: A claim whose sender was gone when it became durable: no request left.
_TAKEN_BACK = Outcome(Event.RETRY, "stopped", message="the run was stopped before the request left")


class Reserved(NamedTuple):
    """Slots, and when they were asked for and heard of: seconds of `host.boot_s`."""

    slots: Slots
    asked_s: float
    heard_s: float


def reserve(
    ledger: Ledger, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int
) -> Reserved:
    """Ask a ledger that no journal has for slots of a lane."""
    asked_s = host.boot_s()
    slots = ledger.reserve(lane, count, spacing_us, horizon_us, after_us)
    return Reserved(slots, asked_s, host.boot_s())


class Journal:
    """A ledger as senders see it. After an error of the ledger every call raises that error: nothing is sent
    any more."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[Operation, Waiter]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._error: BaseException | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other processes may send with this ledger at the same time."""
        return self._ledger.is_shared

    async def claim(self, claim: Claim) -> Claimed | NotClaimed:
        """Make the intent durable, or learn why the row may not be sent now."""
        return cast("Claimed | NotClaimed", await self._entered(claim))

    async def settle(self, settle: Settle) -> None:
        """Make an ending durable. What is entered is committed in the order of these calls."""
        await self._entered(settle)

    def note(self, settle: Settle, then: Callable[[], object]) -> None:
        """Make an ending durable without waiting for it: what is entered later is not durable before it.

        `then` is called when it is, in the order of these calls; what it raises ends the journal.
        """
        self._enter(settle, then)

    async def drained(self) -> None:
        """Wait until everything that was entered is durable."""
        await self._idle.wait()

    async def pause(self, pause: Pause) -> None:
        await self._entered(pause)

    async def halt(self, batch: int, lane: int, reason: str, message: str) -> None:
        await self._in_thread(partial(self._ledger.halt, batch, lane, reason, message))

    async def candidates(
        self, batch: int, lane: int, after_row: int, limit: int, *, own: bool = False
    ) -> list[tuple[Transfer, int]]:
        return await self._in_thread(partial(self._ledger.candidates, batch, lane, after_row, limit, own=own))

    async def tidings(self, batch: int) -> Tidings:
        return await self._in_thread(partial(self._ledger.tidings, batch))

    async def reserve(
        self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int
    ) -> Reserved:
        wanted = (lane, count, spacing_us, horizon_us, after_us)
        return await self._in_thread(partial(reserve, self._ledger, *wanted))

    def _entered(self, operation: Operation) -> asyncio.Future[Answered]:
        durable: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._enter(operation, durable)
        return durable

    def _enter(self, operation: Operation, waiter: Waiter) -> None:
        if self._error:
            raise self._error
        self._waiting.append((operation, waiter))
        self._idle.clear()
        self._wake.set()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._error:
            raise self._error
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Wait until the thread has ended what it does: until then nobody else may use the ledger."""
        self._thread.shutdown()

    async def run(self) -> None:
        """Commit groups until cancelled. What was heard by then, and could not be told, is committed too."""
        try:
            while True:
                await self._wake.wait()
                with anyio.CancelScope(shield=True):
                    await self._commit_next()
        finally:
            self._waiting = [entry for entry in self._waiting if not isinstance(entry[0], Claim)]
            with anyio.CancelScope(shield=True):
                while self._waiting and not self._error:
                    await self._commit_next()

    async def _commit_next(self) -> None:
        group, self._waiting = self._waiting[:GROUP_MOST], self._waiting[GROUP_MOST:]
        if not self._waiting:
            self._wake.clear()
        await self._commit_group(group)
        if not self._waiting:
            self._idle.set()

    async def _commit_group(self, group: list[tuple[Operation, Waiter]]) -> None:
        operations = [operation for operation, _ in group]
        try:
            answers = await self._in_thread(partial(self._ledger.commit, operations))
        except Exception as error:
            self._fail(error, group)
            raise
        for (operation, waiter), answer in zip(group, answers, strict=True):
            if not isinstance(waiter, asyncio.Future):
                waiter()
            elif not waiter.done():
                waiter.set_result(answer)
            elif isinstance(operation, Claim) and isinstance(answer, Claimed):  # its sender was cancelled
                self._enter(Settle(operation.batch, operation.transfer, _TAKEN_BACK, 0), _nobody)

    def _fail(self, error: Exception, group: list[tuple[Operation, Waiter]]) -> None:
        self._error = error
        for _, waiter in [*group, *self._waiting]:
            if isinstance(waiter, asyncio.Future):
                waiter.cancel()


def _nobody() -> None:
    """Nobody waits for it."""


@asynccontextmanager
async def open_journal(ledger: Ledger) -> AsyncIterator[Journal]:
    """A journal whose group commit runs as long as the context; its errors end the context."""
    journal = Journal(ledger)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.run)
            yield journal
            tasks.cancel_scope.cancel()
    finally:
        journal.close()
