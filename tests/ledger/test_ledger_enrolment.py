"""How rows enter a ledger: whole or not at all, and recognised where they were credited before."""

from collections.abc import Iterator

import pytest
from ledger_parts import (
    DAY_MS,
    HOUR_MS,
    WINDOW_MS,
    Clock,
    Lanes,
    Row,
    SqliteHome,
    begin,
    drive,
    enrol,
    enrol_rows,
    refusal,
    row_of,
    settle,
    states,
)

from batchcredit.errors import DefectError
from batchcredit.ledger.base import EnrolChunk, Ledger, NewBatch
from batchcredit.transfer import Event, State

SKIPPED = State.ALREADY_CREDITED


def test_rows_enter_as_they_are(ledger: Ledger) -> None:
    """Texts, states and reasons of the rows come back, in order, over many chunks."""
    rows = [
        Row(account=f" {n}", amount=f"{n}.50", reference=f"r{n}" if n % 2 else None) for n in range(1, 80)
    ]
    rows.append(Row(account="", amount="abc", currency="", state=State.INVALID, reason="amount"))
    batch = enrol(ledger, "b", rows)
    assert batch.rows == 80
    known = ledger.rows(batch.id, 1, 80)
    given = [(row.account, row.amount, row.currency, row.reference, row.state) for row in rows]
    assert [(row.account, row.amount, row.currency, row.reference, row.state) for row in known] == given
    assert {(row.attempts, row.sent_ms, row.settled_by) for row in known} == {(0, None, "")}
    assert known[79].reason == "amount"


def broken(ledger: Ledger, rows: int, error: BaseException) -> Iterator[EnrolChunk]:
    """A file that can be read this far."""
    for number in range(1, rows + 1):
        [text] = enrol_rows([Row(account=str(number))], Lanes(ledger))
        yield EnrolChunk(number, [(number, *text[1:])], b"")
    raise error


@pytest.mark.parametrize("rows", [0, 1, 40])
@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt()], ids=repr)
def test_a_file_that_breaks_off_leaves_no_batch(rows: int, error: BaseException, ledger: Ledger) -> None:
    """Nobody sees it, it holds nothing up, and the same name can be used again."""
    lane = Lanes(ledger)["shop"]
    new = NewBatch("b", b"b", "", "", {}, {"shop": lane}, live=True)
    with pytest.raises((Exception, KeyboardInterrupt)):
        ledger.enrol(new, broken(ledger, rows, error))
    assert ledger.batches() == []
    assert ledger.batches_of(b"b") == []
    assert ledger.is_live() is None
    whole = enrol(ledger, "b", [Row(account="1")])
    assert whole.rows == 1
    begin(ledger, whole)
    assert refusal(ledger, whole) == ""


def test_a_name_is_used_once(ledger: Ledger) -> None:
    """Two batches of one name would be two truths; the constraint of the database says no."""
    batch = enrol(ledger, "b", [Row()])
    with pytest.raises(Exception, match=r"batch\.name|another run has just enrolled a batch b"):
        enrol(ledger, "b", [Row(account="B")], content=b"other")
    assert ledger.batches() == [batch]


@pytest.mark.parametrize("live", [True, False])
def test_a_ledger_is_live_or_test_from_its_first_batch_on(live: bool, ledger: Ledger) -> None:
    """Rehearsals and money do not share a ledger."""
    assert ledger.is_live() is None
    enrol(ledger, "b", [Row()], live=live)
    assert ledger.is_live() is live
    with pytest.raises(DefectError):
        enrol(ledger, "other", [Row(account="B")], live=not live)
    assert len(ledger.batches()) == 1


@pytest.mark.parametrize("when", ["enrol", "run"])
def test_a_reference_that_was_credited_is_recognised(when: str, home: SqliteHome, clock: Clock) -> None:
    """At any age, whether it was credited before the file was enrolled or afterwards."""
    ledger = home.hold()
    old = enrol(ledger, "old", [Row(reference="r")])
    if when == "enrol":
        drive(ledger, old, [State.CREDITED])
    clock.ms += 100 * DAY_MS
    new = enrol(ledger, "new", [Row(reference="r"), Row(account="B", reference="s")])
    if when == "run":
        drive(ledger, old, [State.CREDITED])
        assert states(ledger, new)[0] is State.PENDING
        begin(ledger, new)
    assert states(ledger, new) == [SKIPPED, State.PENDING]
    assert row_of(ledger, new).reason == "same_reference"
    ledger.close()


@pytest.mark.parametrize(
    "other",
    [
        Row(reference="r", amount="2"),
        Row(reference="r", account="B"),
        Row(reference="s"),
        Row(reference=None),
    ],
)
def test_only_the_same_transfer_is_recognised(other: Row, ledger: Ledger) -> None:
    """A reference alone, or content alone, is no proof that this transfer was credited."""
    drive(ledger, enrol(ledger, "old", [other]), [State.CREDITED])
    assert states(ledger, enrol(ledger, "new", [Row(reference="r")])) == [State.PENDING]


@pytest.mark.parametrize(
    "state", [State.PENDING, State.UNSENT, State.REJECTED, State.IN_DOUBT, State.SENDING]
)
def test_only_what_was_credited_is_recognised(state: State, ledger: Ledger) -> None:
    """What may still come to nothing is no credit."""
    drive(ledger, enrol(ledger, "old", [Row(reference="r")]), [state])
    since_ms = 0
    new = enrol(ledger, "new", [Row(reference="r")], skip_repeats_since_ms=since_ms)
    assert states(ledger, new) == [State.PENDING]


def test_an_unsent_row_credited_elsewhere_meanwhile_is_recognised(ledger: Ledger) -> None:
    """Opened again by a run, and at once recognised; a rejected one only if the run was asked to send it."""
    rows = [Row(account="a", reference="r"), Row(account="b", reference="s")]
    batch = enrol(ledger, "b", rows)
    drive(ledger, batch, [State.UNSENT, State.REJECTED])
    drive(ledger, enrol(ledger, "other", rows), [State.PENDING, State.CREDITED])
    begin(ledger, batch)
    assert states(ledger, batch) == [State.PENDING, State.REJECTED]
    begin(ledger, batch, rejected=True)
    assert states(ledger, batch) == [State.PENDING, SKIPPED]


def test_a_rejected_row_whose_reference_went_elsewhere_is_not_sent(ledger: Ledger) -> None:
    """Its reference stands for another transfer by now; asking for rejected rows does not change that."""
    batch = enrol(ledger, "b", [Row(reference="r")])
    drive(ledger, batch, [State.REJECTED])
    drive(ledger, enrol(ledger, "other", [Row(amount="9", reference="r")]), [State.CREDITED])
    begin(ledger, batch, rejected=True)
    assert refusal(ledger, batch) == "reference_taken"
    assert states(ledger, batch) == [State.PENDING]


@pytest.mark.parametrize("when", ["enrol", "run"])
@pytest.mark.parametrize(("age_ms", "state"), [(HOUR_MS, SKIPPED), (WINDOW_MS, State.PENDING)])
def test_repeats_are_left_out_if_asked(
    when: str, age_ms: int, state: State, ledger: Ledger, clock: Clock
) -> None:
    """An equal row that was credited within the window counts as this one; an older one does not."""
    drive(ledger, enrol(ledger, "old", [Row()]), [State.CREDITED])
    clock.ms += age_ms
    since_ms = clock.ms - WINDOW_MS
    asked = {"skip_repeats_since_ms": since_ms} if when == "enrol" else {}
    new = enrol(ledger, "new", [Row(), Row(account="B")], **asked)
    begin(ledger, new, skip_since_ms=since_ms if when == "run" else None)
    assert states(ledger, new) == [state, State.PENDING]
    assert state is State.PENDING or row_of(ledger, new).reason == "repeat"


def test_a_run_opens_what_was_not_sent(ledger: Ledger, clock: Clock) -> None:
    """Unsent rows may go at once; a pending one keeps the time that it waits for; rejected ones stay."""
    batch = enrol(ledger, "b", [Row(account=name) for name in "abcd"])
    drive(ledger, batch, [State.PENDING, State.UNSENT, State.REJECTED, State.CREDITED])
    assert refusal(ledger, batch, 1) == ""
    settle(ledger, batch, 1, Event.RETRY, not_before_ms=clock.ms + HOUR_MS, reason="connect", message="no")
    begin(ledger, batch)
    assert states(ledger, batch) == [State.PENDING, State.PENDING, State.REJECTED, State.CREDITED]
    waits = [wait_ms for _, wait_ms in ledger.candidates(batch.id, Lanes(ledger)["shop"], 0, 9)]
    assert waits == [clock.ms + HOUR_MS, 0]
    assert row_of(ledger, batch, 1).message == ""


def test_a_crash_leaves_in_doubt_what_was_being_sent(home: SqliteHome, clock: Clock) -> None:
    """Exactly that, in every batch; and the run it happened in is over."""
    ledger = home.hold()
    batch = enrol(ledger, "b", [Row(account=name) for name in "abcdef"])
    wanted = [State.SENDING, State.CREDITED, State.REJECTED, State.UNSENT, State.IN_DOUBT, State.PENDING]
    drive(ledger, batch, wanted)
    before = ledger.rows(batch.id, 1, 6)
    ledger.close()
    clock.ms += HOUR_MS
    ledger = home.hold()
    after = ledger.rows(batch.id, 1, 6)
    assert after[1:] == before[1:]
    assert (after[0].state, after[0].reason, after[0].ended_ms) == (State.IN_DOUBT, "interrupted", clock.ms)
    assert after[0].attempts == 1
    assert ledger.spent(None, "USD", clock.ms - HOUR_MS) == 3
    ledger.close()


def test_rows_of_a_profile_change_their_lane_together(ledger: Ledger) -> None:
    """What is left goes through the new lane; what was sent stays with the one that sent it."""
    batch = enrol(ledger, "b", [Row(account="a"), Row(account="b"), Row(account="c", profile="kiosk")])
    drive(ledger, batch, [State.CREDITED])
    lanes = Lanes(ledger)
    ledger.change_lane(batch.id, "shop", lanes["third"])
    assert [row.row for row, _ in ledger.candidates(batch.id, lanes["third"], 0, 9)] == [2]
    assert [row.row for row, _ in ledger.candidates(batch.id, lanes["kiosk"], 0, 9)] == [3]
    assert ledger.candidates(batch.id, lanes["shop"], 0, 9) == []
    by_profile = {lane.profile: lane.lane.id for lane in ledger.batch_lanes(batch.id)}
    assert by_profile == {"shop": lanes["third"], "kiosk": lanes["kiosk"]}
