"""Batches to be tortured: both formats, both providers, clients and requests that several of them share."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from books import Payment, Row, payment
from command_line import HEADER

#: So many clients each provider has: few, so that they come again in other rows and other batches.
CLIENTS = 60


@dataclass(frozen=True, slots=True)
class TorturedBatch:
    """A file, what is in it, and where its results go."""

    name: str
    path: Path
    results_path: Path
    rows: list[Row]

    @property
    def payments(self) -> list[Payment]:
        return [payment(row) for row in self.rows]

    def results(self) -> list[Row]:
        """The rows of the results, all cells as text."""
        if self.results_path.suffix == ".csv":
            with self.results_path.open(newline="") as file:
                return list(csv.DictReader(file))
        return list(pl.read_parquet(self.results_path).cast(pl.String).fill_null("").iter_rows(named=True))


def torture_batches(dice: random.Random, folder: Path, number: int, rows: int) -> list[TorturedBatch]:
    """So many batches, in turn CSV and Parquet, each with about so many rows.

    Amounts are never the same, so a row is known by its payment; but a few requests stand in two batches.
    """
    made: list[TorturedBatch] = []
    for each in range(number):
        first = 1 + each * 10 * rows
        own = [_row(dice, each, first + row) for row in range(dice.randint(rows // 2, rows))]
        shared = (
            [row for row in dice.sample(made[-1].rows, len(made[-1].rows) // 10) if _is_sound(row)]
            if made
            else []
        )
        own += shared
        dice.shuffle(own)
        made.append(_written(folder, f"b{each}", ("csv", "parquet")[each % 2], own))
    return made


def _row(dice: random.Random, batch: int, number: int) -> Row:
    """Some name a client that is unknown, some have an amount that is invalid, half have a reference."""
    client = dice.randint(1, CLIENTS)
    unknown = dice.random() < 0.01
    amount = f"{number}.{dice.randint(0, 99):02d}" + ("12345" if dice.random() < 0.005 else "")
    reference = f"b{batch}-r{number}" if dice.random() < 0.5 else ""
    if dice.random() < 0.5:
        account, content = f"{client}{'0404' if unknown else '0001'}", ("USD", reference)
        return dict(zip(HEADER, ("clicksend", account, amount, *content), strict=True))
    account, content = f"{'unknown' if unknown else 'client'}{client}", ("KES", reference)
    return dict(zip(HEADER, ("fastmessage", account, amount, *content), strict=True))


def endings(row: Row) -> set[str]:
    """How a row may stand when nothing is left to be done: the providers credit everybody whom they know."""
    if not _is_sound(row):
        return {"invalid"}
    unknown = row["account"].endswith("0404") or row["account"].startswith("unknown")
    return {"rejected"} if unknown else {"credited", "already_credited"}


def _is_sound(row: Row) -> bool:
    return len(row["amount"].partition(".")[2]) == 2


def _written(folder: Path, name: str, suffix: str, rows: list[Row]) -> TorturedBatch:
    path = folder / f"{name}.{suffix}"
    if suffix == "csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        pl.DataFrame(rows).write_parquet(path)
    return TorturedBatch(name, path, folder / f"{name}.results.{suffix}", rows)
