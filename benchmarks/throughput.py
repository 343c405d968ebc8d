"""Rows per second, tool beside tool, on a provider that answers at once; and beside what latency allows."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchcredit.sandbox import SandboxSettings, sandbox_process
from benchmarks.bench import Bench
from benchmarks.inputs import write_batch
from benchmarks.processes import Ran, run
from benchmarks.table import Measure, Speed, Target, ToolLine
from benchmarks.tools import AIOHTTP, AIOHTTP_UVLOOP, HTTPX, OURS, TOOLS, Job, Tool

WIDTHS = (64, 512)
LATENCY_S = 0.2
LOOP = (Target(1.3, "at least"), Target(2.5, "at least", beyond=True))
TARGETS = {
    64: {AIOHTTP.name: LOOP, AIOHTTP_UVLOOP.name: LOOP, HTTPX.name: (Target(30, "at least"),)},
    512: {AIOHTTP.name: LOOP, AIOHTTP_UVLOOP.name: LOOP, HTTPX.name: (Target(120, "at least"),)},
}
FEWEST = 50
AT_ONCE = SandboxSettings(keep_book="totals")


@dataclass
class Turns:
    """One tool's values, a turn each. `whole` counts from the start of the process to its end."""

    rows: int = 0
    sending: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def take(self, ran: Ran, rows: int) -> None:
        """One more turn."""
        self.rows = rows
        self.sending.append(rows / ran.said["seconds"])
        self.whole.append(rows / ran.seconds)
        self.cpu_us.append(ran.cpu_s / rows * 1e6)

    def speed(self, width: int) -> Speed:
        return Speed(width, self.rows, self.sending, self.whole, statistics.median(self.cpu_us))


def measure(bench: Bench, tools: Sequence[Tool] = TOOLS) -> None:
    """All tools in turns, the widths one after another."""
    for tool in tools:
        line = ToolLine(tool.name, tool.own_means, missing=tool.needs(), note=tool.note)
        bench.results.tools.setdefault(tool.name, line)
    present = [tool for tool in tools if not _is_missing(bench, tool)]
    for width in WIDTHS:
        turns = _all_in_turns(bench, present, width)
        for tool in present:
            bench.results.tools[tool.name].speeds.append(turns[tool.name].speed(width))
        for peer, targets in TARGETS[width].items():
            if peer in turns:
                _compare(bench, width, turns[OURS.name], peer, turns[peer], targets)


def _is_missing(bench: Bench, tool: Tool) -> bool:
    why = bench.results.tools[tool.name].missing
    if why:
        bench.say(f"  SKIPPED {tool.name}: {why}")
    return bool(why)


def _all_in_turns(bench: Bench, tools: Sequence[Tool], width: int) -> dict[str, Turns]:
    turns = {tool.name: Turns() for tool in tools}
    with bench.own_folder(f"throughput{width}") as folder:
        for turn in range(bench.sizes.turns):
            for number, tool in enumerate(tools):
                rows = max(FEWEST, int(tool.rows * bench.sizes.tool_share))
                ran = send(tool, folder, f"b{turn}-{number}", width, rows, AT_ONCE)
                turns[tool.name].take(ran, rows)
                rate = turns[tool.name].sending[-1]
                bench.say(f"  {tool.name}, {width} at a time: {rows:,} rows, {rate:,.0f} rows/s")
    return turns


def send(tool: Tool, folder: Path, name: str, width: int, rows: int, provider: SandboxSettings) -> Ran:
    """Send a new file with a tool to a new provider. Raises RuntimeError unless each row was executed."""
    batch = write_batch(folder / f"{name}.csv", rows)
    with sandbox_process(provider) as address:
        ran = run(tool.command(Job(folder, batch, address, width)), folder)
        totals = address.control().totals()
    if totals["executions"] != rows or totals["accounts"] != rows:
        raise RuntimeError(f"{tool.name} made {totals['executions']} transfers of {rows}: {ran.said}")
    return ran


def _compare(
    bench: Bench, width: int, ours: Turns, peer: str, theirs: Turns, targets: Sequence[Target]
) -> None:
    rows = (
        f"{ours.rows:,} rows" if ours.rows == theirs.rows else f"{ours.rows:,} rows, the peer {theirs.rows:,}"
    )
    name = f"throughput_{width}"
    cpu = statistics.median(ours.cpu_us), statistics.median(theirs.cpu_us)
    note = f"{cpu[0]:,.0f} us of CPU per row with all that a run does, the peer {cpu[1]:,.0f}"
    what = f"rows/s while sending, {width} at a time"
    bench.add(Measure(name, f"{what} ({rows})", "rows/s", ours.sending, peer, theirs.sending, targets, note))
    if ours.rows == theirs.rows:  # else whoever sends less would be charged more for its start
        what = f"rows/s from the start of the process to its end, {width} at a time"
        bench.add(Measure(f"{name}_whole", f"{what} ({rows})", "rows/s", ours.whole, peer, theirs.whole))


def measure_latency(bench: Bench) -> None:
    """A provider that takes 200 ms: concurrency / latency is the most that is possible."""
    width, rows = 512, bench.sizes.latency_rows
    ours, peers = Turns(), Turns()
    slow = SandboxSettings(keep_book="totals", latency_s=LATENCY_S)
    with bench.own_folder("latency") as folder:
        for turn in range(bench.sizes.turns):
            if not AIOHTTP.needs():
                peers.take(send(AIOHTTP, folder, f"peer{turn}", width, rows, slow), rows)
            ours.take(send(OURS, folder, f"ours{turn}", width, rows, slow), rows)
    what = f"rows/s with {LATENCY_S * 1000:.0f} ms for each answer, {width} at a time ({rows:,} rows)"
    targets = (Target(0.95, "at least"), Target(0.99, "at least", beyond=True))
    ideal = [width / LATENCY_S]
    bench.add(Measure("latency", what, "rows/s", ours.sending, "concurrency / latency", ideal, targets))
    if peers.sending:
        bench.add(Measure("latency_peer", what, "rows/s", ours.sending, AIOHTTP.name, peers.sending))
