"""Files that come back, as cells of text."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.formulas import escaped
from batchcredit.reader import Worksheet, text_table

WORDS = st.text(st.sampled_from("='+-@\t 019.,\"\n;aé#"), max_size=6)


@pytest.fixture
def worksheet() -> Iterator[Worksheet]:
    with Worksheet() as sheet:
        yield sheet


def texts(path: Path, worksheet: Worksheet) -> pl.DataFrame:
    table = text_table(path, worksheet)
    cells = [block.cells for block in table.blocks()]
    return pl.concat(cells) if cells else pl.DataFrame(schema=table.schema)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1))
def test_what_was_written_as_csv_comes_back(rows: list[tuple[str, str, str]]) -> None:
    """A formula that was kept text is the text that it was; no other cell is touched."""
    # One cell is never empty: a blank line would be no row.
    frame = pl.DataFrame([("x", *row) for row in rows], schema=["first", "=a", "'b", "c"], orient="row")
    with TemporaryDirectory() as folder, Worksheet() as worksheet:
        path = Path(folder) / "m.results.csv"
        escaped(frame).write_csv(path)
        assert texts(path, worksheet).equals(frame)


def test_parquet_comes_back_as_csv_would(tmp_path: Path, worksheet: Worksheet) -> None:
    """Numbers by all their digits, moments in UTC; null is empty; a `'` in Parquet is a character."""
    moment = datetime(2026, 11, 30, 9, 5, 7, 120_000, UTC)
    frame = pl.DataFrame(
        {
            "row": [1, None],
            "amount": [Decimal("12.50"), None],
            "sent_at": pl.Series([moment, None], dtype=pl.Datetime("ms", "UTC")),
            "there": pl.Series([moment, None]).dt.convert_time_zone("Africa/Nairobi"),
            "local": [moment.replace(tzinfo=None), None],
            "day": [date(2026, 11, 30), None],
            "'text": ["'=x", ""],
        }
    )
    frame.write_parquet(path := tmp_path / "m.parquet")
    found = texts(path, worksheet)
    assert found.columns == frame.columns
    assert found.rows() == [
        (
            *("1", "12.50", "2026-11-30T09:05:07.120Z", "2026-11-30T09:05:07.120Z"),
            *("2026-11-30T09:05:07.120", "2026-11-30", "'=x"),
        ),
        ("",) * 7,
    ]


def test_two_files_in_one_worksheet(tmp_path: Path, worksheet: Worksheet) -> None:
    """Each has a copy of its own, which stays when the file goes."""
    tables = []
    for name in ("one", "two"):
        path = tmp_path / name / "same.csv"
        path.parent.mkdir()
        path.write_text(f"name\n{name}\n")
        tables.append(text_table(path, worksheet))
        path.unlink()
    assert [block.cells["name"].to_list() for each in tables for block in each.blocks()] == [["one"], ["two"]]


def test_names_that_become_equal_are_refused(tmp_path: Path, worksheet: Worksheet) -> None:
    """Which of two columns is meant is not guessed."""
    (tmp_path / "m.csv").write_text("a,'a\n1,2\n")
    with pytest.raises(RefusedError, match="differ by nothing") as caught:
        text_table(tmp_path / "m.csv", worksheet)
    assert caught.value.reason == "duplicate_column"
