"""Each row against the rules: the mask and the diagnosis agree, and every accident has its word."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from batch_reading import CLICKSEND, KENYA, PROFILES, read
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcredit.reader import PROBLEMS, ReadOptions
from batchcredit.reader.currencies import CURRENCIES
from batchcredit.reader.header import understand
from batchcredit.reader.table import Block
from batchcredit.reader.validate import Chunk, Validator
from batchcredit.reader.validate import shortest as shortest_column
from batchcredit.transfer import shortest

NAMES = ("provider", "account", "amount", "currency", "reference")
SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def validated(rows: list[tuple[str, ...]], **options: Any) -> Chunk:
    """The rows without a file around them."""
    given_options = ReadOptions(**options)
    header = understand(Path("x.csv"), NAMES, given_options, PROFILES)
    cells = pl.DataFrame(rows, schema=dict.fromkeys(NAMES, pl.String), orient="row")
    return Validator(header, given_options, PROFILES).chunk(Block(1, None, cells))


def problem_of(row: tuple[str, ...], **options: Any) -> str | None:
    problem: str | None = validated([row], **options).rows["problem"][0]
    return problem


TEXT = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["", "11", "0", "1.5", "012", "1e3", "1,000", "-5", "USD", "KES", "usd", "#N/A", "x\n", " 7"]
    ),
    st.from_regex(r"[0-9]{1,14}(\.[0-9]{0,6})?", fullmatch=True),
)


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["clicksend", "kenya", "", "other"]), TEXT, TEXT, TEXT, TEXT),
        min_size=1,
        max_size=6,
    ),
    provider=st.sampled_from([None, "kenya"]),
    currency=st.sampled_from(["", "KES"]),
)
def test_a_row_is_valid_or_has_a_known_problem(
    rows: list[tuple[str, ...]], provider: str | None, currency: str
) -> None:
    """No row is neither or both; what is valid fulfils the contract; what is not stands as it came in."""
    found = validated(rows, provider=provider, currency=currency).rows
    for row, texts in zip(found.to_dicts(), rows, strict=True):
        if row["problem"] is None:
            check_valid(row, texts)
        else:
            assert row["problem"] in PROBLEMS
            assert tuple(row[name] for name in NAMES) == texts
            assert row["column"] in NAMES


def check_valid(row: dict[str, Any], texts: tuple[str, ...]) -> None:
    rules = PROFILES[row["provider"]].rules
    amount = Decimal(row["amount"])
    assert row["account"] == texts[1]
    assert texts[2].isascii()
    assert amount == Decimal(texts[2]) > 0
    assert row["amount"] == shortest(amount)
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int)
    assert -exponent <= rules.decimals
    assert row["currency"] in (rules.currencies or CURRENCIES)
    assert all(text == text.strip() and text.isprintable() for text in (row["account"], row["reference"]))


@given(amounts=st.lists(st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,8})?", fullmatch=True), min_size=1, max_size=8))
def test_amounts_in_columns_are_shortened_like_single_ones(amounts: list[str]) -> None:
    """The column's way and the domain's way give the same text."""
    found = pl.DataFrame({"amount": amounts}).select(shortest_column(pl.col("amount"))).to_series()
    assert found.to_list() == [shortest(Decimal(amount)) for amount in amounts]


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("", "amount_missing"),
        ("0", "amount_zero"),
        ("0.0000", "amount_zero"),
        ("-5", "amount_negative"),
        ("\u22125", "amount_negative"),
        ("(12)", "amount_negative"),
        ("12 ", "amount_spaces"),
        ("\u00a012", "amount_spaces"),
        ("1e3", "amount_exponent"),
        ("1.2E+05", "amount_exponent"),
        ("1,2E+05", "amount_exponent"),
        ("1,234.50", "amount_thousands"),
        ("1'234", "amount_thousands"),
        ("1.234,50", "amount_comma"),
        ("12,5", "amount_comma"),
        ("$12", "amount_symbol"),
        ("12 USD", "amount_symbol"),
        ("#N/A", "amount_error"),
        ("#REF!", "amount_error"),
        ("########", "amount_error"),
        ("1234567890123", "amount_long"),
        ("NaN", "amount_form"),
        ("inf", "amount_form"),
        ("+5", "amount_form"),
        (".5", "amount_form"),
        ("5.", "amount_form"),
        ("\uff11\uff12", "amount_form"),
        ("0x1F", "amount_form"),
        ("1.2.3", "amount_form"),
        ("12.100000000000001", "amount_decimals"),
        ("1.00001", "amount_decimals"),
        ("1.00010000", None),
        ("000000000012", None),
        ("999999999999.9999", None),
    ],
)
def test_accidents_with_amounts(amount: str, problem: str | None) -> None:
    """Each has a word of its own; zeros behind the decimals that count are no decimals."""
    assert problem_of(("clicksend", "11", amount, "USD", "")) == problem


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        ("", "account_missing"),
        ("1.2E+10", "account_exponent"),
        ("#N/A", "account_error"),
        ("11 ", "account_spaces"),
        ("1\u200b1", "account_hidden"),
        ("\u202e11", "account_hidden"),
        ("1\t1", "account_hidden"),
        ("011", "account_form"),
        ("11.0", "account_form"),
        ("1" * 20, "account_form"),
        ("1" * 129, "account_long"),
        ("\u0661\u0662", "account_form"),
        ("9" * 19, None),
    ],
)
def test_accidents_with_accounts(account: str, problem: str | None) -> None:
    """What can't be seen is told apart from what is merely wrong."""
    assert problem_of(("clicksend", account, "5", "USD", "")) == problem


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("", "11", "5", "USD", ""), "provider_missing"),
        (("Clicksend", "11", "5", "USD", ""), "unknown_provider"),
        (("clicksend", "11", "5", "", ""), "currency_missing"),
        (("clicksend", "11", "5", "usd", ""), "currency_form"),
        (("clicksend", "11", "5", "USX", ""), "currency_unknown"),
        (("kenya", "shop", "5", "USD", ""), "currency_not_taken"),
        (("kenya", "shop", "5", "", ""), None),
        (("kenya", "shop", "5.001", "", ""), "amount_decimals"),
        (("clicksend", "11", "5", "USD", " r"), "reference_spaces"),
        (("clicksend", "11", "5", "USD", "r\u200d"), "reference_hidden"),
        (("clicksend", "11", "5", "USD", "r" * 129), "reference_long"),
        (("clicksend", "11", "5", "USD", "r" * 128), None),
    ],
)
def test_accidents_with_the_other_columns(row: tuple[str, ...], problem: str | None) -> None:
    """Provider, currency and reference."""
    assert problem_of(row) == problem


def test_flags_that_disagree_with_a_cell_make_it_invalid() -> None:
    """A flag for the whole file never overrides what a row says."""
    assert problem_of(("kenya", "11", "5", "", ""), provider="clicksend") == "provider_conflict"
    assert problem_of(("clicksend", "11", "5", "EUR", ""), currency="USD") == "currency_conflict"
    assert problem_of(("clicksend", "11", "5", "", ""), currency="USD") is None


@pytest.mark.parametrize(
    ("amount", "sign", "value"),
    [
        ("1,234,567.50", ",", "1234567.5"),
        ("1'234", "'", "1234"),
        ("1\u00a0234.5", "\u00a0", "1234.5"),
        ("12", ",", "12"),
    ],
)
def test_thousands_are_taken_out_where_the_flag_says_so(amount: str, sign: str, value: str) -> None:
    """Only where each separator stands before three digits."""
    row = validated([("clicksend", "11", amount, "USD", "")], thousands=sign).rows
    assert row["amount"][0] == value
    assert row["problem"][0] is None


@pytest.mark.parametrize("amount", ["12,34", "1,2345", ",123", "1,234,5"])
def test_a_separator_elsewhere_is_not_taken_out(amount: str) -> None:
    """12,34 with --thousands , is not 1234."""
    assert problem_of(("clicksend", "11", amount, "USD", ""), thousands=",") is not None


def test_account_keys_are_folded_and_the_cell_stands() -> None:
    """In columns for ASCII, by the adapter for the rest; other profiles' accounts stay."""
    rows = validated(
        [("kenya", name, "5", "", "") for name in ("Shop", "CAFE\u0301", "Straße")]
        + [("clicksend", "11", "5", "USD", "")]
    ).rows
    assert rows["account"].to_list() == ["Shop", "CAFE\u0301", "Straße", "11"]
    assert rows["account_key"].to_list() == ["shop", "caf\u00e9", "strasse", "11"]


def test_what_is_shown_can_not_command_a_terminal() -> None:
    """Control characters are replaced, and a long cell is cut."""
    row = validated([("clicksend", "\x1b[2J" + "x" * 100, "5", "USD", "")]).rows
    assert row["detail"][0] == "\ufffd[2J" + "x" * 36 + "\u2026"


def test_all_bad_rows_are_counted_and_twenty_shown(batch: Callable[..., Any]) -> None:
    """With row, line and cure; the sums are those of the valid rows, exact."""
    text = (
        "provider,account,amount,currency\n"
        + "clicksend,0,1,USD\n" * 30
        + "clicksend,11,0.1,USD\nclicksend,12,0.2,USD\n"
    )
    survey = batch(text).survey
    found = survey.problems["account_form"]
    assert (survey.rows, survey.valid, found.count, len(found.examples)) == (32, 2, 30, 20)
    assert (found.examples[19].row, found.examples[19].line) == (20, 21)
    assert found.examples[0].cure == CLICKSEND.rules.account_cure
    assert survey.totals["clicksend", "USD"].amount == Decimal("0.3")
    assert survey.currency_totals["USD"].rows == survey.provider_rows["clicksend"] == 2


def test_a_misspelt_provider_is_answered_with_the_nearest(batch: Callable[..., Any]) -> None:
    """And with all that are configured."""
    survey = batch("provider,account,amount,currency\nclicksnd,11,1,USD\n").survey
    cure = survey.problems["unknown_provider"].examples[0].cure
    assert cure == "Did you mean clicksend? Configured: clicksend, kenya."


def test_every_problem_has_a_sentence_and_a_cure() -> None:
    """What docs and terminal show is never empty."""
    assert all(problem.meaning.endswith(".") and problem.cure.endswith(".") for problem in PROBLEMS.values())


def test_the_sample_accidents_are_all_reported_at_once() -> None:
    """One file, many kinds, and the sound rows counted beside them."""
    profiles = {
        "clicksend": CLICKSEND,
        "fastmessage": KENYA.__class__(**{**vars(KENYA), "name": "fastmessage"}),
    }
    survey = read(SAMPLES / "accidents.csv", profiles).survey
    assert (survey.rows, survey.valid) == (23, 4)
    assert len(survey.problems) == 18
    assert survey.duplicates.examples[0].row == 22


@pytest.mark.parametrize(("name", "rows"), [("month_end.csv", 320), ("month_end.parquet", 60)])
def test_the_sample_batches_are_sound(name: str, rows: int) -> None:
    """What the README tries first has no invalid row and no duplicate."""
    profiles = {
        "clicksend": CLICKSEND,
        "fastmessage": KENYA.__class__(**{**vars(KENYA), "name": "fastmessage"}),
    }
    survey = read(SAMPLES / name, profiles).survey
    assert (survey.rows, survey.valid, survey.duplicates.count) == (rows, rows, 0)
