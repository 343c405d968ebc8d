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
