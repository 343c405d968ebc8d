"""The torturer's own judgement: each lie that results could tell is found out."""

import pytest
from books import Payment, Row, payment
from mortal_provider import Entry
from torture_truth import assert_no_false_credit, assert_true, doubtful, paid

ONE = Entry("executed", "clicksend", "70001", "1.50", "USD", "")


def rows(*statuses: str) -> list[Row]:
    """Rows that all ask for ONE."""
    return [{**ONE._asdict(), "status": status} for status in statuses]


def paid_one() -> set[Payment]:
    return paid([ONE])


@pytest.mark.parametrize(
    "statuses",
    [
        ("credited",),
        ("in_doubt",),
        ("credited", "already_credited"),
        ("in_doubt", "not_sent"),
        ("rejected", "credited"),
    ],
)
def test_true_of_what_was_paid(statuses: tuple[str, ...]) -> None:
    assert_true(rows(*statuses), paid_one())
    assert_no_false_credit(rows(*statuses), paid_one())


@pytest.mark.parametrize(
    "statuses",
    [
        *(("not_sent",), ("rejected",), ("invalid",), ("cancelled",), ("already_credited",)),
        ("credited", "credited"),
        ("credited", "in_doubt"),
    ],
)
def test_false_of_what_was_paid(statuses: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        assert_true(rows(*statuses), paid_one())


@pytest.mark.parametrize("status", ["not_sent", "rejected", "invalid", "cancelled", "in_doubt"])
def test_true_of_what_was_not_paid(status: str) -> None:
    assert_true(rows(status), set())


@pytest.mark.parametrize("status", ["credited", "already_credited"])
def test_false_of_what_was_not_paid(status: str) -> None:
    with pytest.raises(AssertionError):
        assert_true(rows(status), set())


def test_credited_too_early() -> None:
    """Results of a batch that still goes on are held to their `credited` only."""
    with pytest.raises(AssertionError, match="never executed"):
        assert_no_false_credit(rows("credited"), set())


def test_paid_without_a_row() -> None:
    with pytest.raises(AssertionError, match="no row asked"):
        assert_true([], paid_one())


def test_paid_twice() -> None:
    """The same money, however it is written."""
    with pytest.raises(AssertionError, match="paid twice"):
        paid([ONE, ONE._replace(amount="1.5")])


def test_what_leaves_doubt() -> None:
    """Any fault but a 429."""
    arrivals = [ONE._replace(event="arrived", fault=fault) for fault in ("", "status_429", "close_after")]
    assert doubtful(arrivals) == 1
    assert payment(arrivals[0]._asdict()) in paid_one()
