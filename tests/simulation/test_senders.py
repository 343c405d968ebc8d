"""Several senders of one batch in a simulated world: they come and go, stand still, lose their sessions."""

from dataclasses import replace
from typing import Any

import pytest
from scenario import LaneScenario, Row, drawn
from simulated_network import Weather
from simulated_senders import Crew, Sender, Strike, Trouble, crew, tell_of

from batchcredit import host
from batchcredit.engine.delivery import Delivery
from batchcredit.engine.lane import Lane
from batchcredit.engine.queue import LaneQueue
from batchcredit.engine.shared_pace import SharedPace
from batchcredit.engine.wire.base import WithheldError
from batchcredit.runner.outgoing.tidings import TidingsWatch

SEEDS = 80
PORTIONS = 4

#: A safeguard whose absence so many seeds do not show is not tested.
SEEDS_TO_CATCH = 150


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_promises(portion: int) -> None:
    """Whoever ends, stands still, or comes back: nobody is paid twice, each row ends, no rate is exceeded."""
    stories = [tell_of(crew(seed)) for seed in range(portion, SEEDS, PORTIONS)]
    assert [(story.scenario.seed, story.broken) for story in stories if story.broken] == []
    assert sum(story.executed for story in stories) > 10 * len(stories)
    assert len({trouble for story in stories for trouble in story.struck}) >= len(Trouble) - 2
    assert any(story.doubts for story in stories)


async def _forever(*_: object) -> None:
    """Nobody asks."""


async def _at_once(*_: object) -> bool:
    return True


async def _at_any_time(self: Delivery, line: Any, job: Any, boot_s: float) -> Any:
    """The lane is not looked at once more when the moment has come."""

    async def departs() -> None:
        if not self.lane.pace.is_free and not await self.lane.pace.window(2.0 + boot_s - host.boot_s()):
            raise WithheldError

    request = self.lane.provider.transfer(job.transfer)
    return await line.exchange(request, self.lane.policy.timeout_s, departs)


#: What each safeguard is, what takes it out, and the seed that missed it last.
REMOVALS: dict[str, tuple[tuple[object, str, Any], int]] = {
    "tidings are asked for": ((TidingsWatch, "run", _forever), 27),
    "pauses are heeded": ((Lane, "pause", lambda *_: None), 27),
    "passes follow each other": ((LaneQueue, "_begin_pass", lambda _: False), 5),
    "busy rows are tried again": ((Delivery, "_patience_s", -1.0), 15),
    "a pause is heeded up to the last": ((Delivery, "_send", _at_any_time), 378),
    "the rate is shared": ((SharedPace, "window", _at_once), 9),
}


@pytest.mark.parametrize("safeguard", REMOVALS)
def test_each_safeguard_is_missed(safeguard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seeds find a broken promise as soon as one safeguard is taken out."""
    removal, last_known = REMOVALS[safeguard]
    seeds = [last_known, *range(SEEDS_TO_CATCH)]
    with monkeypatch.context() as patch:
        patch.setattr(*removal)
        caught = next((seed for seed in seeds if tell_of(crew(seed)).broken), None)
    assert caught is not None
    assert tell_of(crew(caught)).broken == ""


def _together(rows: list[Row], *senders: Sender) -> Crew:
    lane = LaneScenario(concurrency=2, rate=None, timeout_s=5, attempts=3, in_doubt_limit=5)
    lanes = dict.fromkeys(("clicksend", "fastmessage"), lane)
    scenario = replace(drawn(1), lanes=lanes, files=(tuple(rows),), starts=(), faults={}, is_brief=True)
    return Crew(replace(scenario, weather=Weather(slow_s=0.3), wallet=10**9), senders)


def _rows(*clients: int) -> list[Row]:
    return [Row("clicksend", f"7{client}1", f"{row}.5", "") for row, client in enumerate(clients, 1)]


def test_nobody_waits_for_one_that_stands_still() -> None:
    """The rows of its clients are held, soon after its requests must have been answered; all others go."""
    stopped = Sender(0.0, strikes=(Strike(Trouble.FREEZE, 0.5, 3600.0),))
    clients = [1, 2, *range(3, 30), 1, 2]
    story = tell_of(_together(_rows(*clients), stopped, Sender(1.0)))
    assert story.broken == ""
    other = story.ended[0]
    assert (other.code, other.reason) == (3, "account_in_flight")
    assert 10 < other.seconds < 15
    assert story.executed == len(clients)


def test_a_client_that_is_busy_holds_up_no_other() -> None:
    """Rows of one client, which take long, and of many others: two senders are done when it is."""
    clients = [1] * 20 + list(range(2, 40))
    alone = tell_of(_together(_rows(*[1] * 20), Sender(0.0)))
    both = tell_of(_together(_rows(*clients), Sender(0.0), Sender(0.0)))
    assert (alone.broken, both.broken) == ("", "")
    assert {ended.code for ended in both.ended} == {0}
    assert both.ended[1].seconds < 1.3 * alone.ended[0].seconds


def test_nothing_pending_ends_at_once() -> None:
    """A sender that comes when all is sent has nothing to wait for."""
    story = tell_of(_together(_rows(1, 2, 3), Sender(0.0), Sender(60.0), Sender(60.0)))
    assert story.broken == ""
    assert [ended.code for ended in story.ended[:3]] == [0, 0, 0]
    assert all(ended.seconds < 1 for ended in story.ended[1:3])


def test_limits_are_each_senders_own() -> None:
    """With room for 4 and for 5 rows, nine are sent, whoever sends which."""
    crew_of_two = _together(_rows(*range(1, 30)), Sender(0.0, 4), Sender(0.0, 5))
    story = tell_of(crew_of_two)
    assert story.broken == ""
    assert story.sent_together == 9
