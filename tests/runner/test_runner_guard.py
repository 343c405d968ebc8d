"""What is refused before a cent moves."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import ListLedger, as_reader, how, worksheet

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import Caps
from batchcredit.reader import ReadOptions, Survey
from batchcredit.reader.survey import Twin, Twins
from batchcredit.runner.intake import guard
from batchcredit.runner.options import InputOptions

TOTALS = st.dictionaries(
    st.sampled_from(["USD", "KES", "AUD"]), st.sampled_from([Decimal(1), Decimal("2.5")])
)


@settings(deadline=None)
@given(st.integers(1, 3), TOTALS, st.one_of(st.none(), st.integers(1, 3)), TOTALS)
def test_control_totals_have_to_be_met_exactly(
    rows: int, totals: dict[str, Decimal], expect_rows: int | None, expected: dict[str, Decimal]
) -> None:
    """With control totals a batch goes on exactly when rows and every currency are what was expected."""
    met = expect_rows in (None, rows) and (not expected or expected == totals)
    given_ = how(expect_rows=expect_rows, expect_totals=expected)
    if met:
        guard.refuse_other_totals(rows, totals, given_)
        return
    with pytest.raises(RefusedError) as caught:
        guard.refuse_other_totals(rows, totals, given_)
    assert caught.value.reason == "control_totals"
    for currency in expected.keys() ^ totals.keys() if expected else ():
        assert currency in str(caught.value)


def test_a_control_total_is_compared_by_value() -> None:
    """12.50 expected and 12.5 found are the same amount."""
    guard.refuse_other_totals(1, {"USD": Decimal("12.5")}, how(expect_totals={"USD": Decimal("12.50")}))


ROWS = st.lists(
    st.tuples(
        st.just("clicksend"),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["1", "2", "3.5"]),
        st.sampled_from(["USD", "KES"]),
        st.just(""),
        st.sampled_from([None, None, None, "amount_zero"]),
    ),
    min_size=1,
    max_size=7,
)
CAPS = st.dictionaries(st.sampled_from(["USD", "KES"]), st.sampled_from([Decimal(2), Decimal(4), Decimal(8)]))
GOT = st.dictionaries(st.sampled_from(["1", "2"]), st.sampled_from([Decimal(1), Decimal("3.5")]))


def sums(rows: Sequence[tuple[str | None, ...]], *places: int) -> dict[tuple[str, ...], Decimal]:
    found: dict[tuple[str, ...], Decimal] = {}
    for row in rows:
        if row[5] is None:
            key = tuple(str(row[place]) for place in places)
            found[key] = found.get(key, Decimal(0)) + Decimal(str(row[2]))
    return found


@settings(deadline=None)
@given(ROWS, CAPS, CAPS, CAPS, CAPS, CAPS, GOT)
def test_a_file_over_a_limit_is_refused(
    rows: list[tuple[str | None, ...]],
    transfer: dict[str, Decimal],
    account: dict[str, Decimal],
    batch: dict[str, Decimal],
    day: dict[str, Decimal],
    before: dict[str, Decimal],
    got: dict[str, Decimal],
) -> None:
    """Refused exactly when one transfer, an account's day, the file, or the day with it is over one."""
    totals = {currency: amount for (currency,), amount in sums(rows, 3).items()}
    over = {
        "limit_max_amount": any(
            row[5] is None and Decimal(str(row[2])) > transfer.get(str(row[3]), Decimal(99)) for row in rows
        ),
        "limit_max_account": any(
            amount + got.get(client, Decimal(0)) > account.get(currency, Decimal(99))
            for (client, currency), amount in sums(rows, 1, 3).items()
        ),
        "limit_max_total": any(
            amount > batch.get(currency, Decimal(99)) for currency, amount in totals.items()
        ),
        "limit_max_day": any(
            amount + before.get(currency, Decimal(0)) > day.get(currency, Decimal(99))
            for currency, amount in totals.items()
        ),
    }
    caps = Caps(lambda _: 0, transfer, account, batch, day)
    ledger = as_reader(ListLedger(spent_so_far=before, got_today=got))
    if not any(over.values()):
        guard.refuse_over_caps(
            totals, guard.rows_of_file(worksheet(rows), {"clicksend": 1}), caps, ledger, None
        )
        return
    with pytest.raises(RefusedError) as caught:
        guard.refuse_over_caps(
            totals, guard.rows_of_file(worksheet(rows), {"clicksend": 1}), caps, ledger, None
        )
    assert over[caught.value.reason]


@pytest.mark.parametrize(("cap", "over"), [("5.5", False), ("5.49", True)])
def test_what_a_client_got_today_counts(cap: str, over: bool) -> None:
    """Once for all of the client's rows, and for no other client."""
    caps = Caps(lambda _: 0, account_day={"USD": Decimal(cap)})
    ledger = as_reader(ListLedger(got_today={"1": Decimal("2.5")}))
    rows = [("clicksend", account, amount, "USD", "", None) for account, amount in ("11", "25", "12")]
    asked = ({}, guard.rows_of_file(worksheet(rows), {"clicksend": 1}), caps, ledger, None)
    if not over:
        guard.refuse_over_caps(*asked)
        return
    with pytest.raises(
        RefusedError, match=r"row 3 .*account 1: the client's day, .* comes to 5.5 USD"
    ) as caught:
        guard.refuse_over_caps(*asked)
    assert caught.value.reason == "limit_max_account"


def survey(rows: int = 3, valid: int = 3, **changes: Twins) -> Survey:
    twins = {"duplicates": Twins(), "duplicate_references": Twins()} | changes
    return Survey(rows, valid, {}, {}, b"", twins["duplicates"], twins["duplicate_references"], ())


TWINS = Twins(23, tuple(Twin(n, n + 1, 1, 2, "7", "5", "R") for n in range(2, 22)))


@pytest.mark.parametrize(
    ("survey", "options", "reason"),
    [
        (survey(), {}, ""),
        (survey(valid=2), {}, "invalid_rows"),
        (survey(valid=2), {"skip_invalid": True}, ""),
        (survey(valid=0), {"skip_invalid": True}, "invalid_rows"),
        (survey(duplicates=TWINS), {}, "duplicate_rows"),
        (survey(duplicates=TWINS), {"allow_duplicates": True}, ""),
        (survey(duplicate_references=TWINS), {"allow_duplicates": True}, "duplicate_reference"),
    ],
)
def test_bad_rows(survey: Survey, options: dict[str, bool], reason: str) -> None:
    """Bad rows and equal rows have a flag each; a reference used twice has none."""
    given_ = InputOptions(Path("a.csv"), ReadOptions(), None, **options)
    if not reason:
        guard.refuse_bad_rows(given_, survey, None)
        return
    with pytest.raises(RefusedError) as caught:
        guard.refuse_bad_rows(given_, survey, Path("a.invalid.csv"))
    assert caught.value.reason == reason
    if reason.startswith("duplicate"):
        assert "row 2 (line 3) and row 1 (line 2)" in str(caught.value)
        assert "and 3 more" in str(caught.value)


@pytest.mark.parametrize(("line", "said"), [(18, "row 17 (line 18)"), (None, "row 17")])
def test_a_place_in_a_file(line: int | None, said: str) -> None:
    """People count lines in a spreadsheet; Parquet has none."""
    assert guard.at(17, line) == said
