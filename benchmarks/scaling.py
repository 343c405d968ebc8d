"""What a row costs in a large batch beside a small one."""

import statistics
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.table import Measure, Target
from benchmarks.throughput import AT_ONCE, send
from benchmarks.tools import OURS

WIDTH = 64
TARGETS = (Target(1.1, "at most"),)


def measure(bench: Bench) -> None:
    """The large batch between the small ones, so that a machine that slows down does not flatter either."""
    few, many = bench.sizes.cost_rows
    with bench.own_folder("scaling") as folder:
        before = [_cost(folder, few, turn) for turn in range(bench.sizes.turns)]
        large = _cost(folder, many, 0)
        after = [_cost(folder, few, turn) for turn in range(len(before), 2 * len(before))]
    small = [cost for cost, _ in before + after]
    cpu = large[1], statistics.median(cpu for _, cpu in before + after)
    note = f"CPU of the whole process: {cpu[0]:,.0f} us per row beside {cpu[1]:,.0f}"
    what = f"microseconds of sending per row, {many:,} rows"
    bench.add(Measure("cost", what, "us", [large[0]], f"{few:,} rows", small, TARGETS, note))


def _cost(folder: Path, rows: int, turn: int) -> tuple[float, float]:
    ran = send(OURS, folder, f"b{rows}-{turn}", WIDTH, rows, AT_ONCE)
    return ran.said["seconds"] / rows * 1e6, ran.cpu_s / rows * 1e6
