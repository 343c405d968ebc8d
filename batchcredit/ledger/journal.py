"""Group commit: what many senders ask for at once becomes durable in one transaction.

One thread does all of the ledger's work while senders run; whatever waits when a transaction ends goes into
the next one. So durability costs one sync per group, not one per row.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, cast

import anyio
from anyio import to_thread

from batchcredit.ledger.base import Answered, Claim, Claimed, Ledger, NotClaimed, Operation, Pause, Settle
from batchcredit.transfer import Event, Outcome, Transfer

T = TypeVar("T")

#: So many operations go into one transaction at the most.
GROUP_MOST = 1_000

#: A claim whose sender was gone when it became durable: no request left.
_TAKEN_BACK = Outcome(Event.RETRY, "stopped", message="the run was stopped before the request left")


class Journal:
    """A ledger as senders see it. After an error of the ledger every call raises that error: nothing is sent
    any more."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[Operation, asyncio.Future[Answered]]] = []
        self._wake = asyncio.Event()
        self._thread = anyio.CapacityLimiter(1)
        self._error: BaseException | None = None

    async def claim(self, claim: Claim) -> Claimed | NotClaimed:
        """Make the intent durable, or learn why the row may not be sent now."""
        return cast("Claimed | NotClaimed", await self._commit(claim))

    async def settle(self, settle: Settle) -> None:
        """Make an ending durable. Endings are committed in the order of these calls."""
        await self._commit(settle)

    async def pause(self, pause: Pause) -> None:
        await self._commit(pause)

    async def halt(self, batch: int, lane: int, reason: str, message: str) -> None:
        await self._in_thread(partial(self._ledger.halt, batch, lane, reason, message))

    async def candidates(
        self, batch: int, lane: int, after_row: int, limit: int
    ) -> list[tuple[Transfer, int]]:
        return await self._in_thread(partial(self._ledger.candidates, batch, lane, after_row, limit))

    async def _commit(self, operation: Operation) -> Answered:
        return await self._enter(operation)

    def _enter(self, operation: Operation) -> "asyncio.Future[Answered]":
        if self._error:
            raise self._error
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, answer))
        self._wake.set()
        return answer

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._error:
            raise self._error
        return await to_thread.run_sync(call, limiter=self._thread)

    async def run(self) -> None:
        """Commit groups until cancelled. What was heard by then, and could not be told, is committed too."""
        try:
            while True:
                await self._wake.wait()
                with anyio.CancelScope(shield=True):
                    await self._commit_next()
        except asyncio.CancelledError:
            self._waiting = [entry for entry in self._waiting if not isinstance(entry[0], Claim)]
            with anyio.CancelScope(shield=True):
                while self._waiting:
                    await self._commit_next()
            raise

    async def _commit_next(self) -> None:
        group, self._waiting = self._waiting[:GROUP_MOST], self._waiting[GROUP_MOST:]
        if not self._waiting:
            self._wake.clear()
        await self._commit_group(group)

    async def _commit_group(self, group: list[tuple[Operation, "asyncio.Future[Answered]"]]) -> None:
        operations = [operation for operation, _ in group]
        try:
            answers = await self._in_thread(partial(self._ledger.commit, operations))
        except Exception as error:
            self._fail(error, group)
            raise
        for (operation, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)
            elif isinstance(operation, Claim) and isinstance(answer, Claimed):  # its sender was cancelled
                self._enter(Settle(operation.batch, operation.transfer, _TAKEN_BACK, 0))

    def _fail(self, error: Exception, group: list[tuple[Operation, "asyncio.Future[Answered]"]]) -> None:
        self._error = error
        for _, future in [*group, *self._waiting]:
            future.cancel()


@asynccontextmanager
async def open_journal(ledger: Ledger) -> AsyncIterator[Journal]:
    """A journal whose group commit runs as long as the context; its errors end the context."""
    journal = Journal(ledger)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        yield journal
        tasks.cancel_scope.cancel()
