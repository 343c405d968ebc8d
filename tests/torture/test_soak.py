"""One long run: memory, descriptors and threads stay flat, and what it says of each row is true.

`make soak-real` gives it MINUTES.
"""

import os
import sys
import time
from signal import SIGTERM

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Running, command_line
from process_growth import Sample, growth, sample, table

from batchcredit.sandbox import SandboxSettings, sandbox_process
from batchcredit.sandbox.faults import Fault

MINUTES = float(os.environ.get("SOAK_MINUTES") or 60)
PER_SECOND = 30
EVERY_S = 2.0

#: None of them halts a lane, and what ends late ends before the others wait for long.
FAULTS = {
    **dict.fromkeys((Fault.CLOSE_AFTER, Fault.RESET_BEFORE, Fault.HALF_ANSWER, Fault.GARBAGE), 0.001),
    **dict.fromkeys((Fault.STATUS_500_AFTER, Fault.STATUS_503, Fault.HUGE, Fault.WRONG_SUM), 0.001),
    **dict.fromkeys((Fault.LATE, Fault.LATE_BEFORE, Fault.STATUS_429), 0.0005),
}


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_soak(tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """So many minutes at a moderate rate, with faults; then it is asked to stop."""
    settings = SandboxSettings(fault_rates=FAULTS, latency_s=0.05, jitter_s=0.1, late_s=3)
    with command_line(tmp_path_factory.mktemp("soak")) as cli, sandbox_process(settings) as address:
        lane = {"rate": f"{PER_SECOND}/s", "timeout": 2, "in_doubt_limit": 1000}
        cli.configure(address, clicksend=lane, fastmessage=lane)
        given = batch_rows(round(MINUTES * 60 * PER_SECOND * 2.2), accounts=2000, refused_every=50)
        running = start(cli, given)
        samples = watch(running, MINUTES * 60)
        running.signal(SIGTERM)
        ended = running.end()
        counts = assert_truthful(given, cli.results(), address.control().book())
    with capsys.disabled():
        print(f"\n{table(samples)}\n{dict(counts)}", flush=True)
    assert ended.code == 3, ended
    assert growth(samples) == []


def start(cli: CommandLine, given: list[tuple[str, str, str, str, str]]) -> Running:
    path = cli.write("batch.csv", given)
    return cli.start("run", path, "--yes", "--json", "--out", "batch.results.csv")


def watch(running: Running, seconds: float) -> list[Sample]:
    """Samples until the time is over; an AssertionError if the process ends before."""
    began, samples = time.monotonic(), list[Sample]()
    while (elapsed := time.monotonic() - began) < seconds:
        assert not running.has_ended, running.end()
        samples.append(sample(running.pid, elapsed))
        time.sleep(EVERY_S)
    return samples
