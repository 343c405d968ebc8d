"""Several holders of one PostgreSQL ledger at a time, each of which may lose its session at any moment."""

import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from decimal import Decimal
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from ledger_parts import (
    DAY_MS,
    NO_CAPS,
    Clock,
    Lanes,
    PostgresHome,
    Row,
    a_claim,
    a_settle,
    begin,
    claim,
    correct,
    enrol,
    enrol_rows,
    lane_of,
    refusal,
    row_of,
    say,
    settle,
    states,
)
from postgres_server import Server

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, Caps, Claimed, EnrolChunk, NewBatch, NotClaimed, Pause
from batchcredit.ledger.postgres.database import LostError, Pipeline, _cut, _cut_after
from batchcredit.ledger.postgres.ledger import PostgresLedger
from batchcredit.transfer import Event, State

Hold = Callable[[], PostgresLedger]


@pytest.fixture
def hold(postgres: Server, clock: Clock) -> Iterator[Hold]:
    """One more holder of the same ledger."""
    home, held = PostgresHome(postgres.fresh_url()), contextlib.ExitStack()

    def another() -> PostgresLedger:
        ledger = home.hold()
        assert isinstance(ledger, PostgresLedger)
        held.callback(ledger.close)
        return ledger

    with held:
        yield another


def lose(ledger: PostgresLedger) -> None:
    """End the session of a holder, as a broken line does; it finds out when it next asks."""
    _cut(ledger._database.connection)


def in_flight(ledger: PostgresLedger, batch: BatchRecord, row: int = 1) -> None:
    begin(ledger, batch)
    assert isinstance(claim(ledger, batch, row), Claimed)


def moved_to_doubt(ledger: PostgresLedger, other: PostgresLedger, batch: BatchRecord) -> None:
    """The sender has gone, the other found out."""
    lose(ledger)
    wait_until_gone(other, ledger.sender)
    other.tidings(batch.id)


def wait_until_gone(other: PostgresLedger, sender: int) -> None:
    deadline = time.monotonic() + 20
    while any(living.id == sender for living in other.senders()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


class KilledError(BaseException):
    """The process ends here, at once."""


def killed(*_: object) -> None:
    raise KilledError


def lose_answer(monkeypatch: pytest.MonkeyPatch, ledger: PostgresLedger) -> None:
    """Lose the session once the next group is durable, before that is heard."""
    pipelined = ledger._database.pipelined

    @contextlib.contextmanager
    def deaf() -> Iterator[Pipeline]:
        monkeypatch.setattr(ledger._database, "pipelined", pipelined)
        with pipelined() as pipeline:
            yield pipeline
        raise_lost(ledger)

    monkeypatch.setattr(ledger._database, "pipelined", deaf)


def raise_lost(ledger: PostgresLedger) -> None:
    lose(ledger)
    ledger._all("SELECT 1")


def losing(monkeypatch: pytest.MonkeyPatch, ledger: PostgresLedger) -> None:
    """Lose the session as the end of the next decision is heard."""
    whole = ledger._transaction

    @contextlib.contextmanager
    def deaf(*, alone: bool = True) -> Iterator[None]:
        monkeypatch.setattr(ledger, "_transaction", whole)
        with whole(alone=alone):
            yield
        raise_lost(ledger)

    monkeypatch.setattr(ledger, "_transaction", deaf)


# rows that change under a sender's hands


def test_a_row_that_was_corrected_meanwhile_is_not_sent_as_it_was(hold: Hold) -> None:
    """Its sender has the row in memory as it was: the money would go to the wrong client."""
    sender, clerk = hold(), hold()
    batch = enrol(sender, "march", [Row("anna", "10", reference="r1")])
    begin(sender, batch)
    as_it_was = a_claim(sender, batch)
    assert correct(clerk, batch, [Row("berta", "20", reference="r1")]) == 1

    (answer,) = sender.commit([as_it_was])

    assert isinstance(answer, NotClaimed)
    assert answer.reason == "not_pending"
    assert (row_of(clerk, batch).state, row_of(clerk, batch).reason) == (State.PENDING, "interrupted")
    ((anew, _),) = sender.candidates(batch.id, as_it_was.lane, 0, 10)
    assert (anew.account, anew.amount) == ("berta", "20")
    assert isinstance(claim(sender, batch), Claimed)


def test_a_row_that_goes_through_another_lane_now_is_not_sent_through_the_old_one(hold: Hold) -> None:
    sender, clerk = hold(), hold()
    batch = enrol(sender, "march", [Row("anna", "10")])
    begin(sender, batch)
    as_it_was = a_claim(sender, batch)
    clerk.change_lane(batch.id, "shop", Lanes(clerk)["kiosk"])

    (answer,) = sender.commit([as_it_was])

    assert isinstance(answer, NotClaimed)
    assert answer.reason == "not_pending"


# sessions that are lost


def test_nothing_stays_in_flight_when_a_sender_dies_while_it_comes_back(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim became durable, its answer was lost, and it was killed as soon as it had a new session."""
    sender, other = hold(), hold()
    batch = enrol(sender, "march", [Row()])
    begin(sender, batch)
    a_claim_of_it = a_claim(sender, batch)
    lose_answer(monkeypatch, sender)
    monkeypatch.setattr(sender, "_after_loss", killed)
    with pytest.raises(KilledError):
        sender.commit([a_claim_of_it])
    lose(sender)
    wait_until_gone(other, sender.sender)
    other.tidings(batch.id)

    assert states(other, batch) == [State.IN_DOUBT]


def test_what_never_left_is_pending_again_though_two_sessions_are_lost(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second as it wrote that the first was lost; what is in flight stays so."""
    sender, other = hold(), hold()
    batch = enrol(sender, "march", [Row("anna"), Row("berta")])
    in_flight(sender, batch, 2)
    a_claim_of_it = a_claim(sender, batch)
    lose_answer(monkeypatch, sender)
    losing(monkeypatch, sender)

    (answer,) = sender.commit([a_claim_of_it])
    other.tidings(batch.id)

    assert isinstance(answer, NotClaimed)
    assert answer.busy_s == 0.0
    assert states(other, batch) == [State.PENDING, State.SENDING]
    settle(sender, batch, 2, Event.CREDIT)
    assert states(other, batch) == [State.PENDING, State.CREDITED]


def test_a_question_that_ends_each_session_is_not_asked_for_ever(hold: Hold) -> None:
    """A server that ends, or a lock that outlasts our patience, whenever it is asked."""
    ledger, asked = hold(), itertools.count()
    ledger.away_most_s = 0.5

    def ask() -> None:
        assert next(asked) < 200
        raise_lost(ledger)

    with pytest.raises(LostError):
        ledger._through(ask)
    assert next(asked) > 1


# answers that come late


def reference_spent_elsewhere(clerk: PostgresLedger) -> None:
    """A batch with the same reference for another client, which is credited."""
    other = enrol(clerk, "april", [Row("berta", "20", reference="r1")])
    in_flight(clerk, other)
    settle(clerk, other, 1, Event.CREDIT)


def test_a_late_credit_of_a_row_whose_reference_was_sent_elsewhere_is_an_incident(hold: Hold) -> None:
    sender, clerk = hold(), hold()
    batch = enrol(sender, "march", [Row("anna", "10", reference="r1")])
    in_flight(sender, batch)
    heard = a_settle(sender, batch, 1, Event.CREDIT)
    moved_to_doubt(sender, clerk, batch)
    assert not say(clerk, batch.id, 1, "not-credited", "asked by phone", 0)
    reference_spent_elsewhere(clerk)

    assert sender.commit([heard]) == [None]

    row = row_of(clerk, batch)
    assert (row.state, row.reason, row.settled_by) == (State.CREDITED, "overpaid", "provider")
    assert [entry.what for entry in clerk.audit("march")][-1] == "overpaid"


def test_a_late_credit_of_what_was_recognised_elsewhere_is_an_incident(hold: Hold) -> None:
    sender, clerk = hold(), hold()
    older = enrol(sender, "april", [Row("anna", "10", reference="r1")])
    in_flight(clerk, older)
    settle(clerk, older, 1, Event.REJECT)
    batch = enrol(sender, "march", [Row("anna", "10", reference="r1")])
    in_flight(sender, batch)
    heard = a_settle(sender, batch, 1, Event.CREDIT)
    moved_to_doubt(sender, clerk, batch)
    assert not say(clerk, batch.id, 1, "not-credited", "asked by phone", 0)
    begin(clerk, older, rejected=True)
    assert isinstance(claim(clerk, older), Claimed)
    settle(clerk, older, 1, Event.CREDIT)
    begin(clerk, batch)
    assert states(clerk, batch) == [State.ALREADY_CREDITED]

    assert sender.commit([heard]) == [None]

    assert (row_of(clerk, batch).state, row_of(clerk, batch).reason) == (State.CREDITED, "overpaid")


@pytest.mark.parametrize(
    ("second", "state", "reason"),
    [
        (Event.CREDIT, State.CREDITED, "overpaid"),
        (Event.REJECT, State.CREDITED, ""),
        (Event.RETRY, State.CREDITED, ""),
    ],
)
def test_two_attempts_that_are_both_heard_late_count_both(
    hold: Hold, second: Event, state: State, reason: str
) -> None:
    """The first has paid. Whatever is said of the second, the row is not one that was never paid."""
    first, again, clerk = hold(), hold(), hold()
    batch = enrol(first, "march", [Row()])
    in_flight(first, batch)
    heard_of_first = a_settle(first, batch, 1, Event.CREDIT)
    moved_to_doubt(first, clerk, batch)
    assert not say(clerk, batch.id, 1, "not-credited", "", 0)
    in_flight(again, batch)
    heard_of_second = a_settle(again, batch, 1, second)
    moved_to_doubt(again, clerk, batch)

    assert first.commit([heard_of_first]) == [None]
    assert again.commit([heard_of_second]) == [None]

    row = row_of(clerk, batch)
    assert (row.state, row.reason) == (state, reason)
    assert refusal(clerk, batch) == "not_pending"


@pytest.mark.parametrize("second", [Event.CREDIT, Event.REJECT])
def test_a_corrected_row_that_is_under_way_when_its_former_self_is_found_paid(
    hold: Hold, second: Event
) -> None:
    """Its own answer is heard, but it stays an incident: the client has what it asks for no more."""
    first, again, clerk = hold(), hold(), hold()
    batch = enrol(first, "march", [Row("anna", "10", reference="r1")])
    in_flight(first, batch)
    heard = a_settle(first, batch, 1, Event.CREDIT)
    moved_to_doubt(first, clerk, batch)
    assert not say(clerk, batch.id, 1, "not-credited", "", 0)
    assert correct(clerk, batch, [Row("berta", "20", reference="r1")]) == 1
    in_flight(again, batch)

    assert first.commit([heard]) == [None]
    settle(again, batch, 1, second)

    expected = State.CREDITED if second is Event.CREDIT else State.IN_DOUBT
    assert (row_of(clerk, batch).state, row_of(clerk, batch).reason) == (expected, "overpaid")


def test_a_batch_that_had_nothing_left_is_open_again_when_a_row_never_left(hold: Hold) -> None:
    sender, clerk = hold(), hold()
    batch = enrol(sender, "march", [Row()])
    in_flight(sender, batch)
    heard = a_settle(sender, batch, 1, Event.RETRY)
    moved_to_doubt(sender, clerk, batch)
    assert clerk.batches("march")[0].finished_ms is not None

    assert sender.commit([heard]) == [None]

    assert states(clerk, batch) == [State.PENDING]
    assert clerk.batches("march")[0].finished_ms is None


# what the sums of a day rest on


def test_a_run_that_was_thought_ended_goes_on_counting(hold: Hold, clock: Clock) -> None:
    """Its sender was away while others buried it, and goes on into the next day."""
    sender, other = hold(), hold()
    batch = enrol(sender, "march", [Row()])
    begin(sender, batch)
    claim_of_it = a_claim(sender, batch)
    moved_to_doubt(sender, other, batch)
    clock.ms += DAY_MS

    assert isinstance(sender.commit([claim_of_it])[0], NotClaimed)  # the loss is found
    assert isinstance(sender.commit([claim_of_it])[0], Claimed)

    assert other.spent(None, "USD", NO_CAPS.day_start(clock.ms)) == Decimal(1)


# who waits for whom


def test_moments_are_handed_out_while_a_batch_is_loaded(hold: Hold) -> None:
    sender, loader = hold(), hold()
    batch = enrol(sender, "march", [Row()])
    lane = a_claim(sender, batch).lane
    (row,) = enrol_rows([Row()], Lanes(sender))

    with loader._transaction(alone=False), _cut_after(5.0, sender._database.connection):
        loader._load(batch.id, EnrolChunk(2, [(2, *row[1:])], b""))
        granted = sender._all("SELECT granted FROM reserve_slots(?, 1, 1000, 1000000, 0)", lane)

    assert granted == [(1,)]


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_the_same_references_claimed_in_two_orders_stop_nobody(
    hold: Hold, beside: ThreadPoolExecutor
) -> None:
    """Each of two senders has what the other wants next: one of them gives way."""
    groups = []
    for name in ("march", "april"):
        ledger = hold()
        rows = [Row(f"{name}{number}", reference=f"r{number}") for number in range(100)]
        batch = enrol(ledger, name, rows)
        begin(ledger, batch)
        groups.append((ledger, [a_claim(ledger, batch, row) for row in range(1, 101)]))
    groups[1][1].reverse()

    granted = beside.map(lambda group: group[0].commit(group[1]), groups, timeout=60)

    assert Counter(type(answer) for answers in granted for answer in answers) == {
        Claimed: 100,
        NotClaimed: 100,
    }


def test_limits_in_two_currencies_stop_nobody(
    hold: Hold, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two senders gives back in one currency, and asks what is left of both, at the same moment."""
    limits = {"USD": Decimal(100), "EUR": Decimal(100)}
    caps = Caps(day_start=NO_CAPS.day_start, day=limits)
    both, groups = Barrier(2), []
    for name, currency in (("march", "USD"), ("april", "EUR")):
        ledger = hold()
        batch = enrol(ledger, name, [Row(f"{name}{number}", currency=currency) for number in range(2)])
        begin(ledger, batch, caps=caps)
        assert isinstance(claim(ledger, batch, 1), Claimed)
        groups.append((ledger, [a_settle(ledger, batch, 1, Event.REJECT), a_claim(ledger, batch, 2)]))

    allowed = PostgresLedger._allowed

    def together(ledger: PostgresLedger, *given: Any) -> Any:
        ledger._all("SELECT 1")  # what was sent so far is done
        with contextlib.suppress(BrokenBarrierError):
            both.wait(1)
        return allowed(ledger, *given)

    monkeypatch.setattr(PostgresLedger, "_allowed", together)
    answers = list(beside.map(lambda group: group[0].commit(group[1]), groups, timeout=60))

    assert [type(claimed) for _, claimed in answers] == [Claimed, Claimed]


def test_the_limit_of_an_account_holds_while_a_sender_stands_still(
    hold: Hold, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has asked what the account got, and claims only when another has sent more."""
    caps = Caps(day_start=NO_CAPS.day_start, account_day={"USD": Decimal(10)})
    slow, quick = hold(), hold()
    batch = enrol(slow, "march", [Row(amount="6"), Row(amount="7")])
    for ledger in (slow, quick):
        begin(ledger, batch, caps=caps)
    first, second, paid = (
        a_claim(slow, batch, 1),
        a_claim(slow, batch, 2),
        a_settle(slow, batch, 2, Event.CREDIT),
    )

    def other() -> None:
        if isinstance(quick.commit([second])[0], Claimed):
            quick.commit([paid])

    allowed, others = slow._allowed, []

    def slowly(*given: Any) -> Any:
        answer = allowed(*given)
        others.append(beside.submit(other))
        wait(others, 1)
        return answer

    monkeypatch.setattr(slow, "_allowed", slowly)
    slow.commit([first])
    for done in others:
        done.result(60)

    assert slow.spent(batch.id, "USD", 0) <= 10


# servers and files that are not as usual


def test_moments_are_those_of_this_host_whatever_the_clock_of_the_server_shows(
    hold: Hold, clock: Clock
) -> None:
    ledger = hold()
    ledger._database.offset_ms = DAY_MS
    batch = enrol(ledger, "march", [Row()])
    in_flight(ledger, batch)

    ledger.commit([a_settle(ledger, batch, 1, Event.RETRY, clock.ms + 5_000)])
    ledger.commit([Pause(batch.id, lane_of(ledger, batch), clock.ms + 7_000)])

    ((_, not_before_ms),) = ledger.candidates(batch.id, lane_of(ledger, batch), 0, 10)
    (lane,) = ledger.batch_lanes(batch.id)
    assert (not_before_ms, lane.lane.paused_until_ms) == (clock.ms + 5_000, clock.ms + 7_000)
    assert ledger.lane(lane.lane.identity) == lane.lane


def test_no_timeout_of_an_operator_ends_a_question_or_a_large_batch(postgres: Server) -> None:
    told = "-c%20statement_timeout%3D7000%20-c%20idle_session_timeout%3D7000"
    with closing(PostgresHome(f"{postgres.fresh_url()}&options={told}").hold()) as ledger:
        assert isinstance(ledger, PostgresLedger)
        for name in ("statement_timeout", "idle_session_timeout"):
            assert ledger._all(f"SHOW {name}") == [("0",)]


def test_whatever_stands_in_a_bad_cell_is_enrolled_and_corrected(hold: Hold) -> None:
    ledger = hold()
    dice = random.Random(1)
    endless = "".join(chr(dice.randrange(0x10000, 0x110000)) for _ in range(20_000))
    bad = [
        Row(account=endless, amount=endless, currency=endless, reference=endless, state=State.INVALID),
        Row(account="a\0b\\N\n\t\\.\n", amount="\0", reference="r\0", state=State.INVALID),
    ]
    batch = enrol(ledger, "march", [*bad, Row(reference="r1")])

    assert correct(ledger, batch, [*bad, Row(amount="2", reference="r1")]) == 1

    assert [row.amount for row in ledger.rows(batch.id, 2, 3)] == ["\ufffd", "2"]


def test_of_two_that_adopt_a_batch_one_is_told(hold: Hold) -> None:
    ledger = hold()
    batch = enrol(ledger, "march", [Row()])
    new = NewBatch("march", batch.content, "", "", {}, {}, live=False)

    with pytest.raises(RefusedError) as refused:
        ledger.adopt(new, [], "", "")

    assert refused.value.reason == "enrolled_meanwhile"
