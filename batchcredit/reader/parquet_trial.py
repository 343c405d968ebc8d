"""Parquet is decoded once in a process that may fail: its decoder is not ours.

A damaged file can make it panic, and a small one can ask for more memory than there is. This module is that
process, and what starts it.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

SLICE_ROWS = 1 << 17

#: A file may declare rows that take no room in it. So many it may have anyhow, so many for each of its bytes,
#: and never more than can be numbered.
_FEW_ROWS = 1_000_000
_ROWS_PER_BYTE = 64
_MOST_ROWS = (1 << 32) - 1

#: Memory beyond what the process has at its start. Linux keeps to it; macOS does not.
_MEMORY_BYTES = 1 << 30
#: A decoder that is refused memory may wait for itself for ever; a sound file takes a fraction of this.
_PATIENCE_S = 60.0
_SLOWEST_BYTES_PER_S = 1 << 20
_SHOWN = 200
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = "import sys; from batchcredit.reader.parquet_trial import main; main(sys.argv[1])"


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
    try:
        done = subprocess.run(  # noqa: S603  a fixed program with a file of ours as its only argument
            [sys.executable, "-P", "-c", _PROGRAM, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a panic writes pages
            env=_environment(),
            timeout=_PATIENCE_S + file.stat().st_size / _SLOWEST_BYTES_PER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "its decoder does not end"
    if not done.returncode:
        return ""
    return done.stdout.decode(errors="replace") or "its decoder gives up, or asks for too much memory"


def _environment() -> dict[str, str]:
    """Ours without the settings of batchcredit: what reads a stranger's file needs no secret."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHCREDIT_")}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [_PACKAGE_ROOT, kept.get("PYTHONPATH")]))
    return kept


def main(file: str) -> None:
    """Decode all of `file`; where that fails, say why on stdout and exit with 1."""
    _limit_memory()
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


def _limit_memory() -> None:
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    limit = pages * resource.getpagesize() + _MEMORY_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
