"""Parquet, the worksheet, and the file of invalid rows."""

import stat
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from batch_reading import PROFILES, read

from batchcredit.errors import RefusedError, StorageError
from batchcredit.reader import ReadOptions, Worksheet, examine, write_invalid

FRAME = pl.DataFrame(
    {
        "provider": ["clicksend", "clicksend"],
        "account": [11, 12],
        "amount": [Decimal("5.50"), Decimal("7.00")],
        "currency": ["USD", "USD"],
        "day": [date(2025, 1, 31), None],
    },
    schema_overrides={"provider": pl.Categorical, "amount": pl.Decimal(12, 2)},
)


def parquet(tmp_path: Path, frame: pl.DataFrame) -> Path:
    path = tmp_path / "batch.parquet"
    frame.write_parquet(path)
    return path


def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    """Decimals and integers become exact text; carried cells keep their types; rows have no lines."""
    found = read(parquet(tmp_path, FRAME))
    assert [(row["account"], row["amount"], row["line"]) for row in found.rows] == [
        ("11", "5.5", None),
        ("12", "7", None),
    ]
    assert found.cells[0]["day"] == date(2025, 1, 31)


@pytest.mark.parametrize("column", ["amount", "account", "reference"])
def test_floats_are_refused(tmp_path: Path, column: str) -> None:
    """What binary floating point has done to a number can't be undone here."""
    frame = FRAME.with_columns(pl.Series(column, [1.5, 2.5]))
    with pytest.raises(RefusedError, match=f"column '{column}' holds Float64") as caught:
        read(parquet(tmp_path, frame))
    assert caught.value.reason == "column_type"


@pytest.mark.parametrize("value", [[["a"], ["b"]], [{"a": 1}, {"a": 2}], [b"a", b"b"]])
def test_nested_columns_are_refused(tmp_path: Path, value: list[Any]) -> None:
    """A results file could not hold them."""
    with pytest.raises(RefusedError, match="column 'tags'"):
        read(parquet(tmp_path, FRAME.with_columns(tags=pl.Series(value))))


def test_nulls_are_empty_cells(tmp_path: Path) -> None:
    """A missing amount is missing, and not zero."""
    found = read(parquet(tmp_path, FRAME.with_columns(amount=pl.lit(None), account=pl.lit(None, pl.String))))
    assert found.problems == ["account_missing", "account_missing"]


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    """Whether its end or its middle is lost."""
    path = parquet(tmp_path, FRAME)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RefusedError) as caught:
        read(path)
    assert caught.value.reason == "file_damaged"


def test_rows_are_numbered_on_over_slices(tmp_path: Path) -> None:
    """However the format cuts the file, rows count from 1 without a gap."""
    count = 140_000
    frame = pl.DataFrame({"account": range(1, count + 1), "amount": ["5"] * count})
    found = read(parquet(tmp_path, frame), provider="clicksend", currency="USD")
    assert [row["row"] for row in found.rows] == list(range(1, count + 1))
    assert found.rows[-1]["account"] == str(count)


def test_the_worksheet_is_private_and_removes_itself(tmp_path: Path) -> None:
    """The accounts in it are nobody else's business."""
    with Worksheet(tmp_path) as worksheet:
        assert stat.S_IMODE(worksheet.folder.stat().st_mode) == 0o700
        (worksheet.folder / "x").write_text("x")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """Exit code 5, and where to get space."""
    with pytest.raises(StorageError):
        Worksheet(tmp_path / "none")


def test_what_was_examined_is_what_comes_later(tmp_path: Path) -> None:
    """The file may change or vanish in between."""
    path = tmp_path / "batch.csv"
    path.write_text("provider,account,amount,currency\nclicksend,11,5,USD\n")
    with Worksheet() as worksheet:
        examine(path, ReadOptions(), PROFILES, worksheet)
        path.unlink()
        assert [row["account"] for chunk in worksheet.chunks() for row in chunk.rows.to_dicts()] == ["11"]


BAD = (
    "provider,account,amount,currency,note\n"
    'clicksend,011,5,USD,"a ""b"", c"\nclicksend,12,6,USD,\nclicksnd,13,"1,5",USD,=1+1\n'
)


def test_the_invalid_file_has_every_bad_row_with_its_cure(tmp_path: Path) -> None:
    """The input's cells, none of them a formula, then where, what and what to do."""
    path, out = tmp_path / "batch.csv", tmp_path / "batch.invalid.csv"
    path.write_text(BAD)
    with Worksheet() as worksheet:
        examine(path, ReadOptions(), PROFILES, worksheet)
        assert write_invalid(worksheet, out) == 2
    rows = pl.read_csv(out, infer_schema=False).to_dicts()
    assert [(row["row"], row["line"], row["problem"], row["column"]) for row in rows] == [
        ("1", "2", "account_form", "account"),
        ("3", "4", "unknown_provider", "provider"),
    ]
    assert [row["note"] for row in rows] == ['a "b", c', "'=1+1"]
    assert rows[1]["cure"].startswith("Did you mean clicksend?")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["batch.csv", "batch.invalid.csv"]


def test_a_mended_invalid_file_can_be_read(batch: Callable[..., Any]) -> None:
    """Our own columns are left out, and that is said."""
    found = batch(
        "provider,account,amount,currency,row,line,problem,column,cure\n"
        "clicksend,11,5,USD,1,2,account_form,account,Mend it.\n"
    )
    assert found.survey.valid == 1
    assert list(found.cells[0]) == ["provider", "account", "amount", "currency"]
    assert "are left out" in found.survey.notes[0]


def test_the_invalid_file_never_replaces_the_input(tmp_path: Path) -> None:
    """Not even when it is asked to."""
    path = tmp_path / "batch.csv"
    path.write_text(BAD)
    with Worksheet() as worksheet:
        examine(path, ReadOptions(), PROFILES, worksheet)
        with pytest.raises(RefusedError):
            write_invalid(worksheet, path)
    assert path.read_text() == BAD


def test_progress_is_told(tmp_path: Path) -> None:
    """With the rows so far."""
    path = tmp_path / "batch.csv"
    path.write_text(BAD)
    told: list[int] = []
    with Worksheet() as worksheet:
        examine(path, ReadOptions(), PROFILES, worksheet, told.append)
    assert told == [3]


def test_a_parquet_file_damaged_in_its_middle_is_refused(tmp_path: Path) -> None:
    """Its schema can be read, its rows can not."""
    frame = pl.DataFrame({"account": range(1, 5001), "amount": [str(n) for n in range(1, 5001)]})
    path = parquet(tmp_path, frame)
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(bytes(data))
    with pytest.raises(RefusedError) as caught:
        read(path, provider="clicksend", currency="USD")
    assert caught.value.reason == "file_damaged"


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    """A schema is no batch."""
    with pytest.raises(RefusedError) as caught:
        read(parquet(tmp_path, FRAME.clear()))
    assert caught.value.reason == "no_rows"
