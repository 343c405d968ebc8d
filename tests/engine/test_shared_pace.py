"""The pace of a lane that several processes share, each on a machine of its own, on a clock that leaps."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

import anyio
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from shared_schedule import FreezingLoop, Schedule, Sender, Weather
from test_limiter import fullest, speed

from batchcredit.engine.limiter import Rate
from batchcredit.engine.loop import now
from batchcredit.engine.shared_pace import HORIZON_S, LATE, SLACK, LedgerClock, SharedPace
from batchcredit.ledger.base import Slots
from batchcredit.ledger.journal import Reserved

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)

SLOW, TENTH, QUICK = Rate(Decimal(20), 60), Rate(Decimal(10), 1), Rate(Decimal(100), 1)

COUNTS = st.one_of(st.integers(1, 200).map(Decimal), st.sampled_from(["0.5", "2.5", "49.9"]).map(Decimal))
RATES = st.builds(Rate, COUNTS, st.sampled_from([1, 60]))
WEATHERS = st.builds(
    Weather,
    row_s=st.floats(0, 0.2),
    way_s=st.sampled_from([0.0005, 0.003, 0.03]),
    provider_s=st.floats(0, 0.5),
    stalls=st.sampled_from([0.0, 0.05]),
    stall_s=st.floats(0, 3),
)

#: What clocks drift apart from an answer to its last slot.
DRIFTED_S = 0.0005

#: What happens to senders: when, to which, and for how long it is frozen; None: it is killed, and another
#: one comes.
TROUBLES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.none() | st.floats(0.01, 5)), max_size=6)


def run(work: Coroutine[Any, Any, Any], late_s: float = 0.0, seed: int = 0) -> Any:
    with asyncio.Runner(loop_factory=lambda: FreezingLoop(late_s, seed)) as runner:
        return runner.run(work)


async def in_time(
    senders: Sequence[Sender],
    seconds: float,
    troubles: Sequence[tuple[float, int, float | None]] = (),
    another: Callable[[], Sender] | None = None,
) -> list[float]:
    """When requests of all these senders left, those that came in place of killed ones included."""
    ends_at = now() + seconds
    running: list[tuple[Sender, asyncio.Task[None]]] = []
    everybody = []

    def start(sender: Sender) -> None:
        everybody.append(sender)
        running.append((sender, asyncio.ensure_future(sender.run(lambda: now() >= ends_at))))

    for sender in senders:
        start(sender)
    for part, which, frozen_s in sorted(troubles, key=lambda trouble: trouble[0]):
        await anyio.sleep(max(0.0, ends_at - (1 - part) * seconds - now()))
        sender, task = running[which % len(running)]
        if frozen_s is not None:
            sender.frozen_until = now() + frozen_s
        elif another:
            running.remove((sender, task))
            task.cancel()
            start(another())
    await asyncio.gather(*(task for _, task in running))
    return sorted(moment for sender in everybody for moment in sender.left)


@settings(deadline=None, max_examples=30, phases=UNSHRUNK)
@given(RATES, st.integers(1, 5), WEATHERS, TROUBLES, st.floats(0, 0.004), st.integers(0, 1000))
def test_together_never_more_than_the_rate_in_any_window(
    rate: Rate,
    count: int,
    weather: Weather,
    troubles: list[tuple[float, int, float | None]],
    late_s: float,
    seed: int,
) -> None:
    """Whatever senders come, are killed, freeze and thaw, lag, and have clocks that differ and drift."""
    schedule = Schedule(drift=random.Random(seed).uniform(-2e-4, 2e-4))

    def sender(number: int) -> Sender:
        return Sender(schedule, rate, seed * 100 + number, 8, weather)

    senders = [sender(number) for number in range(count)]
    seconds = max(5.0, 2.5 * rate.period_s)
    times = run(in_time(senders, seconds, troubles, lambda: sender(len(schedule.granted))), late_s, seed)
    assume(times)  # not all of them were frozen all the time
    assert fullest(times, per_window(rate) / rate.per_second) <= per_window(rate)
    assert not misused(times, schedule, rate)


def misused(times: Sequence[float], schedule: Schedule, rate: Rate) -> list[float]:
    """Requests that left without a slot of their own, before it, or later than its spacing allows."""
    spare_s = LATE * per_window(rate) / rate.per_second - SLACK / rate.per_second
    slots, open_until, wrong = deque(sorted(schedule.granted)), list[float](), []
    for moment in times:
        while slots and slots[0] <= moment + DRIFTED_S:
            slot = slots.popleft()
            heappush(open_until, slot + schedule.granted[slot] + spare_s)
        while open_until and open_until[0] < moment - DRIFTED_S:
            heappop(open_until)
        if open_until:
            heappop(open_until)
        else:
            wrong.append(moment)
    return wrong


def per_window(rate: Rate) -> int:
    """Requests in the shortest window that has a whole number of them."""
    return Fraction(rate.count).limit_denominator(1000).numerator


@pytest.mark.parametrize("rate", [SLOW, TENTH, Rate(Decimal(200), 1)], ids=str)
@pytest.mark.parametrize("count", [1, 4])
def test_the_rate_is_reached(rate: Rate, count: int) -> None:
    """By one sender, and by four of which one is killed and replaced, with a ledger that is near."""
    schedule, weather = Schedule(), Weather(row_s=0.03)
    senders = [Sender(schedule, rate, number, 64, weather) for number in range(count)]
    troubles = [(0.3, 1, None)] if count > 1 else []
    seconds = 1800 if rate is SLOW else 15
    times = run(
        in_time(senders, seconds, troubles, lambda: Sender(schedule, rate, 77, 64, weather)), 0.002, 1
    )
    assert speed(times) >= (0.98 if count == 1 else 0.97) * rate.per_second
    assert fullest(times, rate.period_s) <= rate.count


@pytest.mark.parametrize("rate", [Rate(Decimal(1), 1), TENTH], ids=str)
def test_a_ledger_far_away(rate: Rate) -> None:
    """Where its answers take longer than a request may be late, the rate is kept, and most of it reached."""
    schedule, weather = Schedule(), Weather(way_s=0.05)
    senders = [Sender(schedule, rate, number, 8, weather) for number in range(4)]
    times = run(in_time(senders, 200 / rate.per_second), 0.002)
    assert fullest(times, 1.0) <= rate.count
    assert speed(times) >= 0.7 * rate.per_second
    assert not misused(times, schedule, rate)


def test_rows_that_stall_lose_no_slot() -> None:
    """Another row is there for it: of one sender at ten a second, each twentieth row takes 0.3 s longer."""
    sender = Sender(Schedule(), TENTH, 1, 8, Weather(stalls=0.05, stall_s=0.3))
    times = run(in_time([sender], 60), 0.002)
    assert speed(times) >= 0.98 * 10


@settings(deadline=None, max_examples=10, phases=UNSHRUNK)
@given(st.floats(0.02, 8), st.sampled_from([TENTH, QUICK]), st.integers(0, 99))
def test_what_a_frozen_sender_had_is_not_used_late(frozen_s: float, rate: Rate, seed: int) -> None:
    """Thawed, it sends no sooner than its next slots come, while another had the whole rate meanwhile."""
    schedule = Schedule()
    senders = [Sender(schedule, rate, seed * 10 + number, 16) for number in range(2)]
    times = run(in_time(senders, 12, [(0.1, 0, frozen_s)]), 0.002, seed)
    assert fullest(times, 1.0) <= rate.count
    assert speed(times) >= 0.95 * rate.per_second


def test_a_paused_lane_grants_nothing() -> None:
    """What was reserved before may leave; then nobody sends until the pause ends, and nothing is made up."""
    schedule = Schedule()
    senders = [Sender(schedule, TENTH, number) for number in range(3)]

    async def paused() -> tuple[list[float], float]:
        work = asyncio.ensure_future(in_time(senders, 20))
        await anyio.sleep(5)
        schedule.paused_until_us = schedule.now_us() + 5_000_000
        begun = now()
        return await work, begun

    times, begun = run(paused())
    assert not [moment for moment in times if begun + HORIZON_S + 0.1 < moment < begun + 5]
    assert fullest(times, 1.0) <= 10
    assert [moment for moment in times if begun + 5 <= moment <= begun + 5.3]


@pytest.mark.parametrize(("rate", "a_second"), [(SLOW, 2), (TENTH, 30), (QUICK, 100)], ids=str)
def test_the_ledger_is_not_asked_without_end(rate: Rate, a_second: int) -> None:
    """However hungry its four senders are."""
    schedule = Schedule()
    senders = [Sender(schedule, rate, number, 40) for number in range(4)]
    times = run(in_time(senders, 20), 0.001)
    assert schedule.asked <= a_second * (times[-1] - times[0])


def alone(rate: Rate) -> tuple[SharedPace, Schedule]:
    """One pace and its schedule, without any lag."""
    schedule = Schedule()

    async def reserve(*wanted: int) -> Reserved:
        asked = now()
        return Reserved(schedule.reserve(*wanted), asked, now())

    return SharedPace(rate, reserve, now), schedule


def test_a_window_that_opens_too_late_is_not_waited_for() -> None:
    """It is told in time, and takes nobody's place."""

    async def told() -> tuple[bool, float, bool, float]:
        pace, _ = alone(SLOW)
        assert await pace.window()
        begun = now()
        refused = await pace.window(2.0)
        told = now()
        return refused, told - begun, await pace.window(4.0), now() - begun

    refused, told_s, granted, waited_s = run(told())
    assert (refused, granted) == (False, True)
    assert told_s <= 2.1
    assert waited_s == pytest.approx(3.048, abs=0.01)


def test_a_slot_that_comes_too_late_is_left_for_another() -> None:
    """Whose intent has grown old does not use up what is at hand."""

    async def left() -> tuple[bool, bool, int]:
        pace, schedule = alone(SLOW)
        assert await pace.window()
        await pace.turn()
        begun = now()
        refused = await pace.window(0.1)
        assert now() - begun <= 0.11
        return refused, await pace.window(0.5), len(schedule.granted)

    assert run(left()) == (False, True, 2)


def test_who_is_called_back_takes_no_slot() -> None:
    """A row that stops waiting for its turn holds up nobody."""

    async def recall() -> float:
        pace, schedule = alone(SLOW)
        await pace.turn()
        assert await pace.window()
        begun = now()
        for _ in range(2):
            with anyio.move_on_after(1):
                await pace.turn()
        await pace.turn()
        assert await pace.window()
        assert len(schedule.granted) == 2
        return now() - begun

    assert run(recall()) == pytest.approx(3.048, abs=0.03)


def test_a_slot_that_has_passed_is_handed_to_nobody() -> None:
    """A row would become an intent for it, and find no slot in time."""

    async def row() -> tuple[float, bool]:
        pace, schedule = alone(SLOW)
        await pace.turn()
        pace.unused()
        await anyio.sleep(10)
        schedule.next_us = schedule.now_us() + 3_000_000
        begun = now()
        await pace.turn()
        return now() - begun, await pace.window(0.6)

    waited_s, left = run(row())
    assert waited_s > 2
    assert left


def test_slots_are_not_reserved_sooner_than_a_row_can_use_them() -> None:
    """Where fewer rows come than the rate allows: a row takes longer than it may be late."""
    schedule = Schedule()
    sender = Sender(schedule, QUICK, 1, 2, Weather(row_s=0.08))
    times = run(in_time([sender], 20), 0.002)
    assert len(schedule.granted) <= 1.25 * len(times)


def test_an_unused_turn_is_the_next_row_s() -> None:
    """Rows that were not claimed cost no slot: at three seconds a slot the next one goes at once."""

    async def rows() -> tuple[float, int]:
        pace, schedule = alone(SLOW)
        begun = now()
        for _ in range(5):
            await pace.turn()
            pace.unused()
        await pace.turn()
        assert await pace.window()
        return now() - begun, len(schedule.granted)

    waited_s, granted = run(rows())
    assert waited_s < 0.5
    assert granted == 1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 100)), min_size=1))
def test_the_ledger_s_clock_is_known_within_its_bounds(answers: list[tuple[float, float, float]]) -> None:
    """Ours was between the bounds when it showed what it showed; they are no wider than the answer's own."""
    clock, ours = LedgerClock(), 1000.0
    for there_s, back_s, until_next_s in answers:
        moment = ours + there_s
        reserved = Reserved(Slots((), 0.0, 5e8 + moment * (1 + 2e-4)), ours, moment + back_s)
        earliest, latest = clock.heard(reserved)
        assert earliest - 1e-6 <= moment <= latest + 1e-6
        assert latest - earliest <= there_s + back_s + 1e-6
        ours = moment + back_s + until_next_s


def test_a_clock_that_was_set_is_known_anew() -> None:
    """What was heard before tells nothing of it any more."""
    clock = LedgerClock()
    clock.heard(Reserved(Slots((), 0.0, 500.0), 1000.0, 1000.001))
    assert clock.heard(Reserved(Slots((), 0.0, 441.0), 1001.0, 1001.2)) == (1001.0, 1001.2)
    assert clock.heard(Reserved(Slots((), 0.0, 442.0), 1002.05, 1002.3)) == pytest.approx(
        (1002.05, 1002.2), abs=1e-3
    )
