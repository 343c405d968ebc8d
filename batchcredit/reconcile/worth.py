"""What a row adds to its client's balance, exactly or between two bounds.

Where a provider counts in units, an amount buys units at the client's rate. Nobody tells that rate: it is
learnt from the client's other rows, whose printed units bound it from both sides.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from batchcredit.ledger.base import SentRow

_PROVIDER = "provider"


class Range(NamedTuple):
    """A number that is known between two bounds, both included."""

    low: Fraction
    high: Fraction

    def __add__(self, other: object) -> "Range":
        assert isinstance(other, Range)
        return Range(self.low + other.low, self.high + other.high)

    @property
    def is_exact(self) -> bool:
        return self.low == self.high


NOTHING = Range(Fraction(0), Fraction(0))


def exactly(amount: Decimal) -> Range:
    """A number that is known."""
    return Range(Fraction(amount), Fraction(amount))


def step(*printed: Decimal) -> Fraction:
    """The last digit of the coarsest of these numbers, as they were printed."""
    exponents = [number.as_tuple().exponent for number in printed]
    return Fraction(Decimal(1).scaleb(max(each for each in exponents if isinstance(each, int))))


def worth(row: SentRow, rate: Range | None, *, counts_units: bool) -> Range | None:
    """What this row adds to the balance if it is credited; None where that is not known."""
    if not counts_units:
        return exactly(row.amount)
    if row.units is not None and is_told(row):
        return exactly(row.units)
    if rate is None:
        return None
    return Range(Fraction(row.amount) * rate.low, Fraction(row.amount) * rate.high)


def unit_rate(rows: Sequence[SentRow], currency: str) -> Range | None:
    """Units for one of `currency`, as far as the provider's answers for these rows bound it; None where there
    are none, or where no constant rate explains them all."""
    low, high = Fraction(0), None
    for row in rows:
        if row.units is None or row.currency != currency or not is_told(row):
            continue
        units, amount, slack = Fraction(row.units), Fraction(row.amount), step(row.units)
        low = max(low, (units - slack) / amount)
        most = (units + slack) / amount
        high = most if high is None else min(high, most)
    return None if high is None or high < low else Range(low, high)


def is_told(row: SentRow) -> bool:
    """Whether the provider itself said that this row was credited, and with what."""
    return row.is_known and row.settled_by == _PROVIDER
