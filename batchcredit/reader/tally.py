"""Counting as the chunks go by: sums, problems with their first examples, and the last row."""

import re
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from batchcredit.reader.cures import cure_of
from batchcredit.reader.diagnosis import sanitised
from batchcredit.reader.rules import ProfileRules
from batchcredit.reader.survey import SHOWN, Example, ProblemCount, Total
from batchcredit.reader.validate import Chunk
from batchcredit.transfer import shortest

_LEAST_OTHERS = 2  # of two equal rows, each is the sum of the other
_NUMBER = re.compile(r"[0-9]{1,3}(?:[,' ][0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,15}(?:\.[0-9]+)?")


class Tally:
    """What a file adds up to so far."""

    def __init__(self, profiles: Mapping[str, ProfileRules]) -> None:
        self.rows = self.valid = 0
        self.respelled = False  # an account was met that is not its own canonical form
        self._profiles = profiles
        self._counts: dict[str, int] = defaultdict(int)
        self._examples: dict[str, list[Example]] = defaultdict(list)
        self._totals: dict[tuple[str, str], Total] = defaultdict(Total)
        self._by_currency: dict[str, Total] = defaultdict(Total)  # all numbers
        self._last: dict[str, Any] = {}

    def add(self, chunk: Chunk) -> None:
        """Counts a chunk in."""
        rows = chunk.rows
        self._add_sums(rows)
        self.rows += rows.height
        self.respelled |= not rows["account"].equals(rows["account_key"])
        self._last = rows.row(-1, named=True)
        if rows["problem"].null_count() < rows.height:
            self._add_problems(rows.filter(pl.col("problem").is_not_null()))

    def _add_sums(self, rows: pl.DataFrame) -> None:
        keys = ("provider", "currency", pl.col("problem").is_null().alias("valid"))
        sums = rows.group_by(*keys).agg(
            pl.len().alias("rows"), pl.col("value").sum(), pl.col("value").count().alias("numbers")
        )
        for provider, currency, valid, count, value, numbers in sums.iter_rows():
            self._by_currency[currency] += Total(numbers, value)
            if valid:
                self.valid += count
                self._totals[provider, currency] += Total(count, value)

    def _add_problems(self, bad: pl.DataFrame) -> None:
        told = [sanitised(pl.col(name)).alias(name) for name in ("account", "amount")]
        for word, count in bad["problem"].value_counts().iter_rows():
            self._counts[word] += count
            room = SHOWN - len(self._examples[word])
            for row in bad.filter(problem=word).head(room).with_columns(told).iter_rows(named=True):
                self._examples[word].append(self._example(row))

    def _example(self, row: Mapping[str, Any]) -> Example:
        return Example(
            row=row["row"],
            line=row["line"],
            provider=row["provider"],
            account=row["account"],
            amount=row["amount"],
            column=row["column"],
            detail=row["detail"],
            cure=cure_of(row["problem"], row["provider"], self._profiles),
        )

    def problems(self) -> dict[str, ProblemCount]:
        """Each problem that was met, most frequent first."""
        by_count = sorted(self._counts, key=lambda word: (-self._counts[word], word))
        return {word: ProblemCount(self._counts[word], tuple(self._examples[word])) for word in by_count}

    def totals(self) -> dict[tuple[str, str], Total]:
        """The valid rows by provider and currency, in that order."""
        return {
            key: Total(each.rows, Decimal(shortest(each.amount)))
            for key, each in sorted(self._totals.items())
        }

    def total_line(self) -> Mapping[str, Any] | None:
        """The last row, if its amount is the sum of all others, or of all others of its currency."""
        written = str(self._last.get("amount", "")).strip()
        if not _NUMBER.fullmatch(written):
            return None
        amount = Decimal(re.sub("[,' ]", "", written))
        own = Total() if self._last["value"] is None else Total(1, self._last["value"])
        sums = [sum(self._by_currency.values(), Total()), self._by_currency[self._last["currency"]]]
        others = [each - own for each in sums]
        total = amount and any(each.rows >= _LEAST_OTHERS and each.amount == amount for each in others)
        return self._last if total else None
