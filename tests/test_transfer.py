"""The words of the domain: the table of moves, money as text, and the columns of results."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.transfer import (
    MOVES,
    RESULT_COLUMNS,
    SPENT,
    STATUS,
    STATUSES,
    Event,
    State,
    looks_like_results,
    moved,
    shortest,
    states_allowing,
)

AMOUNTS = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False, places=6)

#: What was paid, or may have been, and by which events money may leave that.
ESCAPES = {
    (State.SENDING, Event.REJECT),
    (State.SENDING, Event.RETRY),
    (State.SENDING, Event.GIVE_UP),
    (State.IN_DOUBT, Event.DENY),
    (State.IN_DOUBT, Event.LATE_REFUSAL),
    (State.IN_DOUBT, Event.LATE_MISS),
}


def test_the_table_is_as_the_contract_says() -> None:
    """Every move that there is; whoever adds one has to say so here too."""
    told = {(state.value, event.value): now.value for (state, event), now in MOVES.items()}
    assert told == {
        ("pending", "claim"): "sending",
        ("pending", "cancel"): "cancelled",
        ("pending", "recognise"): "already_credited",
        ("pending", "retract"): "in_doubt",
        ("sending", "credit"): "credited",
        ("sending", "reject"): "rejected",
        ("sending", "retry"): "pending",
        ("sending", "give_up"): "unsent",
        ("sending", "doubt"): "in_doubt",
        ("unsent", "reopen"): "pending",
        ("unsent", "retract"): "in_doubt",
        ("pending", "set_aside"): "unsent",
        ("unsent", "cancel"): "cancelled",
        ("rejected", "reopen"): "pending",
        ("rejected", "cancel"): "cancelled",
        ("invalid", "reopen"): "pending",
        ("in_doubt", "confirm"): "credited",
        ("in_doubt", "deny"): "pending",
        ("credited", "retract"): "in_doubt",
        ("pending", "restore"): "in_doubt",
        ("unsent", "restore"): "in_doubt",
        ("rejected", "restore"): "in_doubt",
        ("in_doubt", "late_credit"): "credited",
        ("in_doubt", "late_refusal"): "rejected",
        ("in_doubt", "late_miss"): "pending",
        ("pending", "late_credit"): "credited",
        ("unsent", "late_credit"): "credited",
        ("cancelled", "late_credit"): "credited",
        ("rejected", "late_credit"): "credited",
    }


def test_only_a_claim_begins_a_request() -> None:
    """There is one way into `sending`, and it starts at `pending`."""
    into = [(state, event) for (state, event), now in MOVES.items() if now is State.SENDING]
    assert into == [(State.PENDING, Event.CLAIM)]


def test_money_that_may_have_moved_is_let_go_by_few() -> None:
    """Out of the spent states lead a refusal and what was provably not executed, in time or late, and a
    person's verdict."""
    out = {key for key, now in MOVES.items() if key[0] in SPENT and now not in SPENT}
    assert out == ESCAPES


def test_what_is_withdrawn_or_recognised_stays() -> None:
    """No move leads out of these, but for the provider's late word that the credit was given after all."""
    final = {state for state in State if all(e is Event.LATE_CREDIT for was, e in MOVES if was is state)}
    assert final == {State.CANCELLED, State.ALREADY_CREDITED}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_a_move_is_in_the_table_or_is_none(state: State, event: Event) -> None:
    """`moved` and the guards of the SQL statements say the same."""
    assert moved(state, event) is MOVES.get((state, event))
    assert (state in states_allowing(event)) == ((state, event) in MOVES)


def test_every_event_may_happen_somewhere() -> None:
    """No word without a use."""
    assert all(states_allowing(event) for event in Event)


def test_every_state_has_a_status_that_is_shown() -> None:
    """A row that is being sent reads as in doubt, one that was never executed as not sent."""
    assert set(STATUS) == set(State)
    assert set(STATUS.values()) == set(STATUSES)
    assert len(set(STATUSES)) == len(STATUSES) == 7
    assert STATUS[State.SENDING] == "in_doubt"
    assert STATUS[State.PENDING] == STATUS[State.UNSENT] == "not_sent"


@given(AMOUNTS)
def test_the_shortest_form_keeps_the_value(amount: Decimal) -> None:
    """It is the same number, plain, and nothing can be left out of it."""
    text = shortest(amount)
    assert Decimal(text) == amount
    assert "e" not in text.lower()
    assert not ("." in text and text.endswith(("0", ".")))
    assert shortest(Decimal(text)) == text


@given(AMOUNTS, st.integers(0, 6))
def test_equal_values_have_one_form(amount: Decimal, zeros: int) -> None:
    """Padding does not make another amount: rows are compared by value."""
    padded = Decimal(format(amount, "f") + "0" * zeros)
    assert shortest(padded) == shortest(amount)


@pytest.mark.parametrize(
    ("text", "form"),
    [("12.10", "12.1"), ("100", "100"), ("1E+2", "100"), ("0.000001", "0.000001"), ("5.00", "5")],
)
def test_amounts_people_write(text: str, form: str) -> None:
    """Examples of the shortest form."""
    assert shortest(Decimal(text)) == form


def test_results_are_known_by_their_columns() -> None:
    """Five of our columns together are telling, and no four; a user's own `row` and `status` are not."""
    telling = {"row", "status", "transfer_id", "batch", "seal"}
    assert looks_like_results(["account", *RESULT_COLUMNS])
    assert looks_like_results(telling)
    for column in telling:
        assert not looks_like_results(telling - {column})
    assert not looks_like_results(["account", "amount", "row", "status"])
