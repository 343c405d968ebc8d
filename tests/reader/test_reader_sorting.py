"""Sorting on disk gives what sorting in memory gives."""

import tempfile
from itertools import chain
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcredit.reader.sorting import SpillSort


@settings(deadline=None, max_examples=60)
@given(
    batches=st.lists(st.lists(st.text("abé\U0001f600", max_size=3), min_size=1, max_size=30), max_size=12),
    held=st.integers(1, 20),
)
def test_pieces_are_all_rows_in_order(batches: list[list[str]], held: int) -> None:
    """However little is held, all rows come back, by the bytes of their keys, equal keys in one piece."""
    with tempfile.TemporaryDirectory() as folder:
        sorting = SpillSort(Path(folder, "s"), "key", held_rows=held)
        for batch in batches:
            sorting.add(pl.DataFrame({"key": batch}))
        pieces = [piece["key"].to_list() for piece in sorting.pieces()]
    assert [key for piece in pieces for key in piece] == sorted(chain.from_iterable(batches), key=str.encode)
    firsts = [piece[0] for piece in pieces]
    lasts = [piece[-1] for piece in pieces]
    assert all(last != first for last, first in zip(lasts, firsts[1:], strict=False))


def test_what_is_sorted_already_is_divided_evenly(tmp_path: Path) -> None:
    """A file in order fills one bucket, which is divided again: no piece is much larger than what is held."""
    sorting = SpillSort(tmp_path / "s", "key", held_rows=1000)
    for first in range(0, 40_000, 500):
        sorting.add(pl.DataFrame({"key": list(range(first, first + 500))}))
    pieces = [piece["key"].to_list() for piece in sorting.pieces()]
    assert [key for piece in pieces for key in piece] == list(range(40_000))
    assert max(map(len, pieces)) <= 4000
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
