"""Which rows a sender of a shared ledger is offered: those that a claim may be granted for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from ledger_parts import PostgresHome, Row, begin, claim, enrol, lane_of, refusal, row_of, settle

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import BatchRecord, Claimed, Ledger
from batchcredit.ledger.postgres.ledger import PostgresLedger
from batchcredit.transfer import Event, State

if TYPE_CHECKING:
    from postgres_server import Server

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def senders(postgres: "Server") -> Iterator[tuple[Ledger, Ledger]]:
    home = PostgresHome(postgres.fresh_url())
    both = home.hold(), home.hold()
    yield both
    for ledger in both:
        ledger.close()


def offered(ledger: Ledger, batch: BatchRecord) -> list[int]:
    found = ledger.candidates(batch.id, lane_of(ledger, batch, 1), 0, 10)
    return [transfer.row for transfer, _ in found]


def test_what_an_ending_put_back_is_offered_to_others(senders: tuple[Ledger, Ledger]) -> None:
    """A row that met a 429 has a reason, and is anybody's; one that a claim was refused for is nobody's."""
    first, second = senders
    begin(first, batch := enrol(first, "b", [Row(), Row(account="B", reference="taken"), Row(account="C")]))
    begin(first, other := enrol(first, "c", [Row(account="D", reference="taken")]))
    assert isinstance(claim(first, other), Claimed)
    begin(first, batch)
    begin(second, batch)
    assert isinstance(claim(first, batch), Claimed)
    wait = {"not_before_ms": host.now_ms() + 2_000}
    settle(first, batch, 1, Event.RETRY, reason="rate_limited", **wait)
    assert refusal(second, batch, 2) == "reference_taken"
    assert row_of(second, batch, 1).reason == "rate_limited"
    assert offered(second, batch) == [1, 3]
    assert isinstance(claim(second, batch), Claimed)
    settle(second, batch, 1, Event.RETRY, reason="rate_limited", **wait)
    assert offered(first, batch) == [1, 3]


def test_a_row_that_was_put_back_and_then_held_is_not_offered(senders: tuple[Ledger, Ledger]) -> None:
    """Else passes over it would never end."""
    first, second = senders
    begin(first, batch := enrol(first, "b", [Row(reference="taken")]))
    assert isinstance(claim(first, batch), Claimed)
    settle(first, batch, 1, Event.RETRY, reason="rate_limited", not_before_ms=host.now_ms())
    begin(second, other := enrol(second, "c", [Row(account="D", reference="taken")]))
    assert isinstance(claim(second, other), Claimed)
    assert refusal(first, batch) == "reference_taken"
    assert offered(first, batch) == []
    assert row_of(first, batch).state is State.PENDING


def test_rows_of_a_closed_batch_are_not_offered(senders: tuple[Ledger, Ledger]) -> None:
    """A sender that has one in memory leaves it, and is not told to try again."""
    first, second = senders
    begin(first, batch := enrol(first, "b", [Row(), Row(account="B")]))
    second.close_batch(batch.id, "sent elsewhere")
    assert offered(first, batch) == []
    assert refusal(first, batch) == "not_pending"


def test_a_row_whose_earlier_attempt_was_confirmed_is_not_offered(senders: tuple[Ledger, Ledger]) -> None:
    """Its claim is refused for ever."""
    first, _ = senders
    begin(first, batch := enrol(first, "b", [Row(), Row(account="B")]))
    assert isinstance(first, PostgresLedger)
    with first._transaction():
        first._change("UPDATE transfer SET late_at = 1 WHERE batch = ? AND row = 1", batch.id)
    assert offered(first, batch) == [2]
    assert refusal(first, batch) == "not_pending"


def test_an_ending_after_the_run_is_a_defect(senders: tuple[Ledger, Ledger]) -> None:
    """What a run left on its way is in doubt, and nobody is there who could hear of it."""
    first, _ = senders
    run = begin(first, batch := enrol(first, "b", [Row()]))
    assert isinstance(claim(first, batch), Claimed)
    first.end_run(run, batch.id, "stopped")
    with pytest.raises(DefectError):
        settle(first, batch, 1, Event.CREDIT)
    assert row_of(first, batch).state is State.IN_DOUBT
