"""The rows of one lane in the order in which they may be sent.

An account has one transfer in flight at a time, in file order, so that its balances form a chain. Rows that
wait (for their account, or for a backoff) let others pass. Only a window of rows is held in memory.

On a shared ledger several senders empty one lane. Each passes over its own share of the accounts until
nothing is left of it, then over what is left of anybody's: what others gave back, or left when they ended.
"""

import heapq
import itertools
import random
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

#: So many rows of other senders' shares are fetched at a time: few, since their senders go on with them.
OTHERS_ROWS = 64

#: After a pass whose rows all went to others the next one waits so long.
PASS_WAIT_S = 0.5

#: (after_row, limit, own): whether rows of this sender's share alone are asked for.
Fetch = Callable[[int, int, bool], Awaitable[Sequence[tuple[Transfer, float]]]]


@dataclass(slots=True)
class Job:
    """A transfer on its way; `tries` are the attempts of this run that count against the setting."""

    transfer: Transfer
    tries: int = 0
    begun: bool = False
    held: bool = False  # the ledger refused the claim: nothing was sent
    taken: bool = False  # since another sender has it, or had it


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
    """Hands each row to one sender. `fetch(after_row, limit, own)` gives rows and the loop times to wait for.

    `dice`: of a lane that others send through as well; they say where to begin among the others' rows.
    """

    fetch: Fetch
    budget: Budget = field(default_factory=Budget)
    dice: random.Random | None = None
    _ready: deque[Job] = field(default_factory=deque)
    _later: list[tuple[float, int, Job]] = field(default_factory=list)
    _accounts: dict[str, deque[Job]] = field(default_factory=dict)  # busy ones, with the rows behind
    _rows: set[int] = field(default_factory=set)  # that are held in memory
    _last_row: int = 0
    _fetched_all: bool = False
    _own: bool = True  # the pass at hand is over this sender's share
    _found: bool = False  # the pass has given a row
    _got: bool = False  # and one of them was this sender's to send
    _next_pass_at: float = 0.0
    _spent: bool = False
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
            self._give_back()
        self._got |= not job.taken
        self._rows.discard(job.transfer.row)
        behind = self._accounts[job.transfer.account_key]
        if behind:
            self._ready.append(behind.popleft())
            self._change.tell()
        else:
            del self._accounts[job.transfer.account_key]
            if not self._rows:
                self._change.tell()
        if job.taken and not self._own:
            self._look_anew()

    def again(self, job: Job, not_before: float) -> None:
        """The row will be tried again; its account waits with it. One that was held meanwhile lets another
        begin in its place."""
        if job.held:
            self._give_back()
            job.held = job.begun = False
        heapq.heappush(self._later, (not_before, next(self._order), job))
        self._change.tell()

    def _give_back(self) -> None:
        self.budget.give_back()
        if self.dice is not None:
            self._spent = False  # another pass finds a row that may go instead

    def _begin(self) -> Job | None:
        while self._ready:
            job = self._ready.popleft()
            if job.begun or self.budget.take():
                job.begun = True
                return job
            self._ready.appendleft(job)
            self._drop_waiting()
            self._fetched_all = self._spent = True
        return None

    def _drop_waiting(self) -> None:
        """Leave all rows that were not begun: to a later run, or to whoever is sending them."""
        for job in [*self._ready, *(entry[2] for entry in self._later)]:
            if not job.begun:
                self._drop(job)
        self._ready = deque(job for job in self._ready if job.begun)
        self._later = [entry for entry in self._later if entry[2].begun]
        heapq.heapify(self._later)

    def _drop(self, job: Job) -> None:
        behind = self._accounts.pop(job.transfer.account_key)
        self._rows -= {dropped.transfer.row for dropped in (job, *behind)}

    def _look_anew(self) -> None:
        """What was fetched of the others' rows has grown old: its senders have gone on."""
        self._drop_waiting()
        self._begin_anew()
        self._change.tell()

    def _wake_later(self) -> None:
        while self._later and self._later[0][0] <= now():
            self._ready.appendleft(heapq.heappop(self._later)[2])

    async def _wait(self) -> bool:
        """Fetch more rows or wait for a change; False when nothing can come any more."""
        if self._may_fetch():
            await self._fetch_page()
            return True
        if self._fetched_all and not self._rows:
            return self._begin_pass()
        moments = [self._later[0][0]] if self._later else []
        if self._wants_more():
            moments.append(self._next_pass_at)
        await self._change.wait(max(0.0, min(moments) - now()) if moments else None)
        return True

    def _begin_pass(self) -> bool:
        """Begin at the first row again, where others send through this lane; False when nothing is left."""
        if self.dice is None or self._spent or not (self._own or self._found):
            return False
        self._own = self._found
        self._begin_anew()
        return True

    def _begin_anew(self) -> None:
        if self._found and not self._got:
            self._next_pass_at = now() + PASS_WAIT_S
        self._last_row, self._fetched_all, self._found, self._got = 0, False, False, False

    def _wants_more(self) -> bool:
        return not self._fetched_all and len(self._rows) < PAGE_ROWS * WINDOW_PAGES

    def _may_fetch(self) -> bool:
        return self._wants_more() and self._next_pass_at <= now()

    async def _fetch_page(self) -> None:
        async with self._fetching:
            if self._ready or not self._may_fetch():
                return  # another sender has fetched meanwhile
            limit = PAGE_ROWS if self._own else OTHERS_ROWS
            page = await self.fetch(self._last_row, limit, self._own)
            self._fetched_all = self._spent or len(page) < limit
            for transfer, not_before in page:
                self._last_row = transfer.row
                self._add(Job(transfer), not_before)
            if self._ready and self.dice and not self._own:
                self._ready.rotate(self.dice.randrange(len(self._ready)))
            self._change.tell()

    def _add(self, job: Job, not_before: float) -> None:
        if job.transfer.row in self._rows:
            return  # of the pass before
        self._rows.add(job.transfer.row)
        self._found = True
        key = job.transfer.account_key
        if key in self._accounts:
            self._accounts[key].append(job)
            return
        self._accounts[key] = deque()
        if not_before > now():
            heapq.heappush(self._later, (not_before, next(self._order), job))
        else:
            self._ready.append(job)
