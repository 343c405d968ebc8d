"""Rate limits, counted where the requests arrive."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process
from batchcredit.sandbox.faults import Fault
from benchmarks.bench import Bench
from benchmarks.inputs import write_batch
from benchmarks.processes import run
from benchmarks.table import Measure, Target
from benchmarks.tools import HTTPX, OURS, Job, Tool

WIDTH = 16
PAUSE_S = 2.0
UNFINISHED = (0, 4)


@dataclass(frozen=True)
class Limit:
    """`requests` in `period_s`, as the settings have it."""

    text: str
    requests: int
    period_s: float

    @property
    def per_s(self) -> float:
        return self.requests / self.period_s

    def window_targets(self) -> tuple[Target, ...]:
        """2 % of tolerance where timers are coarser than the spacing."""
        return (Target(1.02 if self.per_s >= 100 else 1.0, "at most"),)


LIMITS = (
    Limit("20/min", 20, 60),
    Limit("10/s", 10, 1),
    Limit("100/s", 100, 1),
    Limit("1000/s", 1000, 1),
)


def measure(bench: Bench) -> None:
    """Each limit alone, after a pause that the provider asked for, and after a stop and a new start."""
    with bench.own_folder("pace") as folder:
        for limit in LIMITS:
            rows = _rows(bench, limit)
            _plain(bench, folder, limit, rows)
        for limit in LIMITS[1:]:
            _paused(bench, folder, limit, _rows(bench, limit))
        for limit in LIMITS:
            _resumed(bench, folder, limit, _rows(bench, limit))


def _rows(bench: Bench, limit: Limit) -> int:
    if limit.period_s > 1:
        return bench.sizes.slow_pace_rows
    return int(limit.per_s * min(bench.sizes.pace_s, 15)) + 1


def _plain(bench: Bench, folder: Path, limit: Limit, rows: int) -> None:
    ours = _arrivals(folder, OURS, limit, limit.text, rows)
    rate = f"{limit.requests}/{limit.period_s:g}"
    theirs = [] if HTTPX.needs() else _arrivals(folder, HTTPX, limit, rate, rows)
    what, name = f"{limit.text}, {rows:,} requests", f"pace_{limit.text.replace('/', '_')}"
    reach = (Target(0.99, "at least"),)
    bench.add(Measure(name, f"{what}: reached", "/s", [achieved(ours)], "the limit", [limit.per_s], reach))
    note = f"{HTTPX.name}: {worst(theirs, limit.period_s):,}" if theirs else ""
    _add_worst(bench, name, what, limit, ours, note)


def _add_worst(
    bench: Bench, name: str, what: str, limit: Limit, times: Sequence[float], note: str = ""
) -> None:
    label = f"{what}: most in any {limit.period_s:g} s"
    most = [float(worst(times, limit.period_s))]
    told = "; ".join(filter(None, [_quickest(limit, times), note]))
    bench.add(
        Measure(f"{name}_worst", label, "", most, "the limit", [limit.requests], limit.window_targets(), told)
    )


def _quickest(limit: Limit, times: Sequence[float]) -> str:
    """How near it was: one request more than the limit takes longer than the period, or it is broken."""
    spans = [later - earlier for earlier, later in zip(times, times[limit.requests :], strict=False)]
    return f"{limit.requests + 1:,} requests took {min(spans):.4g} s at the least" if spans else ""


def _arrivals(folder: Path, tool: Tool, limit: Limit, rate: str, rows: int) -> list[float]:
    name = f"{'ours' if tool is OURS else 'peer'}-{limit.requests}-{limit.period_s:g}"
    batch = write_batch(folder / f"{name}.csv", rows)
    with sandbox_process() as address:
        run(tool.command(Job(folder, batch, address, WIDTH, rate=rate)), folder)
        return times_of(address)


def _paused(bench: Bench, folder: Path, limit: Limit, rows: int) -> None:
    """One 429 in the middle."""
    batch = write_batch(folder / f"paused{limit.requests}.csv", rows)
    with sandbox_process(SandboxSettings(retry_after_s=PAUSE_S)) as address:
        job = Job(folder, batch, address, WIDTH, rate=limit.text)
        with _throttled_at(address, rows // 2):
            run(OURS.command(job), folder)
        times = times_of(address)
    what = f"{limit.text} around a 429 that asks for {PAUSE_S:g} s"
    name = f"pace_{limit.text.replace('/', '_')}_429"
    reached = [achieved(times, without_pause=True)]
    reach = (Target(0.99, "at least"),)
    bench.add(
        Measure(
            name, f"{what}: reached outside of the pause", "/s", reached, "the limit", [limit.per_s], reach
        )
    )
    _add_worst(bench, name, what, limit, times)


@contextmanager
def _throttled_at(address: SandboxAddress, arrivals: int) -> Iterator[None]:
    """The next request after so many arrivals is answered with 429."""
    ended, control = threading.Event(), address.control()

    def watch() -> None:
        while not ended.wait(0.01):
            if control.totals()["arrivals"] >= arrivals:
                control.script("*", [Fault.STATUS_429])
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _resumed(bench: Bench, folder: Path, limit: Limit, rows: int) -> None:
    """Half of the rows, then the rest by another process."""
    batch = write_batch(folder / f"resumed{limit.requests}-{limit.period_s:g}.csv", rows)
    with sandbox_process() as address:
        command = OURS.command(Job(folder, batch, address, WIDTH, rate=limit.text))
        run([*command, "--limit", str(rows // 2)], folder, allowed=UNFINISHED)
        run(command, folder)
        times = times_of(address)
    if len(times) != rows:
        raise RuntimeError(f"{len(times)} requests for {rows} rows")
    what, name = f"{limit.text} in two starts", f"pace_{limit.text.replace('/', '_')}_again"
    _add_worst(bench, name, what, limit, times)


def times_of(address: SandboxAddress) -> list[float]:
    """When each request arrived, in order; seconds."""
    arrivals: list[dict[str, Any]] = address.control().arrivals()
    return sorted(arrival["arrived_at"] for arrival in arrivals)


def achieved(times: Sequence[float], *, without_pause: bool = False) -> float:
    """Requests per second between the first and the last; without the longest gap, where that was a pause."""
    span, gaps = times[-1] - times[0], len(times) - 1
    if without_pause:
        span -= max(later - earlier for earlier, later in pairwise(times))
        gaps -= 1
    return gaps / span


def worst(times: Sequence[float], period_s: float) -> int:
    """The most requests in any window of a period, which holds its beginning and not its end."""
    return max(bisect_left(times, start + period_s) - number for number, start in enumerate(times))
