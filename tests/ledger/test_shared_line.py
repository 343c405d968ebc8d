"""A shared ledger at moments that are hard to hit from outside: made by several, its line lost or silent."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from decimal import Decimal
from typing import Any

import pytest
from ledger_parts import NO_CAPS, Row, a_claim, begin, claim, enrol, settle
from postgres_proxy import postgres_proxy
from postgres_server import Server

from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, Caps, Claimed, Ledger, NotClaimed
from batchcredit.ledger.postgres import sender
from batchcredit.ledger.postgres.address import address_of
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.ledger.postgres.limits import Limits
from batchcredit.ledger.postgres.schema import bring_up, migrations, version_of
from batchcredit.transfer import Event


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


def test_a_schema_that_appears_while_a_session_waits_is_taken_as_it_is(postgres: Server) -> None:
    """What the session remembered of the time before it waited is not what counts."""
    url = postgres.fresh_url()
    with (
        closing(PostgresDatabase(address_of(url))) as first,
        closing(PostgresDatabase(address_of(url))) as second,
        ThreadPoolExecutor(1) as thread,
    ):
        for turn in range(3):  # a session that has made schemas before goes by its memory the more
            second.connection.execute(f"CREATE SCHEMA IF NOT EXISTS other_{turn}".encode())
        with first.transaction():
            waiting = thread.submit(bring_up, second)
            until_one_waits(postgres)
            first.connection.execute(f"CREATE SCHEMA {first.address.schema}".encode())
        assert waiting.result() == 0
        assert version_of(second) == len(migrations())


def until_one_waits(postgres: Server) -> None:
    """Until a session of this server waits for a lock; fails after ten seconds."""
    for _ in range(200):
        if postgres.ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            return
        time.sleep(0.05)
    pytest.fail("nobody waits")


@pytest.fixture
def standing_still(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Ledger, Ledger, BatchRecord]]:
    """A sender that stands still in the middle of a commit, and another one of the same batch."""
    url, goes_on, reached = postgres.fresh_url(), threading.Event(), threading.Event()
    caps = Caps(day_start=NO_CAPS.day_start, batch={"USD": Decimal(10)})
    monkeypatch.setattr(sender, "COMMIT_MOST_S", 2.0)
    with closing(registry.hold(url, "run")) as still, closing(registry.hold(url, "run")) as other:
        batch = enrol(still, "march", [Row(), Row(account="berta")])
        begin(still, batch, caps=caps)
        begin(other, batch, caps=caps)
        assert isinstance(claim(other, batch, 2), Claimed)  # and so the sums are there
        wanted, looked = a_claim(still, batch, 1), Limits.refused

        def refused(limits: Limits, *of: Any) -> dict[int, NotClaimed]:
            found = looked(limits, *of)
            if limits is still._limits:  # type: ignore[attr-defined]
                reached.set()
                goes_on.wait(20)
            return found

        monkeypatch.setattr(Limits, "refused", refused)
        monkeypatch.setattr(still._database, "answering_within", lambda _: nullcontext())  # type: ignore[attr-defined]
        with ThreadPoolExecutor(1) as thread:
            standing = thread.submit(still.commit, [wanted])
            assert reached.wait(5)
            yield still, other, batch
            monkeypatch.undo()
            goes_on.set()
            assert isinstance(standing.result()[0], NotClaimed)


def test_who_stands_still_in_mid_commit_holds_nobody_up(
    standing_still: tuple[Ledger, Ledger, BatchRecord],
) -> None:
    """Its transaction has locks that others need: the server ends it."""
    _, other, batch = standing_still
    was = other.sender
    settle(other, batch, 2, Event.CREDIT)
    assert other.cancel(batch.id, 1, "no more") == 1
    assert other.sender == was


def test_who_stands_still_in_mid_commit_can_be_evicted(
    standing_still: tuple[Ledger, Ledger, BatchRecord],
) -> None:
    """The session goes first, and with it the locks."""
    still, other, _ = standing_still
    began = time.monotonic()
    assert other.evict(still.sender, "hangs") == 0
    assert time.monotonic() - began < 1.5
    assert [entry.what for entry in other.audit("march")] == ["evicted"]


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
