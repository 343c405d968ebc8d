"""Measure and print: make bench, or python -m benchmarks [--rows N] [--check-rows N] [--concurrency N]

Each line holds what was measured, the peer measured in the same run, and their ratio. Machines differ and are
shared, so the ratio is what counts.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process
from benchmarks.inputs import Ran, batchcredit, run, write_batch, write_settings

#: Each side is measured so often, in turns; the median counts.
TURNS = 3


def main() -> None:
    """Run all measurements and print one table."""
    options = _options()
    python = platform.python_version()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {python}, {platform.system()}")
    print("| measure | batchcredit | peer | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with sandbox_process(SandboxSettings(keep_book="totals")) as address:
            throughput(folder, address, options.rows, options.concurrency)
            memory_of_run(folder, address, options.rows, options.concurrency)
        checking(folder, options.check_rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000, help="rows that are sent")
    parser.add_argument("--check-rows", type=int, default=1_000_000, help="rows that are checked")
    parser.add_argument("--concurrency", type=int, default=64)
    return parser.parse_args()


def throughput(folder: Path, address: SandboxAddress, rows: int, concurrency: int) -> None:
    """Rows/s end to end, no rate limit, against a script by hand on the same sandbox."""
    ours, theirs = [], []
    for turn in range(TURNS):
        batch = write_batch(folder / f"throughput{turn}.csv", rows)
        peer = run(_module("peer_httpx", batch, address.clicksend_url, concurrency), folder)
        theirs.append(peer.said["rows"] / peer.said["seconds"])
        ran = _send(folder, address, batch, concurrency, f"t{turn}")
        ours.append(ran.said["rows_per_s"])
    _row(f"{rows:,} rows at {concurrency} at a time, rows/s (httpx script)", ours, theirs)


def memory_of_run(folder: Path, address: SandboxAddress, rows: int, concurrency: int) -> None:
    """Peak memory of a run, of ten times as many rows against as many."""
    few = _send(folder, address, write_batch(folder / "few.csv", rows), concurrency, "few")
    many = _send(folder, address, write_batch(folder / "many.csv", rows * 10), concurrency, "many")
    _row(f"peak MB of run, {rows * 10:,} rows ({rows:,} rows)", [many.peak_mb], [few.peak_mb])


def checking(folder: Path, rows: int) -> None:
    """check against a bare scan and write of the same file, and its memory against a tenth of the rows."""
    batch, tenth = write_batch(folder / "check.csv", rows), write_batch(folder / "tenth.csv", rows // 10)
    settings = write_settings(folder / "check.toml", SandboxAddress("127.0.0.1", 9), 16)
    ours, theirs, peaks = [], [], []
    for _ in range(TURNS):
        theirs.append(run(_module("peer_polars", batch, folder / "copy.csv"), folder).seconds)
        ran = batchcredit("check", batch, "--config", settings, folder=folder)
        ours.append(ran.seconds)
        peaks.append(ran.peak_mb)
    _row(f"check of {rows:,} rows, seconds (polars scan and write)", ours, theirs)
    small = batchcredit("check", tenth, "--config", settings, folder=folder)
    _row(f"peak MB of check, {rows:,} rows ({rows // 10:,} rows)", peaks, [small.peak_mb])


def _send(folder: Path, address: SandboxAddress, batch: Path, concurrency: int, name: str) -> Ran:
    settings = write_settings(folder / f"{name}.toml", address, concurrency)
    ran = batchcredit("run", batch, "--config", settings, "--yes", folder=folder)
    sent, expected = ran.said["counts"]["credited"] + ran.said["counts"]["rejected"], ran.said["rows"]
    if sent != expected:
        raise RuntimeError(f"{expected - sent} rows did not end: {ran.said}")
    return ran


def _module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]


def _row(
    what: str, ours: list[float], theirs: list[float], show: Callable[[float], str] = "{:,.2f}".format
) -> None:
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"| {what} | {show(one)} | {show(other)} | {one / other:.2f} |", flush=True)


if __name__ == "__main__":
    main()
