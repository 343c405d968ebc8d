"""Several holders of one PostgreSQL ledger at a time, each of which may lose its session at any moment."""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
from ledger_parts import (
    Clock,
    Lanes,
    PostgresHome,
    Row,
    a_claim,
    begin,
    claim,
    correct,
    enrol,
    row_of,
    settle,
    states,
)
from postgres_server import Server

from batchcredit.ledger.base import BatchRecord, Claimed, NotClaimed
from batchcredit.ledger.postgres.database import Pipeline, _cut
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
