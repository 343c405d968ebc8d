"""Several senders of one batch in a simulated world: they come and go, stand still, lose their sessions."""

from dataclasses import replace
from typing import Any

import pytest
from scenario import LaneScenario, Row, drawn
from simulated_network import Weather
from simulated_senders import Crew, Sender, Strike, Trouble, crew, tell_of

from batchcredit.engine.delivery import Delivery
from batchcredit.engine.lane import Lane
from batchcredit.engine.queue import LaneQueue
from batchcredit.runner.outgoing.tidings import TidingsWatch

SEEDS = 120
PORTIONS = 4

#: A safeguard whose absence so many seeds do not show is not tested.
SEEDS_TO_CATCH = 150


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_promises(portion: int) -> None:
    """Whoever ends, stands still, or comes back: nobody is paid twice, each row ends, no rate is exceeded."""
    stories = [tell_of(crew(seed)) for seed in range(portion, SEEDS, PORTIONS)]
    assert [(story.scenario.seed, story.broken) for story in stories if story.broken] == []
    assert sum(story.executed for story in stories) > 10 * len(stories)
    assert {trouble for story in stories for trouble in story.struck} == set(Trouble)
    assert any(story.late for story in stories)


async def _forever(*_: object) -> None:
    """Nobody asks."""


#: What each safeguard is, and what takes it out.
REMOVALS: dict[str, tuple[object, str, Any]] = {
    "tidings are asked for": (TidingsWatch, "run", _forever),
    "pauses of others are heeded": (Lane, "pause", lambda *_: None),
    "passes follow each other": (LaneQueue, "_begin_pass", lambda _: False),
    "busy rows are tried again": (Delivery, "_patience_s", -1.0),
}


@pytest.mark.parametrize("safeguard", REMOVALS)
def test_each_safeguard_is_missed(safeguard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seeds find a broken promise as soon as one safeguard is taken out."""
    with monkeypatch.context() as patch:
        patch.setattr(*REMOVALS[safeguard])
        caught = next((seed for seed in range(SEEDS_TO_CATCH) if tell_of(crew(seed)).broken), None)
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
