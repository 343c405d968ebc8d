"""Cells of a statement: read as what they mean, or refused with the line and the cure."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.reconcile.lines import Form, columns_of
from batchcredit.reconcile.moments import UnclearTimeError, moment

BEGIN = datetime.fromisoformat("2002-01-01")
NAIROBI = ZoneInfo("Africa/Nairobi")
NOW_MS = 1_800_000_000_000
FORM = Form("statement.csv", str.lower, None, "", NOW_MS)


@settings(deadline=None)
@given(
    st.datetimes(BEGIN, BEGIN.replace(year=2200)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["seconds", "minutes"]),
    st.sampled_from([" ", "T"]),
)
def test_iso_times_are_what_they_say(at: datetime, offset: int, spec: str, between: str) -> None:
    """Any time with an offset, to the second or to the minute, holds the moment that it was printed from."""
    aware = at.replace(tzinfo=timezone(timedelta(minutes=offset)))
    found = moment(aware.isoformat(between, spec), None)
    assert found.from_ms <= aware.timestamp() * 1000 <= found.to_ms + 1
    assert found.to_ms - found.from_ms == (999 if spec == "seconds" else 59_999)


@pytest.mark.parametrize(
    ("text", "begin", "seconds"),
    [
        ("2026-04-03T10:02:09Z", "2026-04-03T10:02:09+00:00", 1),
        ("2026-04-03 10:02:09.125", "2026-04-03T10:02:09+03:00", 1),
        ("2026/04/03 10:02", "2026-04-03T10:02:00+03:00", 60),
        ("3 Apr 2026 10:02:09 +0530", "2026-04-03T10:02:09+05:30", 1),
        ("03-April-2026 10:02", "2026-04-03T10:02:00+03:00", 60),
        ("2026-04-03", "2026-04-03T00:00:00+03:00", 86_400),
        ("1775203329", "2026-04-03T08:02:09+00:00", 1),
        ("1775203329125", "2026-04-03T08:02:09.125+00:00", 0),
    ],
)
def test_forms_of_time(text: str, begin: str, seconds: int) -> None:
    """Whatever means one thing only is read; without an offset in the zone that a person named."""
    found = moment(text, NAIROBI)
    assert found.from_ms == round(datetime.fromisoformat(begin).timestamp() * 1000)
    assert found.to_ms == found.from_ms + max(0, seconds * 1000 - 1)


def test_a_time_that_a_clock_shows_twice_lies_in_both() -> None:
    """When clocks go back, 02:30 is an hour wide."""
    found = moment("2026-10-25 02:30:00", ZoneInfo("Europe/Berlin"))
    assert found.to_ms - found.from_ms == 3_600_999


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("03/04/2026 10:02", "write dates as 2026-03-31"),
        ("13.04.26", "write dates as 2026-03-31"),
        ("2026-04-03 10:02 PM", "2026-03-31 14:05:09"),
        ("2026-13-03 10:02", "2026-03-31 14:05:09"),
        ("3 Foo 2026", "2026-03-31 14:05:09"),
        ("2026-04-03 10:02:09 +19:00", "2026-03-31 14:05:09"),
        ("46115.5", "2026-03-31 14:05:09"),
        ("", "2026-03-31 14:05:09"),
        ("2026-04-03 10:02", "--statement-tz"),
    ],
)
def test_times_that_are_not_clear(text: str, cure: str) -> None:
    """What could be read in two ways, or in none, is refused with what to write instead."""
    with pytest.raises(UnclearTimeError) as refused:
        moment(text, None)
    assert cure in refused.value.cure


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5", "5"), ("+5.00", "5"), ("-5.5", "-5.5"), ("(5.50)", "-5.5"), ("\u22125", "-5"), (" 7.25 ", "7.25")],
)
def test_amounts(text: str, amount: str) -> None:
    """With and without a sign; what was taken back is negative."""
    found = FORM.line(2, {"account": "Anna", "amount": text})
    assert found is not None
    assert (found.amount, found.account_key, found.from_ms) == (Decimal(amount), "anna", None)


def test_thousands_count_where_a_person_says_what_stands_between_them() -> None:
    """1,250.50 is refused with the flag that makes it clear."""
    with pytest.raises(RefusedError, match=r"line 7: '1,250\.50' is no amount") as refused:
        FORM.line(7, {"account": "Anna", "amount": "1,250.50"})
    assert refused.value.cure.endswith("--thousands ,")
    grouped = replace(FORM, thousands=",")
    for text, amount in (
        ("1,250.50", "1250.50"),
        ("-1,000,000", "-1000000"),
        ("250.50", "250.50"),
        ("(1,250)", "-1250"),
    ):
        found = grouped.line(7, {"account": "Anna", "amount": text})
        assert found is not None
        assert found.amount == Decimal(amount)
    for text in ("1,25", ",250", "1250,000", "1,,250", "1,250.5,0"):
        with pytest.raises(RefusedError, match="is no amount"):
            grouped.line(7, {"account": "Anna", "amount": text})


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"account": "", "amount": "90"}, "line 3: it has no account"),
        ({"account": "a", "amount": ""}, "line 3: '' is no amount"),
        ({"account": "a", "amount": "USD 5"}, "line 3: 'USD 5' is no amount"),
        ({"account": "a", "amount": "(-5)"}, "line 3: '(-5)' is no amount"),
        ({"account": "a", "amount": "1e3"}, "line 3: '1e3' is no amount"),
        ({"account": "a", "amount": "\u0665"}, "is no amount"),
        ({"account": "a", "amount": "5", "currency": "dollars"}, "line 3: 'dollars' is no currency"),
        ({"account": "a", "amount": "5", "time": "2030-01-01T00:00:00Z"}, "is still to come"),
        (
            {"account": "a", "amount": "5", "time": "03/04/2026"},
            "'03/04/2026': it could be day or",
        ),
    ],
)
def test_lines_that_are_refused(cells: dict[str, str], problem: str) -> None:
    """The file and the line are named; nothing is skipped that could be a row's."""
    with pytest.raises(RefusedError, match=r"^statement\.csv: ") as refused:
        FORM.line(3, cells)
    assert refused.value.reason == "statement_line"
    assert problem in str(refused.value)


def test_an_empty_line_and_one_in_units() -> None:
    """Units stand in a column of their own; an empty line is none."""
    assert FORM.line(2, {"account": "", "amount": " "}) is None
    found = FORM.line(2, {"account": "a", "units": "12.5", "currency": "KES"})
    assert found is not None
    assert (found.amount, found.in_units, found.currency) == (Decimal("12.5"), True, "")


def test_columns_by_name_and_by_flag() -> None:
    """Ours in any spelling, the provider's own, and what --map says; others do not matter."""
    theirs = {"client_user_id": "account"}
    header = ["Client_User_ID", "Amount", "When", "Note"]
    found = columns_of("s", header, {"time": "When"}, theirs)
    assert found == {"account": "Client_User_ID", "amount": "Amount", "time": "When"}
    assert (
        columns_of("s", ["account", "Account no", "units"], {"account": "Account no"}, {})["units"] == "units"
    )


@pytest.mark.parametrize(
    ("header", "mapped", "reason"),
    [
        (["account"], {}, "missing_column"),
        (["amount"], {}, "missing_column"),
        (["account", "amount"], {"time": "When"}, "missing_column"),
        (["account", "amount"], {"row": "amount"}, "missing_column"),
        (["account", "ACCOUNT", "amount"], {}, "duplicate_column"),
    ],
)
def test_columns_that_are_refused(header: list[str], mapped: dict[str, str], reason: str) -> None:
    """What is needed and not there, or there twice, is named with the flag that mends it."""
    with pytest.raises(RefusedError) as refused:
        columns_of("s", header, mapped, {})
    assert refused.value.reason == reason
