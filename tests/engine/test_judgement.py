"""How an ending is judged, row by row of the table, and how long a lane waits."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.engine.backoff import FIRST_S, LAST_PAUSE_S, LAST_S, connect_wait_s, pause_s
from batchcredit.engine.judgement import Ending, given_up, judge, stale
from batchcredit.engine.wire.base import Exchange
from batchcredit.providers.base import Answer, Judgement, Provider, Ruling
from batchcredit.transfer import Event, Transfer

TRANSFER = Transfer(1, 1, "7", "7", "1", "USD", "")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Saying:
    """An adapter that says one thing of every answer."""

    secrets = ("k3y-of-ours",)

    def __init__(self, said: Judgement) -> None:
        self.said = said
        self.asked = 0

    def judge(self, transfer: Transfer, answer: Answer) -> Judgement:
        self.asked += 1
        return self.said


def _provider(ruling: Ruling = Ruling.CREDITED, **more: Any) -> tuple[Saying, Provider]:
    saying = Saying(Judgement(ruling, "word", **more))
    return saying, cast(Provider, saying)


def _answer(status: int) -> Exchange:
    return Exchange(True, Answer(status, {}, b"{}"))


@pytest.mark.parametrize("untrusted", [False, True])
def test_nothing_left(untrusted: bool) -> None:
    """Not a byte left: not executed, to be tried again; only a certificate that does not verify halts."""
    saying, provider = _provider()
    exchange = Exchange(False, problem="unreachable", detail="refused", untrusted=untrusted)
    judged = judge(provider, TRANSFER, exchange)
    assert (judged.ending, judged.outcome.event, judged.halts) == (Ending.UNCONNECTED, Event.RETRY, untrusted)
    assert judged.outcome.reason == ("tls_untrusted" if untrusted else "unreachable")
    assert saying.asked == 0


@pytest.mark.parametrize("problem", ["lost_answer", "timeout", "too_large"])
def test_something_left_and_no_answer(problem: str) -> None:
    """A byte may have left and no whole answer came: in doubt, and the lane goes on."""
    judged = judge(_provider()[1], TRANSFER, Exchange(True, problem=problem, detail="why"))
    assert (judged.ending, judged.outcome.event, judged.halts) == (Ending.DOUBTFUL, Event.DOUBT, False)
    assert (judged.outcome.reason, judged.outcome.message) == (problem, "why")


@pytest.mark.parametrize("sent", [False, True])
def test_details_show_no_secret(sent: bool) -> None:
    """What a wire quotes is cleaned before it becomes a row's message."""
    exchange = Exchange(sent, problem="lost_answer", detail="strange: k3y-of-ours")
    assert "k3y-of-ours" not in judge(_provider()[1], TRANSFER, exchange).outcome.message


@given(st.sampled_from(Ruling), st.integers(300, 599))
def test_the_status_line_comes_first(ruling: Ruling, status: int) -> None:
    """429 is not executed; 3xx, 408 and 5xx are in doubt, whatever an adapter would say of the body."""
    saying, provider = _provider(ruling)
    judged = judge(provider, TRANSFER, _answer(status))
    if status == 429:
        assert (judged.ending, judged.outcome.event, judged.halts) == (Ending.THROTTLED, Event.RETRY, False)
    elif status < 400:
        assert (judged.outcome.event, judged.outcome.reason, judged.halts) == (Event.DOUBT, "redirect", True)
    elif status == 408 or status >= 500:
        assert (judged.outcome.event, judged.halts) == (Event.DOUBT, False)
    else:
        assert saying.asked == 1
        return
    assert saying.asked == 0
    assert judged.outcome.http_status == status


@pytest.mark.parametrize(
    ("ruling", "ending", "event", "halts"),
    [
        (Ruling.CREDITED, Ending.DEFINITE, Event.CREDIT, False),
        (Ruling.REJECTED, Ending.DEFINITE, Event.REJECT, False),
        (Ruling.LANE_REFUSED, Ending.LANE_REFUSED, Event.RETRY, True),
        (Ruling.DOUBTFUL, Ending.DOUBTFUL, Event.DOUBT, False),
    ],
)
def test_the_provider_s_word(ruling: Ruling, ending: Ending, event: Event, halts: bool) -> None:
    """Each ruling, and an adapter may halt the lane with any of them."""
    judged = judge(_provider(ruling)[1], TRANSFER, _answer(200))
    assert (judged.ending, judged.outcome.event, judged.halts) == (ending, event, halts)
    assert judge(_provider(ruling, halts=True)[1], TRANSFER, _answer(200)).halts


@given(st.sampled_from(Ruling), st.booleans(), st.booleans(), st.integers(200, 599) | st.none())
def test_money_is_never_sent_again_after_a_byte(
    ruling: Ruling, sent: bool, halts: bool, status: int | None
) -> None:
    """What may have been executed is retried on a 429 or the provider's own refusal alone."""
    answer = Answer(status, {}, b"") if status and sent else None
    judged = judge(_provider(ruling, halts=halts)[1], TRANSFER, Exchange(sent, answer, problem="lost_answer"))
    if judged.outcome.event is Event.RETRY and sent:
        assert status == 429 or ruling is Ruling.LANE_REFUSED
    if judged.outcome.event is Event.CREDIT:
        assert answer is not None
        assert ruling is Ruling.CREDITED


def test_giving_up_changes_the_event_alone() -> None:
    """The last try's words stay."""
    judged = judge(_provider()[1], TRANSFER, Exchange(False, detail="refused"))
    given = given_up(judged)
    assert given.outcome == judged.outcome._replace(event=Event.GIVE_UP)
    assert (given.ending, given.halts) == (judged.ending, judged.halts)
    assert stale().outcome.event is Event.RETRY


# Waits


@given(st.integers(1, 10_000), st.integers(0, 100))
def test_connect_waits_grow_to_a_limit(failures: int, seed: int) -> None:
    """Doubling from half a second, at most 30 s, with jitter down to the half."""
    wait_s = connect_wait_s(failures, random.Random(seed))
    full_s = min(LAST_S, FIRST_S * 2 ** (failures - 1)) if failures < 20 else LAST_S
    assert full_s / 2 <= wait_s <= full_s


@given(st.integers(0, 10**10 - 1), st.integers(0, 10**10 - 1), st.integers(0, 99))
def test_the_larger_of_two_headers(retry_after: int, reset: int, pauses: int) -> None:
    """Seconds in both: the larger one, however many pauses there were."""
    headers = {"retry-after": str(retry_after), "ratelimit-reset": f" {reset} "}
    assert pause_s(headers, pauses, NOW) == max(retry_after, reset)


@given(st.integers(-100, 100_000))
def test_a_date(seconds: int) -> None:
    """The time until then, and nothing for one that is past; without a zone it is UTC."""
    moment = NOW + timedelta(seconds=seconds)
    texts = [format_datetime(moment, usegmt=True), format_datetime(moment.replace(tzinfo=None))]
    for text in texts:
        assert pause_s({"retry-after": text}, 0, NOW) == max(0, seconds)


NONSENSE = [
    "",
    "soon",
    "-1",
    "1.5",
    "1e3",
    "٣",
    "0x10",
    "9" * 40,
    "Thu, 99 Foo 2026 12:00:00 GMT",
    "\x00",
    "1, 2",
]


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("name", ["retry-after", "ratelimit-reset"])
def test_nonsense_counts_as_absent(name: str, text: str) -> None:
    """It is as if the header were not there, and hides no good one."""
    assert pause_s({name: text}, 3, NOW) == 8
    other = "ratelimit-reset" if name == "retry-after" else "retry-after"
    assert pause_s({name: text, other: "2"}, 3, NOW) == 2


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 50))
def test_any_headers_make_some_pause(one: str, other: str, pauses: int) -> None:
    """Nothing a server says raises, or makes a pause below zero."""
    assert pause_s({"retry-after": one, "ratelimit-reset": other}, pauses, NOW) >= 0


def test_our_own_pauses_double() -> None:
    """Without a header: 1 s doubling to 60 s."""
    waits = [pause_s({}, pauses, NOW) for pauses in range(12)]
    assert waits == [1, 2, 4, 8, 16, 32, *[LAST_PAUSE_S] * 6]
