"""Our own wire, when things happen between two of its steps: what is certain stays certain, nothing leaks."""

import asyncio
import gc
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from byte_server import BODY, OK, Line, RawServer, raw_server, says, until
from wires import (
    AT_ONCE,
    HAPPENINGS,
    SHORT_S,
    TIMEOUT_S,
    TLS,
    Authority,
    opened,
    request,
    sized,
    speak,
    the_line,
)

from batchcredit.engine.wire import connection as connection_module
from batchcredit.engine.wire import direct as direct_module
from batchcredit.engine.wire.base import Exchange, Wire
from batchcredit.engine.wire.connection import Connection
from batchcredit.engine.wire.direct import DirectWire
from batchcredit.providers.base import Request


@asynccontextmanager
async def served(ca: Authority, tls: bool) -> AsyncIterator[tuple[RawServer, DirectWire]]:
    async with raw_server(tls=ca.server() if tls else None) as server:
        wire = DirectWire(server.url, ca.file)
        async with opened(wire):
            yield server, wire


async def a_line(wire: Wire) -> Connection:
    line = await wire.line(TIMEOUT_S)
    assert isinstance(line, Connection)
    return line


@contextmanager
def standing_server(said: bytes, tls: ssl.SSLContext | None) -> Iterator[str]:
    """Its URL. It runs in a thread, so it says this to one request however busy the loop is; not at once."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with tls.wrap_socket(accepted, server_side=True) if tls else accepted as line:
            line.recv(65_536)
            time.sleep(SHORT_S)
            line.sendall(said)
            over.wait(TIMEOUT_S)

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(TIMEOUT_S)


UNREAD = pytest.mark.parametrize("happening", AT_ONCE)


@TLS
@pytest.mark.parametrize("happening", HAPPENINGS)
async def test_between_line_and_exchange(ca: Authority, tls: bool, happening: str) -> None:
    """Nothing leaves on a connection on which the server spoke, or that it ended."""
    async with served(ca, tls) as (server, wire):
        line = await a_line(wire)
        await until(lambda: bool(server.open))
        HAPPENINGS[happening](the_line(server))
        await asyncio.sleep(0.02)
        exchange = await line.exchange(request(), TIMEOUT_S)
        assert (exchange.sent, exchange.problem) == (False, "unreachable")
        await until(lambda: not server.open)
        assert server.heard == []
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None


@TLS
@UNREAD
async def test_between_departs_and_write(ca: Authority, tls: bool, happening: str) -> None:
    """The last look comes after `departs`, however long that took, and whatever the loop has read by then."""
    async with served(ca, tls) as (server, wire):
        line = await a_line(wire)
        await until(lambda: bool(server.open))

        async def departs() -> None:
            HAPPENINGS[happening](the_line(server))
            time.sleep(0.02)  # noqa: ASYNC251 (the loop is to be busy elsewhere)

        exchange = await line.exchange(request(), TIMEOUT_S, departs)
        assert (exchange.sent, exchange.problem) == (False, "unreachable")
        await until(lambda: not server.open)
        assert server.heard == []


@TLS
@UNREAD
async def test_between_answer_and_reuse(ca: Authority, tls: bool, happening: str) -> None:
    """A connection that waits for its next use is not handed out after that, even unread."""
    async with served(ca, tls) as (server, wire):
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        HAPPENINGS[happening](the_line(server))
        time.sleep(0.02)  # noqa: ASYNC251 (the loop is to be busy elsewhere)
        assert wire.idle() is None
        await until(lambda: not server.open)


@TLS
async def test_an_idle_connection_that_is_spoken_on_is_closed(ca: Authority, tls: bool) -> None:
    """At once, not only when somebody wants to use it."""
    async with served(ca, tls) as (server, wire):
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        speak(the_line(server))
        await until(lambda: not server.open)
        assert wire.idle() is None


async def test_a_half_closed_connection_ends_the_wait() -> None:
    """An end that comes while the request is still being written is told at once."""

    async def half_close(line: Line) -> None:
        await line.reader.read(100)
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        line.writer.write_eof()
        await asyncio.sleep(2)

    async with raw_server(greet=half_close) as server, opened(DirectWire(server.url)) as wire:
        began = time.monotonic()
        exchange = await wire.exchange(Request("PUT", "/", (), b"x" * (32 << 20)), TIMEOUT_S)
        assert time.monotonic() - began < 1
    assert (exchange.sent, exchange.problem) == (True, "lost_answer")


@TLS
async def test_an_early_answer_to_a_large_request(ca: Authority, tls: bool) -> None:
    """Its connection is not used again: bytes of the request may still be on their way, unseen below TLS."""

    async def early(line: Line) -> None:
        await line.reader.read(100)
        await line.say(OK)
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    async with (
        raw_server(greet=early, tls=ca.server() if tls else None) as server,
        opened(DirectWire(server.url, ca.file)) as wire,
    ):
        exchange = await wire.exchange(Request("PUT", "/", (), b"x" * (8 << 20)), TIMEOUT_S)
        assert exchange.answer is not None
        assert exchange.answer.body == BODY
        assert wire.idle() is None


@TLS
@pytest.mark.parametrize("whole", [True, False])
async def test_what_came_unread_before_the_time_was_over(ca: Authority, tls: bool, whole: bool) -> None:
    """After a standstill of the machine uvloop's timers fire before anything is read: an answer that lies
    there is heard all the same, and less than one is not waited for."""
    said = sized(BODY) if whole else sized(BODY)[:-1]
    with standing_server(said, ca.server() if tls else None) as url:
        async with opened(DirectWire(url, ca.file)) as wire:
            line = await a_line(wire)
            asked = asyncio.create_task(line.exchange(request(), TIMEOUT_S))
            await asyncio.sleep(SHORT_S / 2)
            while line._look.is_silent():
                time.sleep(0.01)  # noqa: ASYNC251 (the loop is to read nothing)
            assert line._ended is not None
            line._be_late(line._ended, TIMEOUT_S)
            exchange = await asked
    assert exchange.sent
    assert (exchange.answer is not None) == whole
    assert exchange.problem == ("" if whole else "timeout")


# How long a connection is kept


async def test_a_connection_that_was_idle_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dialled again, although it still stands."""
    monkeypatch.setattr(connection_module, "IDLE_S", 0.05)
    async with raw_server() as server, opened(DirectWire(server.url)) as wire:
        for pause_s in (0.0, 0.0, 0.08, 0.0):
            await asyncio.sleep(pause_s)
            assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert [heard.connection for heard in server.heard] == [1, 1, 2, 2]


async def test_a_connection_near_the_servers_own_limit() -> None:
    """A server's Keep-Alive counts where it is shorter than our own limit."""
    kept = says(sized(BODY, "Keep-Alive: timeout=0"))
    async with raw_server(kept) as server, opened(DirectWire(server.url)) as wire:
        for _ in range(2):
            await asyncio.sleep(0.01)
            assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert [heard.connection for heard in server.heard] == [1, 2]


# Cancelled, timed out, closed


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def hang(line: Line) -> None:
    """Speaks no TLS, and notices later that the client has gone."""
    await asyncio.sleep(0.3)


@asynccontextmanager
async def nobody_accepts() -> AsyncIterator[int]:
    """A port whose queue is full: a dial to it hangs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize("ending", ["cancelled", "timed_out"])
@pytest.mark.parametrize("stage", ["names", "dial", "handshake"])
async def test_no_line_no_socket(
    ca: Authority, stage: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives up on a connection that does not stand yet finds nothing left of it."""

    async def endless(self: DirectWire) -> None:
        await asyncio.sleep(60)

    async with nobody_accepts() as full, raw_server(greet=hang) as server:
        port = full if stage == "dial" else server.port
        if stage == "names":
            monkeypatch.setattr(DirectWire, "_resolved", endless)
        async with opened(DirectWire(f"https://127.0.0.1:{port}", ca.file)) as wire:
            before = descriptors()
            if ending == "timed_out":
                exchange = await wire.line(0.1)
                assert isinstance(exchange, Exchange)
                assert (exchange.sent, exchange.problem) == (False, "timeout")
            else:
                await cancelled_after(0.05, wire.line(TIMEOUT_S))
            await until(lambda: descriptors() <= before)


@TLS
async def test_a_connection_that_cannot_be_made_leaves_no_socket(
    ca: Authority, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong behind the dial: what was dialled is closed."""

    def broken(*args: object) -> Connection:
        raise MemoryError

    monkeypatch.setattr(direct_module, "Connection", broken)
    async with served(ca, tls) as (server, wire):
        before = descriptors()
        for _ in range(5):
            with pytest.raises(MemoryError):
                await wire.line(TIMEOUT_S)
        await until(lambda: descriptors() <= before)
        assert server.heard == []


async def cancelled_after(delay_s: float, work: Coroutine[object, object, object]) -> None:
    task = asyncio.create_task(work)
    await asyncio.sleep(delay_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@TLS
@pytest.mark.parametrize("stage", ["departs", "answer"])
async def test_cancelled_in_an_exchange(ca: Authority, tls: bool, stage: str) -> None:
    """The connection is closed and not used again, wherever its exchange was cancelled."""

    async def departs() -> None:
        if stage == "departs":
            await asyncio.sleep(60)

    first = says() if stage == "answer" else says(OK)
    async with (
        raw_server(first, tls=ca.server() if tls else None) as server,
        opened(DirectWire(server.url, ca.file)) as wire,
    ):
        line = await a_line(wire)
        await cancelled_after(0.05, line.exchange(request(), TIMEOUT_S, departs))
        await until(lambda: not server.open)
        assert len(server.heard) == (stage == "answer")
        assert wire.idle() is None


async def test_whatever_departs_raises(ca: Authority) -> None:
    """It comes through, and the connection is gone."""

    async def departs() -> None:
        raise LookupError

    async with served(ca, False) as (server, wire):
        line = await a_line(wire)
        with pytest.raises(LookupError):
            await line.exchange(request(), TIMEOUT_S, departs)
        assert wire.idle() is None
        await until(lambda: not server.open)
        assert server.heard == []


async def test_closed_while_exchanges_go_on() -> None:
    """They are heard out, and their connections are not kept."""
    slow = says(OK[:20], OK[20:], pause_s=0.05)
    async with raw_server(slow) as server:
        wire = DirectWire(server.url)
        tasks = [asyncio.create_task(wire.exchange(request(), TIMEOUT_S)) for _ in range(5)]
        await until(lambda: len(server.heard) == 5)
        await wire.aclose()
        assert all([(await task).answer for task in tasks])
        await until(lambda: not server.open)
        assert wire.idle() is None


# Addresses


def address(family: int, host: str, port: int) -> tuple[object, ...]:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


@pytest.mark.parametrize("dead", ["refuses", "hangs"])
async def test_one_address_of_two_is_alive(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that refuses or hangs costs a moment, and leaves no socket."""
    async with nobody_accepts() as full, raw_server() as server:
        with socket.create_server(("127.0.0.1", 0)) as claimed:
            closed: int = claimed.getsockname()[1]
        first = address(socket.AF_INET, "127.0.0.1", full if dead == "hangs" else closed)
        if dead == "refuses" and socket.has_ipv6:
            first = (*address(socket.AF_INET6, "::1", 0)[:4], ("::1", closed, 0, 0))

        async def both(self: DirectWire) -> list[object]:
            return [first, address(socket.AF_INET, "127.0.0.1", server.port)]

        monkeypatch.setattr(DirectWire, "_resolved", both)
        before = descriptors()
        async with opened(DirectWire(server.url)) as wire:
            began = time.monotonic()
            assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
            assert time.monotonic() - began < 1
        await until(lambda: not server.open and descriptors() <= before)


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_addresses_are_asked_for_once_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dials at the same time ask once; later ones ask anew, for a provider may move."""
    asked: list[object] = []
    ask = socket.getaddrinfo

    def counted(*args: object, **named: object) -> object:
        asked.append(args)
        return ask(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    monkeypatch.setattr(direct_module, "_ADDRESSES_S", 0.05)
    async with raw_server() as server:
        async with opened(DirectWire(f"http://localhost:{server.port}")) as wire:
            await asyncio.gather(*(wire.exchange(request(), TIMEOUT_S) for _ in range(20)))
            assert len(asked) == 1
            await asyncio.sleep(0.06)
            await asyncio.gather(*(wire.exchange(request(), TIMEOUT_S) for _ in range(21)))
        assert len(asked) == 2


# Leaks


@TLS
async def test_nothing_piles_up(ca: Authority, tls: bool) -> None:
    """Neither descriptors nor memory grow with the exchanges, whether they end well, badly or by a dial."""
    number = 0

    async def reply(line: Line) -> None:
        nonlocal number
        number += 1
        await (says(OK[:-3], then="reset") if number % 10 == 0 else says(OK))(line)
        server.heard.clear()

    async with (
        raw_server(reply, tls=ca.server() if tls else None) as server,
        opened(DirectWire(server.url, ca.file)) as wire,
    ):
        await _exchanges(wire, 300)
        descriptors_before, memory_before = descriptors(), _memory()
        await _exchanges(wire, 600)
        grown = _memory() - memory_before
        tracemalloc.stop()
        assert descriptors() <= descriptors_before + 2
    assert grown < 100_000


async def _exchanges(wire: Wire, number: int) -> None:
    for _ in range(number):
        await wire.exchange(request(), TIMEOUT_S)
    await asyncio.sleep(0.05)


def _memory() -> int:
    gc.collect()
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


async def test_a_line_is_given_back_once() -> None:
    """Given back twice it would be lent to two senders, and one would hear the other's answer."""
    async with raw_server() as server, opened(DirectWire(server.url)) as wire:
        line = await a_line(wire)
        line.release()
        with pytest.raises(AssertionError):
            line.release()
        assert wire.idle() is line
        assert wire.idle() is None
