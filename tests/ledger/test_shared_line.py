"""A shared ledger at moments that are hard to hit from outside: made by several, its line lost or silent."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from ledger_parts import Row, begin, enrol
from postgres_proxy import postgres_proxy
from postgres_server import Server

from batchcredit.ledger import registry
from batchcredit.ledger.postgres import sender
from batchcredit.ledger.postgres.database import PostgresDatabase


def test_a_new_ledger_is_made_once_by_all_who_come_at_the_same_moment(postgres: Server) -> None:
    """None of them finds a schema that it could lock, and each of them gets the same ledger."""
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            url, gate = postgres.fresh_url(), threading.Barrier(8)

            def made(url: str = url, gate: threading.Barrier = gate) -> str:
                gate.wait(10)
                with closing(registry.hold(url, "run")) as ledger:
                    return ledger.id

            assert len({each.result() for each in [threads.submit(made) for _ in range(8)]}) == 1


def test_the_end_of_a_run_is_written_down_over_a_new_session(postgres: Server) -> None:
    """All answers were heard, so nothing else would make the connection again."""
    ledger = registry.hold(postgres.fresh_url(), "run")
    batch = enrol(ledger, "march", [Row()])
    run = begin(ledger, batch)
    postgres.end_sessions()
    ledger.end_run(run, batch.id, "stopped")
    assert ledger.batches("march")[0].stop_reason == "stopped"
    ledger.close()


def test_a_line_that_stalls_while_it_is_made_again_is_given_up(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands, and says nothing: no limit of a connection's beginning counts any more."""
    monkeypatch.setattr(sender, "ANSWER_MOST_S", 0.5)
    looked = sender.refuse_forgetful
    with postgres_proxy(postgres.port) as line:
        ledger = registry.hold(postgres.fresh_url().replace(f":{postgres.port}/", f":{line.port}/"), "run")

        def look(database: PostgresDatabase) -> None:
            if line.dialled == 2:
                line.stall()
                threading.Timer(1.5, line.flow).start()
            looked(database)

        monkeypatch.setattr(sender, "refuse_forgetful", look)
        began = time.monotonic()
        postgres.end_sessions()
        ledger.tidings(1)
        assert line.dialled > 2
        assert time.monotonic() - began < 15
        ledger.close()
