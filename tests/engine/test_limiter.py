"""The pace of a lane: on a clock that leaps, and for real, counted where requests arrive."""

import asyncio
import itertools
import random
import time
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from leaping_loop import run_leaping
from rig import Rig, accounts

from batchcredit.engine.limiter import Pace, Rate
from batchcredit.engine.wire.base import Departs, DialsLate, Exchange, at_once
from batchcredit.providers.base import Answer, Request
from batchcredit.runner.outgoing.lanes import _wait_s
from batchcredit.sandbox import Control, Fault
from batchcredit.transfer import State


def fullest(times: Sequence[float], window_s: float) -> int:
    """How many of these sorted times fall into one window at the most."""
    return max(bisect_left(times, begin + window_s) - at for at, begin in enumerate(times))


def speed(times: Sequence[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0])


async def _departures(
    pace: Pace | Rate, requests: int, senders: int, delay_s: float, seed: int
) -> list[float]:
    """When requests leave that each take up to `delay_s` between their token and their departure."""
    pace = Pace(pace) if isinstance(pace, Rate) else pace
    dice, left, times = random.Random(seed), iter(range(requests)), []

    async def sender() -> None:
        for _ in left:
            await pace.turn()
            await anyio.sleep(dice.uniform(0, delay_s))
            await pace.window()
            times.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        for _ in range(senders):
            tasks.start_soon(sender)
    return times


#: Shrinking would take longer than the tests.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)

COUNTS = st.integers(1, 500).map(Decimal)
RATES = st.builds(Rate, COUNTS, st.sampled_from([1, 60, 3600]))
ODD_RATES = [Rate(Decimal(text), 1) for text in ("0.5", "1.5", "2.5", "49.9", "50.1", "999.999", "1000")]


@settings(deadline=None, max_examples=50, phases=UNSHRUNK)
@given(RATES, st.integers(1, 32), st.floats(0, 0.05), st.floats(0, 0.004), st.integers(0, 1000))
def test_never_more_than_the_rate_in_any_window(
    rate: Rate, senders: int, delay_s: float, late_s: float, seed: int
) -> None:
    """However many senders, slow commits and late timers there are."""
    times = run_leaping(_departures(rate, 3 * int(rate.count) + 5, senders, delay_s, seed), late_s, seed)
    assert times == sorted(times)
    assert fullest(times, rate.period_s) <= rate.count


@settings(deadline=None, max_examples=25, phases=UNSHRUNK)
@example(Rate(Decimal(51), 1), 0.02, 0.004, 1)
@example(Rate(Decimal(161), 1), 0.02, 0.0038748756715376864, 221)
@given(RATES, st.floats(0, 0.02), st.floats(0, 0.004), st.integers(0, 1000))
def test_the_rate_is_reached(rate: Rate, delay_s: float, late_s: float, seed: int) -> None:
    """At least 99 % of it over a run, with timers that fire up to 4 ms late."""
    requests = max(100, 4 * int(rate.count))
    times = run_leaping(_departures(rate, requests, 32, delay_s, seed), late_s, seed)
    assert speed(times) >= 0.99 * rate.per_second, (str(rate), speed(times) / rate.per_second)


@pytest.mark.parametrize("rate", ODD_RATES, ids=str)
def test_odd_rates(rate: Rate) -> None:
    """Fractions, and rates beyond what the window remembers, are kept and reached."""
    times = run_leaping(_departures(rate, 6000, 64, 0, 1))
    assert 0.99 * rate.per_second <= speed(times) <= rate.per_second
    assert fullest(times, 10.0) <= 10 * rate.per_second + 1


@settings(deadline=None)
@given(st.integers(1, 49), st.sampled_from([1, 60]), st.floats(0, 0.004))
def test_spacing_is_even(count: int, period_s: int, late_s: float) -> None:
    """No two requests closer together than the rate's spacing, but for the 20 ms that make up for late
    timers and what the timers themselves are late."""
    rate = Rate(Decimal(count), period_s)
    times = run_leaping(_departures(rate, 60, 8, 0, 1), late_s)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 1 / rate.per_second - 0.02 - 2 * late_s - 1e-6


@given(st.integers(1, 400), st.floats(0.1, 100), st.integers(1, 32))
@settings(deadline=None, max_examples=30)
def test_unused_time_is_not_saved_up(count: int, idle_s: float, senders: int) -> None:
    """After a lull as after a start: no burst."""
    rate = Rate(Decimal(count), 1)

    async def twice() -> list[float]:
        pace = Pace(rate)
        first = await _departures(pace, count, senders, 0, 1)
        await anyio.sleep(idle_s)
        return first + await _departures(pace, 2 * count, senders, 0, 2)

    times = run_leaping(twice())
    assert fullest(times, 1.0) <= count
    assert fullest(times, 0.1) <= 0.12 * count + 1.5


@given(st.floats(0, 50))
@settings(deadline=None, max_examples=20)
def test_the_first_turn_waits(wait_s: float) -> None:
    """A lane that was used just before we started is not used at once."""

    async def first() -> float:
        begun = anyio.current_time()
        times = await _departures(Pace(Rate(Decimal(10), 1), wait_s), 20, 4, 0, 1)
        assert fullest(times, 1.0) <= 10
        return times[0] - begun

    assert run_leaping(first()) == pytest.approx(wait_s, abs=1e-4)


@pytest.mark.parametrize(
    "rate", [Rate(Decimal(20), 60), Rate(Decimal(10), 1), Rate(Decimal(300), 1)], ids=str
)
@given(seed=st.integers(0, 99))
@settings(deadline=None, max_examples=3, phases=UNSHRUNK)
def test_the_window_holds_nobody_up_for_long(rate: Rate, seed: int) -> None:
    """Over hours as over minutes: who waits there longer and longer would be too late for their intent."""

    async def longest_wait() -> float:
        pace, dice, left, waits = Pace(rate), random.Random(seed), iter(range(3_000)), [0.0]

        async def sender() -> None:
            for _ in left:
                await pace.turn()
                await anyio.sleep(dice.uniform(0, 0.05))
                began = anyio.current_time()
                await pace.window()
                waits.append(anyio.current_time() - began)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(sender)
        return max(waits)

    assert run_leaping(longest_wait()) < 0.5


def test_a_window_that_opens_too_late_is_not_waited_for() -> None:
    """It is told at once, and takes nobody's place."""

    async def times() -> tuple[bool, float, bool, float]:
        pace = Pace(Rate(Decimal(1), 60))
        await pace.window()
        begun = anyio.current_time()
        refused = await pace.window(2.0)
        told = anyio.current_time()
        return refused, told - begun, await pace.window(61.0), anyio.current_time() - told

    refused, told_s, granted, waited_s = run_leaping(times())
    assert (refused, granted) == (False, True)
    assert told_s == pytest.approx(0, abs=1e-3)
    assert waited_s == pytest.approx(60.24, abs=1e-2)


async def test_no_rate_is_no_wait() -> None:
    """Without a rate nobody waits."""
    pace = Pace(None)
    began = time.monotonic()
    for _ in range(1000):
        await pace.turn()
        await pace.window()
    assert time.monotonic() - began < 0.5


def test_who_is_called_back_takes_no_token() -> None:
    """A sender that stops waiting for its turn holds up nobody."""

    async def recall() -> list[float]:
        pace = Pace(Rate(Decimal(1), 60))
        await pace.turn()
        for _ in range(5):
            with anyio.move_on_after(1):
                await pace.turn()
        return await _departures(pace, 2, 2, 0, 1)

    times = run_leaping(recall())
    assert 50 < times[0] - 1000.0 < 61
    assert 59 < times[1] - times[0] < 61


# For real


class ClockingWire(DialsLate):
    """Credits whoever is named at once, and notes when each request left, after up to `dial_s`."""

    def __init__(self, dial_s: float = 0.0) -> None:
        self.times: list[float] = []
        self._dial_s, self._dice = dial_s, random.Random(1)

    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        if self._dial_s:
            await anyio.sleep(self._dice.uniform(0, self._dial_s))
        await departs()
        self.times.append(time.monotonic())
        body = b'{"response-code":200,"prev-balance":"1.00","sms-units":"1.50","new-balance":"2.50"}'
        return Exchange(True, Answer(200, {}, body))

    async def aclose(self) -> None:
        pass


async def test_rates_where_requests_arrive(rig: Rig) -> None:
    """10/s and 100/s at once, each over 5 s: no window holds more (at 100/s: 2 % more), and both are used.

    The window is taken 5 % shorter, since an arrival is noted when the server's process gets its turn, and
    other tests take theirs. What leaves is held to the window without any tolerance on the clock that leaps,
    and that 99 % are reached is shown there too.
    """
    slow = rig.lane("clicksend", Rate(Decimal(10), 1), concurrency=16)
    quick = rig.lane("fastmessage", Rate(Decimal(100), 1), concurrency=16)
    rig.enrol(
        [(slow, client) for client in accounts("clicksend", 50)]
        + [(quick, client) for client in accounts("fastmessage", 500)]
    )
    await rig.send()
    assert rig.states() == {State.CREDITED: 550}
    slow_times, quick_times = (sorted(row["arrived_at"] for row in rig.arrivals(lane)) for lane in rig.lanes)
    assert fullest(slow_times, 0.95) <= 10
    assert fullest(quick_times, 0.95) <= 102
    assert speed(slow_times) >= 9
    assert speed(quick_times) >= 70


async def test_a_thousand_a_second_leave(rig: Rig) -> None:
    """1000/s through queue, gate and ledger: at most 2 % more in any second."""
    wire = ClockingWire()
    lane = rig.lane("fastmessage", Rate(Decimal(1000), 1), wire, concurrency=64)
    rig.enrol((lane, client) for client in accounts("fastmessage", 3000))
    await rig.send()
    assert rig.states() == {State.CREDITED: 3000}
    assert fullest(wire.times, 1.0) <= 1020


async def test_slow_dials_make_no_burst(rig: Rig) -> None:
    """Connections that take between nothing and 0.2 s to stand: the window is kept where requests leave."""
    wire = ClockingWire(dial_s=0.2)
    lane = rig.lane("fastmessage", Rate(Decimal(20), 1), wire, concurrency=16)
    rig.enrol((lane, client) for client in accounts("fastmessage", 50))
    await rig.send()
    assert len(wire.times) == 50
    assert fullest(wire.times, 1.0) <= 20


async def test_no_burst_after_a_pause(rig: Rig, control: Control) -> None:
    """What could not be sent during a 429's pause is not sent faster afterwards."""
    control.set(retry_after_s=1)
    lane = rig.lane("fastmessage", Rate(Decimal(20), 1), concurrency=16)
    clients = accounts("fastmessage", 30)
    control.script(clients[10], [Fault.STATUS_429])
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    assert rig.states() == {State.CREDITED: 30}
    times = sorted(row["arrived_at"] for row in rig.arrivals(lane))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) >= 0.99
    resumed = times[gaps.index(max(gaps)) + 1 :]
    assert fullest(times, 0.99) <= 20
    assert fullest(resumed, 0.25) <= 7


async def test_no_second_burst_after_a_restart(rig: Rig) -> None:
    """Three runs one after another are one: the ledger knows when the lane was used last."""
    rate = Rate(Decimal(10), 1)
    wire = ClockingWire()
    lane = rig.lane("fastmessage", rate, wire, concurrency=8)
    for _ in range(3):
        rig.enrol((lane, client) for client in accounts("fastmessage", 4))
        wait_s = _wait_s(rig.record(lane), cast(Any, SimpleNamespace(rate=rate)))
        lane.pace = Pace(rate, wait_s)
        await rig.send()
    assert len(wire.times) == 12
    assert fullest(wire.times, 0.99) <= 10
    gaps = [later - earlier for earlier, later in itertools.pairwise(wire.times)]
    assert min(gaps) > 0.06


@pytest.mark.parametrize("end", ["close", "halt", "pause"])
async def test_nobody_waits_for_a_token_in_vain(rig: Rig, end: str) -> None:
    """At one request an hour a lane still ends, halts and pauses at once."""
    lane = rig.lane("clicksend", Rate(Decimal(1), 3600), ClockingWire(), concurrency=4)
    assert await lane.turn()
    waiting = [asyncio.create_task(lane.turn()) for _ in range(3)]
    await asyncio.sleep(0.01)
    if end == "close":
        lane.close()
    elif end == "pause":
        lane.pause(60)
    else:
        lane._halt("credentials", "")
    async with asyncio.timeout(2):
        assert await asyncio.gather(*waiting) == [None] * 3
