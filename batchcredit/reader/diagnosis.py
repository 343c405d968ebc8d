"""What is wrong with a row that is not sound: the first problem, its column, its cell to be shown."""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import TypeAlias

import polars as pl

from batchcredit.reader import forms
from batchcredit.reader.currencies import CURRENCIES
from batchcredit.reader.flaws import FLAWS
from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.transfer import INPUT_COLUMNS

_SHOWN = 40

_Case: TypeAlias = tuple[pl.Expr, str]


def diagnosed(bad: pl.DataFrame, options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> pl.DataFrame:
    """row, problem, column, detail of each row of `bad`, which holds the cells and what is meant by them.

    The last case of each column is the negation of what makes a row sound, whatever comes before it; and a
    row that none of them explains is still not sound: its amount is blamed.
    """
    cases = [
        (pl.col("empty") & pl.col("flaw").is_null(), "row_empty"),
        *((pl.col("flaw") == word, word) for words in FLAWS.values() for word in words.values()),
        *_provider(options, profiles),
        *_account(profiles),
        *_amount(profiles),
        *_currency(options, profiles),
        *_reference(),
    ]
    word = reduce(_before, cases[::-1], pl.lit("amount_form"))
    column = pl.col("problem").str.extract("^(account|amount|currency|reference)_").fill_null("provider")
    cell = reduce(
        lambda rest, name: pl.when(pl.col("at") == name).then(pl.col(name)).otherwise(rest),
        INPUT_COLUMNS,
        _none(),
    )
    return (
        bad.with_columns(problem=word)
        .with_columns(at=column)
        .select("row", "problem", pl.col("at").alias("column"), sanitised(cell).alias("detail"))
    )


def sanitised(text: pl.Expr) -> pl.Expr:
    """`text` fit for a terminal: nothing in it is an order to it, and it is not long."""
    clean = text.str.replace_all(forms.HIDDEN, "\ufffd")
    long = clean.str.len_chars() > _SHOWN
    return pl.when(long).then(clean.str.slice(0, _SHOWN) + pl.lit("\u2026")).otherwise(clean)


def _before(rest: pl.Expr, case: _Case) -> pl.Expr:
    return pl.when(case[0]).then(pl.lit(case[1])).otherwise(rest)


def _none() -> pl.Expr:
    return pl.lit(None, dtype=pl.String)


def _provider(options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> Iterator[_Case]:
    name = pl.col("name")
    yield name == "", "provider_missing"
    if options.provider is not None:
        yield name != options.provider, "provider_conflict"
    yield ~name.is_in(sorted(profiles)), "unknown_provider"


def _account(profiles: Mapping[str, ProfileRules]) -> Iterator[_Case]:
    account = pl.col("account")
    refused = _refused(profiles, {p.name: forms.whole(p.rules.account) for p in profiles.values()}, account)
    yield account == "", "account_missing"
    yield account.str.contains(forms.SHEET_ERROR) & refused, "account_error"
    yield account.str.contains(forms.EXPONENT) & refused, "account_exponent"
    yield from _unseen(account, "account")
    yield refused, "account_form"


def _unseen(text: pl.Expr, column: str) -> Iterator[_Case]:
    yield text.str.contains(forms.HIDDEN), f"{column}_hidden"
    yield text.str.contains(forms.OUTER_SPACE), f"{column}_spaces"
    yield ~forms.visible(text), f"{column}_long"


def _amount(profiles: Mapping[str, ProfileRules]) -> Iterator[_Case]:
    number = pl.col("number")
    yield number == "", "amount_missing"
    for form, word in (
        (forms.SHEET_ERROR, "amount_error"),
        (forms.OUTER_SPACE, "amount_spaces"),
        (forms.EXPONENT, "amount_exponent"),
        (forms.NEGATIVE, "amount_negative"),
        (forms.THOUSANDS, "amount_thousands"),
        (forms.COMMA, "amount_comma"),
        (forms.SYMBOL, "amount_symbol"),
        (forms.MANY_DIGITS, "amount_long"),
    ):
        yield number.str.contains(form), word
    yield ~number.str.contains(forms.AMOUNT), "amount_form"
    yield ~number.str.contains("[1-9]"), "amount_zero"
    within = {p.name: forms.amount_form(p.rules.decimals) for p in profiles.values()}
    yield _refused(profiles, within, number), "amount_decimals"


def _currency(options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> Iterator[_Case]:
    code = pl.col("code")
    yield code == "", "currency_missing"
    if options.currency:
        yield code != options.currency, "currency_conflict"
    yield ~code.str.contains("^[A-Z]{3}$"), "currency_form"
    yield ~code.is_in(sorted(CURRENCIES)), "currency_unknown"
    for profile in profiles.values():
        if profile.rules.currencies is not None:
            taken = code.is_in(sorted(profile.rules.currencies))
            yield (pl.col("name") == profile.name) & ~taken, "currency_not_taken"


def _reference() -> Iterator[_Case]:
    return (
        (case & (pl.col("reference") != ""), word) for case, word in _unseen(pl.col("reference"), "reference")
    )


def _refused(profiles: Mapping[str, ProfileRules], form: Mapping[str, str], cell: pl.Expr) -> pl.Expr:
    """Whether the row's own provider does not take a cell of this form."""
    own = ((pl.col("name") == name) & ~cell.str.contains(form[name]) for name in profiles)
    return reduce(pl.Expr.or_, own, pl.lit(value=False))
