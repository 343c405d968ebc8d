"""The gate of one lane, ending by ending."""

import asyncio
import random
from dataclasses import replace
from typing import Any, cast

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaping_loop import run_leaping
from rig import POLICY

from batchcredit.engine.judgement import Ending, Judged
from batchcredit.engine.lane import Lane, LaneState
from batchcredit.engine.limiter import Pace
from batchcredit.engine.wire.base import Exchange
from batchcredit.providers.base import Answer
from batchcredit.transfer import Event, Outcome

EVENTS = {
    Ending.DEFINITE: Event.CREDIT,
    Ending.DOUBTFUL: Event.DOUBT,
    Ending.UNCONNECTED: Event.RETRY,
    Ending.STALE: Event.RETRY,
    Ending.PUT_OFF: Event.RETRY,
    Ending.THROTTLED: Event.RETRY,
    Ending.LANE_REFUSED: Event.RETRY,
}


def lane(**policy: Any) -> Lane:
    """A lane that sends nothing: only its gate is asked. Made inside a loop."""
    wanted = replace(POLICY, **policy)
    nobody = cast(Any, None)
    return Lane("p", nobody, nobody, nobody, Pace(None), wanted, random.Random(1))


def ends(ending: Ending, event: Event | None = None, halts: bool = False) -> Judged:
    return Judged(ending, Outcome(event or EVENTS[ending], "word"), halts)


def throttled(**headers: str) -> Exchange:
    return Exchange(True, Answer(429, {name.replace("_", "-"): text for name, text in headers.items()}, b""))


NOTHING = Exchange(False)
MOSTLY_WELL = (Ending.DEFINITE, Ending.DEFINITE, Ending.DOUBTFUL)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(Ending), st.integers(1, 9)), max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_nobody_is_left_at_the_gate(endings: list[tuple[Ending, int]], width: int, limit: int) -> None:
    """After any endings of any rows, a lane that is not halted lets somebody in, in time, and closing tells
    the rest."""

    async def live() -> None:
        gate = lane(concurrency=width, in_doubt_limit=limit)
        for ending, row in endings:
            gate.heard(ends(ending, halts=ending is Ending.LANE_REFUSED), throttled(), row)
        rows = [*range(1, 10), 99]
        admitted: list[int] = []

        async def knock(row: int) -> None:
            if await gate.admit(row):
                admitted.append(row)

        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(knock, row)
            await anyio.sleep(200)
            assert len(admitted) == (0 if gate.halted else gate.width)
            gate.close()
        assert gate._in_flight == len(admitted)

    run_leaping(live())


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 100))
def test_never_wider_than_allowed(width: int, rows: int, seed: int) -> None:
    """Whatever happens, no more are inside than `width` says at the moment of their entry."""

    async def live() -> int:
        gate, dice, seen = lane(concurrency=width, in_doubt_limit=1000), random.Random(seed), 0

        async def send(row: int) -> None:
            nonlocal seen
            if await gate.admit(row):
                assert gate._in_flight <= gate.width
                seen = max(seen, gate._in_flight)
                await anyio.sleep(dice.uniform(0.1, 0.2))
                gate.heard(
                    ends(dice.choice([Ending.DEFINITE, Ending.DEFINITE, Ending.DOUBTFUL])), NOTHING, row
                )
                gate.release()

        async with anyio.create_task_group() as tasks:
            for row in range(rows):
                tasks.start_soon(send, row)
        assert gate._in_flight == 0
        return seen

    assert run_leaping(live()) == min(width, rows)


async def test_close_reaches_those_before_a_long_pause() -> None:
    """A pause of a quarter of an hour does not outlast the end of the run."""
    gate = lane()
    gate.pause(900)
    waiting = asyncio.create_task(gate.admit(1))
    await asyncio.sleep(0.01)
    assert gate.state is LaneState.PAUSED
    gate.close()
    async with asyncio.timeout(1):
        assert await waiting is False


async def test_doubts_in_a_row() -> None:
    """The limit counts in a row; a definite answer ends both the count and the care."""
    gate = lane(concurrency=4, in_doubt_limit=3)
    for _ in range(2):
        gate.heard(ends(Ending.DOUBTFUL), NOTHING, 1)
    assert (gate.state, gate.width) == (LaneState.CAREFUL, 1)
    gate.heard(ends(Ending.DEFINITE), NOTHING, 1)
    assert (gate.state, gate.width) == (LaneState.SENDING, 4)
    for _ in range(3):
        assert gate.halted is None
        gate.heard(ends(Ending.DOUBTFUL), NOTHING, 1)
    assert gate.halted is not None
    assert gate.halted.reason == "in_doubt_limit"


@pytest.mark.parametrize("ending", [Ending.THROTTLED, Ending.UNCONNECTED, Ending.STALE, Ending.PUT_OFF])
async def test_only_a_definite_answer_ends_the_care(ending: Ending) -> None:
    """Neither a throttled nor an unsent request says that the provider is well again."""
    gate = lane(concurrency=4)
    gate.heard(ends(Ending.DOUBTFUL), NOTHING, 1)
    gate.heard(ends(ending), throttled(retry_after="0"), 1)
    assert gate.width == 1


async def test_the_longer_of_two_pauses() -> None:
    """Two that left together are throttled: the longer wait holds, and it counts as one pause."""
    gate = lane(concurrency=2)
    assert gate.heard(ends(Ending.THROTTLED), throttled(retry_after="2"), 1) == pytest.approx(2, abs=0.1)
    assert gate.heard(ends(Ending.THROTTLED), throttled(retry_after="60"), 2) == pytest.approx(60, abs=0.1)
    assert gate.heard(ends(Ending.THROTTLED), throttled(retry_after="1"), 3) == pytest.approx(60, abs=0.1)
    assert gate.paused_until - anyio.current_time() == pytest.approx(60, abs=0.1)
    assert gate._pauses == 1


async def test_many_throttled_at_once_are_one_pause() -> None:
    """Without a header, twenty that left together make one wait of a second, and no halt."""
    gate = lane(concurrency=20)
    for row in range(20):
        gate.heard(ends(Ending.THROTTLED), throttled(), row)
    assert gate.halted is None
    assert gate.paused_until - anyio.current_time() == pytest.approx(1, abs=0.1)


async def test_a_too_long_pause_halts_even_while_paused() -> None:
    """The second of two asks for more than max_pause."""
    gate = lane(max_pause_s=30)
    gate.heard(ends(Ending.THROTTLED), throttled(retry_after="2"), 1)
    assert gate.heard(ends(Ending.THROTTLED), throttled(retry_after="31"), 2) == 0
    assert gate.halted is not None


async def test_an_outage_that_strikes_many_at_once() -> None:
    """All that were dialling fail together: one probes, and the first wait is as short as ever."""
    gate = lane(concurrency=8)
    for row in range(16):
        gate.heard(ends(Ending.UNCONNECTED), NOTHING, row)
    assert gate.state is LaneState.PROBING
    assert [row for row in range(16) if gate.probes(row)] == [7]
    assert gate.paused_until - anyio.current_time() <= 0.5


async def test_a_row_that_gave_up_does_not_probe() -> None:
    """The row whose last try made the lane unreachable is gone: another one probes."""
    gate = lane(concurrency=1)
    gate.heard(ends(Ending.UNCONNECTED, Event.GIVE_UP), NOTHING, 1)
    assert gate.probing
    async with asyncio.timeout(2):
        assert await gate.admit(2)


async def test_a_row_that_may_not_be_claimed_does_not_probe() -> None:
    """A claim that was not granted frees the place of the one that probes."""
    gate = lane(concurrency=1)
    gate.heard(ends(Ending.UNCONNECTED), NOTHING, 1)
    async with asyncio.timeout(2):
        assert await gate.admit(1)
        waiting = asyncio.create_task(gate.admit(2))
        gate.yields()
        gate.release()
        assert await waiting


async def test_the_first_reason_to_halt_stays() -> None:
    """Endings that are heard after the halt do not change why."""
    gate = lane()
    gate.heard(Judged(Ending.LANE_REFUSED, Outcome(Event.RETRY, "credentials"), halts=True), NOTHING, 1)
    gate.heard(Judged(Ending.DOUBTFUL, Outcome(Event.DOUBT, "redirect"), halts=True), NOTHING, 2)
    assert gate.halted is not None
    assert gate.halted.reason == "credentials"
    assert gate.state is LaneState.HALTED


EMPTY = Judged(Ending.LANE_REFUSED, Outcome(Event.RETRY, "wallet_empty"), halts=True)


async def test_an_empty_wallet_holds_the_lane_until_it_is_filled() -> None:
    """Nobody is let in meanwhile, and what was on its way turns back; then all is as before."""
    gate = lane(wait_funds_s=60.0)
    assert gate.heard(EMPTY, NOTHING, 1) == 0.0
    assert (gate.state, gate.halted, gate.may_send()) == (LaneState.SHORT, None, False)
    waiting = asyncio.create_task(gate.admit(2))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await gate.until_short()
    gate.refill()
    assert await waiting is True
    assert (gate.state, gate.may_send()) == (LaneState.SENDING, True)


@pytest.mark.parametrize("end", ["close", "halt"])
async def test_waiting_for_funds_ends_at_once(end: str) -> None:
    """A signal, or the end of the patience, lets everybody at the gate go."""
    gate = lane(wait_funds_s=60.0)
    gate.heard(EMPTY, NOTHING, 1)
    waiting = asyncio.create_task(gate.admit(1))
    await asyncio.sleep(0.01)
    gate.close() if end == "close" else gate.halt("wallet_empty", "too long")
    assert await waiting is False


@pytest.mark.parametrize(
    ("judged", "wait_s"),
    [(EMPTY, 0.0), (Judged(Ending.LANE_REFUSED, Outcome(Event.RETRY, "credentials"), halts=True), 60.0)],
)
async def test_nothing_else_waits_for_funds(judged: Judged, wait_s: float) -> None:
    """Without the flag an empty wallet halts the lane, and another refusal always does."""
    gate = lane(wait_funds_s=wait_s)
    gate.heard(judged, NOTHING, 1)
    assert gate.halted is not None
    assert gate.halted.reason == judged.outcome.reason
