"""What every measurement gets: a folder, how much to measure, and where figures go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.table import Measure, Results, figure


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `turns`: how often each side, alternately; `tool_share` of each tool's rows."""

    turns: int
    tool_share: float
    payment_rows: int
    latency_rows: int
    ledger_rows: int
    run_rows: tuple[int, int]
    check_rows: tuple[int, int]
    polars_rows: int
    cost_rows: tuple[int, int]
    server_s: float
    profile_rows: int
    pace_s: float
    slow_pace_rows: int


FULL = Sizes(
    turns=3,
    tool_share=1,
    payment_rows=2_000,
    latency_rows=76_800,
    ledger_rows=40_000,
    run_rows=(50_000, 500_000),
    check_rows=(500_000, 5_000_000),
    polars_rows=1_000_000,
    cost_rows=(10_000, 1_000_000),
    server_s=5,
    profile_rows=40_000,
    pace_s=15,
    slow_pace_rows=26,
)
QUICK = Sizes(
    turns=1,
    tool_share=0.1,
    payment_rows=200,
    latency_rows=5_120,
    ledger_rows=4_000,
    run_rows=(1_000, 10_000),
    check_rows=(50_000, 500_000),
    polars_rows=200_000,
    cost_rows=(1_000, 10_000),
    server_s=2,
    profile_rows=3_000,
    pace_s=3,
    slow_pace_rows=4,
)


@dataclass
class Bench:
    """One run of the benchmarks. Everything that is measured leaves its files in `folder`."""

    folder: Path
    sizes: Sizes
    results: Results
    beside: dict[str, str] = field(default_factory=dict)
    """Texts that are kept beside the table, by file name."""

    def add(self, measure: Measure) -> None:
        """Keep a figure, and show it."""
        self.results.measures.append(measure)
        told = "; ".join(measure.judged(beyond=False) + measure.judged(beyond=True))
        ours = f"{figure(measure.our_median)} {measure.unit}".strip()
        theirs = f"{figure(measure.their_median)} ({measure.peer})"
        ratio = "" if measure.ratio is None else f", ratio {measure.ratio:.3g}"
        self.say(f"  {measure.what}: {ours} beside {theirs}{ratio}. {told}".rstrip(" ."))

    def say(self, text: str) -> None:
        """Progress for whoever waits."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    @contextmanager
    def own_folder(self, name: str) -> Iterator[Path]:
        """A folder for one measurement."""
        folder = self.folder / name
        folder.mkdir()
        yield folder
