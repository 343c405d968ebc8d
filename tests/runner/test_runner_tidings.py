"""What other senders tell while this one sends, and what a signal tells the ledger."""

import random
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import anyio
import pytest

from batchcredit import host
from batchcredit.engine.lane import Lane, LanePolicy
from batchcredit.engine.limiter import Pace
from batchcredit.ledger.base import Tidings
from batchcredit.runner.outgoing import tidings as module
from batchcredit.runner.outgoing.sending import Stop
from batchcredit.runner.outgoing.tidings import TidingsWatch

LANE = 7


class World:
    """One lane, a pipeline that notes what it is told, and a ledger with these tidings."""

    def __init__(self, *told: Tidings) -> None:
        policy = LanePolicy(1, 5.0, 5, 5, 900.0, 900.0)
        nobody = cast(Any, None)
        record = cast(Any, SimpleNamespace(id=LANE))
        self.lane = Lane("p", record, nobody, nobody, Pace(None), policy, random.Random(1))
        self.told, self.halts, self.ends = list(told), list[tuple[str, str]](), list[str]()

    async def tidings(self, _: int) -> Tidings:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]

    def halt(self, lane: Lane, reason: str, message: str) -> None:
        lane.halt(reason, message)
        self.halts.append((reason, message))

    async def heed(self, most_s: float = 0.3) -> bool:
        """Whether the watch has ended by itself."""
        watch = TidingsWatch(1, [self.lane], cast(Any, self), cast(Any, self), self.ends.append)
        with anyio.move_on_after(most_s) as scope:
            await watch.run()
        return not scope.cancelled_caught


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIDINGS_S", 0.02)


@pytest.mark.parametrize("told", [Tidings(driver_gone=True), Tidings(evicted=True)])
async def test_a_sender_that_shall_end_takes_no_more_rows(told: Tidings) -> None:
    """It is told once why, and nobody is asked any more."""
    world = World(Tidings(), told)
    assert await world.heed(5.0)
    assert len(world.ends) == 1


async def test_a_lane_that_halted_elsewhere_halts_here() -> None:
    """Once, with the reason that the other one had; nothing ends that lane's watch."""
    world = World(Tidings(halts={LANE: ("credentials", "401"), 8: ("redirect", "")}))
    assert not await world.heed()
    assert world.halts == [("credentials", "401")]
    assert world.ends == []


async def test_a_pause_that_another_was_asked_for_holds_here() -> None:
    """So long, or as long as the settings allow; what is known already ends no wait once more."""
    world = World(
        Tidings(paused_until_ms={LANE: host.now_ms() + 60_000}),
        Tidings(paused_until_ms={LANE: host.now_ms() + 60_000, 8: host.now_ms() + 90_000}),
    )
    with mock.patch.object(Lane, "pause", autospec=True, side_effect=Lane.pause) as pause:
        await world.heed()
    assert [round(call.args[1]) for call in pause.call_args_list] == [60]
    assert 55 < world.lane.paused_until - anyio.current_time() <= 60

    long = World(Tidings(paused_until_ms={LANE: host.now_ms() + 10_000_000}))
    await long.heed()
    assert long.lane.paused_until - anyio.current_time() <= long.lane.policy.max_pause_s


async def test_a_signal_tells_the_ledger_that_somebody_waits() -> None:
    """A connection that is lost is then not waited for as long as otherwise."""
    hurried: list[None] = []
    stop = Stop(lambda _: None, lambda: hurried.append(None))
    stop.because("the run that started this sender has ended")
    assert (stop.asked, hurried) == (True, [])
    stop()
    assert hurried == [None]
