"""Measure, show, and write one table and its charts: make bench, or python -m benchmarks.

Each figure stands beside a peer that was measured in the same run, in turns. Machines differ and are shared,
so the ratios are what counts.
"""

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import hot_path, ledger_cost, memory, pace, payments, scaling, server, start, throughput
from benchmarks.bench import FULL, QUICK, Bench
from benchmarks.machine import machine
from benchmarks.processes import ROOT
from benchmarks.table import Results

#: The order matters once: the server is measured after the tools whose speed it has to exceed.
MEASURES: dict[str, Callable[[Bench], None]] = {
    "start": start.measure,
    "throughput": throughput.measure,
    "server": server.measure,
    "payments": payments.measure,
    "latency": throughput.measure_latency,
    "pace": pace.measure,
    "ledger": ledger_cost.measure,
    "check": memory.measure_polars,
    "memory_check": memory.measure_check,
    "memory_run": memory.measure_run,
    "cost": scaling.measure,
    "profile": hot_path.measure,
}
KEPT = ROOT / "benchmarks" / "results"
PASSING = ROOT / ".bench"


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; 1 when something could not be measured, which the table then says."""
    options = _options(arguments)
    names = options.only or list(MEASURES)
    results = Results(_command(options), machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder), QUICK if options.quick else FULL, results)
        bench.say(
            f"{results.command}: {', '.join(f'{name} {value}' for name, value in results.machine.items())}"
        )
        for name in names:
            _measured(bench, name)
    out = options.out or (PASSING if options.only or options.quick else KEPT)
    write(bench, out)
    print(f"\n{results.as_markdown()}\nwritten to {out}")
    return 1 if results.failed else 0


def _measured(bench: Bench, name: str) -> None:
    """What goes wrong costs one measure, and not the half hour of all others."""
    bench.say(name)
    try:
        MEASURES[name](bench)
    except Exception:
        traceback.print_exc()
        bench.results.failed.append(name)
        bench.say(f"  FAILED {name}")


def _command(options: argparse.Namespace) -> str:
    """Without --out: where the files went is no part of what was measured."""
    parts = ["--only " + name for name in options.only or ()]
    return " ".join(["python -m benchmarks", *(["--quick"] if options.quick else []), *parts])


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few rows, in a few minutes, to see that it works"
    )
    parser.add_argument(
        "--only", action="append", choices=list(MEASURES), help="this measure; may be repeated"
    )
    parser.add_argument("--out", type=Path, help="a folder; else benchmarks/results, or .bench for a part")
    return parser.parse_args(arguments)


def write(bench: Bench, out: Path) -> None:
    """The table as Markdown and JSON, the charts, and the texts that stand beside them."""
    out.mkdir(parents=True, exist_ok=True)
    results = bench.results
    texts = {"results.md": results.as_markdown(), "results.json": results.as_json(), **bench.beside}
    for name, text in (texts | _charts(results)).items():
        (out / name).write_text(text)


def _charts(results: Results) -> dict[str, str]:
    lines = list(results.tools.values())
    if not lines:
        return {}
    from benchmarks import charts  # late: what it loads would count as memory of every child

    drawn = {}
    if any(line.speeds for line in lines):
        drawn["rows_per_s.svg"] = charts.speed_chart(lines)
    if any(line.payments for line in lines):
        drawn["paid_twice.svg"] = charts.payment_chart(lines)
    return drawn


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
