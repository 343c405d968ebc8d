"""A batch in money: nothing is lost in its sums, and no difference is explained away."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runner_parts import Row, enrolled

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import BatchRecord, OwnBalance
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.runner.settling.money import Doubtful, choices_of, meaning_of, money_of
from batchcredit.runner.summary import check_conserved
from batchcredit.transfer import STATUS, State

AMOUNTS = st.lists(st.integers(1, 40).map(lambda cents: Decimal(cents) / 4), max_size=7)


def rows_of(amounts: Sequence[Decimal]) -> list[Doubtful]:
    return [Doubtful(row, amount) for row, amount in enumerate(amounts, 1)]


@given(AMOUNTS, st.integers(1, 120).map(lambda cents: Decimal(cents) / 4))
def test_every_choice_of_rows_is_found(amounts: list[Decimal], gone: Decimal) -> None:
    """As trying all of them finds it: none where there is none, the one where there is one, else two."""
    rows = rows_of(amounts)
    possible = [
        tuple(row.row for row in choice)
        for number in range(1, len(rows) + 1)
        for choice in combinations(rows, number)
        if sum(row.amount for row in choice) == gone
    ]
    found = choices_of(gone, rows)
    assert found is not None
    assert len(found) == min(len(possible), 2)
    assert set(found) <= set(possible)


def test_what_would_take_too_long_is_not_tried() -> None:
    """A hundred rows have more sums than anybody waits for."""
    assert choices_of(Decimal(2) ** 99, rows_of([Decimal(2) ** power for power in range(100)])) is None


@given(AMOUNTS, st.data())
def test_a_difference_that_rows_in_doubt_made_is_never_called_unexplained(
    amounts: list[Decimal], data: st.DataObject
) -> None:
    """Whatever of them was executed in truth; and only without rows in doubt is anything called explained."""
    executed = data.draw(st.lists(st.booleans(), min_size=len(amounts), max_size=len(amounts)))
    gone = sum((amount for amount, was in zip(amounts, executed, strict=True) if was), Decimal(0))
    meaning = meaning_of(-gone, "USD", rows_of(amounts), sum(amounts, Decimal(0)))
    assert meaning.explained is (None if amounts else True)


@given(AMOUNTS, st.integers(5, 400).map(lambda cents: Decimal(cents) / 100))
def test_more_than_all_rows_in_doubt_is_not_explained(amounts: list[Decimal], more: Decimal) -> None:
    """What is gone beyond all of them left by another way, and what has come in is no loss."""
    in_doubt = sum(amounts, Decimal(0))
    meaning = meaning_of(-in_doubt - more, "USD", rows_of(amounts), in_doubt)
    assert meaning.explained is False
    assert "more is gone than this ledger explains" in meaning.words
    assert "a top-up" in meaning_of(more, "USD", rows_of(amounts), in_doubt).words


@pytest.mark.parametrize(
    ("difference", "amounts", "words"),
    [
        ("0.004", [], "adds up"),
        ("0", ["3"], "adds up if no row in doubt was credited"),
        ("-7", ["3", "4"], "explained if every row in doubt was credited"),
        ("-3", ["3", "4"], "explained if of the rows in doubt just these were credited: 1"),
        ("-3", ["3", "3"], "explained by rows in doubt, and 3 USD fits more than one choice of them"),
        ("-5", ["3", "4"], "5 USD more is gone, and no choice of rows in doubt makes just that"),
        (
            "-8.5",
            ["3", "4"],
            "8.5 USD more is gone than this ledger explains, even if every row in doubt was credited",
        ),
        ("-8.5", [], "8.5 USD more is gone than this ledger explains"),
        ("100", [], "100 USD more than expected: a top-up of so much would explain it"),
    ],
)
def test_a_difference_in_words(difference: str, amounts: list[str], words: str) -> None:
    """What a finance person reads."""
    rows = rows_of([Decimal(amount) for amount in amounts])
    total = sum((row.amount for row in rows), Decimal(0))
    assert meaning_of(Decimal(difference), "USD", rows, total).words == words


def test_rows_in_doubt_of_other_batches_may_explain_it_too() -> None:
    """Which rows those are, this batch can't tell."""
    meaning = meaning_of(Decimal(-5), "USD", rows_of([Decimal(1)]), Decimal(9))
    assert (meaning.explained, meaning.words.endswith("of this batch or of others")) == (None, True)


STATES = [State.CREDITED, State.CREDITED, State.REJECTED, State.IN_DOUBT, State.IN_DOUBT, State.PENDING]


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    return SqliteLedger.hold(tmp_path / "ledger.db", "test")


def a_batch(ledger: SqliteLedger, name: str, states: Sequence[State], sent_ms: int) -> BatchRecord:
    """Rows of 1, 2, 3, ... in these states, sent at this moment."""
    rows = [
        Row(account=f"{name}{number}", amount=f"{number}", state=state)
        for number, state in enumerate(states, 1)
    ]
    batch = enrolled(ledger, name, rows)
    with ledger._transaction():
        ledger._change(
            "UPDATE transfer SET sent_at = ? WHERE batch = ? AND state <> 'pending'", sent_ms, batch.id
        )
        ledger._change(
            "INSERT INTO run (batch, user, host, pid, started_at) VALUES (?, '', '', 1, ?)", batch.id, sent_ms
        )
    return batch


def told(ledger: SqliteLedger, batch: BatchRecord, *told: tuple[str, int, str, str]) -> None:
    lane = ledger.batch_lanes(batch.id)[0].lane.id
    ledger.note_own_balances(
        batch.id,
        [OwnBalance(lane, moment, at, Decimal(amount), currency) for moment, at, amount, currency in told],
    )


def test_a_batch_in_sums(ledger: SqliteLedger) -> None:
    """By provider, currency and status; the own account against what went out, another batch's included."""
    batch = a_batch(ledger, "march", STATES, 1500)
    a_batch(ledger, "april", [State.CREDITED, State.CREDITED], 1600)
    a_batch(ledger, "may", [State.CREDITED], 5000)
    told(
        ledger,
        batch,
        ("before", 1000, "100", "USD"),
        ("after", 1400, "90", "USD"),
        ("before", 1450, "90", "USD"),
    )
    told(ledger, batch, ("after", 2000, "90", "USD"))
    money = money_of(ledger, batch)
    (line,), (account,) = money.lines, money.accounts
    assert (line.enrolled, line.rows) == (
        Decimal(21),
        {"credited": 2, "rejected": 1, "in_doubt": 2, "not_sent": 1},
    )
    assert {STATUS[state]: line.amounts[STATUS[state]] for state in set(STATES)} == {
        "credited": Decimal(3),
        "rejected": Decimal(3),
        "in_doubt": Decimal(9),
        "not_sent": Decimal(6),
    }
    assert (account.sent, account.others, account.expected, account.difference) == (3, 3, 94, -4)
    assert account.meaning.words == "explained if of the rows in doubt just these were credited: 4"
    said = money.as_json()
    assert said["accounts"][0] | {"words": ""} == {
        "provider": "clicksend",
        "currency": "USD",
        "before": "100",
        "after": "90",
        "expected": "94",
        "difference": "-4",
        "explained": None,
        "words": "",
    }


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("", "", "units of its own"),
        ("AUD", "USD", "in AUD before and in USD after"),
        ("AUD", "AUD", "USD went out at an unknown rate"),
    ],
)
def test_what_can_not_be_compared_is_not(ledger: SqliteLedger, before: str, after: str, words: str) -> None:
    """Units, and other currencies, are shown as they were told."""
    batch = a_batch(ledger, "march", STATES, 1500)
    told(ledger, batch, ("before", 1000, "100", before), ("after", 2000, "90", after))
    (account,) = money_of(ledger, batch).accounts
    assert (account.expected, account.difference, account.meaning.explained) == (None, None, None)
    assert words in account.meaning.words


def test_without_both_balances_nothing_is_said_of_the_account(ledger: SqliteLedger) -> None:
    """A run that was killed has no balance after it."""
    batch = a_batch(ledger, "march", STATES, host.now_ms())
    told(ledger, batch, ("before", 1000, "100", "USD"))
    assert money_of(ledger, batch).accounts == []


def test_money_that_is_not_there_is_a_defect(ledger: SqliteLedger) -> None:
    """Sums of a batch are those that it was enrolled with, or nothing is told."""
    batch = a_batch(ledger, "march", STATES, 1500)
    shares = ledger.shares(batch.id)
    check_conserved(batch, shares)
    with pytest.raises(DefectError):
        check_conserved(batch, shares[1:])
