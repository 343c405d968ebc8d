"""kill -9 at any moment: nobody is paid twice, nothing is lost, and little is in doubt."""

import random
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
    assert counts == {status: number for status, number in ended.json["counts"].items() if number}
    assert ended.code == (3 if counts["in_doubt"] else 1)
    assert counts["in_doubt"] <= 7 * CONCURRENCY * LANES + doubtful_arrivals(sandbox)
    assert counts["not_sent"] == 0
    assert counts["credited"] > 2500
    assert counts["rejected"] > 20
