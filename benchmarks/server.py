"""The provider that is measured against must not be the limit: how many requests it carries."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process
from benchmarks.bench import Bench
from benchmarks.processes import ROOT, module, run
from benchmarks.table import Measure, Target

WIDTHS = (64, 512)
TARGETS = (Target(2, "at least"),)


def measure(bench: Bench) -> None:
    """Beside the fastest tool of this run, whichever that was."""
    name, load = ("wrk", _wrk) if shutil.which("wrk") else ("a raw loader", _loader)
    for width in WIDTHS:
        with bench.own_folder(f"server{width}") as folder:
            carried = [_carried(load, folder, width, bench.sizes.server_s) for _ in range(bench.sizes.turns)]
        tool, claimed = _fastest(bench, width)
        what = f"requests/s that the sandbox carries, {width} at a time, asked by {name}"
        targets = TARGETS if claimed else ()
        bench.add(
            Measure(f"server_{width}", what, "/s", carried, f"the fastest tool, {tool}", [claimed], targets)
        )


def _fastest(bench: Bench, width: int) -> tuple[str, float]:
    speeds = [
        (max(speed.sending), line.tool)
        for line in bench.results.tools.values()
        for speed in line.speeds
        if speed.concurrency == width
    ]
    rate, tool = max(speeds, default=(0.0, "none measured"))
    return tool, rate


def _carried(
    load: Callable[[SandboxAddress, Path, int, float], float], folder: Path, width: int, seconds: float
) -> float:
    with sandbox_process(SandboxSettings(keep_book="totals")) as address:
        return load(address, folder, width, seconds)


def _loader(address: SandboxAddress, folder: Path, width: int, seconds: float) -> float:
    said = run(module("loader", address.host, address.port, width, seconds), folder).said
    rate: float = said["rows"] / said["seconds"]
    return rate


def _wrk(address: SandboxAddress, folder: Path, width: int, seconds: float) -> float:
    url = f"{address.clicksend_url}/reseller/transfer-credit"
    script = ROOT / "benchmarks" / "wrk.lua"
    command = ["wrk", "-t1", f"-c{width}", f"-d{seconds:g}s", "-s", str(script), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    if "Non-2xx" in told:
        raise RuntimeError(told)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    if found is None:
        raise RuntimeError(told)
    return float(found[1])
