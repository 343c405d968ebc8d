"""The rows of one lane: each handed out once, in order, and nobody waits for what has happened already."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaping_loop import run_leaping

from batchcredit.engine import queue as queue_module
from batchcredit.engine.queue import Budget, Job, LaneQueue
from batchcredit.transfer import Transfer

WINDOW = 4 * 3


@pytest.fixture(autouse=True, scope="module")
def small_pages() -> Any:
    """Pages of 4 rows and a window of 12, so that a short file fills them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_module, "PAGE_ROWS", 4)
        patch.setattr(queue_module, "WINDOW_PAGES", 2)
        yield


@dataclass(frozen=True)
class Row:
    """What happens to one row: so many retries, and the seconds before which it may not be sent."""

    account: int
    retries: int = 0
    not_before_s: float = 0.0


ROWS = st.lists(
    st.builds(
        Row, st.integers(0, 5), st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from([0, 0, 0, 1.0, 30.0])
    ),
    max_size=60,
)


@dataclass
class Script:
    """Rows behind a queue, and what became of them."""

    rows: Sequence[Row]
    budget: Budget
    dice: random.Random
    handed: list[int] = field(default_factory=list)
    begun: set[int] = field(default_factory=set)
    ended: list[int] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)
    early: list[int] = field(default_factory=list)
    most_held: int = 0

    def __post_init__(self) -> None:
        self.began = anyio.current_time()
        self.queue = LaneQueue(self._fetch, self.budget)

    async def _fetch(self, after_row: int, limit: int, _: bool) -> list[tuple[Transfer, float]]:
        await anyio.sleep(self.dice.choice([0, 0.001]))
        numbers = range(after_row + 1, min(len(self.rows), after_row + limit) + 1)
        return [(_transfer(number, self._row(number)), self._due(number)) for number in numbers]

    def _row(self, number: int) -> Row:
        return self.rows[number - 1]

    def _due(self, number: int) -> float:
        return self.began + self._row(number).not_before_s

    async def sender(self) -> None:
        tries: Counter[int] = Counter()
        while job := await self.queue.next():
            await self._work(job, job.transfer.row, tries)
        tries.clear()

    async def _work(self, job: Job, number: int, tries: Counter[int]) -> None:
        account = self._row(number).account
        assert account not in self.busy
        self.busy.add(account)
        self.handed.append(number)
        self.begun.add(number)
        if anyio.current_time() < self._due(number):
            self.early.append(number)
        self.most_held = max(self.most_held, len(self.queue._rows))
        await anyio.sleep(self.dice.choice([0, 0.01, 0.5]))
        self.busy.discard(account)
        job.tries += 1
        if job.tries <= self._row(number).retries:
            self.queue.again(job, anyio.current_time() + self.dice.choice([0, 0.3]))
        else:
            self.ended.append(number)
            self.queue.done(job)

    async def run(self, senders: int) -> "Script":
        async with anyio.create_task_group() as tasks:
            for _ in range(senders):
                tasks.start_soon(self.sender)
        assert await self.queue.next() is None
        return self


def _transfer(number: int, row: Row) -> Transfer:
    return Transfer(number, number, str(row.account), str(row.account), "1", "USD", "")


async def _run(rows: Sequence[Row], budget: Budget, senders: int, seed: int) -> Script:
    return await Script(rows, budget, random.Random(seed)).run(senders)


@settings(deadline=None, max_examples=150)
@given(ROWS, st.integers(1, 6), st.integers(0, 1000))
def test_every_row_once_in_order(rows: list[Row], senders: int, seed: int) -> None:
    """Every row ends once, per account one at a time and in file order, none before its time; then None.

    A wake-up that is lost would leave everybody waiting, which the leaping loop reports.
    """
    script = run_leaping(_run(rows, Budget(), senders, seed))
    assert sorted(script.ended) == list(range(1, len(rows) + 1))
    assert Counter(script.handed) == {number: 1 + row.retries for number, row in enumerate(rows, 1)}
    by_account = defaultdict(list)
    for number in script.ended:
        by_account[rows[number - 1].account].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_account.values())
    assert script.most_held <= WINDOW
    first_of = {row.account: number for number, row in reversed(list(enumerate(rows, 1)))}
    assert not set(script.early) & set(first_of.values())


@settings(deadline=None, max_examples=150)
@given(ROWS, st.integers(1, 6), st.integers(0, 20), st.integers(0, 1000))
def test_budgets_are_exact(rows: list[Row], senders: int, most: int, seed: int) -> None:
    """So many rows are begun and no more; each of them is tried to its end; nobody waits for the others."""
    budget = Budget(most)
    script = run_leaping(_run(rows, budget, senders, seed))
    assert len(script.begun) == min(most, len(rows))
    assert sorted(script.ended) == sorted(script.begun)
    assert budget.rows == max(0, most - len(rows))


@settings(deadline=None, max_examples=80)
@given(ROWS, ROWS, st.integers(0, 40), st.integers(0, 1000))
def test_lanes_share_a_budget(first: list[Row], second: list[Row], most: int, seed: int) -> None:
    """Two lanes together begin exactly as many rows as the budget has."""

    async def both() -> int:
        budget = Budget(most)
        scripts = [Script(rows, budget, random.Random(seed)) for rows in (first, second)]
        await asyncio.gather(*(script.run(3) for script in scripts))
        return sum(len(script.begun) for script in scripts)

    assert run_leaping(both()) == min(most, len(first) + len(second))


@settings(deadline=None, max_examples=80)
@given(ROWS, st.integers(1, 6), st.floats(0, 3), st.integers(0, 1000))
def test_close_ends_all_waiting(rows: list[Row], senders: int, after_s: float, seed: int) -> None:
    """Whenever it comes, nobody gets a row afterwards, and everybody is told."""

    async def closed() -> None:
        script = Script(rows, Budget(), random.Random(seed))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(script.run, senders)
            await anyio.sleep(after_s)
            script.queue.close()
            handed = len(script.handed)
            with anyio.fail_after(1):
                assert await script.queue.next() is None
        assert len(script.handed) == handed

    run_leaping(closed())


def test_many_senders_hold_no_more_than_the_window() -> None:
    """Rows of one account leave nothing to hand out, so that all senders ask for more at the same time."""
    script = run_leaping(_run([Row(1)] * 60, Budget(), 6, 1))
    assert script.ended == list(range(1, 61))
    assert script.most_held <= WINDOW


def test_a_waiting_account_lets_others_pass() -> None:
    """Rows of an account that waits for a backoff hold up no row of another account."""
    rows = [Row(1, not_before_s=30.0), Row(1), Row(2), Row(3)]
    script = run_leaping(_run(rows, Budget(), 1, 1))
    assert script.ended == [3, 4, 1, 2]


def test_spent_budget_waits_for_no_backoff() -> None:
    """With the budget spent, a row that may be sent in half a minute is left to the next run at once."""

    async def timed() -> float:
        began = anyio.current_time()
        await _run([Row(1, not_before_s=30.0), Row(1), Row(2), Row(3)], Budget(1), 2, 1)
        return anyio.current_time() - began

    assert run_leaping(timed()) < 2


def test_an_error_of_the_ledger_reaches_the_sender() -> None:
    """A page that can't be read is no end of the file."""

    async def broken(after_row: int, limit: int, own: bool) -> list[tuple[Transfer, float]]:
        raise OSError("no disk")

    async def ask() -> None:
        await LaneQueue(broken).next()

    with pytest.raises(OSError, match="no disk"):
        run_leaping(ask())


@dataclass
class Lane:
    """One lane that several senders empty: what is left of it, and what was sent."""

    rows: Sequence[Row]
    dice: random.Random
    left: set[int] = field(init=False)
    in_flight: dict[int, int] = field(default_factory=dict)  # account -> row
    sent: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    living: list[int] = field(default_factory=list)
    fetches: int = 0

    def __post_init__(self) -> None:
        self.left = set(range(1, len(self.rows) + 1))
        self.retries = {number: row.retries for number, row in enumerate(self.rows, 1)}

    def queue(self, sender: int, budget: Budget) -> LaneQueue:
        self.living.append(sender)

        async def fetch(after_row: int, limit: int, own: bool) -> list[tuple[Transfer, float]]:
            self.fetches += 1
            mine = self.living.index(sender)
            found = [
                number
                for number in sorted(self.left)
                if number > after_row
                and not (own and self.rows[number - 1].account % len(self.living) != mine)
            ]
            await anyio.sleep(self.dice.choice([0, 0.001]))  # what is read grows old on its way
            return [(_transfer(number, self.rows[number - 1]), 0.0) for number in found[:limit]]

        return LaneQueue(fetch, budget, random.Random(sender))

    async def sender(self, queue: LaneQueue) -> None:
        while job := await queue.next():
            await anyio.sleep(self.dice.choice([0, 0.01]))
            await self._attempt(queue, job, job.transfer.row)

    async def _attempt(self, queue: LaneQueue, job: Job, number: int) -> None:
        account = self.rows[number - 1].account
        job.held = job.taken = number not in self.left
        if job.taken:
            self.refused.append(number)
            queue.done(job)
        elif account in self.in_flight:
            job.held = True
            queue.again(job, anyio.current_time() + 0.5)
        else:
            self.left.discard(number)
            self.in_flight[account] = number
            await anyio.sleep(self.dice.choice([0.01, 0.3]))
            del self.in_flight[account]
            self._answer(queue, job, number)

    def _answer(self, queue: LaneQueue, job: Job, number: int) -> None:
        if self.retries[number] and not queue._closed:
            self.retries[number] -= 1
            self.left.add(number)
            queue.again(job, anyio.current_time() + 0.3)
        else:
            self.sent.append(number)
            queue.done(job)


SHARES = st.lists(st.tuples(st.integers(1, 4), st.floats(0, 3), st.none() | st.floats(0, 3)), max_size=4)


@settings(deadline=None, max_examples=150)
@given(ROWS, SHARES, st.integers(0, 1000))
def test_several_senders_leave_nothing(
    rows: list[Row], others: list[tuple[int, float, float | None]], seed: int
) -> None:
    """Senders come at any moment, and some of them stop: one that stays is enough for every row to be sent,
    each once, and everybody comes to an end. (What a sender gives back when it stops may be too late.)"""

    async def all_of_them() -> Lane:
        lane = Lane(rows, random.Random(seed))

        async def come(number: int, width: int, after_s: float, stops_s: float | None) -> None:
            await anyio.sleep(after_s)
            queue = lane.queue(number, Budget())
            async with anyio.create_task_group() as tasks:
                for _ in range(width):
                    tasks.start_soon(lane.sender, queue)
                if stops_s is not None:
                    await anyio.sleep(stops_s)
                    queue.close()
            lane.living.remove(number)

        async with anyio.create_task_group() as tasks:
            for number, (width, after_s, stops_s) in enumerate(others):
                tasks.start_soon(come, number, width, after_s, stops_s)
            tasks.start_soon(come, len(others), 2, 3.0, None)
        return lane

    lane = run_leaping(all_of_them())
    assert sorted(lane.sent) == list(range(1, len(rows) + 1))
    assert lane.fetches <= 40 * (len(rows) + 1)


@settings(deadline=None, max_examples=80)
@given(ROWS, st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 1000))
def test_each_sender_keeps_its_budget(rows: list[Row], most: list[int], seed: int) -> None:
    """What another one took, or has in flight, counts against nobody's budget but the taker's."""

    async def all_of_them() -> tuple[Lane, list[Budget]]:
        lane, budgets = Lane(rows, random.Random(seed)), [Budget(rows) for rows in most]
        queues = [lane.queue(number, budget) for number, budget in enumerate(budgets)]
        await asyncio.gather(*(lane.sender(queue) for queue in queues))  # each one row at a time
        return lane, budgets

    lane, budgets = run_leaping(all_of_them())
    assert len(lane.sent) == sum(most) - sum(budget.most for budget in budgets)
    assert len(lane.sent) == min(sum(most), len(rows))


def test_what_another_is_about_to_send_is_left_to_it() -> None:
    """Two senders whose shares are uneven waste few attempts on each other's rows."""
    rows = [Row(2 * number) for number in range(300)]  # all of them the first one's

    async def both() -> Lane:
        lane = Lane(rows, random.Random(1))
        queues = [lane.queue(number, Budget()) for number in range(2)]
        await asyncio.gather(*(lane.sender(queue) for queue in queues))
        return lane

    lane = run_leaping(both())
    assert len(lane.sent) == len(rows)
    assert len(lane.refused) <= len(rows) / 10


def test_a_busy_row_takes_nobodys_place() -> None:
    """The only row that may go is not the one whose client is busy elsewhere for half a minute."""

    async def sent() -> list[int]:
        rows = [Row(1), Row(2)]
        lane = Lane(rows, random.Random(1), in_flight={1: 99})
        queue = lane.queue(0, Budget(1))
        async with asyncio.timeout(20), anyio.create_task_group() as tasks:
            tasks.start_soon(lane.sender, queue)
            await anyio.sleep(2)
            queue.close()
        return lane.sent

    assert run_leaping(sent()) == [2]


def test_a_row_is_handed_out_once_at_a_time() -> None:
    """Rows that wait for their next try are not fetched once more when the others' rows have grown old."""

    async def handed() -> Counter[int]:
        found, seen = [_transfer(number, Row(number)) for number in range(1, 4)], Counter[int]()

        async def fetch(after_row: int, limit: int, own: bool) -> list[tuple[Transfer, float]]:
            return [] if own else [(one, 0.0) for one in found if one.row > after_row]

        queue = LaneQueue(fetch, Budget(), random.Random(1))
        while job := await queue.next():
            seen[job.transfer.row] += 1
            job.held = job.taken = seen.total() == 2
            if seen.total() == 1:
                queue.again(job, anyio.current_time() + 5)
            else:
                found.remove(job.transfer)
                queue.done(job)
        return seen

    assert sorted(run_leaping(handed()).values()) == [1, 1, 2]


def test_a_pass_for_nothing_is_not_made_again_at_once() -> None:
    """A ledger that offers a row, and says at each claim that another has it, is not asked all the time."""

    async def fetches() -> int:
        asked = 0

        async def fetch(after_row: int, limit: int, own: bool) -> list[tuple[Transfer, float]]:
            nonlocal asked
            asked += 1
            assert asked < 1_000
            return [] if own else [(_transfer(1, Row(1)), 0.0)]

        async def work(queue: LaneQueue) -> None:
            while job := await queue.next():
                job.held = job.taken = True
                queue.done(job)

        queue = LaneQueue(fetch, Budget(), random.Random(1))
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(work, queue)
            await anyio.sleep(10)
            queue.close()
        return asked

    assert run_leaping(fetches()) <= 10 / queue_module.PASS_WAIT_S * 3


def test_a_place_that_comes_back_is_used() -> None:
    """Where another sender took the one row of the budget, while it waited for its next try, the next one
    goes."""

    async def handed() -> list[int]:
        found, seen = {number: _transfer(number, Row(number)) for number in (1, 2)}, []

        async def fetch(after_row: int, limit: int, own: bool) -> list[tuple[Transfer, float]]:
            return [(one, 0.0) for row, one in found.items() if row > after_row]

        queue = LaneQueue(fetch, Budget(1), random.Random(1))
        while job := await queue.next():
            seen.append(job.transfer.row)
            if len(seen) == 1:
                queue.again(job, anyio.current_time() + 1)
            else:
                job.held = job.taken = len(seen) == 2
                del found[job.transfer.row]
                queue.done(job)
        return seen

    assert run_leaping(handed()) == [1, 1, 2]
