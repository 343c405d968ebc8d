"""What a wire promises, asked of each one against servers that do every wrong thing.

The count of requests that arrived is the server's; what is certain is the exchange's.
"""

import asyncio
import gzip
import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from byte_server import BODY, OK, Line, RawServer, Reply, connect_proxy, raw_server, says, until
from wires import (
    AT_ONCE,
    HAPPENINGS,
    SECRET,
    SHORT_S,
    TIMEOUT_S,
    TLS,
    Authority,
    MakeWire,
    head,
    opened,
    request,
    sized,
    the_line,
)

from batchcredit.engine.wire.base import ANSWER_MOST_BYTES, GONE, Exchange, WithheldError
from batchcredit.engine.wire.stock import HttpxWire
from batchcredit.errors import RefusedError
from batchcredit.providers.base import Request

KNOWS_PROXIES = pytest.mark.parametrize("make", [HttpxWire], ids=["httpx"])

HUGE = b"x" * (2 << 20)
ZIPPED = gzip.compress(BODY)
CHUNKED = head("200 OK", "Transfer-Encoding: chunked")
TWO_LENGTHS = ("Content-Length: 1", "Content-Length: 2")
TO_THE_END = b"HTTP/1.0 200 OK\r\n\r\n"


class Case(NamedTuple):
    reply: Reply
    problem: str = ""
    status: int | None = None
    body: bytes | None = BODY
    short: bool = False


CASES: dict[str, Case] = {
    "answer": Case(says(OK), status=200),
    "close_after_reading": Case(says(then="close"), "lost_answer"),
    "reset_after_reading": Case(says(then="reset"), "lost_answer"),
    "half_head": Case(says(b"HTTP/1.1 200 OK\r\nContent-Ty", then="close"), "lost_answer"),
    "half_head_reset": Case(says(b"HTTP/1.1 200 OK\r\nContent-Ty", then="reset"), "lost_answer"),
    "half_body": Case(says(OK[:-5], then="close"), "lost_answer"),
    "half_body_reset": Case(says(OK[:-5], then="reset"), "lost_answer"),
    "chunked": Case(says(CHUNKED + b"15\r\n" + BODY + b"\r\n0\r\n\r\n"), status=200),
    "chunked_cut": Case(says(CHUNKED + b"15\r\n" + BODY + b"\r\n", then="close"), "lost_answer"),
    "chunk_cut": Case(says(CHUNKED + b"15\r\n" + BODY[:4], then="close"), "lost_answer"),
    "bad_chunk": Case(says(CHUNKED + b"zz\r\n" + BODY), "lost_answer"),
    "garbage": Case(says(b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n", then="close"), "lost_answer"),
    "endless_garbage": Case(says(b"x" * 300_000), "lost_answer"),
    "endless_head": Case(says(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: y\r\n" * 30_000), "lost_answer"),
    "bad_length": Case(says(head("200 OK", "Content-Length: many")), "lost_answer"),
    "two_lengths": Case(
        says(head("200 OK", "Content-Length: 1", "Content-Length: 2") + b"xy"), "lost_answer"
    ),
    "silence": Case(says(), "timeout", short=True),
    "slow_drip": Case(says(*[bytes([byte]) for byte in OK], pause_s=0.02), "timeout", short=True),
    "endless_1xx": Case(says(*[head("102 Processing")] * 100, pause_s=0.02), "timeout", short=True),
    "huge": Case(says(sized(HUGE)), "too_large"),
    "huge_chunked": Case(says(CHUNKED + b"200000\r\n" + HUGE + b"\r\n0\r\n\r\n"), "too_large"),
    "huge_to_the_end": Case(says(TO_THE_END + HUGE, then="close"), "too_large"),
    "largest": Case(says(sized(HUGE[:ANSWER_MOST_BYTES])), status=200, body=HUGE[:ANSWER_MOST_BYTES]),
    "continue_100": Case(says(head("100 Continue"), OK), status=200),
    "early_hints_103": Case(says(head("103 Early Hints", "Link: </a>") + OK), status=200),
    "switching_101": Case(
        says(head("101 Switching Protocols", "Upgrade: x", "Connection: upgrade"), OK), "lost_answer"
    ),
    "redirect_302": Case(says(head("302 Found", "Location: /credit", "Content-Length: 0")), "", 302, b""),
    "redirect_307": Case(says(head("307 Again", "Location: /credit", "Content-Length: 0")), "", 307, b""),
    "too_many": Case(says(head("429 Slow Down", "Retry-After: 1", "Content-Length: 0")), "", 429, b""),
    "no_content": Case(says(head("204 No Content")), "", 204, b""),
    "zipped": Case(says(sized(ZIPPED, "Content-Encoding: gzip")), "", 200, ZIPPED),
    "last_answer": Case(says(sized(BODY, "Connection: close"), then="close"), status=200),
    "last_answer_open": Case(says(sized(BODY, "Connection: close")), status=200),
    "http_20": Case(says(b"HTTP/2.0" + OK[8:]), "lost_answer"),
    "http_00": Case(says(b"HTTP/0.0" + OK[8:]), "lost_answer"),
    "http_10": Case(says(TO_THE_END + BODY, then="close"), status=200),
    "http_10_sized": Case(says(b"HTTP/1.0 200 OK\r\nContent-Length: 21\r\n\r\n" + BODY), status=200),
    "more_behind": Case(says(OK + b"\r\nand more"), status=200),
    "pieces": Case(says(OK[:9], OK[9:50], OK[50:], pause_s=0.005), status=200),
    "early_answer": Case(says(OK, then="close"), status=200),
}


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("name", CASES)
async def test_one_request_whatever_the_server_does(make: MakeWire, name: str, reused: bool) -> None:
    """Exactly one request arrives, it counts as sent, and there is an answer only if a whole one came."""
    case = CASES[name]
    method = "POST" if reused else "PUT"
    warm_up = [says(OK)] if reused else []
    async with raw_server(*warm_up, case.reply) as server, opened(make(server.url, 1)) as wire:
        for _ in warm_up:
            assert (await wire.exchange(request(method), TIMEOUT_S)).answer
        exchange = await wire.exchange(request(method), SHORT_S if case.short else TIMEOUT_S)
        await asyncio.sleep(0.01)
        assert len(server.heard) == 1 + reused
        assert {heard.connection for heard in server.heard} == {1}
    assert server.heard[-1].method == method
    assert exchange.sent
    assert exchange.problem == case.problem
    assert (exchange.answer and exchange.answer.status) == case.status
    assert exchange.answer is None or exchange.answer.body == case.body
    assert SECRET not in exchange.detail


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.status is None])
async def test_a_connection_that_lost_an_answer_is_not_used_again(make: MakeWire, name: str) -> None:
    """What is still to come on it would be heard as the answer to another request; and it is let go."""
    case = CASES[name]
    async with raw_server(case.reply, says(OK)) as server, opened(make(server.url, 1)) as wire:
        await wire.exchange(request(), SHORT_S if case.short else TIMEOUT_S)
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert [heard.connection for heard in server.heard] == [1, 2]
        assert exchange.answer is not None
        await until(lambda: len(server.open) == 1)


async def test_nobody_listens(make: MakeWire) -> None:
    """A refused connection sends nothing."""
    async with opened(make(f"http://127.0.0.1:{_free_port()}", 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert (exchange.sent, exchange.answer, exchange.problem) == (False, None, "unreachable")
    assert exchange.detail


def _free_port() -> int:
    with socket.socket() as claimed:
        claimed.bind(("127.0.0.1", 0))
        port: int = claimed.getsockname()[1]
        return port


async def test_unknown_host(make: MakeWire) -> None:
    """A name that can't be resolved sends nothing."""
    async with opened(make("http://nobody.invalid", 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert (exchange.sent, exchange.answer, exchange.problem) == (False, None, "unreachable")


async def test_a_dial_that_ends_oddly(make: MakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """What uvloop may raise instead of an OSError is one more server that can't be reached."""

    async def odd(*_: object, **__: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("aiohappyeyeballs.start_connection", odd)
    async with opened(make("http://127.0.0.1:9", 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert (exchange.sent, exchange.problem, exchange.detail) == (False, "unreachable", "odd")


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_closed_before_reading(make: MakeWire, then: str) -> None:
    """A server that hangs up on connecting gets at most one try, and no answer is made up."""
    async with raw_server(greet=says(then=then)) as server, opened(make(server.url, 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert server.connections == 1
        assert server.heard == []
    assert exchange.answer is None
    assert exchange.problem == ("lost_answer" if exchange.sent else "unreachable")


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_idle_connection_that_the_server_closed(make: MakeWire, then: str) -> None:
    """It is dialled again: one request, its answer, no doubt."""
    async with raw_server(says(OK, then=then), says(OK)) as server, opened(make(server.url, 1)) as wire:
        await wire.exchange(request(), TIMEOUT_S)
        await asyncio.sleep(0.02)
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert [heard.connection for heard in server.heard] == [1, 2]
    assert exchange.sent
    assert exchange.answer is not None


async def test_idle_connection_to_a_server_that_is_gone(make: MakeWire) -> None:
    """A used connection that has ended, and nobody there any more: nothing is sent."""
    async with raw_server(says(OK)) as server:
        wire = make(server.url, 1)
        await wire.exchange(request(), TIMEOUT_S)
    async with opened(wire):
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert (exchange.sent, exchange.answer, exchange.problem) == (False, None, "unreachable")


async def test_a_connection_is_used_again(make: MakeWire) -> None:
    """Ten requests one after another need one connection."""
    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        for _ in range(10):
            await wire.exchange(request(), TIMEOUT_S)
        assert (server.connections, len(server.heard)) == (1, 10)


@pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["at_once", "later"])
async def test_an_answer_too_many_answers_nothing(make: MakeWire, pause_s: float) -> None:
    """Two answers to one request: the second is not heard as the answer to the next request."""

    apart = says(sized(b"first"), sized(b"stray"), pause_s=pause_s)
    glued = says(sized(b"first") + sized(b"stray"))
    async with (
        raw_server(apart if pause_s else glued, says(sized(b"second"))) as server,
        opened(make(server.url, 1)) as wire,
    ):
        first = await wire.exchange(request(), TIMEOUT_S)
        await asyncio.sleep(2 * pause_s)
        second = await wire.exchange(request(), TIMEOUT_S)
        assert len(server.heard) == 2
    assert first.answer is not None
    assert second.answer is not None
    assert (first.answer.body, second.answer.body) == (b"first", b"second")


async def test_cookies_are_not_sent_back(make: MakeWire) -> None:
    """Nothing that one answer set shows in the next request."""
    cookie = says(sized(BODY, "Set-Cookie: session=1; Path=/"))
    async with raw_server(cookie) as server, opened(make(server.url, 1)) as wire:
        for _ in range(2):
            await wire.exchange(request(), TIMEOUT_S)
    assert all("cookie" not in heard.headers for heard in server.heard)


async def test_what_goes_out(make: MakeWire) -> None:
    """The request is the adapter's, whole, with a length, and no promise to take a packed answer."""
    async with raw_server() as server, opened(make(server.url + "/v3", 1)) as wire:
        await wire.exchange(request("PUT"), TIMEOUT_S)
    heard = server.heard[0]
    assert (heard.method, heard.target, heard.body) == ("PUT", "/v3/credit", request().body)
    assert heard.headers["authorization"] == f"Basic {SECRET}"
    assert heard.headers["accept-encoding"] == "identity"
    assert heard.headers["host"] == f"127.0.0.1:{server.port}"
    assert "transfer-encoding" not in heard.headers
    assert "expect" not in heard.headers


async def test_answers_carry_their_headers(make: MakeWire) -> None:
    """Names in lower case, as adapters and pauses read them."""
    async with (
        raw_server(says(sized(b"", "Retry-After: 7", "X-RateLimit-Limit: 9"))) as server,
        opened(make(server.url, 1)) as wire,
    ):
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert exchange.answer is not None
    assert exchange.answer.headers["retry-after"] == "7"
    assert exchange.answer.headers["x-ratelimit-limit"] == "9"


async def test_environment_proxies_are_not_used(make: MakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would see the request; it goes straight to the provider."""
    dead = f"http://127.0.0.1:{_free_port()}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, dead)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None


# The deadline


async def test_deadline_covers_the_handshake(make: MakeWire, ca: Authority) -> None:
    """A server that accepts and never speaks TLS: nothing was sent, in time, and the connection is let go."""
    async with raw_server(greet=deaf) as server, opened(make(_https(server), 1, ca.file)) as wire:
        began = time.monotonic()
        exchange = await wire.exchange(request(), SHORT_S)
        assert time.monotonic() - began < TIMEOUT_S  # on a busy machine too
        await _hung_up(server)
    assert (exchange.sent, exchange.answer, exchange.problem) == (False, None, "timeout")


def _https(server: RawServer) -> str:
    return server.url.replace("http:", "https:")


async def deaf(line: Line) -> None:
    """Accepts and does nothing."""
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(2)


async def _hung_up(server: RawServer) -> None:
    """Wait until the client has ended the one connection that the server still holds."""
    (writer,) = server.open
    raw = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
    with raw:
        await until(lambda: _is_ended(raw))


def _is_ended(raw: socket.socket) -> bool:
    try:
        while raw.recv(65_536, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


async def test_deadline_covers_writing(make: MakeWire) -> None:
    """A server that never reads lets a large request hang; it ends in time and counts as sent."""
    async with raw_server(greet=deaf) as server, opened(make(server.url, 1)) as wire:
        large = Request("PUT", "/credit", (), b"x" * (32 << 20))
        began = time.monotonic()
        exchange = await wire.exchange(large, SHORT_S)
        assert time.monotonic() - began < TIMEOUT_S  # on a busy machine too
    assert (exchange.sent, exchange.answer, exchange.problem) == (True, None, "timeout")


async def test_an_early_answer_and_a_reset(make: MakeWire) -> None:
    """An answer that came while the request was still being written is heard, although writing failed."""

    async def early(line: Line) -> None:
        await line.reader.read(100)
        await line.say(OK)
        await asyncio.sleep(0.02)
        line.reset()

    async with raw_server(greet=early) as server, opened(make(server.url, 1)) as wire:
        exchange = await wire.exchange(Request("PUT", "/credit", (), b"x" * (32 << 20)), TIMEOUT_S)
    assert exchange.answer is not None
    assert exchange.answer.body == BODY


async def test_deadline_covers_everything_together(make: MakeWire) -> None:
    """Waiting before the first byte, a slow head and a slow body each within the limit are one wait."""

    async def hold() -> None:
        await asyncio.sleep(0.2)

    slow = says(OK[:30], OK[30:], pause_s=0.2)
    async with raw_server(slow) as server, opened(make(server.url, 1)) as wire:
        began = time.monotonic()
        exchange = await wire.exchange(request(), 0.3, hold)
        assert 0.29 < time.monotonic() - began < 0.6
    assert (exchange.sent, exchange.problem) == (True, "timeout")


async def test_deadline_before_the_first_byte(make: MakeWire) -> None:
    """A request that was held up until its time was over has not left."""

    async def hold() -> None:
        await asyncio.sleep(1)

    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        exchange = await wire.exchange(request(), 0.1, hold)
        await asyncio.sleep(0.02)
        assert server.heard == []
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
    assert (exchange.sent, exchange.problem) == (False, "timeout")


async def test_departure_is_the_last_thing_before_the_first_byte(make: MakeWire) -> None:
    """When it is asked, a connection stands and nothing has arrived; fresh and used connections alike."""
    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        seen: list[int] = []

        async def look() -> None:
            await until(lambda: server.connections == 1)
            await asyncio.sleep(0.02)
            seen.append(len(server.heard))

        for _ in range(3):
            assert (await wire.exchange(request(), TIMEOUT_S, look)).answer is not None
        assert seen == [0, 1, 2]


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
async def test_a_request_that_is_withheld(make: MakeWire, used: bool) -> None:
    """What does not depart does not arrive, is no doubt, and leaves the wire usable."""

    async def withhold() -> None:
        raise WithheldError

    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        for _ in range(used):
            await wire.exchange(request(), TIMEOUT_S)
        exchange = await wire.exchange(request(), TIMEOUT_S, withhold)
        await asyncio.sleep(0.02)
        assert len(server.heard) == used
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert len(server.heard) == used + 1
    assert (exchange.sent, exchange.answer, exchange.withheld) == (False, None, True)


# What happens before the request leaves


@TLS
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize(
    ("happening", "busy"), [(name, False) for name in HAPPENINGS] + [(name, True) for name in AT_ONCE]
)
async def test_what_happens_before_the_request_leaves(
    make: MakeWire, ca: Authority, tls: bool, used: bool, happening: str, busy: bool
) -> None:
    """Where the server spoke or hung up, nothing leaves, whether the loop has read that or was busy."""

    async def departs() -> None:
        await until(lambda: bool(server.open))
        HAPPENINGS[happening](the_line(server))
        if busy:
            time.sleep(0.02)  # noqa: ASYNC251 (the loop is to be busy elsewhere)
        else:
            await asyncio.sleep(0.02)

    async with (
        raw_server(says(sized(b"told")), tls=ca.server() if tls else None) as server,
        opened(make(server.url, 1, ca.file)) as wire,
    ):
        for _ in range(used):
            await wire.exchange(request(), TIMEOUT_S)
        assert await wire.exchange(request(), TIMEOUT_S, departs) == GONE
        await until(lambda: not server.open)
        assert len(server.heard) == used
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert exchange.answer is not None
    assert exchange.answer.body == b"told"


async def test_a_standstill_before_the_request_leaves(make: MakeWire) -> None:
    """Where the time is over by then nothing leaves, although no timer has fired."""

    async def departs() -> None:
        time.sleep(SHORT_S)  # noqa: ASYNC251 (the whole process stands still)

    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        exchange = await wire.exchange(request(), SHORT_S / 2, departs)
        await asyncio.sleep(0.02)
        assert server.heard == []
    assert (exchange.sent, exchange.problem) == (False, "timeout")


async def test_departure_that_goes_wrong(make: MakeWire) -> None:
    """What `departs` raises comes through, nothing leaves, and the connection is let go."""

    async def departs() -> None:
        raise LookupError

    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        with pytest.raises(LookupError):
            await wire.exchange(request(), TIMEOUT_S, departs)
        await until(lambda: not server.open)
        assert server.heard == []


# Cancelled


@TLS
async def test_cancelled_while_it_departs(make: MakeWire, ca: Authority, tls: bool) -> None:
    """Nothing leaves, and the connection is let go."""

    async def departs() -> None:
        departing.set()
        await asyncio.sleep(60)

    departing = asyncio.Event()
    async with (
        raw_server(tls=ca.server() if tls else None) as server,
        opened(make(server.url, 1, ca.file)) as wire,
    ):
        task = asyncio.create_task(wire.exchange(request(), TIMEOUT_S, departs))
        await asyncio.wait_for(departing.wait(), TIMEOUT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not server.open)
        assert server.heard == []


@pytest.mark.parametrize("name", ["silence", "slow_drip", "half_open"])
async def test_cancelled_exchange_leaves_no_connection(make: MakeWire, name: str) -> None:
    """Whoever cancels finds the connection closed at the server, and the wire usable."""
    reply = CASES[name].reply if name in CASES else says(OK[:-3])
    async with raw_server(reply, says(OK)) as server, opened(make(server.url, 1)) as wire:
        task = asyncio.create_task(wire.exchange(request(), TIMEOUT_S))
        await until(lambda: bool(server.heard))
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not server.open)
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert len(server.heard) == 2


async def test_aclose_ends_idle_connections(make: MakeWire) -> None:
    """After the wire is closed the server holds none of its connections."""
    async with raw_server() as server:
        async with opened(make(server.url, 16)) as wire:
            await asyncio.gather(*(wire.exchange(request(), TIMEOUT_S) for _ in range(16)))
        await until(lambda: not server.open)
        assert len(server.heard) == 16


# TLS and proxies


async def test_tls_with_its_own_authority(make: MakeWire, ca: Authority) -> None:
    """With ca_file the server is known: one request, fresh and used."""
    async with raw_server(tls=ca.server()) as server, opened(make(server.url, 1, ca.file)) as wire:
        for _ in range(3):
            assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert (server.connections, len(server.heard)) == (1, 3)


@pytest.mark.parametrize("problem", ["no_ca_file", "other_ca", "other_name"])
async def test_untrusted_tls(make: MakeWire, ca: Authority, problem: str) -> None:
    """A certificate that does not verify: nothing is sent, and the exchange says why."""
    context = trusted_elsewhere() if problem == "other_ca" else ca.server(_name(problem))
    ca_file = None if problem == "no_ca_file" else ca.file
    async with raw_server(tls=context) as server, opened(make(server.url, 1, ca_file)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert server.heard == []
    assert (exchange.sent, exchange.answer, exchange.untrusted) == (False, None, True)
    assert "certificate" in exchange.detail.lower()


def trusted_elsewhere() -> ssl.SSLContext:
    return Authority(trustme.CA(), Path()).server()


def _name(problem: str) -> str:
    return "other.example" if problem == "other_name" else "127.0.0.1"


async def test_plain_server_behind_https(make: MakeWire) -> None:
    """A server that answers a handshake with HTTP: nothing of ours was sent, and it is no matter of trust."""
    plain = says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then="close")
    async with raw_server(greet=plain) as server, opened(make(_https(server), 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert (exchange.sent, exchange.answer, exchange.untrusted) == (False, None, False)


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_tls_answer_lost(make: MakeWire, ca: Authority, then: str) -> None:
    """The end of the connection inside TLS is a lost answer, with and without a closing alert."""
    async with (
        raw_server(says(OK[:-4], then=then), tls=ca.server()) as server,
        opened(make(server.url, 1, ca.file)) as wire,
    ):
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert len(server.heard) == 1
    assert (exchange.sent, exchange.answer, exchange.problem) == (True, None, "lost_answer")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("then", ["close", "cut"])
async def test_tls_tells_an_end_from_a_cut(
    make: MakeWire, ca: Authority, version: ssl.TLSVersion, then: str
) -> None:
    """An answer without a length is whole only where the server said farewell: any network can send a FIN."""
    context = ca.server()
    context.maximum_version = version
    async with (
        raw_server(says(TO_THE_END + BODY, then=then), tls=context) as server,
        opened(make(server.url, 1, ca.file)) as wire,
    ):
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert exchange.sent
    assert exchange.problem == ("lost_answer" if then == "cut" else "")
    assert (exchange.answer and exchange.answer.body) == (None if then == "cut" else BODY)


async def test_tls_tickets_are_no_words(make: MakeWire, ca: Authority) -> None:
    """What TLS itself sends after the handshake is neither heard as an answer nor ends the connection."""
    context = ca.server()
    context.num_tickets = 16
    async with raw_server(tls=context) as server, opened(make(server.url, 1, ca.file)) as wire:
        for _ in range(5):
            assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
        assert (server.connections, len(server.heard)) == (1, 5)


async def test_tls_with_another_protocol_offered(make: MakeWire, ca: Authority) -> None:
    """A server that knows HTTP/2 as well is spoken to in HTTP/1.1."""
    context = ca.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    chosen: list[str | None] = []

    async def look(line: Line) -> None:
        chosen.append(line.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await line.say(OK)

    async with raw_server(look, tls=context) as server, opened(make(server.url, 1, ca.file)) as wire:
        assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
    assert chosen == ["http/1.1"]


HANDSHAKES = {
    "reset": says(then="reset"),
    "closed": says(then="close"),
    "alert": says(b"\x15\x03\x03\x00\x02\x02\x28", then="close"),
    "garbage": says(b"\x00\xff" * 50, then="close"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_handshakes_that_fail(make: MakeWire, ca: Authority, name: str) -> None:
    """Nothing was sent, it is told, and it is no matter of trust."""

    async def after_hello(line: Line) -> None:
        await line.reader.read(9999)
        await HANDSHAKES[name](line)

    async with raw_server(greet=after_hello) as server, opened(make(_https(server), 1, ca.file)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
        await until(lambda: not server.open)
    assert (exchange.sent, exchange.untrusted, exchange.problem) == (False, False, "unreachable")
    assert exchange.detail


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_an_end_in_the_handshake_is_called_so(make: MakeWire, ca: Authority, then: str) -> None:
    """A person reads what the server did and when."""
    async with raw_server(greet=says(then=then)) as server, opened(make(_https(server), 1, ca.file)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert exchange.detail == "the server closed the connection in the TLS handshake"


async def test_tls_answer_too_many_answers_nothing(make: MakeWire, ca: Authority) -> None:
    """A second answer in a TLS record of its own is not heard as the answer to the next request."""

    twice = says(sized(b"first"), sized(b"stray"))
    async with (
        raw_server(twice, says(sized(b"second")), tls=ca.server()) as server,
        opened(make(server.url, 1, ca.file)) as wire,
    ):
        first, second = [await wire.exchange(request(), TIMEOUT_S) for _ in range(2)]
        assert len(server.heard) == 2
    assert first.answer is not None
    assert second.answer is not None
    assert (first.answer.body, second.answer.body) == (b"first", b"second")


def test_ca_file_that_is_none(make: MakeWire, tmp_path: Path) -> None:
    """A file without certificates is refused before anything is dialled."""
    with pytest.raises(RefusedError, match="ca_file"):
        make("https://127.0.0.1", 1, tmp_path / "missing.pem")


@KNOWS_PROXIES
async def test_explicit_proxy(make: MakeWire, ca: Authority) -> None:
    """The tunnel is dialled once, and the proxy sees neither the request nor its secret."""
    async with raw_server(tls=ca.server()) as server, connect_proxy() as proxy:
        url = f"http://user:{SECRET}@127.0.0.1:{proxy.port}"
        async with opened(make(server.url, 1, ca.file, url)) as wire:
            for _ in range(2):
                assert (await wire.exchange(request(), TIMEOUT_S)).answer is not None
            assert SECRET not in repr(wire)
        assert (len(proxy.heads), len(server.heard), server.connections) == (1, 2, 1)
        assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port)
        assert b"proxy-authorization" in proxy.heads[0].lower()
        assert "proxy-authorization" not in server.heard[0].headers


@KNOWS_PROXIES
@pytest.mark.parametrize(
    "refusal", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 502 No\r\n\r\n", b"no\r\n\r\n"]
)
async def test_proxy_that_refuses(make: MakeWire, ca: Authority, refusal: bytes) -> None:
    """A CONNECT that fails is no request of ours: nothing was sent."""
    async with raw_server(tls=ca.server()) as server, connect_proxy(refusal) as proxy:
        url = f"http://user:{SECRET}@127.0.0.1:{proxy.port}"
        async with opened(make(server.url, 1, ca.file, url)) as wire:
            exchange = await wire.exchange(request(), TIMEOUT_S)
        assert (len(proxy.heads), server.heard) == (1, [])
    assert (exchange.sent, exchange.answer, exchange.problem) == (False, None, "unreachable")
    assert SECRET not in exchange.detail


@KNOWS_PROXIES
async def test_untrusted_behind_a_proxy(make: MakeWire, ca: Authority) -> None:
    """TLS is verified through a tunnel as well."""
    async with raw_server(tls=trusted_elsewhere()) as server, connect_proxy() as proxy:
        async with opened(make(server.url, 1, ca.file, f"http://127.0.0.1:{proxy.port}")) as wire:
            exchange = await wire.exchange(request(), TIMEOUT_S)
        assert server.heard == []
    assert (exchange.sent, exchange.untrusted) == (False, True)


# Secrets


SPEAKERS: dict[str, Callable[[], Reply]] = {
    "status_line": lambda: says(f"{SECRET}\r\n\r\n".encode(), then="close"),
    "header": lambda: says(f"HTTP/1.1 200 OK\r\nAuthorization {SECRET}\r\n\r\n".encode(), then="close"),
    "chunk": lambda: says(CHUNKED + f"{SECRET}\r\n".encode(), then="close"),
    "length": lambda: says(head("200 OK", f"Content-Length: {SECRET}"), then="close"),
}


@pytest.mark.parametrize("place", SPEAKERS)
async def test_an_echo_is_not_repeated(make: MakeWire, place: str) -> None:
    """A server that answers with our own secret, as no HTTP, does not bring it into `detail` or a repr."""
    async with raw_server(SPEAKERS[place]()) as server, opened(make(server.url, 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
        assert SECRET not in repr(wire)
    assert exchange.problem == "lost_answer"
    assert SECRET not in repr(exchange)


async def test_values_do_not_show_secrets(make: MakeWire) -> None:
    """Neither a request nor an exchange with an echoing answer shows a secret in its repr."""
    echo = says(sized(SECRET.encode(), f"X-Echo: {SECRET}"))
    async with raw_server(echo) as server, opened(make(server.url, 1)) as wire:
        exchange = await wire.exchange(request(), TIMEOUT_S)
    assert exchange.answer is not None
    assert SECRET not in repr(exchange) + repr(request())


@pytest.mark.parametrize("value", [f"{SECRET}\r\nX: y", f"{SECRET}\x00", f"{SECRET}\N{SNOWMAN}"])
async def test_headers_that_no_wire_carries(make: MakeWire, value: str) -> None:
    """A header that is no HTTP never arrives, ends as a value, and is not quoted."""
    bad = Request("PUT", "/credit", (("X-Key", value),), b"{}")
    async with raw_server() as server, opened(make(server.url, 1)) as wire:
        exchange: Exchange = await wire.exchange(bad, TIMEOUT_S)
        assert server.heard == []
    assert exchange.answer is None
    assert SECRET not in repr(exchange)
