"""A person's word: verdicts, withdrawals, corrections; and what it leaves behind."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from ledger_parts import (
    HOUR_MS,
    Clock,
    Lanes,
    Row,
    SqliteHome,
    begin,
    claim,
    correct,
    drive,
    enrol,
    refusal,
    row_of,
    say,
    settle,
    states,
)

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.audit import breaks
from batchcredit.ledger.base import BatchRecord, Claimed, EnrolChunk, Ledger
from batchcredit.ledger.sql.ledger import SqlLedger
from batchcredit.transfer import MOVES, Event, State

QUIET_MS = HOUR_MS
EVENTS = {"credited": Event.CONFIRM, "not-credited": Event.DENY, "in-doubt": Event.RETRACT}


def in_state(ledger: Ledger, state: State, **changes: str) -> BatchRecord:
    """A batch whose one row came into this state without a person's verdict."""
    if state is State.ALREADY_CREDITED:
        drive(ledger, enrol(ledger, "other", [Row(reference="r")]), [State.CREDITED])
        return enrol(ledger, "b", [Row(reference="r")])
    batch = enrol(
        ledger, "b", [Row(state=State.INVALID if state is State.INVALID else State.PENDING, **changes)]
    )
    if state is not State.INVALID:
        drive(ledger, batch, [state])
    return batch


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verdict", EVENTS)
def test_a_verdict_moves_only_what_the_table_says(
    state: State, verdict: str, ledger: Ledger, clock: Clock
) -> None:
    """Without a verdict before it, a person's word settles rows in doubt and nothing else."""
    batch = in_state(ledger, state)
    clock.ms += QUIET_MS
    before = row_of(ledger, batch)
    problem = say(ledger, batch.id, 1, verdict, "seen in the list", QUIET_MS)
    if state is State.IN_DOUBT and verdict != "in-doubt":
        assert problem == ""
        after = row_of(ledger, batch)
        assert after.state is MOVES[state, EVENTS[verdict]]
        assert (after.settled_by, after.reason, after.message) == ("person", "verdict", "seen in the list")
        assert (after.attempts, after.ended_ms) == (before.attempts, before.ended_ms)
    else:
        assert problem
        assert row_of(ledger, batch) == before


def test_there_is_no_verdict_on_no_row(ledger: Ledger) -> None:
    """A row number that the batch does not have is said to be none."""
    batch = in_state(ledger, State.IN_DOUBT)
    assert say(ledger, batch.id, 2, "credited", "", 0) == "there is no row 2"


@pytest.mark.parametrize(("after_ms", "is_early"), [(0, True), (QUIET_MS - 1, True), (QUIET_MS, False)])
def test_not_credited_waits_for_the_quiet_time(
    after_ms: int, is_early: bool, ledger: Ledger, clock: Clock
) -> None:
    """A lost request may be executed late, so evidence that it was not comes later still."""
    batch = in_state(ledger, State.IN_DOUBT)
    until_ms, clock.ms = clock.ms + QUIET_MS, clock.ms + after_ms
    problem = say(ledger, batch.id, 1, "not-credited", "", QUIET_MS)
    assert bool(problem) == is_early
    assert not is_early or host.iso(until_ms) in problem
    assert states(ledger, batch) == [State.IN_DOUBT if is_early else State.PENDING]


def test_credited_does_not_wait(ledger: Ledger) -> None:
    """Whoever sees the credit need not wait for more."""
    batch = in_state(ledger, State.IN_DOUBT)
    assert say(ledger, batch.id, 1, "credited", "", QUIET_MS) == ""


def test_the_quiet_time_of_a_crash_begins_when_it_is_found(home: SqliteHome, clock: Clock) -> None:
    """Nobody knows when the attempt ended; that it had ended is known from the next start on."""
    ledger = home.hold()
    begin(ledger, batch := enrol(ledger, "b", [Row()]))
    assert refusal(ledger, batch) == ""
    ledger.close()
    clock.ms += QUIET_MS
    ledger = home.hold()
    assert say(ledger, batch.id, 1, "not-credited", "", QUIET_MS) != ""
    clock.ms += QUIET_MS
    assert say(ledger, batch.id, 1, "not-credited", "", QUIET_MS) == ""
    ledger.close()


@pytest.mark.parametrize("verdict", ["credited", "not-credited"])
def test_a_verdict_can_be_taken_back(verdict: str, ledger: Ledger, clock: Clock) -> None:
    """As long as the row was not sent again it is in doubt once more, and may be resolved anew."""
    batch = in_state(ledger, State.IN_DOUBT)
    clock.ms += QUIET_MS
    assert say(ledger, batch.id, 1, verdict, "", QUIET_MS) == ""
    assert say(ledger, batch.id, 1, "in-doubt", "mistyped", 0) == ""
    assert states(ledger, batch) == [State.IN_DOUBT]
    assert say(ledger, batch.id, 1, "in-doubt", "", 0) != ""
    assert say(ledger, batch.id, 1, "not-credited", "", QUIET_MS) == ""


@pytest.mark.parametrize("event", [Event.CREDIT, Event.RETRY])
def test_a_verdict_is_not_taken_back_once_the_row_was_sent_again(event: Event, ledger: Ledger) -> None:
    """Then the verdict is no longer what the row's state rests on."""
    batch = in_state(ledger, State.IN_DOUBT)
    assert say(ledger, batch.id, 1, "not-credited", "", 0) == ""
    begin(ledger, batch)
    assert refusal(ledger, batch) == ""
    settle(ledger, batch, 1, event)
    assert "no verdict to take back" in say(ledger, batch.id, 1, "in-doubt", "", 0)


def test_a_new_run_does_not_forget_the_verdict(ledger: Ledger) -> None:
    """A run in which the row was not sent leaves the verdict to be taken back."""
    batch = in_state(ledger, State.IN_DOUBT)
    assert say(ledger, batch.id, 1, "not-credited", "", 0) == ""
    ledger.end_run(begin(ledger, batch), batch.id, "stopped")
    assert say(ledger, batch.id, 1, "in-doubt", "", 0) == ""


def test_a_verdict_is_not_taken_back_when_its_reference_was_used(ledger: Ledger) -> None:
    """Meanwhile the reference stands for another transfer, and a row in doubt would claim it too."""
    batch = in_state(ledger, State.IN_DOUBT, reference="r")
    assert say(ledger, batch.id, 1, "not-credited", "", 0) == ""
    drive(ledger, enrol(ledger, "else", [Row(account="Berta", reference="r")]), [State.CREDITED])
    assert "sent or credited elsewhere" in say(ledger, batch.id, 1, "in-doubt", "", 0)
    assert states(ledger, batch) == [State.PENDING]
    begin(ledger, batch)
    assert refusal(ledger, batch) == "reference_taken"


def test_every_word_is_kept(ledger: Ledger, clock: Clock) -> None:
    """Who said what, when, and what the row was before."""
    batch = in_state(ledger, State.IN_DOUBT)
    assert isinstance(ledger, SqlLedger)
    assert say(ledger, batch.id, 1, "credited", "first", 0) == ""
    assert say(ledger, batch.id, 1, "in-doubt", "second", 0) == ""
    assert say(ledger, batch.id, 1, "not-credited", "third", 0) == ""
    assert ledger.cancel(batch.id, 1, "fourth") == 1
    trail = list(ledger.audit(batch.name))
    about = (clock.ms, host.user(), host.name(), batch.name, 1, row_of(ledger, batch).transfer_id, "person")
    assert [(entry.what, entry.was, entry.note) for entry in trail] == [
        ("credited", "in_doubt", "first"),
        ("in-doubt", "credited", "second"),
        ("not-credited", "in_doubt", "third"),
        ("cancelled", "pending", "fourth"),
    ]
    for one in trail:
        assert (*one[1:4], *one[5:8], one.settled_by) == about
    assert trail == list(ledger.audit())
    assert not list(breaks(trail))


@pytest.mark.parametrize("state", State)
def test_only_what_is_open_is_withdrawn(state: State, ledger: Ledger) -> None:
    """Pending, unsent and rejected rows; anything else stays as it is."""
    batch = in_state(ledger, state)
    may = state in (State.PENDING, State.UNSENT, State.REJECTED)
    assert ledger.cancel(batch.id, 1, "no longer wanted") == may
    assert states(ledger, batch) == [State.CANCELLED if may else state]
    assert not may or row_of(ledger, batch).message == "no longer wanted"


def test_a_batch_is_withdrawn_whole(ledger: Ledger) -> None:
    """Without a row all that is open goes, and is sent by no run."""
    batch = enrol(ledger, "b", [Row(account=name) for name in "abcde"])
    drive(ledger, batch, [State.CREDITED, State.REJECTED, State.UNSENT, State.IN_DOUBT])
    assert ledger.cancel(batch.id, None, "") == 3
    gone = State.CANCELLED
    assert states(ledger, batch) == [State.CREDITED, gone, gone, State.IN_DOUBT, gone]
    begin(ledger, batch, rejected=True)
    assert not ledger.candidates(batch.id, Lanes(ledger)["shop"], 0, 9)


# corrections

OPEN = {State.PENDING, State.UNSENT, State.REJECTED, State.INVALID}


@pytest.mark.parametrize("state", [state for state in State if state is not State.ALREADY_CREDITED])
@pytest.mark.parametrize("reference", ["r", None])
def test_only_an_open_row_with_a_reference_is_corrected(
    state: State, reference: str | None, ledger: Ledger
) -> None:
    """What was credited, is in doubt or was withdrawn stays; so does what nothing identifies."""
    given = Row(reference=reference, state=State.INVALID if state is State.INVALID else State.PENDING)
    batch = enrol(ledger, "b", [given])
    if state is not State.INVALID:
        drive(ledger, batch, [state])
    before, corrected = row_of(ledger, batch), Row(amount="2", reference=reference)
    if state in OPEN and reference:
        assert correct(ledger, batch, [corrected]) == 1
        assert (row_of(ledger, batch).state, row_of(ledger, batch).amount) == (State.PENDING, "2")
    else:
        with pytest.raises(DefectError, match="row 1"):
            correct(ledger, batch, [corrected])
        assert row_of(ledger, batch) == before
        assert ledger.batches("b")[0].content == b"b"
        assert list(ledger.cells(batch.id)) == [(1, 1, b"cells 0")]


def test_a_correction_is_a_new_transfer_and_keeps_the_old_one(ledger: Ledger, clock: Clock) -> None:
    """A new transfer_id, linked to the old; rows that did not change keep everything."""
    rows = [Row(account="a", reference="r1"), Row(account="b", reference="r2")]
    batch = enrol(ledger, "b", rows)
    drive(ledger, batch, [State.REJECTED, State.REJECTED])
    before = ledger.rows(batch.id, 1, 2)
    corrected = [rows[0], Row(account="c", amount="7", currency="KES", profile="kiosk", reference="r2")]
    clock.ms += HOUR_MS
    ledger.change_lane(batch.id, "kiosk", Lanes(ledger)["kiosk"])
    assert correct(ledger, batch, corrected) == 1
    after = ledger.rows(batch.id, 1, 2)
    assert after[0] == before[0]
    assert after[1].transfer_id == before[1].transfer_id + ".2"
    assert (after[1].state, after[1].attempts) == (State.PENDING, 1)
    known = ledger.batches("b")[0]
    assert (known.content, known.finished_ms) == (b"corrected", None)
    assert known.totals == {"USD": Decimal(1), "KES": Decimal(7)}
    assert list(ledger.cells(batch.id)) == [(1, 2, b"new cells")]
    assert isinstance(ledger, SqlLedger)
    kept = ledger._all(
        "SELECT generation, account, amount, currency, reference, state, attempts, at FROM corrected"
    )
    assert kept == [(1, "b", "1", "USD", "r2", "rejected", 1, clock.ms)]


def test_a_correction_of_a_correction(ledger: Ledger) -> None:
    """Each generation has an id of its own, and goes through its new lane."""
    batch = enrol(ledger, "b", [Row(reference="r")])
    for generation in (2, 3):
        assert correct(ledger, batch, [Row(amount=str(generation), reference="r")]) == 1
        assert row_of(ledger, batch).transfer_id.endswith(f"-1.{generation}")
    begin(ledger, batch)
    assert isinstance(claim(ledger, batch), Claimed)
    assert row_of(ledger, batch).transfer_id.endswith("-1.3")


def test_a_correction_that_changes_nothing_is_none(ledger: Ledger) -> None:
    """The same rows again have the ids that they had."""
    batch = enrol(ledger, "b", [Row(reference="r"), Row(account="B")])
    before = ledger.rows(batch.id, 1, 2)
    assert correct(ledger, batch, [Row(reference="r"), Row(account="B")]) == 0
    assert ledger.rows(batch.id, 1, 2) == before


def test_a_row_that_has_become_valid_is_corrected(ledger: Ledger) -> None:
    """The texts are the same and only the rules have changed: it can be sent now."""
    batch = enrol(ledger, "b", [Row(reference="r", state=State.INVALID, reason="amount_decimals")])
    assert correct(ledger, batch, [Row(reference="r")]) == 1
    begin(ledger, batch)
    assert refusal(ledger, batch) == ""


def test_a_correction_that_breaks_leaves_all_as_it_was(ledger: Ledger) -> None:
    """One row that may not be corrected, or a file that ends in the middle, takes the others back."""
    rows = [Row(account="a", reference="r1"), Row(account="b", reference="r2")]
    batch = enrol(ledger, "b", rows)
    before = ledger.rows(batch.id, 1, 2)
    fine = (1, Lanes(ledger)["shop"], "shop", "a", "a", "9", "USD", "r1", "pending", "", "")

    def chunks() -> Iterator[EnrolChunk]:
        yield EnrolChunk(1, [fine], b"new")
        raise OSError("the file is gone")

    with pytest.raises(Exception, match="the file is gone"):
        ledger.correct(batch.id, b"new", chunks())
    assert ledger.rows(batch.id, 1, 2) == before
    assert ledger.batches("b")[0].content == b"b"


# names of transfers, and ends of batches


def test_a_transfer_keeps_its_id(ledger: Ledger) -> None:
    """The id is made before the first send, begins with the ledger's, is unique, and outlives any resend."""
    batch = enrol(ledger, "b", [Row(account=name) for name in "abc"])
    other = enrol(ledger, "other", [Row(account="d")])
    ids = [row.transfer_id for row in (*ledger.rows(batch.id, 1, 3), *ledger.rows(other.id, 1, 1))]
    assert len(set(ids)) == 4
    assert all(one.startswith(f"t-{ledger.id}-") for one in ids)
    begin(ledger, batch)
    for event in (Event.RETRY, Event.GIVE_UP):
        assert refusal(ledger, batch) == ""
        settle(ledger, batch, 1, event)
        assert row_of(ledger, batch).transfer_id == ids[0]
    begin(ledger, batch)
    assert refusal(ledger, batch) == ""
    assert row_of(ledger, batch).transfer_id == ids[0]


@pytest.mark.parametrize(
    ("state", "is_finished"),
    [
        (State.CREDITED, True),
        (State.REJECTED, True),
        (State.IN_DOUBT, True),
        (State.SENDING, True),
        (State.PENDING, False),
        (State.UNSENT, False),
    ],
)
def test_a_batch_is_finished_when_nothing_is_left_to_send(
    state: State, is_finished: bool, ledger: Ledger, clock: Clock
) -> None:
    """Rows in doubt and rejected are for a person, not for the same command."""
    batch = enrol(ledger, "b", [Row(account="a"), Row(account="b")])
    drive(ledger, batch, [State.CREDITED, state])
    clock.ms += HOUR_MS
    ledger.end_run(1, batch.id, "")
    assert ledger.batches("b")[0].finished_ms == (clock.ms if is_finished else None)


def test_a_finished_batch_that_has_rows_again_is_open(ledger: Ledger, clock: Clock) -> None:
    """A verdict 'not credited' opens it, taking that back or a withdrawal closes it."""
    batch = in_state(ledger, State.IN_DOUBT)
    finished = lambda: ledger.batches("b")[0].finished_ms  # noqa: E731
    ledger.end_run(1, batch.id, "")
    assert finished() == clock.ms
    assert say(ledger, batch.id, 1, "not-credited", "", 0) == ""
    assert finished() is None
    clock.ms += HOUR_MS
    assert say(ledger, batch.id, 1, "in-doubt", "", 0) == ""
    assert finished() == clock.ms
    assert say(ledger, batch.id, 1, "not-credited", "", 0) == ""
    assert ledger.cancel(batch.id, 1, "") == 1
    assert finished() == clock.ms


def test_a_withdrawal_does_not_change_when_a_batch_was_finished(ledger: Ledger, clock: Clock) -> None:
    """It was finished when its last row ended; the age of a batch decides what its file may do."""
    batch = in_state(ledger, State.REJECTED)
    ledger.end_run(1, batch.id, "")
    ended_ms, clock.ms = clock.ms, clock.ms + HOUR_MS
    assert ledger.cancel(batch.id, None, "") == 1
    assert ledger.batches("b")[0].finished_ms == ended_ms


def test_a_batch_whose_end_nobody_wrote_down_was_finished_by_its_last_row(
    home: SqliteHome, clock: Clock
) -> None:
    """A run killed after its last ending is no open batch for ever, nor one that was finished today."""
    ledger = home.hold()
    drive(ledger, batch := enrol(ledger, "b", [Row()]), [State.CREDITED])
    drive(ledger, enrol(ledger, "open", [Row(account="c")]), [State.PENDING])
    ended_ms, clock.ms = clock.ms, clock.ms + 30 * 24 * HOUR_MS
    ledger.close()
    ledger = home.hold()
    assert [known.finished_ms for known in ledger.batches()] == [None, ended_ms]
    assert states(ledger, batch) == [State.CREDITED]
    ledger.close()


def test_only_a_test_ledger_forgets(ledger: Ledger) -> None:
    """A rehearsal may start anew, with all that belongs to it gone; a live batch is kept for ever."""
    batch = in_state(ledger, State.IN_DOUBT, reference="r")
    assert say(ledger, batch.id, 1, "not-credited", "", 0) == ""
    assert correct(ledger, batch, [Row(amount="2", reference="r")]) == 1
    ledger.forget(batch.id)
    assert ledger.batches() == []
    drive(ledger, enrol(ledger, "b", [Row(reference="r")]), [State.CREDITED])


def test_a_live_ledger_forgets_nothing(ledger: Ledger) -> None:
    """Deleting what money rests on is a defect, whoever asks."""
    batch = enrol(ledger, "b", [Row()], live=True)
    with pytest.raises(DefectError):
        ledger.forget(batch.id)
    assert ledger.batches() == [batch]
