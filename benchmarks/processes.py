"""Child processes: run to their end with their time and memory, or killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
POLL_S = 0.002


@dataclass(frozen=True)
class Ran:
    """One process that has ended: wall-clock and CPU seconds, peak resident memory in MB, and the JSON of its
    last line on stdout, if any."""

    exit_code: int
    seconds: float
    cpu_s: float
    peak_mb: float
    said: dict[str, Any]


def batchcredit(command: str, *arguments: object) -> list[str]:
    """A command line of ours with --json."""
    return [sys.executable, "-m", "batchcredit", command, *map(str, arguments), "--json", "-q"]


def module(name: str, *arguments: object) -> list[str]:
    """A module of this package as a process."""
    return [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]


def run(command: Sequence[str], folder: Path, allowed: Sequence[int] = (0,)) -> Ran:
    """Run a process to its end in `folder`. Raises RuntimeError for any other exit code.

    The system counts a child's memory from the moment it was forked, so the process that measures has to be
    the smaller one: it imports neither polars nor the charts before everything is measured.
    """
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        started = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=err, env=_environment(folder), start_new_session=True
        )
        with _ended_with_us(child):
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        out.seek(0)
        err.seek(0)
        lines, complaint = out.read().splitlines(), err.read()
    if child.returncode not in allowed:
        raise RuntimeError(f"{command} ended with {child.returncode}: {complaint[-2000:]}")
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    cpu_s = usage.ru_utime + usage.ru_stime
    return Ran(child.returncode, seconds, cpu_s, usage.ru_maxrss / 1024, said)


def kill_when(command: Sequence[str], folder: Path, is_time: Callable[[], bool]) -> None:
    """Start a process, and kill it and its children (SIGKILL) as soon as it is time. Raises RuntimeError when
    it ends before."""
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        child = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=err, env=_environment(folder), start_new_session=True
        )
        with _ended_with_us(child):
            while not is_time():
                if child.poll() is not None:
                    raise RuntimeError(f"{command} ended with {child.returncode} before it was killed")
                time.sleep(POLL_S)


@contextmanager
def _ended_with_us(child: "subprocess.Popen[Any]") -> Iterator[None]:
    """Whatever happens, neither the child nor one of its own children stays behind."""
    try:
        yield
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHCREDIT_")}
    return kept | {
        "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY": "bench",
        "XDG_DATA_HOME": str(folder),
        "PYTHONPATH": str(ROOT),
    }
