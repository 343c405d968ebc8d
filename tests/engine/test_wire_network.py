"""What httpx sends through: the look before a request, behind proxies, with many at once, below buffers."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from byte_server import OK, RawServer, connect_proxy, raw_server, says, until
from wires import TIMEOUT_S, TLS, Authority, head, opened, request, sized, speak, the_line

from batchcredit.engine.wire.base import GONE, Exchange, Wire, at_once
from batchcredit.engine.wire.network import UNDER_WAY, Departure, Network, _Socket
from batchcredit.engine.wire.stock import HttpxWire, _looking

#: As much as httpcore reads at once.
READ_BYTES = 65_536


def body(exchange: Exchange) -> bytes | None:
    return exchange.answer and exchange.answer.body


@asynccontextmanager
async def proxied(way: str, ca: Authority) -> AsyncIterator[tuple[RawServer, Wire]]:
    """A server behind a proxy that forwards (it is the proxy), that tunnels, or that tunnels in TLS."""
    tls = None if way == "forwards" else ca.server()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(raw_server(says(sized(b"told")), tls=tls))
        url, proxy = "http://provider.invalid", server.url
        if way != "forwards":
            scheme, outer = ("https", ca.server()) if way == "tunnels_in_tls" else ("http", None)
            tunnel = await stack.enter_async_context(connect_proxy(tls=outer))
            url, proxy = server.url, f"{scheme}://127.0.0.1:{tunnel.port}"
        yield server, await stack.enter_async_context(opened(HttpxWire(url, 1, ca.file, proxy)))


@pytest.fixture(autouse=True)
def trusted_proxies(ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's certificate is known by authorities of httpcore's choice, here by the test's."""
    monkeypatch.setattr(
        "httpcore._async.connection.default_ssl_context", lambda: ssl.create_default_context(cafile=ca.file)
    )


WAYS = pytest.mark.parametrize("way", ["forwards", "tunnels", "tunnels_in_tls"])


@WAYS
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
async def test_what_is_said_before_the_request_leaves_through_a_proxy(
    ca: Authority, way: str, used: bool
) -> None:
    """It answers nothing, and nothing leaves; CONNECT is no request of ours and departs by itself."""
    departed: list[int] = []

    async def departs() -> None:
        await until(lambda: bool(server.open))
        departed.append(len(server.heard))
        speak(the_line(server))
        await asyncio.sleep(0.05)

    async with proxied(way, ca) as (server, wire):
        for _ in range(used):
            assert body(await wire.exchange(request(), TIMEOUT_S)) == b"told"
        assert await wire.exchange(request(), TIMEOUT_S, departs) == GONE
        await until(lambda: not server.open)
        assert departed == [used]
        assert len(server.heard) == used
        assert body(await wire.exchange(request(), TIMEOUT_S)) == b"told"


@WAYS
async def test_a_connection_through_a_proxy_is_used_again(ca: Authority, way: str) -> None:
    """The look takes nothing for words that is none."""
    async with proxied(way, ca) as (server, wire):
        for _ in range(5):
            assert body(await wire.exchange(request(), TIMEOUT_S)) == b"told"
        assert (server.connections, len(server.heard)) == (1, 5)


@WAYS
async def test_an_answer_too_many_through_a_proxy_answers_nothing(ca: Authority, way: str) -> None:
    """Two answers to one request, in whatever layer the second one lies."""
    async with proxied(way, ca) as (server, wire):
        server.replies = [says(sized(b"first"), sized(b"stray")), says(sized(b"second"))]
        first, second = [await wire.exchange(request(), TIMEOUT_S) for _ in range(2)]
        assert len(server.heard) == 1 + second.sent
    assert body(first) == b"first"
    assert second == GONE or body(second) == b"second"  # it may have come just then


@TLS
async def test_an_answer_that_fills_a_read_hides_nothing(ca: Authority, tls: bool) -> None:
    """What lies behind an answer of just as many bytes as are read at once is no answer to the next one."""
    filler = head("200 OK", f"Content-Length: {READ_BYTES:06}")
    large = head("200 OK", f"Content-Length: {READ_BYTES - len(filler):06}")
    first = large + b"x" * (READ_BYTES - len(filler))
    assert len(first) == READ_BYTES
    async with (
        raw_server(
            says(first + sized(b"stray")), says(sized(b"second")), tls=ca.server() if tls else None
        ) as server,
        opened(HttpxWire(server.url, 1, ca.file)) as wire,
    ):
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert body(await wire.exchange(request(), TIMEOUT_S)) == b"second"


@TLS
async def test_many_at_once_are_looked_at_one_by_one(ca: Authority, tls: bool) -> None:
    """The connections that were spoken on get no request, and those of the others do."""
    number = 20

    async def departs() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == number:
            await until(lambda: len(server.open) == number)
            for connection in list(server.open)[::2]:
                connection.write(sized(b"stray"))
            await asyncio.sleep(0.05)
            go.set()
        await go.wait()

    waiting, go = 0, asyncio.Event()
    async with (
        raw_server(says(sized(b"told")), tls=ca.server() if tls else None) as server,
        opened(HttpxWire(server.url, number, ca.file)) as wire,
    ):
        exchanges = await asyncio.gather(
            *(wire.exchange(request(), TIMEOUT_S, departs) for _ in range(number))
        )
        assert len(server.heard) == number // 2
    assert exchanges.count(GONE) == number // 2
    assert [body(exchange) for exchange in exchanges].count(b"told") == number // 2


@TLS
async def test_closed_while_an_exchange_goes_on(ca: Authority, tls: bool) -> None:
    """It ends at once, and in doubt."""
    async with raw_server(says(OK[:20]), tls=ca.server() if tls else None) as server:
        wire = HttpxWire(server.url, 1, ca.file)
        task = asyncio.create_task(wire.exchange(request(), 60))
        await until(lambda: bool(server.heard))
        await asyncio.sleep(0.02)
        await wire.aclose()
        exchange = await asyncio.wait_for(task, TIMEOUT_S)
        await until(lambda: not server.open)
    assert (exchange.sent, exchange.answer, exchange.problem) == (True, None, "lost_answer")


async def test_a_body_does_not_wait_for_its_head() -> None:
    """httpcore writes them one by one, and the kernel would hold the second back until the first is there."""
    UNDER_WAY.set(Departure(at_once))
    async with raw_server() as server:
        stream = await Network().connect_tcp("127.0.0.1", server.port)
        assert stream._raw._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await stream.aclose()


async def test_a_look_lets_the_loop_go_on() -> None:
    """A server that never stops does not stop the clock."""
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.send(b"stray")
        others: list[bool] = []
        asyncio.get_running_loop().call_soon(others.append, True)
        raw = _Socket(here)
        with raw.at_once():
            assert await raw.receive(1) == b"s"
        assert others


async def test_a_closed_socket_is_no_line_to_anybody() -> None:
    """Not even where another one has its number by then: httpcore asks once more."""
    here, there = socket.socketpair()
    raw, number = _Socket(here), here.fileno()
    await raw.aclose()
    third, fourth = socket.socketpair()
    with there, third, fourth:
        assert number in (third.fileno(), fourth.fileno())
        assert raw.is_readable()


def test_another_httpx_is_not_trusted() -> None:
    """Where our network can't be put in, none is made: nobody would see whether a byte left."""
    with pytest.raises(AttributeError):
        _looking(cast("Any", SimpleNamespace(_pool=SimpleNamespace())))
