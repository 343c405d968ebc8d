"""Several senders on one PostgreSQL ledger: what they carry, whether they keep the rate, and what it takes.

python -m benchmarks.senders [ROWS]             on a server that is started for it, from the tests' wheel
python -m benchmarks.senders send SETTINGS RUN  one sender, started by the former

Everything stands on one machine: senders, simulated provider and PostgreSQL share its cores. So what it shows
of many machines is what a row costs each of them; `predicted` says what follows for others, and why.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from batchcredit.engine.loop import in_loop
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget
from batchcredit.ledger import registry
from batchcredit.ledger.base import EnrolChunk, LaneIdentity, Ledger, NewBatch
from batchcredit.ledger.journal import open_journal
from batchcredit.runner.outgoing.lanes import close_all, opened, through
from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process
from batchcredit.settings import load
from batchcredit.transfer import Event
from benchmarks.engine_alone import PROFILE, enrol_row
from benchmarks.machine import machine
from benchmarks.pace import achieved, times_of, worst
from benchmarks.processes import ROOT

if TYPE_CHECKING:
    from postgres_server import Server

CREWS = (1, 2, 4)
WIDTH = 64
ROWS = 20_000
CHUNK_ROWS = 10_000
RATES = (("20/min", 20, 60.0, 14), ("10/s", 10, 1.0, 120), ("200/s", 200, 1.0, 2_400))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Point:
    """A batch that a crew has sent. CPU seconds per 1,000 rows."""

    senders: int
    rows: int
    seconds: float
    sender_cpu: float
    postgres_cpu: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.senders} senders: {self.rows_per_s:,.0f} rows/s; for 1,000 rows "
            f"{self.sender_cpu:.3f} s of the senders' processors, {self.postgres_cpu:.3f} s of PostgreSQL's"
        )


def main(rows: int) -> None:
    """Measure and tell."""
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    with _server() as server, tempfile.TemporaryDirectory() as folder:
        loaded = _enrolment(server, rows)
        print(f"enrolment: {loaded:,.0f} rows/s")
        points = [_free(server, Path(folder), senders, rows) for senders in CREWS]
        for point in points:
            print(point)
        for text, count, period_s, sent in RATES:
            for senders in CREWS:
                print(_paced(server, Path(folder), senders, text, count, period_s, sent))
    print(predicted(points[-1], loaded))


def predicted(point: Point, loaded: float, senders: int = 16, rows: int = 100_000_000) -> str:
    """Rows per second are at most the provider's rate, what the senders' cores carry, and what PostgreSQL's
    carry: costs per row as measured, a core for each sender, eight for PostgreSQL."""
    by_senders = senders * 1000 / point.sender_cpu
    by_postgres = 8 * 1000 / point.postgres_cpu
    hours = rows / min(by_senders, by_postgres) / 3600
    return (
        f"predicted: {senders} senders of one core each carry {by_senders:,.0f} rows/s, eight cores of "
        f"PostgreSQL {by_postgres:,.0f}; {rows:,} rows take {hours:.1f} h to send without a limit, "
        f"{rows / 1000 / 3600:.0f} h at 1,000/s, and {rows / loaded / 3600:.1f} h to enrol"
    )


def _enrolment(server: "Server", rows: int) -> float:
    url = server.fresh_url()
    with closing(registry.hold(url, "benchmark")) as ledger:
        started = time.perf_counter()
        _enrolled(ledger, rows)
        return rows / (time.perf_counter() - started)


def _enrolled(ledger: Ledger, rows: int, address: SandboxAddress | None = None) -> int:
    """A new batch, with a run begun; the run."""
    base_url = address.clicksend_url if address else "http://127.0.0.1:1"
    lane = ledger.accept_lane(LaneIdentity("clicksend", base_url, "bench")).id
    totals = {"USD": Decimal("1.5") * rows}
    new = NewBatch("bench", b"bench", "in.csv", "out.csv", totals, {PROFILE: lane}, live=False)
    chunks = (
        EnrolChunk(first, [enrol_row(number, lane) for number in range(first, last + 1)], b"")
        for first in range(1, rows + 1, CHUNK_ROWS)
        for last in [min(rows, first + CHUNK_ROWS - 1)]
    )
    batch = ledger.enrol(new, chunks)
    return ledger.begin_run(batch.id, 0, None, rejected=False)


def _free(server: "Server", folder: Path, senders: int, rows: int) -> Point:
    with sandbox_process(SandboxSettings(keep_book="totals")) as address:
        before = _processor_s(server)
        seconds, cpu_s = _sent(server, folder, address, senders, rows, "none")
        used = _processor_s(server) - before
    return Point(senders, rows, seconds, cpu_s / rows * 1000, used / rows * 1000)


def _paced(
    server: "Server", folder: Path, senders: int, text: str, count: int, period_s: float, rows: int
) -> str:
    with sandbox_process(SandboxSettings()) as address:
        _sent(server, folder, address, senders, rows, text)
        came = times_of(address)
    reached = achieved(came) / (count / period_s)
    most = worst(came, period_s) / count
    return f"{text}, {senders} senders: {reached:.1%} of the rate, {most:.1%} of it in the fullest window"


def _sent(
    server: "Server", folder: Path, address: SandboxAddress, senders: int, rows: int, rate: str
) -> tuple[float, float]:
    """Seconds from the first request to the last ending, and seconds of the senders' processors."""
    url = server.fresh_url()
    settings = folder / f"{senders}-{time.monotonic_ns()}.toml"
    settings.write_text(
        f'[providers.{PROFILE}]\nkind = "clicksend"\nbase_url = "{address.clicksend_url}"\n'
        f'username = "bench"\nrate = "{rate}"\nconcurrency = {WIDTH}\n'
    )
    with closing(registry.hold(url, "benchmark")) as ledger:
        run = _enrolled(ledger, rows, address)
    environ = os.environ | {"BATCHCREDIT_LEDGER": url, "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY": "k"}
    command = [sys.executable, "-m", "benchmarks.senders", "send", str(settings), str(run)]
    with ExitStack() as stack:
        crew = [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(senders)
        ]
        for sender in crew:
            assert sender.stdout
            assert sender.stdout.readline() == "ready\n"
        for sender in crew:
            assert sender.stdin
            sender.stdin.write("go\n")
            sender.stdin.flush()
        told = [json.loads(sender.communicate(timeout=600)[0]) for sender in crew]
    assert sum(one["rows"] for one in told) == rows, told
    began, ended = min(one["began"] for one in told), max(one["ended"] for one in told)
    return ended - began, sum(one["cpu_s"] for one in told)


def send(settings_path: Path, run: int) -> None:
    """Send what is left of the only batch, once told to; tell how many rows, when, and at what cost."""
    settings = load(settings_path, None, os.environ, settings_path.parent)
    with closing(registry.hold(settings.ledger_url, "benchmark")) as ledger:
        (batch,) = ledger.batches()
        records = {lane.profile: lane.lane for lane in ledger.batch_lanes(batch.id)}
        ledger.enlist(run)
        ledger.guard(batch.id, settings.caps, settings.repeat_window_ms)

        async def sending() -> int:
            lanes = opened(records, settings.profiles, settings, random.Random(), ledger=ledger)
            async with open_journal(ledger) as journal:
                with through(journal, lanes):
                    await Pipeline(batch.id, lanes, journal).run([Budget()])
            await close_all(lanes)
            return sum(lane.meter.rows[Event.CREDIT] for lane in lanes)

        print("ready", flush=True)
        sys.stdin.readline()
        before, began = time.process_time(), time.time()
        rows = in_loop(sending)
        told = {"rows": rows, "began": began, "ended": time.time(), "cpu_s": time.process_time() - before}
    print(json.dumps(told))


def _processor_s(server: "Server") -> float:
    """What the server's living processes have used: its sessions of before are not among them."""
    used = 0.0
    for pid in (server.pid, *_descendants(server.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        used += sum(int(fields[place]) for place in (11, 12, 13, 14)) / TICKS_PER_S
    return used


def _descendants(pid: int) -> Sequence[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def _server() -> Iterator["Server"]:
    sys.path.insert(0, str(ROOT / "tests" / "postgres"))
    from postgres_server import postgres_server

    with postgres_server() as server:
        yield server


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else ROWS)
