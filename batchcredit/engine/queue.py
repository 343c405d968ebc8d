"""The rows of one lane in the order in which they may be sent.

An account has one transfer in flight at a time, in file order, so that its balances form a chain. Rows that
wait (for their account, or for a backoff) let others pass. Only a window of rows is held in memory.
"""

import heapq
import itertools
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio

from batchcredit.engine.loop import Change, now
from batchcredit.transfer import Transfer

#: Rows fetched from the ledger at a time.
PAGE_ROWS = 512

#: So many pages of rows are held at the most.
WINDOW_PAGES = 8

Fetch = Callable[[int, int], Awaitable[Sequence[tuple[Transfer, float]]]]


@dataclass(slots=True)
class Job:
    """A transfer on its way; `tries` are the attempts of this run that count against the setting."""

    transfer: Transfer
    tries: int = 0
    begun: bool = False
    held: bool = False  # the ledger refused the claim: nothing was sent


@dataclass(slots=True)
class Budget:
    """How many rows may still be begun; None is no limit. Several lanes may share one."""

    rows: int | None = None

    def take(self) -> bool:
        """Take one row's worth, if there is one."""
        if self.rows is None:
            return True
        if self.rows <= 0:
            return False
        self.rows -= 1
        return True

    @property
    def most(self) -> int:
        """How many rows may be begun now; without a limit more than anybody asks for."""
        return sys.maxsize if self.rows is None else self.rows

    def give_back(self) -> None:
        """A row that was begun was not sent after all: another may go in its place."""
        if self.rows is not None:
            self.rows += 1


@dataclass(slots=True)
class LaneQueue:
    """Hands each row to one sender. `fetch(after_row, limit)` gives rows and the loop times to wait for."""

    fetch: Fetch
    budget: Budget = field(default_factory=Budget)
    _ready: deque[Job] = field(default_factory=deque)
    _later: list[tuple[float, int, Job]] = field(default_factory=list)
    _accounts: dict[str, deque[Job]] = field(default_factory=dict)  # busy ones, with the rows behind
    _held: int = 0
    _last_row: int = 0
    _fetched_all: bool = False
    _fetching: anyio.Lock = field(default_factory=anyio.Lock)
    _change: Change = field(default_factory=Change)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _closed: bool = False

    async def next(self) -> Job | None:
        """The next row that may be begun; waits for one; None when there will be no more."""
        while not self._closed:
            self._wake_later()
            if job := self._begin():
                return job
            if not await self._wait():
                break
        self.close()
        return None

    def close(self) -> None:
        """No more rows are handed out."""
        self._closed = True
        self._change.tell()

    def done(self, job: Job) -> None:
        """The row has ended; its account is free for the row behind it."""
        if job.held:
            self.budget.give_back()
        self._held -= 1
        behind = self._accounts[job.transfer.account_key]
        if behind:
            self._ready.append(behind.popleft())
            self._change.tell()
        else:
            del self._accounts[job.transfer.account_key]
            if not self._held:
                self._change.tell()

    def again(self, job: Job, not_before: float) -> None:
        """The row will be tried again; its account waits with it."""
        heapq.heappush(self._later, (not_before, next(self._order), job))
        self._change.tell()

    def _begin(self) -> Job | None:
        while self._ready:
            job = self._ready.popleft()
            if job.begun or self.budget.take():
                job.begun = True
                return job
            self._drop(job)
        return None

    def _drop(self, job: Job) -> None:
        """Leave a row, and all that were not begun, to a later run: the budget is spent."""
        self._fetched_all = True
        waiting = [entry[2] for entry in self._later if not entry[2].begun]
        self._later = [entry for entry in self._later if entry[2].begun]
        heapq.heapify(self._later)
        for dropped in (job, *waiting):
            self._held -= 1 + len(self._accounts.pop(dropped.transfer.account_key))

    def _wake_later(self) -> None:
        while self._later and self._later[0][0] <= now():
            self._ready.appendleft(heapq.heappop(self._later)[2])

    async def _wait(self) -> bool:
        """Fetch more rows or wait for a change; False when nothing can come any more."""
        if self._may_fetch():
            await self._fetch_page()
            return True
        if not self._held:
            return False
        await self._change.wait(max(0.0, self._later[0][0] - now()) if self._later else None)
        return True

    def _may_fetch(self) -> bool:
        return not self._fetched_all and self._held < PAGE_ROWS * WINDOW_PAGES

    async def _fetch_page(self) -> None:
        async with self._fetching:
            if self._ready or not self._may_fetch():
                return  # another sender has fetched meanwhile
            page = await self.fetch(self._last_row, PAGE_ROWS)
            self._fetched_all = len(page) < PAGE_ROWS
            for transfer, not_before in page:
                self._last_row = transfer.row
                self._add(Job(transfer), not_before)
            self._change.tell()

    def _add(self, job: Job, not_before: float) -> None:
        self._held += 1
        key = job.transfer.account_key
        if key in self._accounts:
            self._accounts[key].append(job)
            return
        self._accounts[key] = deque()
        if not_before > now():
            heapq.heappush(self._later, (not_before, next(self._order), job))
        else:
            self._ready.append(job)
