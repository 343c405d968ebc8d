"""Any bytes as Parquet end in the rows that stand there, or in a refusal, whatever its decoder does."""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hostile_bytes import Rows, ending
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from batchcredit import trial
from batchcredit.reader import parquet_trial
from batchcredit.reader.parquet_table import ParquetTable

ACCOUNTS = [str(number) for number in range(1, 21)]
PLAIN = {
    "provider": ["clicksend"] * 20,
    "account": ACCOUNTS,
    "amount": [f"{account}.5" for account in ACCOUNTS],
    "currency": ["USD"] * 20,
}
Damage = list[tuple[int, int]]


def written(frame: pl.DataFrame, **how: Any) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, **how)
    return out.getvalue()


def read(frame: pl.DataFrame, **how: Any) -> Rows:
    found = ending(written(frame, **how), "batch.parquet")
    assert isinstance(found, Rows), found
    return found


def refused(data: bytes) -> tuple[str, str]:
    """The reason and the words."""
    found = ending(data, "batch.parquet")
    assert not isinstance(found, Rows)
    return found.reason, str(found)


@settings(max_examples=max(settings().max_examples // 16, 1), deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(1, 1700), st.integers(0, 255)), min_size=1, max_size=4),
    compression=st.sampled_from(["uncompressed", "zstd", "snappy"]),
    lost=st.sampled_from([0, 0, 0, 1, 8, 500]),
)
@example(damage=[(476, 0)], compression="uncompressed", lost=0)  # these two made the decoder panic
@example(damage=[(510, 128)], compression="uncompressed", lost=0)
def test_a_damaged_file(damage: Damage, compression: str, lost: int) -> None:
    """Bytes changed before its end, or the end lost: what polars reads at once, or refused."""
    data = bytearray(written(pl.DataFrame(PLAIN), compression=compression))
    for place, value in damage:
        data[-min(place, len(data))] = value
    data = data[: len(data) - lost]
    found = ending(bytes(data), "batch.parquet")
    if isinstance(found, Rows):
        event("rows")
        assert found.cells == pl.read_parquet(io.BytesIO(data)).rows()
    else:
        event(found.reason)
        assert found.reason in {"file_damaged", "column_type", "missing_column", "nearly_column"}


@settings(max_examples=max(settings().max_examples // 25, 1), deadline=None)
@given(data=st.binary(max_size=200), magic=st.booleans())
def test_any_bytes_as_parquet(data: bytes, magic: bool) -> None:
    """With the marks at both ends or without, this is no Parquet."""
    assert refused(b"PAR1" + data + b"PAR1" if magic else data)[0] == "file_damaged"


OTHERS = {
    "date": [date(2024, 2, 29), None],
    "time": [clock(1, 2, 3, 4), None],
    "naive": [datetime(2024, 2, 29, 1, 2, 3, 456789), None],  # noqa: DTZ001  a column may have no zone
    "zoned": [datetime(2024, 2, 29, tzinfo=UTC), None],
    "single": pl.Series([0.1, float("inf")], dtype=pl.Float32),
    "double": [0.1 + 0.2, float("nan")],
    "truth": [True, None],
    "nothing": [None, None],
    "huge": pl.Series([2**127 - 1, None], dtype=pl.Int128),
    "small": pl.Series([-128, None], dtype=pl.Int8),
    "decimal": pl.Series([Decimal("0.10"), None], dtype=pl.Decimal(38, 20)),
    "category": pl.Series(["=1+1", None], dtype=pl.Categorical),
    "": ["\0\x1b", ""],
    "^.*$": ["*", "007"],
}


def test_columns_of_every_kind_are_carried_untouched() -> None:
    """Types, digits, nulls and names stay; a bad row beside them is listed all the same."""
    frame = pl.DataFrame({**{name: cells[:2] for name, cells in PLAIN.items()}, **OTHERS})
    frame = frame.with_columns(account=pl.Series(["1", "0"]))
    found = read(frame)
    assert found.columns == frame.columns
    assert pl.DataFrame(found.cells, schema=frame.schema, orient="row").equals(frame)
    assert found.read == [("1", "1.5", None), ("0", "2.5", "account_form")]


AMOUNTS: list[tuple[pl.Series, list[str]]] = [
    (pl.Series(["0.10", "000000000012.3400"], dtype=pl.Categorical), ["0.1", "12.34"]),
    (
        pl.Series([Decimal("0.0001"), Decimal("999999999999.9999")], dtype=pl.Decimal(38, 18)),
        ["0.0001", "999999999999.9999"],
    ),
    (pl.Series([2**53 - 1, 999_999_999_999], dtype=pl.UInt64), ["9007199254740991", "999999999999"]),
    (pl.Series([5, 2**127 - 1], dtype=pl.Int128), ["5", str(2**127 - 1)]),
]


@pytest.mark.parametrize(("amounts", "expected"), AMOUNTS, ids=[str(each.dtype) for each, _ in AMOUNTS])
def test_amounts_keep_their_digits(amounts: pl.Series, expected: Sequence[str]) -> None:
    """Whatever the type, the amount is the decimal that stands there."""
    found = read(pl.DataFrame({**{name: cells[:2] for name, cells in PLAIN.items()}, "amount": amounts}))
    assert [amount for _, amount, _ in found.read] == expected


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("amount", [True, False]),
        ("amount", [0.1, 5.0]),
        ("account", [date(2024, 1, 1)] * 2),
        ("note", [timedelta(days=1), None]),
        ("note", [b"x", b"y"]),
        ("note", [{"a": [1]}, None]),
    ],
)
def test_what_no_cell_can_hold_is_refused(column: str, cells: list[object]) -> None:
    """Before money moves: a results file could not hold it either."""
    frame = pl.DataFrame({**{name: each[:2] for name, each in PLAIN.items()}, column: cells})
    reason, words = refused(written(frame))
    assert reason == "column_type"
    assert f"column '{column}'" in words


def repeated(rows: int, **cells: str) -> bytes:
    """A small file with many rows, all alike."""
    common = {"provider": "clicksend", "account": "1", "amount": "5", "currency": "USD"}
    frame = pl.DataFrame({name: pl.repeat(cell, rows, eager=True) for name, cell in (common | cells).items()})
    return written(frame, row_group_size=rows)


def test_rows_that_take_no_room_are_refused() -> None:
    """A few kilobytes can declare any number of rows."""
    data = repeated(3_000_000)
    assert len(data) < 40_000
    reason, words = refused(data)
    assert reason == "file_damaged"
    assert "3000000 rows can not be in" in words


def test_texts_that_take_no_room_are_read_in_pieces(tmp_path: Path) -> None:
    """A long text that is stored once for many rows does not come in one block."""
    path = tmp_path / "batch.parquet"
    path.write_bytes(repeated(300, note="x" * 1_000_000))
    blocks = list(ParquetTable(path, path).blocks())
    assert [block.first_row for block in blocks[:2]] == [1, blocks[0].cells.height + 1]
    assert sum(block.cells.height for block in blocks) == 300
    assert max(block.cells["note"].str.len_bytes().sum() for block in blocks) < 40_000_000
    assert refused(repeated(50, note="x" * (2 << 20)))[0] == "row_length"


def test_a_page_that_asks_for_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that tries is refused it, whatever the decoder makes of that; here with a small bound."""
    data = repeated(1, note="x" * (100 << 20))
    assert len(data) < 150_000
    small = "from batchcredit import trial; trial._MEMORY_BYTES = 64 << 20; "
    monkeypatch.setattr(trial, "_PROGRAM", small + trial._PROGRAM)
    monkeypatch.setattr(parquet_trial, "_PATIENCE_S", 5)  # what is refused it may also stand still
    assert refused(data)[0] == "file_damaged"
    monkeypatch.setattr(parquet_trial, "_PATIENCE_S", 60)
    assert isinstance(ending(written(pl.DataFrame(PLAIN)), "batch.parquet"), Rows)


def test_a_decoder_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does so now and then where a thread of it was refused memory."""
    monkeypatch.setattr(trial, "_PROGRAM", "import time; time.sleep(50)")
    monkeypatch.setattr(parquet_trial, "_PATIENCE_S", 0.1)
    reason, words = refused(written(pl.DataFrame(PLAIN)))
    assert (reason, words.endswith("its decoder does not end")) == ("file_damaged", True), words


def test_the_process_that_tries_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads a stranger's file is given none of ours."""
    monkeypatch.setenv("BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY", "key")
    monkeypatch.setattr(
        trial, "_PROGRAM", "import os, sys; sys.exit(any('CLICKSEND' in name for name in os.environ))"
    )
    assert isinstance(ending(written(pl.DataFrame(PLAIN)), "batch.parquet"), Rows)
