"""Parquet is decoded once in a process that may fail: its decoder is not ours."""

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.trial import limit_memory, tried

SLICE_ROWS = 1 << 17

#: A file may declare rows that take no room in it. So many it may have anyhow, so many for each of its bytes,
#: and never more than can be numbered.
_FEW_ROWS = 1_000_000
_ROWS_PER_BYTE = 64
_MOST_ROWS = (1 << 32) - 1

#: A decoder that is refused memory may wait for itself for ever; a sound file takes a fraction of this.
_PATIENCE_S = 60.0
_SLOWEST_BYTES_PER_S = 1 << 20
_SHOWN = 200


def scanned(file: Path) -> pl.LazyFrame:
    """The file as it is read here and there."""
    return pl.scan_parquet(file, glob=False, hive_partitioning=False)


def slices(frame: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """All rows; polars' own batches hold whole row groups, some of them ahead."""
    for start in range(0, rows, SLICE_ROWS):
        yield frame.slice(start, SLICE_ROWS).collect(engine="in-memory")


def count_rows(frame: pl.LazyFrame) -> int:
    """How many rows the file declares."""
    rows: int = frame.select(pl.len()).collect().item()
    return rows


def why_unreadable(file: Path) -> str:
    """What is wrong with the file, or "" if every row of it can be decoded in bounded memory."""
    patience_s = _PATIENCE_S + file.stat().st_size / _SLOWEST_BYTES_PER_S
    sound, said = tried(__name__, str(file), patience_s=patience_s)
    return "" if sound else said


def main(file: str) -> None:
    """Decode all of `file`; where that fails, say why on stdout and exit with 1."""
    limit_memory()
    try:
        _decode(Path(file))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        sys.stdout.write(str(error)[:_SHOWN])
        sys.exit(1)


def _decode(file: Path) -> None:
    frame = scanned(file)
    rows, size = count_rows(frame), file.stat().st_size
    if rows > min(max(_FEW_ROWS, size * _ROWS_PER_BYTE), _MOST_ROWS):
        raise ValueError(f"{rows} rows can not be in {size} bytes")
    for _ in slices(frame, rows):
        pass
