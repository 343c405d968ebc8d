"""Batches of any size, and processes whose peak memory is known."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchcredit.sandbox import SandboxAddress


@dataclass(frozen=True)
class Ran:
    """One process that has ended: wall-clock seconds, peak resident memory in MB, and its JSON, if any."""

    exit_code: int
    seconds: float
    peak_mb: float
    said: dict[str, Any]


def write_batch(path: Path, rows: int) -> Path:
    """A batch of so many ClickSend rows, each for another client, with references."""
    with path.open("w") as file:
        file.write("provider,account,amount,currency,reference,client\n")
        for row in range(1, rows + 1):
            cents = 100 + row * 7919 % 90_000
            file.write(f"clicksend,{5_000_000 + row * 13}1,{cents / 100:.2f},USD,B-{row},Client {row}\n")
    return path


def write_settings(path: Path, address: SandboxAddress, concurrency: int) -> Path:
    """One profile without a rate limit, which only this machine's own addresses may have."""
    path.write_text(
        f'ledger = "sqlite:///{path.parent / (path.stem + ".db")}"\n'
        f'[providers.clicksend]\nkind = "clicksend"\nbase_url = "{address.clicksend_url}"\n'
        f'username = "bench"\nrate = "none"\nconcurrency = {concurrency}\n'
    )
    return path


def batchcredit(*arguments: str | Path, folder: Path) -> Ran:
    """Run the command line with --json."""
    command = [sys.executable, "-m", "batchcredit", *map(str, arguments), "--json", "-q"]
    return run(command, folder)


def run(command: list[str], folder: Path) -> Ran:
    """Run a process to its end; its last line on stdout may be JSON."""
    environment = os.environ | {
        "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY": "bench",
        "XDG_DATA_HOME": str(folder),
    }
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        out.seek(0)
        err.seek(0)
        lines, complaint = out.read().splitlines(), err.read()
    if child.returncode not in (0, 1):
        raise RuntimeError(f"{command} ended with {child.returncode}: {complaint[-2000:]}")
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Ran(child.returncode, seconds, usage.ru_maxrss / 1024, said)
