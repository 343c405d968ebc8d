"""Numbers, dates and formats of cells, without a file."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.workbook.formats import built_in, custom
from batchcredit.workbook.numbers import moment, plain


@given(st.decimals(min_value=0, max_value=10**12, places=4))
def test_an_amount_comes_through_a_spreadsheet(amount: Decimal) -> None:
    """What a person typed is read, whether the file has its shortest text or all 17 digits of its float."""
    if len(amount.normalize().as_tuple().digits) > 15:
        return
    for stored in (str(amount), repr(float(amount)), f"{float(amount):.16e}"):
        read = plain(stored)
        assert read is not None
        assert Decimal(read[0]) == amount
        assert "e" not in read[0].lower()


@given(st.floats(min_value=0.01, max_value=1e9), st.floats(min_value=0.01, max_value=1e9))
def test_what_is_rounded_is_said(one: float, other: float) -> None:
    """A number is read as it stands, or as its 15 digits and then that is told; never otherwise."""
    stored = f"{math.fsum((one, other)):.17g}"
    read = plain(stored)
    assert read is not None
    text, longer = read
    assert (Decimal(text) != Decimal(stored)) == longer
    assert abs(Decimal(text) - Decimal(stored)) <= Decimal(stored) * Decimal("5e-15")


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("13.200000000000001", ("13.2", True)),
        ("1.32E1", ("13.2", False)),
        ("12.50", ("12.5", False)),
        ("007", ("7", False)),
        ("-0", ("0", False)),
        ("123456789012345", ("123456789012345", False)),
        ("254712345678901234", ("254712345678901000", True)),
        ("1e15", ("1000000000000000", True)),
        ("1E300", ("1E+300", True)),
        ("NaN", None),
        ("12,5", None),
        ("1e99999", None),
        ("\u0661", None),
    ],
)
def test_numbers(stored: str, read: tuple[str, bool] | None) -> None:
    assert plain(stored) == read


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        ("45992", "2025-12-01"),
        ("45992.5", "2025-12-01 12:00:00"),
        ("0.75", "18:00:00"),
        ("-1", None),
        ("2958466", None),
    ],
)
def test_dates(days: str, shown: str | None) -> None:
    assert moment(days, since_1904=False) == shown


@pytest.mark.parametrize(
    ("code", "date", "percent"),
    [
        ("yyyy-mm-dd", True, False),
        ("[$-409]d-mmm-yy;@", True, False),
        ("[h]:mm", True, False),
        ("0.00%", False, True),
        ("#,##0.00", False, False),
        ('#,##0.00 "days"', False, False),
        ("[Red]0.00", False, False),
        ("General", False, False),
        ("@", False, False),
        ("0.00E+00", False, False),
    ],
)
def test_formats(code: str, date: bool, percent: bool) -> None:
    """A letter in quotes or in brackets is no part of a date."""
    assert (custom(code).is_date, custom(code).is_percent) == (date, percent)


@pytest.mark.parametrize(
    ("code", "shown"),
    [("00000", True), ('"KE"0', True), ("000-0", True), ("0.00", False), ("#,##0", False), ('0 "-"', False)],
)
def test_formats_that_show_more_than_is_there(code: str, shown: bool) -> None:
    assert custom(code).shows_more("123") == shown
    assert not custom("00").shows_more("123")


def test_formats_by_number() -> None:
    assert built_in(14).is_date
    assert built_in(9).is_percent
    assert not built_in(2).is_date
