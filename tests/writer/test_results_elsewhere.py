"""Results as DuckDB and polars read them, without being told anything."""

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from batchcredit.writer.csv_file import write_csv, write_csv_gz
from batchcredit.writer.table import COLUMNS

#: More rows than DuckDB looks at before it decides (20,480), and than polars does (100).
ROWS = 25_000

ODD = "they said \"no\";\r\nreally, 'x' \u00e9"
FORMULA = "=SUM(A1)"


def frame(first: int, rows: int, **last: Any) -> pl.DataFrame:
    """A piece of a plain batch in our columns; its last row is as it is told."""
    plain: dict[str, Any] = {
        "provider": "clicksend", "account": "1000001", "amount": "12.50", "currency": "USD",
        "note": None, "row": 1, "status": "credited", "reason": None, "http_status": 200,
        "provider_code": "SUCCESS", "message": None, "units": None, "balance_before": "1.5",
        "balance_after": "14.123456", "attempts": 1, "sent_at": datetime(2026, 3, 31, 9, tzinfo=UTC),
        "duration_ms": 40, "settled_by": "provider", "transfer_id": "t-cb6b269c-1", "batch": "march",
        "seal": "s-0123456789abcdef",
    }  # fmt: skip
    schema = {name: pl.String() for name in ("provider", "account", "amount", "currency", "note")} | COLUMNS
    piece = pl.DataFrame([plain] * (rows - 1) + [plain | last], schema=schema)
    return piece.with_columns(row=pl.int_range(first, first + rows, dtype=pl.Int64))


def late_oddities() -> Iterator[pl.DataFrame]:
    """Nothing but the last row of many is in any way unusual."""
    yield frame(1, ROWS - 10)
    yield frame(
        ROWS - 9, 10, note=FORMULA, status="rejected", reason="unknown_account", message=ODD, units="1.5"
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same results in each format that programs read."""
    folder = tmp_path_factory.mktemp("results")
    files = {ending: folder / f"march.results.{ending}" for ending in ("csv", "csv.gz", "parquet")}
    with files["csv"].open("wb") as file:
        write_csv(late_oddities(), file)
    with files["csv.gz"].open("wb") as file:
        write_csv_gz(late_oddities(), file)
    pl.concat(late_oddities()).write_parquet(files["parquet"])
    assert gzip.decompress(files["csv.gz"].read_bytes()) == files["csv"].read_bytes()
    return files


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_duckdb_reads_every_row(ending: str, written: dict[str, Path]) -> None:
    """Each row once, the odd text at the end as it was; moments are moments."""
    found = duckdb.sql(f"from '{written[ending]}'")
    assert len(found) == ROWS
    escaped = "" if ending == "parquet" else "'"
    last = found.filter(f"row = {ROWS}").project("note, reason, message, units, balance_after::VARCHAR")
    assert last.fetchall() == [(f"{escaped}{FORMULA}", "unknown_account", ODD, "1.5", "14.123456")]
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    assert types["sent_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["row"] == types["attempts"] == "BIGINT"
    moments = found.project("epoch_ms(sent_at)").distinct().fetchall()
    assert moments == [(round(datetime(2026, 3, 31, 9, tzinfo=UTC).timestamp() * 1000),)]


READERS: dict[str, Callable[[Path], pl.DataFrame]] = {"csv": pl.read_csv, "parquet": pl.read_parquet}


@pytest.mark.parametrize("ending", READERS)
def test_polars_reads_every_row(ending: str, written: dict[str, Path]) -> None:
    """The same."""
    found = READERS[ending](written[ending])
    assert (found.height, found["row"].to_list()) == (ROWS, list(range(1, ROWS + 1)))
    assert found["message"][-1] == ODD
    assert found["units"][-1] == "1.5"


def test_parquet_has_the_types_right(written: dict[str, Path]) -> None:
    """Accounts are text, money is exact text, moments have their zone: nothing is guessed."""
    schema = pl.read_parquet_schema(written["parquet"])
    assert schema["account"] == schema["amount"] == schema["balance_after"] == pl.String
    assert schema["sent_at"] == pl.Datetime("ms", "UTC")


def test_what_a_csv_can_not_say_is_read_as_text(tmp_path: Path) -> None:
    """Zeros before an account are lost on a reader that guesses, and a late name stops it; docs/files.md says
    how to read text. Then every cell is as it was."""
    path = tmp_path / "march.results.csv"
    with path.open("wb") as file:
        write_csv([frame(1, ROWS, account="0012"), frame(ROWS + 1, 10, account="jane")], file)
    with pytest.raises(duckdb.ConversionException, match="jane"):
        duckdb.sql(f"select account from '{path}'").fetchall()
    as_text = duckdb.sql(f"from read_csv('{path}', all_varchar = true)")
    assert set(as_text.project("account").distinct().fetchall()) == {("1000001",), ("0012",), ("jane",)}
    with pytest.raises(pl.exceptions.ComputeError, match="jane"):
        pl.read_csv(path)
    found = pl.read_csv(path, infer_schema=False)
    assert set(found["account"]) == {"1000001", "0012", "jane"}
    assert found["balance_after"][0] == "14.123456"
