"""Peak memory, of ten times as many rows beside as many; and the time of check beside a bare copy."""

from pathlib import Path

from batchcredit.sandbox import SandboxAddress
from benchmarks.bench import Bench
from benchmarks.inputs import write_batch, write_settings
from benchmarks.processes import Ran, batchcredit, module, run
from benchmarks.table import Measure, Target
from benchmarks.throughput import AT_ONCE, send
from benchmarks.tools import OURS

WIDTH = 64
RATIOS = (Target(1.15, "at most"), Target(1.05, "at most", beyond=True))
PEAKS = (Target(450, "at most", of="value"), Target(300, "at most", of="value", beyond=True))
CHECKED = (Target(3, "at most"), Target(1.5, "at most", beyond=True))
NOWHERE = SandboxAddress("127.0.0.1", 9)


def measure_run(bench: Bench) -> None:
    """Sent for real, to a provider that keeps no book."""
    few, many = bench.sizes.run_rows
    with bench.own_folder("memory_run") as folder:
        peaks = [send(OURS, folder, f"b{rows}", WIDTH, rows, AT_ONCE).peak_mb for rows in (few, many)]
    what = f"peak memory of run, {many:,} rows"
    _add(bench, "memory_run", what, peaks[1], f"{few:,} rows", peaks[0])


def measure_check(bench: Bench) -> None:
    """No provider is asked by check."""
    few, many = bench.sizes.check_rows
    with bench.own_folder("memory_check") as folder:
        peaks = [_checked(folder, write_batch(folder / f"b{rows}.csv", rows)).peak_mb for rows in (few, many)]
    what = f"peak memory of check, {many:,} rows"
    _add(bench, "memory_check", what, peaks[1], f"{few:,} rows", peaks[0])


def _add(bench: Bench, name: str, what: str, ours: float, peer: str, theirs: float) -> None:
    bench.add(Measure(name, what, "MB", [ours], peer, [theirs], (*RATIOS, *PEAKS)))


def measure_polars(bench: Bench) -> None:
    """check beside a scan and write of the same file by polars, which looks at nothing."""
    rows = bench.sizes.polars_rows
    ours, theirs = [], []
    with bench.own_folder("polars") as folder:
        batch = write_batch(folder / "batch.csv", rows)
        for _ in range(bench.sizes.turns):
            theirs.append(run(module("peers.polars_copy", batch, folder / "copy.csv"), folder).seconds)
            ours.append(_checked(folder, batch).seconds)
    what = f"check of {rows:,} rows"
    bench.add(Measure("check", what, "s", ours, "polars scans and writes it", theirs, CHECKED))


def _checked(folder: Path, batch: Path) -> Ran:
    settings = write_settings(folder / "check.toml", NOWHERE, WIDTH)
    return run(batchcredit("check", batch, "--config", settings), folder)
