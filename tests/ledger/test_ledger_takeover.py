"""A batch that changes hands: adopted by one ledger, closed in the other; and rows corrected one by one."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from ledger_parts import HOUR_MS, Clock, Lanes, Row, SqliteHome, begin, enrol, enrol_rows, row_of, say

from batchcredit.errors import DefectError, RefusedError
from batchcredit.ledger.base import (
    AdoptChunk,
    AdoptRow,
    BatchRecord,
    Claim,
    EnrolChunk,
    Ledger,
    NewBatch,
    NotClaimed,
)
from batchcredit.transfer import State

ROWS = [
    Row("Anna", "1", reference="A-1", state=State.CREDITED, reason=""),
    Row("Ben", "2", state=State.IN_DOUBT, reason="timeout"),
    Row("Cleo", "3", reference="A-3", state=State.UNSENT, reason="wallet_empty"),
    Row("Dora", "4", state=State.REJECTED, reason="unknown_account"),
]


def adopted(ledger: Ledger, clock_ms: int = 0, name: str = "march") -> BatchRecord:
    """A batch that another ledger sent: its rows, one chunk for each two."""
    lanes = Lanes(ledger)
    rows = [
        AdoptRow(
            texts, 200, "OK", None, "5.00", "6.00", 2, clock_ms, clock_ms, 9, "", None, f"t-other-{n}", n
        )
        for n, texts in enumerate(enrol_rows(ROWS, lanes), 1)
    ]
    new = NewBatch(name, name.encode(), "", "", {"USD": Decimal(10)}, {"shop": lanes["shop"]}, live=False)
    chunks = [AdoptChunk(first + 1, rows[first : first + 2], b"cells") for first in (0, 2)]
    return ledger.adopt(new, chunks, "the latest file", '{"sha256": "00"}')


def test_an_adopted_row_is_what_it_was(ledger: Ledger) -> None:
    """State, balances, times and the transfer's id are those of the ledger that sent it."""
    batch = adopted(ledger, 1_000)
    rows = ledger.rows(batch.id, 1, 4)
    assert [row.state for row in rows] == [row.state for row in ROWS]
    assert [row.transfer_id for row in rows] == ["t-other-1", "t-other-2.2", "t-other-3.3", "t-other-4.4"]
    first = rows[0]
    assert (first.attempts, first.sent_ms, first.ended_ms, first.duration_ms) == (2, 1_000, 1_000, 9)
    assert (first.http_status, first.balance_before, first.balance_after) == (200, "5.00", "6.00")
    assert batch.rows == 4
    assert batch.finished_ms is None


def test_what_was_sent_elsewhere_is_never_sent_here(ledger: Ledger) -> None:
    """Of an adopted batch only the row that was not sent can be claimed."""
    batch = adopted(ledger)
    begin(ledger, batch)
    lane = ledger.batch_lanes(batch.id)[0].lane.id
    assert [each.row for each, _ in ledger.candidates(batch.id, lane, 0, 10)] == [3]


def test_a_doubt_keeps_its_quiet_time(ledger: Ledger, clock: Clock) -> None:
    """No verdict not-credited before its quiet time is over, counted from its end."""
    batch = adopted(ledger, clock.ms)
    assert "not-credited" in say(ledger, batch.id, 2, "not-credited", "", HOUR_MS)
    clock.ms += HOUR_MS
    assert say(ledger, batch.id, 2, "not-credited", "", HOUR_MS) == ""


def test_the_adoption_stands_in_the_trail(ledger: Ledger) -> None:
    """Who adopted what, and on what it rests."""
    adopted(ledger)
    entry = next(iter(ledger.audit("march")))
    assert (entry.what, entry.note, json.loads(entry.known)) == (
        "adopted",
        "the latest file",
        {"sha256": "00"},
    )


def test_a_reference_that_was_credited_elsewhere_is_spent_here(ledger: Ledger) -> None:
    """A later batch can't send an adopted reference again."""
    adopted(ledger)
    later = enrol(ledger, "later", [Row("Anna", "1", reference="A-1")])
    assert row_of(ledger, later).state is State.ALREADY_CREDITED


def test_a_kill_while_a_batch_is_adopted_leaves_nothing(home: SqliteHome) -> None:
    """What was loading when the process died is not there for the next one."""
    ledger = home.hold()
    lanes = Lanes(ledger)
    new = NewBatch("march", b"march", "", "", {}, {"shop": lanes["shop"]}, live=False)

    def dies() -> Iterator[AdoptChunk]:
        texts = enrol_rows(ROWS, lanes)
        row = AdoptRow(texts[0], None, "", None, None, None, 1, 0, 0, 0, "", None, "t-other-1", 1)
        for first in range(1, 30):
            yield AdoptChunk(first, [row._replace(enrol=(first, *texts[0][1:7], None, *texts[0][8:]))], b"")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.adopt(new, dies(), "", "")
    ledger.close()
    ledger = home.hold()
    assert ledger.batches() == []
    assert list(ledger.audit()) == []
    assert adopted(ledger).rows == 4
    ledger.close()


def test_a_closed_batch_is_nobodys_to_change(ledger: Ledger) -> None:
    """No run, verdict, withdrawal or correction, and not even a claim of a run that had begun."""
    batch = adopted(ledger)
    begin(ledger, batch)
    lane = ledger.batch_lanes(batch.id)[0].lane.id
    (transfer, _), *_ = ledger.candidates(batch.id, lane, 0, 1)
    ledger.close_batch(batch.id, "handed over")
    assert isinstance(ledger.commit([Claim(batch.id, lane, transfer)])[0], NotClaimed)
    for attempt in (
        lambda: begin(ledger, batch),
        lambda: say(ledger, batch.id, 2, "credited", "", 0),
        lambda: ledger.cancel(batch.id, None, ""),
        lambda: ledger.correct(batch.id, b"", [], [3]),
    ):
        with pytest.raises(RefusedError, match="handed over") as caught:
            attempt()
        assert caught.value.reason == "batch_closed"
    assert ledger.rows(batch.id, 3, 3)[0].state is State.PENDING


def test_closing_again_changes_nothing(ledger: Ledger, clock: Clock) -> None:
    """The first time counts, in the batch and in the trail."""
    batch = adopted(ledger)
    ledger.close_batch(batch.id, "handed over")
    closed = ledger.batches("march")[0].closed_ms
    clock.ms += HOUR_MS
    ledger.close_batch(batch.id, "again")
    assert (ledger.batches("march")[0].closed_ms, ledger.batches("march")[0].closed_why) == (
        closed,
        "handed over",
    )
    assert [entry.what for entry in ledger.audit("march")] == ["adopted", "closed"]


def test_only_picked_rows_are_corrected(ledger: Ledger) -> None:
    """A row without a reference is corrected where it is named; one that is not named stays, whatever the
    chunk says of it; old and new stand in the trail."""
    batch = adopted(ledger)
    lanes = Lanes(ledger)
    changed = [Row("Anna", "9", reference="A-1"), ROWS[1], Row("Cyd", "3"), Row("Dan", "4.50")]
    count = ledger.correct(batch.id, b"new", [EnrolChunk(1, enrol_rows(changed, lanes), b"cells")], {4})
    rows = ledger.rows(batch.id, 1, 4)
    assert count == 1
    assert [row.account for row in rows] == ["Anna", "Ben", "Cleo", "Dan"]
    assert (rows[3].state, rows[3].transfer_id) == (State.PENDING, "t-other-4.5")
    known = json.loads(list(ledger.audit("march"))[-1].known)
    assert (known["was"]["account"], known["now"]["account"]) == ("Dora", "Dan")
    assert ledger.batches("march")[0].totals == {"USD": Decimal("10.50")}


@pytest.mark.parametrize("row", [1, 2])
def test_what_may_have_been_paid_is_not_corrected(ledger: Ledger, row: int) -> None:
    """Credited and doubtful rows refuse a new content, even if they are named."""
    batch = adopted(ledger)
    texts = enrol_rows([Row("Eve", "7")] * 4, Lanes(ledger))
    with pytest.raises(DefectError):
        ledger.correct(batch.id, b"new", [EnrolChunk(1, texts, b"cells")], {row})
    assert [each.account for each in ledger.rows(batch.id, 1, 4)] == ["Anna", "Ben", "Cleo", "Dora"]
