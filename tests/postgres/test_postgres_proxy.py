"""The line between a client and PostgreSQL fails as it is told to, and only so."""

import select
import time
from collections.abc import Iterator

import psycopg
import pytest
from postgres_proxy import PostgresProxy, postgres_proxy
from postgres_server import Server

Line = psycopg.Connection[tuple[object, ...]]

#: Longer than an answer over loopback takes, by far.
_SILENCE_S = 0.2


@pytest.fixture
def proxy(postgres: Server) -> Iterator[PostgresProxy]:
    with postgres_proxy(postgres.port) as line:
        yield line


@pytest.fixture
def shop(postgres: Server, proxy: PostgresProxy) -> Iterator[Line]:
    """A session of the ledger's user, over the line."""
    with _dial(postgres, proxy) as session:
        session.execute("CREATE TEMPORARY TABLE here (n int)")
        yield session


def _dial(postgres: Server, proxy: PostgresProxy) -> Line:
    return psycopg.connect(postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/"), autocommit=True)


def _is_answered(line: Line, most_s: float) -> bool:
    return bool(select.select([line.fileno()], [], [], most_s)[0])


@pytest.mark.parametrize("towards", ["server", "client", "both"])
def test_a_stall_closes_nothing_and_loses_nothing(proxy: PostgresProxy, shop: Line, towards: str) -> None:
    proxy.stall(towards)  # type: ignore[arg-type]
    shop.pgconn.send_query(b"SELECT 7")
    assert not _is_answered(shop, _SILENCE_S)
    proxy.flow(towards)  # type: ignore[arg-type]
    assert _is_answered(shop, 5)
    answer = shop.pgconn.get_result()
    assert answer
    assert answer.get_value(0, 0) == b"7"
    assert shop.pgconn.get_result() is None


def test_what_stalls_on_its_way_back_was_done(postgres: Server, proxy: PostgresProxy) -> None:
    postgres.ask("CREATE TABLE IF NOT EXISTS done (word text)")
    postgres.ask("GRANT ALL ON done TO shop")
    with _dial(postgres, proxy) as shop:
        proxy.stall("client")
        shop.pgconn.send_query(b"INSERT INTO done VALUES ('unheard')")
        deadline = time.monotonic() + 5
        while postgres.ask("SELECT word FROM done") != [("unheard",)]:
            assert time.monotonic() < deadline
        proxy.reset()
        with pytest.raises(psycopg.OperationalError):
            shop.pgconn.consume_input()
        assert shop.broken


def test_a_reset_breaks_all_lines_and_no_later_one(
    postgres: Server, proxy: PostgresProxy, shop: Line
) -> None:
    proxy.reset()
    with pytest.raises(psycopg.OperationalError):
        shop.execute("SELECT 1")
    assert shop.broken
    with _dial(postgres, proxy) as again:
        assert again.execute("SELECT 7").fetchone() == (7,)
    assert proxy.dialled == 2


def test_a_refusal_is_for_new_lines_only(postgres: Server, proxy: PostgresProxy, shop: Line) -> None:
    proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        _dial(postgres, proxy)
    assert shop.execute("SELECT 7").fetchone() == (7,)
    proxy.accept()
    _dial(postgres, proxy).close()


def test_a_delay_is_there_for_question_and_answer(proxy: PostgresProxy, shop: Line) -> None:
    proxy.delay_s = 0.1
    began = time.monotonic()
    shop.execute("SELECT 7")
    assert time.monotonic() - began >= 0.2


def test_the_end_of_a_session_reaches_the_other_side(
    postgres: Server, proxy: PostgresProxy, shop: Line
) -> None:
    postgres.end_sessions()
    with pytest.raises(psycopg.errors.AdminShutdown):
        shop.execute("SELECT 1")
