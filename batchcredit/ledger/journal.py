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
from batchcredit.transfer import Transfer

T = TypeVar("T")

#: So many operations go into one transaction at the most.
GROUP_MOST = 1_000


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
        if self._error:
            raise self._error
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, answer))
        self._wake.set()
        return await answer

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await to_thread.run_sync(call, limiter=self._thread)

    async def run(self) -> None:
        """Commit groups until cancelled."""
        while True:
            await self._wake.wait()
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
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():  # its sender may have been cancelled meanwhile
                future.set_result(answer)

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
