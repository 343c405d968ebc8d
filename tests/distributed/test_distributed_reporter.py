"""What a sender keeps until it is asked: the newest, each once, and not without bound."""

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from batchcredit.distributed.reporter import HEARD_MOST, SAID_MOST, Reporter
from batchcredit.engine.judgement import Ending, Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.meter import Meter
from batchcredit.engine.queue import Job
from batchcredit.transfer import Event, Outcome, Transfer


def a_lane(meter: Meter) -> Lane:
    return cast(Lane, SimpleNamespace(profile="clicksend", meter=meter))


def ended(number: int) -> tuple[Job, Judged]:
    transfer = Transfer(number, number, "a", "a", "1.5", "USD", "")
    return Job(transfer), Judged(Ending.DEFINITE, Outcome(Event.CREDIT, ""))


@given(st.lists(st.integers(0, 3 * SAID_MOST), max_size=4))
def test_each_sentence_is_told_once_and_the_oldest_are_dropped(counts: list[int]) -> None:
    """Whatever was said between two questions: at most so many, in order, and the number of the others."""
    reporter = Reporter()
    for count in counts:
        for number in range(count):
            (reporter.warn if number % 2 else reporter.note)(str(number))
        told = reporter.told()
        assert told.said == tuple((str(n), bool(n % 2)) for n in range(count))[-SAID_MOST:]
        assert told.unsaid == max(0, count - SAID_MOST)
    assert reporter.told().said == ()


def test_endings_are_bounded_too() -> None:
    """A lane that refuses each row does not fill the memory of a sender that nobody asks."""
    reporter = Reporter()
    for number in range(HEARD_MOST + 5):
        reporter.hear(a_lane(Meter()), *ended(number), 7)
    told = reporter.told()
    assert [one.job.transfer.row for one in told.heard] == list(range(5, HEARD_MOST + 5))
    assert told.unsaid == 5


def test_meters_are_those_of_the_last_moment() -> None:
    """They travel as they were: what the sender counts meanwhile does not change them."""
    reporter, meter = Reporter(), Meter()
    job, judged = ended(1)
    meter.settled(job.transfer, judged.outcome, 3)
    reporter.progress([a_lane(meter)])
    meter.settled(job.transfer, judged.outcome, 3)
    assert reporter.told().meters["clicksend"].done == 1
    assert reporter.told().meters["clicksend"].done == 1  # they are asked for again and again


def test_nobody_agrees_in_a_sender() -> None:
    """A question that would reach a sender is answered with no."""
    reporter: Any = Reporter()
    assert not reporter.accept_lane("clicksend", None, None)
    assert not reporter.approve(None)
    assert not reporter.go_on([])
