"""Limits on money, as each claim checks them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ledger_parts import DAY_MS, HOUR_MS, Clock, Row, a_claim, a_settle, begin, drive, enrol, refusal, settle

from batchcredit.ledger.base import Caps, Claimed, Ledger
from batchcredit.transfer import Event, State

NAIROBI = ZoneInfo("Africa/Nairobi")


def day_start(ms: int) -> int:
    """Midnight in Nairobi, three hours before that of UTC."""
    there = datetime.fromtimestamp(ms / 1000, NAIROBI)
    return int(there.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


def caps(**limits: str) -> Caps:
    """Limits in USD; other currencies have none."""
    given: dict[str, Any] = {name: {"USD": Decimal(cap)} for name, cap in limits.items()}
    return Caps(day_start=day_start, **given)


def rows(*amounts: str, account: str = "") -> list[Row]:
    """Rows of these amounts, each for an account of its own unless one is named."""
    return [Row(account=account or f"c{number}", amount=amount) for number, amount in enumerate(amounts)]


def at(clock: Clock, hour: int, minute: int = 0) -> None:
    """Set the clock to this time of a day in Nairobi."""
    moment = datetime(2026, 3, 10, 0, minute, tzinfo=NAIROBI) + timedelta(hours=hour)
    clock.ms = int(moment.astimezone(UTC).timestamp() * 1000)


@pytest.mark.parametrize(("amount", "word"), [("5", ""), ("5.0001", "limit_max_amount")])
def test_one_transfer(amount: str, word: str, ledger: Ledger) -> None:
    """max_amount bounds one transfer; the limit itself is allowed."""
    begin(ledger, batch := enrol(ledger, "b", rows(amount)), caps=caps(transfer="5"))
    assert refusal(ledger, batch) == word


def test_another_currency_has_limits_of_its_own(ledger: Ledger) -> None:
    """A limit in USD says nothing about KES."""
    batch = enrol(ledger, "b", [Row(amount="999", currency="KES"), Row(account="B", amount="5")])
    begin(ledger, batch, caps=caps(transfer="5", account_day="5", batch="5", day="5"))
    assert [refusal(ledger, batch, row) for row in (1, 2)] == ["", ""]


def test_one_batch(ledger: Ledger) -> None:
    """max_total counts what the batch has spent in all its runs, and no other batch."""
    drive(ledger, enrol(ledger, "other", [Row(account="z", amount="100")]), [State.CREDITED])
    batch = enrol(ledger, "b", rows("3", "2", "0.5", "0.5"))
    drive(ledger, batch, [State.CREDITED])
    begin(ledger, batch, caps=caps(batch="5.5"))
    assert [refusal(ledger, batch, row) for row in (2, 3, 4)] == ["", "", "limit_max_total"]


def test_one_day_of_the_whole_ledger(ledger: Ledger, clock: Clock) -> None:
    """max_day counts every batch since midnight in the operator's zone."""
    at(clock, 23, 59)
    drive(ledger, enrol(ledger, "yesterday", [Row(account="y", amount="4")]), [State.CREDITED])
    at(clock, 24, 1)
    drive(ledger, enrol(ledger, "today", [Row(account="z", amount="3")]), [State.IN_DOUBT])
    begin(ledger, batch := enrol(ledger, "b", rows("2", "0.1")), caps=caps(day="5"))
    assert [refusal(ledger, batch, row) for row in (1, 2)] == ["", "limit_max_day"]


def test_the_day_turns_in_the_middle_of_a_run(ledger: Ledger, clock: Clock) -> None:
    """At midnight in the operator's zone a new sum begins."""
    at(clock, 23, 59)
    begin(ledger, batch := enrol(ledger, "b", rows("5", "5", "5")), caps=caps(day="5"))
    assert [refusal(ledger, batch, row) for row in (1, 2)] == ["", "limit_max_day"]
    settle(ledger, batch, 1, Event.CREDIT)
    at(clock, 24, 0)
    assert [refusal(ledger, batch, row) for row in (2, 3)] == ["", "limit_max_day"]


def test_what_was_sent_before_midnight_is_not_given_back_to_the_new_day(ledger: Ledger, clock: Clock) -> None:
    """The new day has not counted it, so its refusal makes no room there."""
    at(clock, 23, 59)
    begin(ledger, batch := enrol(ledger, "b", rows("5", "5", "5")), caps=caps(day="5"))
    assert refusal(ledger, batch, 1) == ""
    at(clock, 24, 1)
    assert refusal(ledger, batch, 2) == ""
    settle(ledger, batch, 1, Event.REJECT)
    assert refusal(ledger, batch, 3) == "limit_max_day"


def test_one_account_and_day(ledger: Ledger, clock: Clock) -> None:
    """max_account counts what one client got today, by any batch, whatever the letters of the name."""
    at(clock, 12)
    drive(ledger, enrol(ledger, "other", [Row(account="ANNA", amount="3")]), [State.CREDITED])
    batch = enrol(
        ledger, "b", [*rows("2", account="anna"), *rows("0.5", account="Anna"), Row(account="Berta")]
    )
    begin(ledger, batch, caps=caps(account_day="5"))
    assert refusal(ledger, batch, 1) == ""
    settle(ledger, batch, 1, Event.DOUBT)
    assert [refusal(ledger, batch, row) for row in (2, 3)] == ["limit_max_account", ""]
    clock.ms += DAY_MS
    assert refusal(ledger, batch, 2) == ""


@pytest.mark.parametrize("limit", ["batch", "day", "account_day"])
@pytest.mark.parametrize(
    ("event", "word"),
    [
        (Event.REJECT, ""),
        (Event.RETRY, ""),
        (Event.GIVE_UP, ""),
        (Event.CREDIT, "limit"),
        (Event.DOUBT, "limit"),
    ],
)
def test_what_moved_nothing_is_given_back(event: Event, word: str, limit: str, ledger: Ledger) -> None:
    """A refused or unsent transfer makes room again; one that may have moved money does not."""
    batch = enrol(ledger, "b", rows("5", "5.000", account="anna"))
    begin(ledger, batch, caps=caps(**{limit: "5"}))
    assert refusal(ledger, batch, 1) == ""
    settle(ledger, batch, 1, event)
    assert refusal(ledger, batch, 2).partition("_")[0] == word


def test_sums_hold_within_one_group(ledger: Ledger) -> None:
    """Claims of one transaction count for each other, and endings in between give back."""
    begin(ledger, batch := enrol(ledger, "b", rows("2", "2", "2")), caps=caps(batch="4", day="4"))
    claims = [a_claim(ledger, batch, row) for row in (1, 2, 3)]
    answers = ledger.commit([*claims, a_settle(ledger, batch, 1, Event.REJECT), claims[2]])
    assert [isinstance(answer, Claimed) for answer in answers] == [True, True, False, False, True]


def test_sums_are_exact(ledger: Ledger) -> None:
    """A tenth, a hundred times, is ten and not a little less or more."""
    batch = enrol(ledger, "b", rows(*["0.1"] * 101))
    begin(ledger, batch, caps=caps(batch="10", day="10"))
    words = [refusal(ledger, batch, row) for row in range(1, 102)]
    assert words == [""] * 100 + ["limit_max_total"]


def test_a_limit_names_itself(ledger: Ledger) -> None:
    """The words tell which limit it was and how high."""
    begin(ledger, batch := enrol(ledger, "b", rows("7")), caps=caps(day="5"))
    [answer] = ledger.commit([a_claim(ledger, batch)])
    assert not isinstance(answer, Claimed)
    assert answer is not None
    assert answer.message == "[limits] max_day of 5 USD would be exceeded"


def test_spent_is_what_may_have_moved_since(ledger: Ledger, clock: Clock) -> None:
    """Credited, sending and in doubt count by the time they were sent; of a batch or of the whole ledger."""
    drive(ledger, old := enrol(ledger, "old", rows("1")), [State.CREDITED])
    since_ms = clock.ms = clock.ms + HOUR_MS
    wanted = [State.CREDITED, State.REJECTED, State.UNSENT, State.IN_DOUBT, State.SENDING, State.PENDING]
    drive(ledger, new := enrol(ledger, "new", rows("2", "4", "8", "16", "32", "64")), wanted)
    assert ledger.spent(old.id, "USD", 0) == 1
    assert ledger.spent(new.id, "USD", 0) == 2 + 16 + 32
    assert ledger.spent(None, "USD", 0) == 1 + 2 + 16 + 32
    assert ledger.spent(None, "USD", since_ms) == 2 + 16 + 32
    assert ledger.spent(None, "KES", 0) == 0
