"""Several senders share one batch and a ledger in PostgreSQL; whatever ends, nobody is paid twice."""

import time
from collections.abc import Iterator

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Sandbox, wait_for
from crowd import ENDS, crowd
from postgres_server import Server, postgres_server

LANES = 2
CONCURRENCY = 4
LANE = {"concurrency": CONCURRENCY, "timeout": 3}


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that is stopped and started again."""
    with postgres_server() as server:
        yield server


def test_senders_are_killed_and_their_ledger_too(cli: CommandLine, sandbox: Sandbox, mortal: Server) -> None:
    """Others go on, new ones join in; only those that were killed leave rows in doubt."""
    given = batch_rows(400, accounts=100)
    sandbox.control.set(latency_s=1)
    cli.configure(sandbox.address, sandbox.login, clicksend=LANE, fastmessage=LANE)
    with crowd(cli, mortal) as senders:
        first = senders.run(cli.write("batch.csv", given))
        wait_for(lambda: len(sandbox.arrivals()) > 20)
        others = [senders.resume(), senders.resume()]
        wait_for(lambda: all(map(senders.sender_of, others)))
        sandbox.control.set(latency_s=0.1, jitter_s=0.1)
        wait_for(lambda: len(sandbox.arrivals()) > 100)
        first.kill()
        mortal.stop("immediate")
        time.sleep(0.3)
        mortal.start()
        others.append(senders.resume())
        wait_for(lambda: len(sandbox.arrivals()) > 200 and senders.sender_of(others[-1]))
        mortal.end_sessions()
        ended = [other.end() for other in others]
        assert {each.code for each in ended} <= ENDS, ended
        ended.append(senders.finish())
        counts = assert_truthful(given, cli.results(), sandbox.book())
        assert counts["credited"] + counts["in_doubt"] == 400, counts
        assert counts["in_doubt"] <= LANES * CONCURRENCY, (counts, ended)
