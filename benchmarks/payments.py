"""Who pays twice: lost answers, a kill in the middle, and a new start by each tool's own means."""

import time
from collections.abc import Sequence
from pathlib import Path

from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process
from batchcredit.sandbox.faults import Fault
from benchmarks.bench import Bench
from benchmarks.inputs import write_batch
from benchmarks.processes import kill_when, run
from benchmarks.table import Measure, Payments, Target, ToolLine
from benchmarks.tools import OURS, TOOLS, Job, Tool

WIDTH = 16
LATENCY_S = 0.02
LOST = 0.01
SETTLING_S = 1.0

#: Ours ends with 3 where rows are in doubt; a peer may end badly over a lost answer.
ANY_END = range(256)


def measure(bench: Bench, tools: Sequence[Tool] = TOOLS) -> None:
    """Each tool against a provider of its own, which loses the answers of the same clients for all."""
    rows = bench.sizes.payment_rows
    for number, tool in enumerate(tools):
        line = ToolLine(tool.name, tool.own_means, missing=tool.needs(), note=tool.note)
        line = bench.results.tools.setdefault(tool.name, line)
        if line.missing:
            bench.say(f"  SKIPPED {tool.name}: {line.missing}")
            continue
        with bench.own_folder(f"payments{number}") as folder:
            line.payments = _payments(folder, tool, rows)
        paid = line.payments
        bench.say(f"  {tool.name}: {paid.twice} of {rows} clients paid twice, {paid.never} never")
    _compare(bench, tools)


def _payments(folder: Path, tool: Tool, rows: int) -> Payments:
    settings = SandboxSettings(fault_rates={Fault.CLOSE_AFTER: LOST}, latency_s=LATENCY_S)
    batch = write_batch(folder / "batch.csv", rows)
    with sandbox_process(settings) as address:
        job = Job(folder, batch, address, WIDTH, again=True)
        command, control = tool.command(job), address.control()
        kill_when(command, folder, lambda: control.totals()["executions"] >= rows // 2)
        time.sleep(SETTLING_S)
        said = run(command, folder, allowed=ANY_END).said
        return _judged(address, rows, _left_open(tool, said))


def _left_open(tool: Tool, said: dict[str, object]) -> int:
    """Rows of which the tool's last word is that it failed or does not know."""
    if tool is OURS:
        counts = said["counts"]
        assert isinstance(counts, dict)
        return int(counts["in_doubt"] + counts["not_sent"])
    failed = said["failed"]
    assert isinstance(failed, int)
    return failed


def _judged(address: SandboxAddress, clients: int, left_open: int) -> Payments:
    """By the provider's book."""
    executions = [account["executions"] for account in address.control().accounts()]
    twice = sum(count > 1 for count in executions)
    paid = sum(count > 0 for count in executions)
    return Payments(clients, twice, clients - paid, left_open)


def _compare(bench: Bench, tools: Sequence[Tool]) -> None:
    ours = bench.results.tools[OURS.name].payments
    if ours is None:
        return
    others = [
        (line.payments.twice, line.tool)
        for tool in tools
        if tool is not OURS and (line := bench.results.tools[tool.name]).payments
    ]
    what = f"clients paid twice, 1 % of {ours.clients:,} answers lost and the run killed once"
    targets = (Target(0, "at most", of="value"),)
    note = f"{ours.left_open:,} rows are left in doubt, of which {ours.never:,} were not paid: a person looks"
    least, best = min(others, default=(0, "none measured"))
    bench.add(Measure("payments", what, "", [ours.twice], f"the best peer, {best}", [least], targets, note))
