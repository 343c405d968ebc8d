"""What durability costs: the same engine with its ledger and with one that remembers nothing."""

from pathlib import Path

from batchcredit.sandbox import SandboxSettings, sandbox_process
from benchmarks.bench import Bench
from benchmarks.inputs import write_settings
from benchmarks.processes import module, run
from benchmarks.table import Measure, Target

WIDTHS = (64, 512)
TARGETS = (Target(0.85, "at least"), Target(0.95, "at least", beyond=True))


def measure(bench: Bench) -> None:
    """Both in turns, at each width."""
    rows = bench.sizes.ledger_rows
    for width in WIDTHS:
        with bench.own_folder(f"ledger{width}") as folder:
            turns = [_both(folder, width, rows, turn) for turn in range(bench.sizes.turns)]
        ours, theirs = zip(*turns, strict=True)
        what = f"rows/s of the engine alone with its ledger, {width} at a time ({rows:,} rows)"
        peer = "without durable work"
        bench.add(Measure(f"ledger_{width}", what, "rows/s", ours, peer, theirs, TARGETS))


def _both(folder: Path, width: int, rows: int, turn: int) -> tuple[float, float]:
    return _rate(folder, "sqlite", width, rows, turn), _rate(folder, "memory", width, rows, turn)


def _rate(folder: Path, kind: str, width: int, rows: int, turn: int) -> float:
    with sandbox_process(SandboxSettings(keep_book="totals")) as address:
        settings = write_settings(folder / f"{kind}{turn}.toml", address, width)
        ran = run(module("engine_alone", kind, settings, rows), folder)
    seconds: float = ran.said["seconds"]
    return rows / seconds
