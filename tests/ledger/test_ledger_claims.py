"""What a claim is granted, and what holds it back."""

import pytest
from ledger_parts import (
    DAY_MS,
    HOUR_MS,
    WINDOW_MS,
    Clock,
    Lanes,
    Row,
    a_claim,
    a_settle,
    begin,
    claim,
    drive,
    enrol,
    refusal,
    row_of,
    say,
    settle,
    states,
    transfer,
)

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import Claimed, Ledger, NotClaimed, Pause
from batchcredit.transfer import Event, State

PENDING, SENDING, IN_DOUBT, UNSENT = State.PENDING, State.SENDING, State.IN_DOUBT, State.UNSENT


@pytest.mark.parametrize("state", [SENDING, IN_DOUBT, PENDING, UNSENT])
def test_a_row_waits_for_the_same_transfer_of_an_older_batch(state: State, ledger: Ledger) -> None:
    """What may have been sent, or may still be sent by an older batch, holds an equal row up and is named."""
    drive(ledger, old := enrol(ledger, "old", [Row(account="Other"), Row()]), [PENDING, state])
    new = enrol(ledger, "new", [Row()])
    begin(ledger, new)
    answer = claim(ledger, new)
    assert answer == NotClaimed("open_elsewhere", f"the same transfer is row 2 of batch old, {state}")
    assert states(ledger, new) == [PENDING]
    assert row_of(ledger, new).reason == "open_elsewhere"
    assert row_of(ledger, new).message == answer.message
    assert states(ledger, old)[1] is state


@pytest.mark.parametrize(
    ("state", "held_up"),
    [(PENDING, ""), (UNSENT, ""), (IN_DOUBT, "open_elsewhere"), (SENDING, "open_elsewhere")],
)
def test_the_older_batch_does_not_wait_for_the_younger(state: State, held_up: str, ledger: Ledger) -> None:
    """Of two batches that both have the row left, the older one sends it; in doubt or in flight holds any."""
    old = enrol(ledger, "old", [Row()])
    young = enrol(ledger, "young", [Row()])
    if state is not PENDING:  # the older row is out of the way as long as it is rejected
        begin(ledger, old)
        assert refusal(ledger, old) == ""
        settle(ledger, old, 1, Event.REJECT)
    drive(ledger, young, [state])
    begin(ledger, old, rejected=True)
    assert refusal(ledger, old) == held_up


@pytest.mark.parametrize("state", [State.REJECTED, State.CANCELLED])
def test_what_is_over_elsewhere_holds_nothing_up(state: State, ledger: Ledger) -> None:
    """A transfer that an older batch was refused or withdrew may be sent."""
    drive(ledger, enrol(ledger, "old", [Row()]), [state])
    begin(ledger, new := enrol(ledger, "new", [Row()]))
    assert refusal(ledger, new) == ""


@pytest.mark.parametrize(
    "other",
    [
        Row(account="Berta"),
        Row(amount="1.5"),
        Row(currency="KES"),
        Row(profile="kiosk"),
        Row(reference="else"),
    ],
)
def test_another_transfer_is_not_the_same(other: Row, ledger: Ledger) -> None:
    """Another account, amount, currency, lane or reference makes another transfer."""
    drive(ledger, enrol(ledger, "old", [other]), [IN_DOUBT])
    begin(ledger, new := enrol(ledger, "new", [Row(reference="mine")]))
    assert refusal(ledger, new) == ""


def test_a_profile_keeps_its_name(ledger: Ledger) -> None:
    """A profile that was given another login stands for the same provider: its rows are still the same."""
    old = enrol(ledger, "old", [Row()])
    drive(ledger, old, [State.REJECTED])
    ledger.change_lane(old.id, "shop", Lanes(ledger)["another login"])
    begin(ledger, old, rejected=True)
    begin(ledger, new := enrol(ledger, "new", [Row()]))
    assert refusal(ledger, new) == "open_elsewhere"


def test_a_login_under_two_names_is_one(ledger: Ledger) -> None:
    """Two profiles' names for one lane send the same transfer."""
    old = enrol(ledger, "old", [Row(profile="kiosk")])
    ledger.change_lane(old.id, "kiosk", Lanes(ledger)["shop"])
    begin(ledger, new := enrol(ledger, "new", [Row()]))
    assert refusal(ledger, new) == "open_elsewhere"


def test_a_name_in_other_letters_is_the_same_account(ledger: Ledger) -> None:
    """Accounts are compared by the adapter's key."""
    drive(ledger, enrol(ledger, "old", [Row(account="ANNA")]), [IN_DOUBT])
    begin(ledger, new := enrol(ledger, "new", [Row(account="anna")]))
    assert refusal(ledger, new) == "open_elsewhere"


@pytest.mark.parametrize(
    ("age_ms", "word"), [(0, "repeat"), (WINDOW_MS - 1, "repeat"), (WINDOW_MS, ""), (WINDOW_MS + DAY_MS, "")]
)
def test_a_repeat_is_held_back_within_the_window(
    age_ms: int, word: str, ledger: Ledger, clock: Clock
) -> None:
    """What was credited less than the window ago is not sent again by chance."""
    drive(ledger, enrol(ledger, "old", [Row()]), [State.CREDITED])
    clock.ms += age_ms
    begin(ledger, new := enrol(ledger, "new", [Row()]))
    assert refusal(ledger, new) == word


@pytest.mark.parametrize("approved_by", ["enrol", "run"])
def test_an_approved_repeat_is_sent(approved_by: str, ledger: Ledger, clock: Clock) -> None:
    """A person who has seen the repeats may allow them, as the batch is enrolled or later."""
    drive(ledger, enrol(ledger, "old", [Row()]), [State.CREDITED])
    clock.ms += HOUR_MS
    allowed = {"repeats_allowed_ms": clock.ms} if approved_by == "enrol" else {}
    new = enrol(ledger, "new", [Row()], **allowed)
    begin(ledger, new, allow_ms=clock.ms if approved_by == "run" else 0)
    assert refusal(ledger, new) == ""


def test_an_approval_does_not_cover_what_is_credited_after_it(ledger: Ledger, clock: Clock) -> None:
    """Nobody has seen a repeat of what was not credited yet; a new approval covers it."""
    old = enrol(ledger, "old", [Row()])
    new = enrol(ledger, "new", [Row()], repeats_allowed_ms=clock.ms)
    clock.ms += HOUR_MS
    drive(ledger, old, [State.CREDITED])
    begin(ledger, new)
    assert refusal(ledger, new) == "repeat"
    begin(ledger, new, allow_ms=clock.ms)
    assert refusal(ledger, new) == ""


def test_an_approval_does_not_cover_what_a_verdict_credits_after_it(ledger: Ledger, clock: Clock) -> None:
    """A row in doubt is no repeat that could be approved: the verdict that makes it one comes later."""
    old = enrol(ledger, "old", [Row()])
    drive(ledger, old, [IN_DOUBT])
    clock.ms += HOUR_MS
    new = enrol(ledger, "new", [Row()], repeats_allowed_ms=clock.ms)
    begin(ledger, new)
    assert refusal(ledger, new) == "open_elsewhere"
    clock.ms += HOUR_MS
    assert say(ledger, old.id, 1, "credited", "seen", 0) == ""
    begin(ledger, new)
    assert refusal(ledger, new) == "repeat"
    clock.ms += 1
    begin(ledger, new, allow_ms=clock.ms)
    assert refusal(ledger, new) == ""


@pytest.mark.parametrize("state", [SENDING, IN_DOUBT, State.CREDITED])
def test_a_reference_is_spent_once(state: State, ledger: Ledger, clock: Clock) -> None:
    """A reference that stands for another transfer is refused, at any age, and its holder is named."""
    drive(ledger, enrol(ledger, "old", [Row(account="Berta", reference="r")]), [state])
    clock.ms += 100 * DAY_MS
    begin(ledger, new := enrol(ledger, "new", [Row(reference="r")]))
    answer = claim(ledger, new)
    assert answer == NotClaimed("reference_taken", f"the reference stands for row 1 of batch old, {state}")


@pytest.mark.parametrize("state", [PENDING, UNSENT, State.REJECTED, State.CANCELLED])
def test_a_reference_that_was_not_spent_is_free(state: State, ledger: Ledger) -> None:
    """What was not sent or was refused has not used its reference up."""
    drive(ledger, enrol(ledger, "old", [Row(account="Berta", reference="r")]), [state])
    begin(ledger, new := enrol(ledger, "new", [Row(reference="r")]))
    assert refusal(ledger, new) == ""


def test_rows_without_reference_share_nothing(ledger: Ledger) -> None:
    """No reference is no reference: any number of rows has none."""
    batch = enrol(ledger, "b", [Row(account=name) for name in "ABC"])
    drive(ledger, batch, [SENDING, SENDING, SENDING])


def test_an_account_has_one_transfer_in_flight(ledger: Ledger) -> None:
    """The next transfer of an account waits for the one before; after that it goes."""
    batch = enrol(ledger, "b", [Row(amount="1"), Row(account="ANNA", amount="2"), Row(account="Berta")])
    begin(ledger, batch)
    assert [refusal(ledger, batch, row) for row in (1, 2, 3)] == ["", "account_in_flight", ""]
    settle(ledger, batch, 1, Event.DOUBT)
    assert refusal(ledger, batch, 2) == ""


def test_an_account_of_two_lanes_is_two_accounts(ledger: Ledger) -> None:
    """The same name at another login is somebody else."""
    drive(ledger, enrol(ledger, "b", [Row(), Row(profile="kiosk")]), [SENDING, SENDING])


@pytest.mark.parametrize("state", [state for state in State if state is not PENDING])
def test_only_a_pending_row_is_claimed(state: State, ledger: Ledger) -> None:
    """A row in any other state is not sent, and stays as it is."""
    if state in (State.INVALID, State.ALREADY_CREDITED):
        batch = enrol(ledger, "b", [Row(state=State.INVALID)])
        if state is State.ALREADY_CREDITED:
            drive(ledger, enrol(ledger, "a", [Row(reference="r")]), [State.CREDITED])
            batch = enrol(ledger, "c", [Row(reference="r")])
    else:
        drive(ledger, batch := enrol(ledger, "b", [Row()]), [state])
    before = row_of(ledger, batch)
    assert before.state is state
    assert refusal(ledger, batch) == "not_pending"
    assert row_of(ledger, batch) == before


def test_a_claim_names_its_batch(ledger: Ledger) -> None:
    """A transfer is not claimed under another batch's name."""
    batch, other = enrol(ledger, "b", [Row()]), enrol(ledger, "other", [Row(account="Berta")])
    begin(ledger, batch)
    mine = a_claim(ledger, batch)
    [answer] = ledger.commit([type(mine)(other.id, mine.lane, mine.transfer)])
    assert isinstance(answer, NotClaimed)
    assert states(ledger, batch) == [PENDING]


def test_a_claim_is_an_intent_with_a_time(ledger: Ledger, clock: Clock) -> None:
    """The intent counts an attempt, tells when it was made, and wipes what the attempt before left."""
    begin(ledger, batch := enrol(ledger, "b", [Row()]))
    assert refusal(ledger, batch) == ""
    settle(ledger, batch, 1, Event.RETRY, reason="connect", message="no", http_status=429, provider_code="X")
    before = host.boot_s()
    clock.ms += HOUR_MS
    answer = claim(ledger, batch)
    assert isinstance(answer, Claimed)
    assert before <= answer.boot_s <= host.boot_s()
    row = row_of(ledger, batch)
    assert (row.attempts, row.sent_ms) == (2, clock.ms)
    assert (row.reason, row.message, row.http_status, row.provider_code) == ("", "", None, "")
    assert (row.ended_ms, row.duration_ms, row.settled_by) == (None, None, "")


def test_the_lane_knows_when_it_was_used(ledger: Ledger, clock: Clock) -> None:
    """The last request of a lane, by any batch, spaces the first one of the next run; a refusal is none."""
    begin(ledger, batch := enrol(ledger, "b", [Row(), Row(amount="2"), Row(profile="kiosk")]))
    assert refusal(ledger, batch, 1) == ""
    if ledger.is_shared:  # where the moments are the ledger's, it is the one who hands them out
        pytest.skip("asked of the moments that a shared ledger hands out")
    sent_ms, clock.ms = clock.ms, clock.ms + HOUR_MS
    assert refusal(ledger, batch, 2) == "account_in_flight"
    lanes = {lane.profile: lane.lane for lane in ledger.batch_lanes(batch.id)}
    assert {name: lane.last_sent_ms for name, lane in lanes.items()} == {"shop": sent_ms, "kiosk": None}


def test_a_pause_is_remembered(ledger: Ledger, clock: Clock) -> None:
    """What a provider asked for outlives the run."""
    batch = enrol(ledger, "b", [Row()])
    assert ledger.commit([Pause(batch.id, Lanes(ledger)["shop"], clock.ms + 5000)]) == [None]
    assert ledger.batch_lanes(batch.id)[0].lane.paused_until_ms == clock.ms + 5000


def test_candidates_are_pages_of_pending_rows(ledger: Ledger, clock: Clock) -> None:
    """Pages of a lane's pending rows come in file order, with the time before which a retry waits."""
    rows = [Row(account=f"c{number}", profile=("shop", "kiosk")[number % 2]) for number in range(8)]
    batch = enrol(ledger, "b", rows)
    begin(ledger, batch)
    lane = Lanes(ledger)["shop"]
    assert refusal(ledger, batch, 1) == ""
    settle(ledger, batch, 1, Event.RETRY, not_before_ms=clock.ms + 5)
    assert refusal(ledger, batch, 3) == ""
    settle(ledger, batch, 3, Event.CREDIT)
    first = ledger.candidates(batch.id, lane, 0, 2)
    assert [(found.row, wait_ms) for found, wait_ms in first] == [(1, clock.ms + 5), (5, 0)]
    rest = ledger.candidates(batch.id, lane, 5, 2)
    assert [found for found, _ in rest] == [transfer(ledger, batch, 7)]
    assert ledger.candidates(batch.id, lane, 7, 2) == []


def test_a_group_is_answered_in_order(ledger: Ledger) -> None:
    """Claims, endings and pauses of one transaction take effect one after the other."""
    begin(ledger, batch := enrol(ledger, "b", [Row(), Row(amount="2"), Row(account="Berta")]))
    claims = [a_claim(ledger, batch, row) for row in (1, 2, 3)]
    ending = a_settle(ledger, batch, 1, Event.CREDIT)
    pause = Pause(batch.id, claims[0].lane, 1)
    answers = ledger.commit([claims[0], claims[1], ending, claims[1], pause, claims[2]])
    words = [answer.reason if isinstance(answer, NotClaimed) else type(answer).__name__ for answer in answers]
    assert words == ["Claimed", "account_in_flight", "NoneType", "Claimed", "NoneType", "Claimed"]
    assert states(ledger, batch) == [State.CREDITED, SENDING, SENDING]


def test_an_ending_without_an_attempt_is_a_defect_and_takes_the_group_back(ledger: Ledger) -> None:
    """A row that is not being sent can't end; nothing of the same transaction stands."""
    begin(ledger, batch := enrol(ledger, "b", [Row(), Row(account="Berta")]))
    with pytest.raises(DefectError, match="settled twice"):
        ledger.commit([a_claim(ledger, batch, 1), a_settle(ledger, batch, 2, Event.CREDIT)])
    assert states(ledger, batch) == [PENDING, PENDING]
    assert refusal(ledger, batch, 1) == ""
