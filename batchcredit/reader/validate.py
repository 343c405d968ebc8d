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
from batchcredit.reader.flaws import FLAWS
from batchcredit.reader.header import Header
from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.reader.table import Block
from batchcredit.transfer import INPUT_COLUMNS, KNOWN_COLUMNS

_UNFOLDED = r"[^\x00-@\[-\x7f]"  # capitals, and whatever is not ASCII
_VALUE = pl.Decimal(38, 18)  # 12 digits before the point, and more after it than any provider takes


@dataclass(frozen=True)
class Chunk:
    """Some rows in a row, validated.

    `rows` has the columns row (1-based), line (null for Parquet), provider, account, account_key, amount,
    currency, reference and account_name ("" if none), problem (null if valid), column and detail. The amount
    of a valid row is its shortest exact text; an invalid row's texts stand as they came in. `cells` are the
    input's own columns with their own dtypes, to be carried through untouched.
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
        rows = self._keyed(self._read(block))
        nothing = pl.lit(None, dtype=pl.String)
        if rows["ok"].all():
            rows = rows.with_columns(problem=nothing, column=nothing, detail=nothing)
        else:
            rows = self._with_problems(rows, block.cells)
        cells = _named(block.cells, self._header.carried)
        return Chunk(block.first_row, self._final(rows), cells)

    def meant(self, block: Block) -> pl.DataFrame:
        """The five cells of each row as they stand (`INPUT_COLUMNS`), and what flags and profiles make of
        provider, amount and currency (`name`, `number`, `code`), whether the row is valid or not."""
        return self._read(block).select(*INPUT_COLUMNS, "name", "number", "code")

    def _read(self, block: Block) -> pl.DataFrame:
        """Our cells as they stand, what is meant by them, and whether the row is sound."""
        lines = block.lines if block.lines is not None else pl.lit(None, dtype=pl.UInt32)
        end = block.first_row + block.cells.height
        return (
            _named(block.cells, {theirs: ours for ours, theirs in self._header.ours.items()})
            .lazy()
            .select(
                pl.int_range(block.first_row, end, dtype=pl.UInt32).alias("row"),
                lines.alias("line"),
                *(self._cell(name) for name in KNOWN_COLUMNS),
                flaw=self._flaw(block),
            )
            .with_columns(self._meant())
            .with_columns(
                short=shortest(pl.col("number")),
                value=pl.col("number").cast(_VALUE, strict=False),
                folded=~pl.col("account").str.contains(_UNFOLDED),
                ascii=pl.col("account").str.len_bytes() == pl.col("account").str.len_chars(),
            )
            .with_columns(ok=self._sound().fill_null(value=False))
            .collect()
        )

    def _flaw(self, block: Block) -> pl.Series:
        """The first word for a cell of ours that is no text and no number that can be relied on."""
        found = pl.Series([None], dtype=pl.String).new_from_index(0, block.cells.height)
        for ours, words in FLAWS.items():
            kinds = block.kinds.get(self._header.ours.get(ours, ""))
            if kinds is not None:
                found = found.fill_null(kinds.replace_strict(words, default=None, return_dtype=pl.String))
        return found

    def _cell(self, ours: str) -> pl.Expr:
        known = ours in self._header.ours
        return (pl.col(ours).cast(pl.String).fill_null("") if known else pl.lit("")).alias(ours)

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
        signs = {p.name: self._options.thousands or p.thousands for p in self._profiles.values()}
        grouped = {key: _ungrouped(amount, sign) for key, sign in signs.items() if sign}
        return _chosen(name, grouped, amount) if grouped else amount

    def _sound(self) -> pl.Expr:
        fits = reduce(pl.Expr.or_, (self._fits(p) for p in self._profiles.values()), pl.lit(value=False))
        sound = [fits, pl.col("flaw").is_null(), forms.visible(pl.col("account")), pl.col("value") > 0]
        if self._options.provider is not None:
            sound.append(pl.col("name") == self._options.provider)
        if self._options.currency:
            sound.append(pl.col("code") == self._options.currency)
        if "reference" in self._header.ours:
            reference = pl.col("reference")
            sound.append((reference == "") | forms.visible(reference))
        return pl.all_horizontal(sound)

    def _fits(self, profile: ProfileRules) -> pl.Expr:
        rules = profile.rules
        codes = CURRENCIES if rules.currencies is None else rules.currencies & CURRENCIES
        return pl.all_horizontal(
            pl.col("name") == profile.name,
            pl.col("account").str.contains(forms.whole(rules.account)),
            pl.col("number").str.contains(forms.amount_form(rules.decimals)),
            pl.col("code").is_in(sorted(codes)),
        )

    def _with_problems(self, rows: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
        """Rows that are not sound get their problem, and keep the texts as they came in."""
        empty = cells.select(pl.all_horizontal(pl.all().cast(pl.String).fill_null("") == "")).to_series()
        bad = rows.with_columns(empty.alias("empty")).filter(~pl.col("ok"))
        problems = diagnosed(bad, self._options, self._profiles)
        ok, number = pl.col("ok"), pl.col("number")
        return rows.join(problems, on="row", how="left", maintain_order="left").with_columns(
            name=pl.when(ok).then("name").otherwise("provider"),
            short=pl.when(ok).then("short").otherwise("amount"),
            code=pl.when(ok).then("code").otherwise("currency"),
            value=pl.when(number.str.contains(forms.AMOUNT)).then("value"),
        )

    def _final(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            "row",
            "line",
            pl.col("name").alias("provider"),
            "account",
            "account_key",
            pl.col("short").alias("amount"),
            pl.col("code").alias("currency"),
            "reference",
            "account_name",
            "problem",
            "column",
            "detail",
            "value",
        )

    def _keyed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The canonical form of each account: by whole columns as far as that goes, else with a call."""
        account, name = pl.col("account"), pl.col("name")
        lowers = [] if rows["folded"].all() else [p.name for p in self._profiles.values() if p.lowers_ascii]
        key = pl.when(name.is_in(lowers)).then(account.str.to_lowercase()).otherwise(account)
        rows = rows.with_columns(account_key=key if lowers else account)
        for profile in self._profiles.values():
            if profile.account_key is None or (profile.lowers_ascii and rows["ascii"].all()):
                continue
            mine = (name == profile.name) & ~(pl.col("ascii") & profile.lowers_ascii)
            accounts = rows.filter(mine)["account"].unique()
            keys = pl.Series([profile.account_key(text) for text in accounts], dtype=pl.String)
            called = account.replace_strict(accounts, keys, default=account)
            rows = rows.with_columns(account_key=pl.when(mine).then(called).otherwise("account_key"))
        return rows


def _named(cells: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Some columns under other names. As series: pl.col would read a user's column name as a pattern."""
    return pl.DataFrame([cells[was].alias(name) for was, name in names.items()])


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


def shortest(number: pl.Expr) -> pl.Expr:
    """As transfer.shortest, for whole columns: no padding on either side of the point."""
    bare = number.str.replace(r"^0+([0-9])", "${1}")
    return bare.str.replace(r"\.0*$|(\.[0-9]*[1-9])0+$", "${1}")
