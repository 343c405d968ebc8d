"""A batch is known by its content: not by its order, its format or the version of a library."""

import csv
import hashlib
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from batch_reading import read

from batchcredit.reader import identity, sorting

HEADER = ["provider", "account", "amount", "currency", "reference", "note"]
ROWS = [
    ["clicksend", "11", "12.10", "USD", "", "a"],
    ["clicksend", "12", "0012.1", "USD", "r-2", "b"],
    ["kenya", "Shop", "7", "", "r-3", "c"],
    ["clicksend", "13", "1,5", "USD", "x\x1b\x1fy\r\nz", "an invalid row"],
    ["clicksend", "14", "1000000", "EUR", "", "Café"],
]


def as_csv(rows: list[list[str]], **dialect: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows([HEADER, *rows])
    return out.getvalue()


def defined(lines: list[str]) -> bytes:
    """The definition, once more and without polars."""
    body = b"".join(line + b"\n" for line in sorted(line.encode() for line in lines))
    return hashlib.sha256(b"batchcredit batch 1\n" + body).digest()


def test_the_identity_is_what_its_definition_says(batch: Callable[..., Any]) -> None:
    """Anyone can compute it again with sort and sha256."""
    found = batch(as_csv(ROWS)).survey.content
    assert found == defined(
        [
            "\x1fclicksend\x1f11\x1f12.1\x1fUSD",
            "r-2\x1fclicksend\x1f12\x1f12.1\x1fUSD",
            "r-3\x1fkenya\x1fShop\x1f7\x1fKES",
            "x\x1be\x1buy\x1br\x1bnz\x1f!\x1fclicksend\x1f13\x1f1,5\x1fUSD",
            "\x1fclicksend\x1f14\x1f1000000\x1fEUR",
        ]
    )


def test_order_and_format_do_not_count(batch: Callable[..., Any], tmp_path: Path) -> None:
    """A copy, sorted, re-saved, converted, with other columns: the same batch."""
    content = batch(as_csv(ROWS)).survey.content
    shuffled = ROWS[::-1]
    assert batch(as_csv(shuffled, delimiter=";", quoting=csv.QUOTE_ALL)).survey.content == content
    frame = pl.DataFrame(shuffled, schema=HEADER, orient="row").drop("note")
    frame.write_parquet(tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet").survey.content == content


@pytest.mark.parametrize("column", range(5))
def test_every_column_counts(batch: Callable[..., Any], column: int) -> None:
    """Another provider, account, amount, currency or reference is another batch."""
    other = [list(row) for row in ROWS]
    other[4][column] = ["kenya", "15", "1000001", "USD", "r"][column]
    assert batch(as_csv(other)).survey.content != batch(as_csv(ROWS)).survey.content


def test_a_row_twice_is_another_batch(batch: Callable[..., Any]) -> None:
    """Equal rows enter as often as they stand there."""
    assert batch(as_csv([*ROWS, ROWS[0]])).survey.content != batch(as_csv(ROWS)).survey.content


def test_sorting_on_disk_gives_the_same(batch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is held in memory, the identity is the same."""
    dice = random.Random(7)
    rows = [["clicksend", str(dice.randrange(1, 10**6)), "5", "USD", "", ""] for _ in range(3000)]
    whole = batch(as_csv(rows)).survey.content
    small = sorting.SpillSort
    monkeypatch.setattr(identity, "SpillSort", lambda folder, key: small(folder, key, held_rows=100))
    assert batch(as_csv(rows)).survey.content == whole
