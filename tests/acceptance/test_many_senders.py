"""Several senders share one batch and a ledger in PostgreSQL; whatever ends, nobody is paid twice."""

import time
from collections.abc import Iterator
from signal import SIGCONT, SIGSTOP

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Running, Sandbox, wait_for
from crowd import ENDS, Crowd, crowd, hasty
from postgres_proxy import postgres_proxy
from postgres_server import Server, postgres_server

LANES = 2
CONCURRENCY = 4
LANE = {"concurrency": CONCURRENCY, "timeout": 3}


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that is stopped and started again."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def senders(cli: CommandLine, sandbox: Sandbox, postgres: Server) -> Iterator[Crowd]:
    cli.configure(sandbox.address, sandbox.login, clicksend=LANE, fastmessage=LANE)
    with crowd(cli, postgres) as made:
        yield made


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
        gone = 1 + sum(each.code == 5 for each in ended)  # or did not find the ledger again in time
        assert counts["in_doubt"] <= gone * LANES * CONCURRENCY, (counts, ended)


def stopped(senders: Crowd, sandbox: Sandbox, given: list[tuple[str, ...]]) -> Running:
    """A run that stands still with requests on their way, its session ended by the server."""
    sandbox.control.set(latency_s=1)
    running = senders.run(senders.cli.write("batch.csv", given))
    wait_for(lambda: len(sandbox.arrivals()) >= LANES * CONCURRENCY)
    running.signal(SIGSTOP)
    sandbox.control.set(latency_s=0)
    senders.end_session_of(running)
    return running


def test_a_sender_that_stood_still_sends_nothing_more_and_settles_its_doubts(
    senders: Crowd, sandbox: Sandbox
) -> None:
    """Others sent the rest meanwhile. What it hears at last is evidence."""
    given = batch_rows(60, accounts=60)
    running = stopped(senders, sandbox, given)
    left = len(sandbox.arrivals())
    ended = senders.resume().end()
    assert ended.code == 3, ended
    in_doubt = ended.counts["in_doubt"]
    assert 0 < in_doubt <= LANES * CONCURRENCY
    assert ended.counts["credited"] == 60 - in_doubt
    time.sleep(1.5)  # the provider has answered by then
    before = len(sandbox.arrivals())
    running.signal(SIGCONT)
    ended = running.end()
    assert len(sandbox.arrivals()) == before, left
    assert ended.code == 0, ended
    assert senders.finish().code == 0
    assert assert_truthful(given, senders.cli.results(), sandbox.book()) == {"credited": 60}
    assert {row["settled_by"] for row in senders.cli.results()} == {"provider"}


def test_what_was_paid_again_after_a_wrong_verdict_is_told(senders: Crowd, sandbox: Sandbox) -> None:
    """A person said that it was not credited, and it was sent again; then its first sender goes on."""
    cli = senders.cli
    cli.configure(
        sandbox.address, sandbox.login, clicksend=LANE, fastmessage=LANE, tables='[reconcile]\nquiet = "1s"'
    )
    given = batch_rows(8, accounts=8)
    running = stopped(senders, sandbox, given)
    assert senders.resume().end().counts == {"in_doubt": 8}
    time.sleep(1.5)
    account = given[0][1]
    said = ("resolve", "march", "--row", 1, "--as", "not-credited", "--note", "not in their list")
    resolved = cli(*said, "--account", account, "--yes", "--json")
    assert resolved.code == 0, resolved
    again = senders.resume().end()
    assert again.counts == {"credited": 1, "in_doubt": 7}, again
    assert len([entry for entry in sandbox.book() if entry["account"] == account]) == 2
    running.signal(SIGCONT)
    ended = running.end()
    assert ended.code == 3, ended
    row, *others = cli.results()
    assert (row["status"], row["reason"]) == ("credited", "overpaid")
    assert {other["status"] for other in others} == {"credited"}
    trail = cli("audit", "march", "--json")
    assert trail.code == 0
    assert "overpaid" in trail.stdout
    assert senders.finish().code == 3


def test_nothing_is_sent_while_the_line_is_away(senders: Crowd, sandbox: Sandbox) -> None:
    """Once it is back the run goes on by itself; when it is gone for good it ends, and another goes on."""
    given = batch_rows(120, accounts=60)
    sandbox.control.set(latency_s=0.2)
    senders.cli.configure(
        sandbox.address, sandbox.login, clicksend=LANE, fastmessage=LANE, top='outage_wait = "4s"'
    )
    with postgres_proxy(senders.server.port) as line:
        running = senders.run(senders.cli.write("batch.csv", given), hasty, line.port)
        wait_for(lambda: len(sandbox.arrivals()) > 20)
        line.stall()
        time.sleep(0.3)  # an intent that was durable by then may still leave
        left = len(sandbox.arrivals())
        time.sleep(2)
        assert len(sandbox.arrivals()) == left
        line.flow()
        wait_for(lambda: len(sandbox.arrivals()) > left + 20)
        line.refuse()
        line.reset()
        ended = running.end(20)
    assert (ended.code, ended.json["error"]["reason"]) == (5, "ledger_lost"), ended
    assert len(sandbox.arrivals()) < 120
    sandbox.control.set(latency_s=0)
    ended = senders.finish()
    assert ended.code == 3, ended
    counts = assert_truthful(given, senders.cli.results(), sandbox.book())
    assert counts["credited"] + counts["in_doubt"] == 120
    assert counts["in_doubt"] <= LANES * CONCURRENCY
