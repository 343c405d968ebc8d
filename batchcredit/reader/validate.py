"""Whole columns against the rules: what each row says, and the first thing that is wrong with it.

Two stages: a mask of sound rows, cheap, over all of them; a diagnosis, dear, of the few that are left. Each
part of the mask has a last word in the diagnosis, so a row that is not sound is never without a problem.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import polars as pl

from batchcredit.reader import forms
from batchcredit.reader.currencies import CURRENCIES
from batchcredit.reader.diagnosis import diagnosed
from batchcredit.reader.header import Header
from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.reader.table import Block

_VALUE = pl.Decimal(38, 18)  # 12 digits before the point, and more after it than any provider takes


@dataclass(frozen=True)
class Chunk:
    """Some rows in a row, validated.

    `rows` has the columns row (1-based), line (null for Parquet), provider, account, account_key, amount,
    currency, reference ("" if none), problem (null if valid), column and detail. The amount of a valid row
    is its shortest exact text; an invalid row's texts stand as they came in. `cells` are the input's own
    columns with their own dtypes, to be carried through untouched.
    """

    first_row: int
    rows: pl.DataFrame
    cells: pl.DataFrame


class Validator:
    """The rules of all profiles, ready to be laid over blocks that have this header."""

    def __init__(self, header: Header, options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> None:
        self._header = header
        self._options = options
        self._profiles = profiles

    def chunk(self, block: Block) -> Chunk:
        """The block's rows, each valid or with its problem."""
        rows = self._texts(block).with_columns(self._meant())
        rows = rows.with_columns(ok=self._sound())
        rows = self._judged(rows)
        rows = self._keyed(rows)
        cells = block.cells.select(pl.col(was).alias(name) for was, name in self._header.carried.items())
        return Chunk(block.first_row, rows, cells)

    def _texts(self, block: Block) -> pl.DataFrame:
        lines = block.lines if block.lines is not None else pl.lit(None, dtype=pl.UInt32)
        count = block.cells.height
        return block.cells.select(
            pl.int_range(block.first_row, block.first_row + count, dtype=pl.UInt32).alias("row"),
            lines.alias("line"),
            *(self._cell(name) for name in ("provider", "account", "amount", "currency", "reference")),
            empty=self._all_empty(block.cells.schema),
        )

    def _cell(self, ours: str) -> pl.Expr:
        theirs = self._header.ours.get(ours)
        text = pl.lit("") if theirs is None else pl.col(theirs).cast(pl.String).fill_null("")
        return text.alias(ours)

    def _all_empty(self, schema: pl.Schema) -> pl.Expr:
        """Spreadsheets save rows of nothing but separators."""
        return pl.all_horizontal(pl.col(name).cast(pl.String).fill_null("") == "" for name in schema)

    def _meant(self) -> list[pl.Expr]:
        """What flags and profiles fill in: `name`, `code`, `number`, beside the cells as they stand."""
        given = self._options.provider
        name = pl.col("provider")
        if given is not None:
            name = pl.when(name == "").then(pl.lit(given)).otherwise(name)
        return [name.alias("name"), self._number(name).alias("number"), self._code(name).alias("code")]

    def _code(self, name: pl.Expr) -> pl.Expr:
        code = pl.lit(self._options.currency)
        if not self._options.currency:
            defaults = {p.name: p.currency or p.rules.default_currency for p in self._profiles.values()}
            code = _chosen(name, {key: pl.lit(value) for key, value in defaults.items() if value}, pl.lit(""))
        if "currency" not in self._header.ours:
            return code
        return pl.when(pl.col("currency") == "").then(code).otherwise(pl.col("currency"))

    def _number(self, name: pl.Expr) -> pl.Expr:
        amount = pl.col("amount")
        signs = {p.name: p.thousands or self._options.thousands for p in self._profiles.values()}
        grouped = {key: _ungrouped(amount, sign) for key, sign in signs.items() if sign}
        return _chosen(name, grouped, amount) if grouped else amount

    def _sound(self) -> pl.Expr:
        conflicts = [~pl.col("empty")]
        if self._options.provider is not None:
            conflicts.append(pl.col("name") == self._options.provider)
        if self._options.currency:
            conflicts.append(pl.col("code") == self._options.currency)
        fits = reduce(pl.Expr.or_, (self._fits(p) for p in self._profiles.values()), pl.lit(value=False))
        reference = pl.col("reference")
        if "reference" in self._header.ours:
            conflicts.append((reference == "") | forms.visible(reference))
        return pl.all_horizontal(fits, forms.visible(pl.col("account")), *conflicts)

    def _fits(self, profile: ProfileRules) -> pl.Expr:
        rules = profile.rules
        codes = CURRENCIES if rules.currencies is None else rules.currencies & CURRENCIES
        return pl.all_horizontal(
            pl.col("name") == profile.name,
            pl.col("account").str.contains(forms.whole(rules.account)),
            pl.col("number").str.contains(forms.amount_form(rules.decimals)),
            pl.col("number").str.contains("[1-9]"),
            pl.col("code").is_in(sorted(codes)),
        )

    def _judged(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The final texts, with problem, column and detail; `value` where the amount is a number at all."""
        ok = pl.col("ok")
        nothing = pl.lit(None, dtype=pl.String)
        value = pl.when(pl.col("number").str.contains(forms.AMOUNT)).then(pl.col("number"))
        rows = rows.with_columns(
            provider=pl.when(ok).then(pl.col("name")).otherwise(pl.col("provider")),
            amount=pl.when(ok).then(_shortest(pl.col("number"))).otherwise(pl.col("amount")),
            currency=pl.when(ok).then(pl.col("code")).otherwise(pl.col("currency")),
            value=value.cast(_VALUE, strict=False),
        )
        if rows["ok"].all():
            return rows.with_columns(problem=nothing, column=nothing, detail=nothing)
        bad = diagnosed(rows.filter(~ok), self._options, self._profiles)
        return rows.join(bad, on="row", how="left", maintain_order="left")

    def _keyed(self, rows: pl.DataFrame) -> pl.DataFrame:
        keyed = rows.with_columns(account_key=self._keys(rows))
        return keyed.select(
            "row",
            "line",
            "provider",
            "account",
            "account_key",
            "amount",
            "currency",
            "reference",
            "problem",
            "column",
            "detail",
            "value",
        )

    def _keys(self, rows: pl.DataFrame) -> pl.Expr:
        account = pl.col("account")
        keys: dict[str, pl.Expr] = {}
        for profile in self._profiles.values():
            if profile.account_key is None:
                continue
            plain = account.str.to_lowercase() if profile.lowers_ascii else account
            mine = rows.filter(name=profile.name)["account"]
            odd = mine.filter(mine.str.contains(r"[^\x00-\x7f]")) if profile.lowers_ascii else mine
            if odd.is_empty():
                keys[profile.name] = plain
                continue
            unique = odd.unique()
            folded = pl.Series([profile.account_key(text) for text in unique], dtype=pl.String)
            keys[profile.name] = account.replace_strict(unique, folded, default=plain)
        return _chosen(pl.col("name"), keys, account)


def _chosen(name: pl.Expr, by_name: Mapping[str, pl.Expr], otherwise: pl.Expr) -> pl.Expr:
    """For each row the expression of its provider."""
    return reduce(
        lambda rest, key: pl.when(name == key).then(by_name[key]).otherwise(rest), by_name, otherwise
    )


def _ungrouped(amount: pl.Expr, sign: str) -> pl.Expr:
    """`amount` without the signs between its thousands, where each stands before three digits."""
    # The signs of THOUSANDS mean nothing in a regular expression.
    grouped = amount.str.contains(rf"^[0-9]{{1,3}}(?:{sign}[0-9]{{3}})+(?:\.[0-9]+)?$")
    return pl.when(grouped).then(amount.str.replace_all(sign, "", literal=True)).otherwise(amount)


def _shortest(number: pl.Expr) -> pl.Expr:
    """As transfer.shortest: no padding on either side."""
    short = (
        pl.when(number.str.contains(".", literal=True))
        .then(number.str.strip_chars_end("0").str.strip_chars_end("."))
        .otherwise(number)
    )
    bare = short.str.strip_chars_start("0")
    return pl.when((bare == "") | bare.str.starts_with(".")).then(pl.lit("0") + bare).otherwise(bare)
