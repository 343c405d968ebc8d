"""What a sender that stands still holds back, and a server whose place a copy took: seconds of waiting."""

import time
from collections.abc import Iterator
from signal import SIGCONT, SIGSTOP

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Sandbox, refused, wait_for
from crowd import BATCH, Crowd, crowd
from postgres_server import Server, postgres_server

pytestmark = pytest.mark.torture

LANE = {"concurrency": 4, "timeout": 1}


@pytest.fixture
def senders(cli: CommandLine, sandbox: Sandbox, postgres: Server) -> Iterator[Crowd]:
    cli.configure(sandbox.address, sandbox.login, clicksend=LANE, fastmessage=LANE)
    with crowd(cli, postgres) as made:
        yield made


def test_accounts_of_a_sender_that_stands_still_are_waited_for_and_freed(
    senders: Crowd, sandbox: Sandbox
) -> None:
    """Its session lives, so what it has in flight may still be answered: who waits names it, and ends."""
    cli, given = senders.cli, batch_rows(16, accounts=8)
    sandbox.control.set(latency_s=0.8)
    running = senders.run(cli.write("batch.csv", given))
    wait_for(lambda: len(sandbox.arrivals()) == 8, every_s=0.002)
    running.signal(SIGSTOP)
    sandbox.control.set(latency_s=0)
    began = time.monotonic()
    ended = senders.resume().end()
    assert 5 < time.monotonic() - began < 20
    assert ended.code == 3, ended
    assert ended.counts == {"in_doubt": 8, "not_sent": 8}
    number = senders.sender_of(running)
    named = f"sender {number} (process {running.pid} on "
    held = [row for row in cli.results() if row["status"] == "not_sent"]
    assert {row["reason"] for row in held} == {"account_in_flight"}
    assert all(named in row["message"] and f"batchcredit evict {number}" in row["message"] for row in held)
    [told] = cli("senders", "--json").json["senders"]
    assert (told["sender"], told["in_flight"]) == (number, 8)
    evicted = cli("evict", number, "--note", "it hangs", "--yes", "--json")
    assert (evicted.code, evicted.json["in_doubt"]) == (0, 8), evicted
    assert senders.finish().counts == {"credited": 8, "in_doubt": 8}
    running.signal(SIGCONT)
    ended = running.end()
    assert ended.code == 0, ended
    assert "evicted" in ended.stderr
    assert len(sandbox.arrivals()) == 16
    assert assert_truthful(given, cli.results(), sandbox.book()) == {"credited": 16}


def test_a_copy_that_lags_behind_is_refused_until_it_is_accepted(cli: CommandLine, sandbox: Sandbox) -> None:
    """It knows nothing of what was sent at the end; what it takes for not sent is in doubt from then on."""
    cli.configure(sandbox.address, sandbox.login, clicksend=LANE, fastmessage=LANE)
    given = batch_rows(60, accounts=60)
    with postgres_server() as primary, crowd(cli, primary) as senders:
        copy = primary.standby()
        try:
            _behind(copy, senders, sandbox, given)
            _try_all(cli, senders, copy, sandbox, given)
        finally:
            copy.close()


def _behind(copy: Server, senders: Crowd, sandbox: Sandbox, given: list[tuple[str, ...]]) -> None:
    """A copy that has seen the first rows, promoted after its primary sent some more and burned."""
    path = senders.cli.write("batch.csv", given)
    assert senders.run(path, limit=10).end().code == 4
    copy.start()
    ((now,),) = senders.server.ask("SELECT CAST(pg_current_wal_lsn() AS TEXT)")
    wait_for(lambda: copy.ask("SELECT pg_last_wal_replay_lsn() >= CAST(%s AS pg_lsn)", now) == [(True,)])
    copy.stop()
    assert senders.resume(limit=20).end().code == 4
    assert len(sandbox.book()) == 30
    senders.server.kill9()
    copy.start()
    copy.promote()


def _try_all(
    cli: CommandLine, senders: Crowd, copy: Server, sandbox: Sandbox, given: list[tuple[str, ...]]
) -> None:
    cli.env["BATCHCREDIT_LEDGER"] = senders.url_at(copy.port)
    cancel = ("cancel", BATCH, "--note", "x")
    verdict = ("resolve", BATCH, "--row", 40, "--as", "credited", "--note", "x", "--account", given[39][1])
    for words in (("run", "batch.csv", "--batch", BATCH), ("resume", BATCH), cancel, verdict):
        refused(cli(*words, "--yes", "--json"), "ledger_failover")
    assert len(sandbox.arrivals()) == 30
    assert cli("show", BATCH, "--json").json["counts"]["credited"] == 10
    number = cli("ledger", "--json").json["ledger"]["id"]
    accepted = cli("ledger", "accept", "--id", number, "--note", "it burned", "--yes", "--json")
    assert accepted.code == 0, accepted
    ended = cli("resume", BATCH, "--yes", "--json", "--skip-preflight")
    assert ended.code == 3, ended
    assert ended.counts == {"credited": 10, "in_doubt": 50}
    assert len(sandbox.arrivals()) == 30
    assert_truthful(given, cli.results(), sandbox.book())
