"""kill -9 at any moment: nobody is paid twice, nothing is lost, and little is in doubt."""

import contextlib
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Running, Sandbox, wait_for

from batchcredit.ledger import registry
from batchcredit.transfer import State

CONCURRENCY = 16
LANES = 2


def states(path: Path) -> Counter[State]:
    """How many rows of the newest batch the ledger has in each state; none without a ready batch."""
    found: Counter[State] = Counter()
    if not registry.exists(f"sqlite:///{path}"):
        return found
    ledger = registry.read(f"sqlite:///{path}")
    try:
        for batch in ledger.batches()[:1]:
            for tally in ledger.tallies(batch.id):
                found[tally.state] += tally.rows
    finally:
        ledger.close()
    return found


def kill_after_requests(running: Running, sandbox: Sandbox, seconds: float) -> None:
    """Kill a run so long after its first request, unless it has ended by then."""
    control = sandbox.control
    before = control.totals()["arrivals"]
    wait_for(lambda: running.has_ended or control.totals()["arrivals"] > before)
    time.sleep(seconds)
    running.kill()


def doubtful_arrivals(sandbox: Sandbox) -> int:
    """Requests whose ending the sandbox itself made doubtful."""
    return sum(entry["fault"] not in ("", "status_429") for entry in sandbox.arrivals())


@pytest.mark.parametrize(
    ("seed", "faults"),
    [
        (1, {}),
        (2, {"status_429": 0.002, "close_after": 0.002, "status_500_before": 0.002}),
        (3, {"reset_before": 0.003, "half_answer": 0.003}),
    ],
)
def test_killed_at_random_moments(
    seed: int, faults: dict[str, float], cli: CommandLine, sandbox: Sandbox
) -> None:
    """Killed seven times and resumed to the end: each row once, truthfully, and sums conserved."""
    dice = random.Random(seed)
    lane = {"concurrency": CONCURRENCY, "in_doubt_limit": 1000}
    cli.configure(sandbox.address, sandbox.login, clicksend=lane, fastmessage=lane)
    sandbox.control.set(seed=seed, latency_s=0.03, jitter_s=0.03, fault_rates=faults)
    given = batch_rows(3000, accounts=400, refused_every=97)
    path = cli.write("batch.csv", given)
    command = ("run", path, "--yes", "--json", "--out", "batch.results.csv")

    for _ in range(7):
        running = cli.start(*command)
        kill_after_requests(running, sandbox, dice.uniform(0, 0.6))
        left = states(cli.ledger)
        assert left[State.PENDING], f"this kill came too late: {left}"
        assert left[State.SENDING] <= CONCURRENCY * LANES

    ended = cli(*command)
    counts = assert_truthful(given, cli.results(), sandbox.book())
    assert counts == ended.counts
    assert ended.code == (3 if counts["in_doubt"] else 1)
    assert counts["in_doubt"] <= 7 * CONCURRENCY * LANES + doubtful_arrivals(sandbox)
    assert counts["not_sent"] == 0
    assert counts["credited"] > 2500
    assert counts["rejected"] > 20


def is_loading(path: Path) -> bool:
    """Whether a batch is being enrolled right now."""
    if not path.exists() or not path.stat().st_size:
        return False
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return bool(connection.execute("SELECT 1 FROM batch WHERE state = 'loading'").fetchone())
    except sqlite3.OperationalError:
        return False  # its tables are not there yet
    finally:
        connection.close()


def test_killed_while_reading_and_enrolling(cli: CommandLine, sandbox: Sandbox) -> None:
    """Nothing of a batch that was not wholly enrolled is seen or sent, and the next run enrols it anew."""
    dice = random.Random(4)
    cli.configure(sandbox.address, sandbox.login)
    given = batch_rows(120_000, accounts=5000)
    path = cli.write("batch.csv", given)
    command = ("run", path, "--yes", "--json", "--limit", 5, "--out", "batch.results.csv")
    running = cli.start(*command)
    time.sleep(dice.uniform(0.3, 1.2))
    running.kill()
    for _ in range(3):
        running = cli.start(*command)
        wait_for(lambda: is_loading(cli.ledger), every_s=0.002)
        time.sleep(dice.uniform(0, 0.1))
        assert is_loading(cli.ledger), "this kill came too late"
        running.kill()
        assert states(cli.ledger) == {}
    assert cli("show", "--json").json["batches"] == []
    assert sandbox.arrivals() == []

    ended = cli(*command)
    assert (ended.code, ended.json["counts"]["credited"]) == (4, 5)
    counts = assert_truthful(given, cli.results(), sandbox.book())
    assert counts == {"credited": 5, "not_sent": 119_995}


def test_killed_while_results_are_written(cli: CommandLine, sandbox: Sandbox) -> None:
    """The results file is the old one or the new one, whole, and nothing stays beside it."""
    dice = random.Random(5)
    cli.configure(sandbox.address, sandbox.login)
    given = batch_rows(60_000, accounts=5000)
    path = cli.write("batch.csv", given)
    results = cli.folder / "batch.results.csv"
    limited = ("--yes", "--json", "--limit", 5)
    batch = cli("run", path, *limited, "--out", results).json["batch"]

    for _ in range(3):
        old, left = results.read_bytes(), set(parts(cli.folder))
        running = cli.start("resume", batch, *limited)
        wait_for(lambda known=left: has_begun(set(parts(cli.folder)) - known), every_s=0.001)
        time.sleep(dice.uniform(0, 0.3))
        running.kill()
        found = results.read_bytes()
        cli("results", batch, "--out", "new.results.csv")
        assert found in (old, (cli.folder / "new.results.csv").read_bytes())

    assert cli("results", batch).code == 0
    assert parts(cli.folder) == []
    assert assert_truthful(given, cli.results(), sandbox.book())["credited"] == 20


def has_begun(files: set[Path]) -> bool:
    """Whether one of them is of results: whose place it is takes a line, and the test of a place nothing."""
    with contextlib.suppress(FileNotFoundError):
        return any(file.stat().st_size > 4096 for file in files)
    return False


def parts(folder: Path) -> list[Path]:
    """Files that are being written, or were left by whoever was killed."""
    return list(folder.glob(".*.part"))
