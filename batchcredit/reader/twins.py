"""Rows of one file that ask for the same money twice, found without holding the file.

Rows are compared by two 64-bit hashes of what makes them equal: that two of a billion rows agree in both by
chance is less likely than 1e-20, and would refuse a batch, not pay one.
"""

from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from batchcredit.reader.diagnosis import sanitised
from batchcredit.reader.overlap import overlapped
from batchcredit.reader.sorting import SpillSort
from batchcredit.reader.survey import SHOWN, Twin, Twins
from batchcredit.reader.validate import Chunk
from batchcredit.reader.worksheet import Worksheet

_CONTENT = ("provider", "account_key", "amount", "currency")
_SEEDS = (0x5EED, 0xF00D)


def find_twins(worksheet: Worksheet, among: Collection[int] | None = None) -> tuple[Twins, Twins]:
    """Rows that repeat an earlier one: its content, not told apart by references; and its reference. Only
    pairs in which one of the rows `among` is, where that is given."""
    contents = SpillSort(worksheet.folder / "contents", "hash", in_order=False)
    references = SpillSort(worksheet.folder / "references", "hash", in_order=False)
    for hashed in overlapped(map(_hashed, worksheet.chunks())):
        valid, named = hashed.filter("valid"), hashed.filter("named")
        contents.add(valid.select("hash", "check", "row", told=pl.when("named").then("told")))
        references.add(named.select("row", hash="told", check="told_check"))
    return (
        _shown(worksheet, *_collected(map(_equal_contents, contents.pieces()), among)),
        _shown(worksheet, *_collected(map(_equal_references, references.pieces()), among)),
    )


def _hashed(chunk: Chunk) -> pl.DataFrame:
    """Invalid rows have a reference to be compared, and no content."""
    return chunk.rows.select(
        "row",
        *_hashes(pl.struct(_CONTENT), "hash", "check"),
        *_hashes(pl.col("reference"), "told", "told_check"),
        valid=pl.col("problem").is_null(),
        named=pl.col("reference") != "",
    )


def _hashes(what: pl.Expr, *names: str) -> list[pl.Expr]:
    return [what.hash(seed).alias(name) for seed, name in zip(_SEEDS, names, strict=True)]


def _equal_contents(piece: pl.DataFrame) -> pl.DataFrame:
    """row and first_row of each row that repeats an earlier one. Equal references are found as such."""
    same = ("hash", "check")
    row, bare = pl.col("row"), pl.col("told").is_null()
    many = piece.filter(pl.col("hash").is_duplicated())
    first = many.with_columns(first=row.min().over(same), first_bare=row.filter(bare).min().over(same))
    # A row without a reference repeats any earlier one; a row with one repeats an earlier one without.
    return first.select("row", first_row=pl.when(bare).then("first").otherwise("first_bare")).filter(
        pl.col("first_row") < row
    )


def _equal_references(piece: pl.DataFrame) -> pl.DataFrame:
    row = pl.col("row")
    many = piece.filter(pl.col("hash").is_duplicated())
    return many.select("row", first_row=row.min().over("hash", "check")).filter(pl.col("first_row") < row)


def _collected(found: Iterable[pl.DataFrame], among: Collection[int] | None) -> tuple[int, pl.DataFrame]:
    """How many, and the first few of them."""
    count, first = 0, pl.DataFrame(schema={"row": pl.UInt32, "first_row": pl.UInt32})
    wanted = None if among is None else pl.Series(sorted(among), dtype=pl.UInt32)
    for pairs in found:
        piece = pairs
        if wanted is not None:
            piece = pairs.filter(pl.col("row").is_in(wanted) | pl.col("first_row").is_in(wanted))
        count += piece.height
        first = pl.concat([first, piece.bottom_k(SHOWN, by="row")]).bottom_k(SHOWN, by="row")
    return count, first.sort("row")


def _shown(worksheet: Worksheet, count: int, pairs: pl.DataFrame) -> Twins:
    """The rows themselves are read again: only a file with twins pays for it."""
    if not count:
        return Twins()
    wanted = set(pairs["row"]) | set(pairs["first_row"])
    rows: dict[int, dict[str, Any]] = {}
    told = [sanitised(pl.col(name)).alias(name) for name in ("account", "amount", "reference")]
    for chunk in worksheet.chunks():
        for row in chunk.rows.filter(pl.col("row").is_in(wanted)).with_columns(told).iter_rows(named=True):
            rows[row["row"]] = row
        if len(rows) == len(wanted):
            break
    twins = (_twin(rows[row], rows[first]) for row, first in pairs.iter_rows())
    return Twins(count, tuple(twins))


def _twin(row: dict[str, Any], first: dict[str, Any]) -> Twin:
    return Twin(
        row=row["row"],
        line=row["line"],
        first_row=first["row"],
        first_line=first["line"],
        account=row["account"],
        amount=row["amount"],
        reference=row["reference"],
    )
