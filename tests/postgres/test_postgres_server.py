"""The PostgreSQL of the tests is a real one: what was committed outlives whatever is done to it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from postgres_server import DATABASE, Server, _children, _lives, new_server, postgres_server


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that is stopped and killed; each test leaves it running."""
    with postgres_server() as server:
        yield server


def test_a_ledgers_user_may_create_databases_and_nothing_else_that_is_special(postgres: Server) -> None:
    with psycopg.connect(postgres.url()) as shop:
        may = shop.execute("SELECT rolcreatedb, rolsuper, rolreplication FROM pg_roles WHERE rolname = user")
        assert may.fetchone() == (True, False, False)
        assert shop.execute("SELECT inet_client_addr() IS NOT NULL").fetchone() == (True,)  # by TCP


def test_nothing_of_its_durability_is_given_up(postgres: Server) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert postgres.ask(f"SHOW {setting}") == [("on",)]


def test_a_wrong_password_is_refused(postgres: Server) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url().replace("opensesame", "open"))


def test_fresh_places_are_apart(postgres: Server) -> None:
    assert postgres.fresh_url() != postgres.fresh_url()
    with psycopg.connect(postgres.url(postgres.fresh_database())) as shop:
        assert shop.execute("SELECT current_database()").fetchone() != (DATABASE,)


@pytest.mark.parametrize("end", ["fast", "immediate", "kill9"])
def test_what_was_committed_outlives_each_end(mortal: Server, end: str) -> None:
    mortal.ask("CREATE TABLE IF NOT EXISTS note (word text)")
    mortal.ask("GRANT ALL ON note TO shop")
    with psycopg.connect(mortal.url()) as open_work:
        open_work.execute("INSERT INTO note VALUES ('lost')")
        mortal.ask("INSERT INTO note VALUES (%s)", end)
        was, port = mortal.pid, mortal.port
        mortal.kill9() if end == "kill9" else mortal.stop(end)  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError):
            open_work.execute("SELECT 1")
        assert open_work.broken
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(mortal.url())
    mortal.start()
    assert mortal.pid != was
    assert mortal.port == port
    assert (end,) in mortal.ask("SELECT word FROM note")
    assert ("lost",) not in mortal.ask("SELECT word FROM note")


def test_kill9_leaves_no_process_of_it(mortal: Server) -> None:
    processes = [mortal.pid, *_children(mortal.pid)]
    assert len(processes) > 4
    mortal.kill9()
    assert not any(_lives(process) for process in processes)
    mortal.start()


def test_a_session_that_is_ended_by_an_operator_is_broken(postgres: Server) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as shop:
        assert postgres.end_sessions() == 1
        with pytest.raises(psycopg.errors.AdminShutdown):
            shop.execute("SELECT 1")
        assert shop.broken


def test_a_standby_that_was_stopped_is_behind_and_of_another_timeline(mortal: Server) -> None:
    mortal.ask("CREATE TABLE moved (word text)")
    standby = mortal.standby()
    try:
        standby.start()
        standby.stop()
        mortal.ask("INSERT INTO moved VALUES ('unseen')")
        mortal.kill9()  # before the standby starts again, or it would hear of it
        standby.start()
        assert standby.ask("SELECT pg_is_in_recovery()") == [(True,)]
        standby.promote()
        assert standby.ask("SELECT word FROM moved") == []
        standby.ask("INSERT INTO moved VALUES ('other')")
        timeline = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
        assert standby.ask(timeline) == [("00000002",)]
        identifier = "SELECT system_identifier FROM pg_control_system()"
        mortal.start()
        assert mortal.ask(timeline) == [("00000001",)]
        assert standby.ask(identifier) == mortal.ask(identifier)
    finally:
        standby.close()


def test_it_ends_with_whoever_started_it() -> None:
    """And leaves nothing behind, since a test that was killed tidies nothing up."""
    server = new_server(major=16)
    assert server.ask("SHOW server_version_num")[0][0].startswith("16")
    assert server._guard
    with server._guard, server._claim:
        pass  # as the kernel does: closes its pipes, and its end is awaited
    assert not _lives(server.pid)
    assert not server.home.exists()


def test_a_frozen_server_is_killed_as_well() -> None:
    with postgres_server() as server:
        os.kill(server.pid, signal.SIGSTOP)
    assert not Path(f"/proc/{server.pid}").exists()
