"""Cells that come back: what a spreadsheet program made of them, and what a person wrote."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.runner.returned.resaved import Reading, compared

AMOUNTS = st.decimals("0.0001", "99999999", places=4).map(
    lambda number: f"{number:f}".rstrip("0").rstrip(".")
)
ACCOUNTS = st.from_regex(r"\A[0-9]{1,20}\Z")


def shown(amount: str) -> list[str]:
    """What spreadsheet programs show of an amount, by value or rounded."""
    number = Decimal(amount)
    forms = [f"{number:.0f}", f"{number:.2f}", f"{number:.6f}", f"{number:.2E}", f"{number:,.4f}"]
    return [*forms, amount.replace(".", ","), f" {amount}", f"{amount}.0" if "." not in amount else amount]


@given(AMOUNTS)
def test_no_form_of_an_amount_is_a_correction(amount: str) -> None:
    """Whatever a program shows of an amount is the amount, or is refused where it would be sent."""
    for form in shown(amount):
        assert compared("amount", amount, form) is not Reading.CHANGED, (amount, form)


@given(ACCOUNTS)
def test_no_form_of_an_account_is_a_correction(account: str) -> None:
    """Lost zeros, exponents, cut digits: never taken for another account that a person wrote."""
    number = int(account)
    kept = int(Decimal(f"{number:.14E}"))
    for form in (str(number), f"{number}.0", f"{number:.5E}", f"{number:,}", str(kept)):
        assert compared("account", account, form) is not Reading.CHANGED, (account, form)


@given(AMOUNTS, AMOUNTS)
def test_another_amount_is_never_the_same(one: str, other: str) -> None:
    """Where values differ, the cell counts as changed, or as unclear where it may be one rounded."""
    if Decimal(one) != Decimal(other):
        assert compared("amount", one, other) in (Reading.CHANGED, Reading.UNCLEAR)


@pytest.mark.parametrize(
    ("column", "known", "found", "reading"),
    [
        ("amount", "12.5", "12.50", Reading.SAME),
        ("amount", "12.5", "12,5", Reading.DAMAGED),
        ("amount", "12.5", "13", Reading.UNCLEAR),
        ("amount", "12.5", "13.0", Reading.CHANGED),
        ("amount", "1234", "1.234", Reading.UNCLEAR),
        ("amount", "123456", "1.2E+05", Reading.DAMAGED),
        ("amount", "123456", "1.3E+05", Reading.UNCLEAR),
        ("amount", "12,50", "12.50", Reading.CHANGED),
        ("account", "0012", "12", Reading.DAMAGED),
        ("account", "12", "0012", Reading.CHANGED),
        ("account", "1-2", "01-Feb", Reading.DAMAGED),
        ("account", "jane", "01-Feb", Reading.UNCLEAR),
        ("account", "1E5", "100000", Reading.DAMAGED),
        ("account", "jane", "joan", Reading.CHANGED),
        ("account", "jane", "#NAME?", Reading.UNCLEAR),
        ("account", "'jane", "jane", Reading.DAMAGED),
        ("reference", "A", "", Reading.CHANGED),
    ],
)
def test_cells_that_come_back(column: str, known: str, found: str, reading: Reading) -> None:
    """One of each kind."""
    assert compared(column, known, found) is reading
