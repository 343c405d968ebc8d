"""Our own wire under an ordinary httpx client."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from byte_server import BODY, OK, Line, Reply, raw_server, says, until

from batchcredit.engine.wire import transport
from batchcredit.engine.wire.transport import WireTransport


async def test_an_ordinary_client_speaks_through_it() -> None:
    """Paths, queries, headers, bodies and answers are the client's own; one connection carries them."""
    two = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\n{}"
    async with raw_server(says(two), says(OK)) as server:
        async with httpx.AsyncClient(
            transport=WireTransport(server.url), base_url=server.url + "/v3", auth=("user", "k3y")
        ) as client:
            first = await client.get("/accounts", params={"page": 2, "q": "ä"})
            second = await client.put("/credit", json={"amount": 1})
        await until(lambda: not server.open)
        assert server.connections == 1
    assert (first.status_code, first.json(), dict(first.cookies)) == (200, {}, {"a": "1", "b": "2"})
    assert second.content == BODY
    asked, put = server.heard
    assert (asked.method, asked.target) == ("GET", "/v3/accounts?page=2&q=%C3%A4")
    assert (put.method, put.target, put.body) == ("PUT", "/v3/credit", b'{"amount":1}')
    assert put.headers["authorization"].startswith("Basic ")
    assert put.headers["content-length"] == "12"
    assert put.headers["cookie"] == "a=1; b=2"


async def test_a_streamed_body_has_a_length() -> None:
    """Nothing goes out chunked: the body is read first."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with raw_server() as server, httpx.AsyncClient(transport=WireTransport(server.url)) as client:
        await client.post(server.url + "/", content=pieces())
    assert (server.heard[0].body, server.heard[0].headers["content-length"]) == (b"onetwo", "6")
    assert "transfer-encoding" not in server.heard[0].headers


async def test_head_has_no_body() -> None:
    """A length without a body does not hang, and is not mixed up with the next answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    async with (
        raw_server(says(head), says(OK)) as server,
        httpx.AsyncClient(transport=WireTransport(server.url), timeout=2) as client,
    ):
        assert (await client.head(server.url + "/")).headers["content-length"] == "99"
        assert (await client.get(server.url + "/")).content == BODY


async def test_a_packed_answer_that_was_not_asked_for_is_unpacked_by_the_client() -> None:
    """The wire asks for none and hands on what comes; httpx unpacks it."""
    packed = gzip.compress(b"{}")
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (
        len(packed),
        packed,
    )
    async with (
        raw_server(says(answer)) as server,
        httpx.AsyncClient(transport=WireTransport(server.url)) as client,
    ):
        assert (await client.get(server.url + "/")).json() == {}


async def test_redirects_are_the_clients_business() -> None:
    """The transport follows nothing; a client that follows does so by requests of its own."""
    there = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    async with (
        raw_server(says(there), says(OK)) as server,
        httpx.AsyncClient(transport=WireTransport(server.url)) as client,
    ):
        assert (await client.get(server.url + "/")).status_code == 302
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (says(OK[:-3], then="close"), httpx.ReadError),
        (says(), httpx.ReadTimeout),
        (says(b"garbage\r\n\r\n"), httpx.ReadError),
    ],
    ids=["half", "silence", "garbage"],
)
async def test_what_may_have_left(reply: Reply, error: type[httpx.TransportError]) -> None:
    """One request arrived, and the error says that it may have."""
    async with (
        raw_server(reply) as server,
        httpx.AsyncClient(transport=WireTransport(server.url), timeout=0.2) as client,
    ):
        with pytest.raises(error):
            await client.put(server.url + "/")
        assert len(server.heard) == 1


async def test_what_did_not_leave() -> None:
    """Nobody there, and another origin: nothing left, and the errors say so."""
    async with raw_server() as server:
        pass
    async with httpx.AsyncClient(transport=WireTransport(server.url)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url + "/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("http://127.0.0.2/")


async def test_a_connection_that_does_not_stand_in_time() -> None:
    """Nothing left, and the error says so, whatever `read` would have allowed."""

    async def mute(line: Line) -> None:
        await asyncio.sleep(0.3)

    async with raw_server(greet=mute) as server:
        url = server.url.replace("http:", "https:")
        timeout = httpx.Timeout(5, connect=0.1)
        async with httpx.AsyncClient(transport=WireTransport(url), timeout=timeout) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.put(url + "/")
        assert server.heard == []


async def test_no_timeout_is_not_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for none gets ours."""
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.1)
    async with (
        raw_server(says()) as server,
        httpx.AsyncClient(transport=WireTransport(server.url), timeout=None) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url + "/")


async def test_more_requests_than_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest waits for its turn, and each request arrives once."""
    monkeypatch.setattr(transport, "CONNECTIONS_MOST", 3)
    async with (
        raw_server() as server,
        httpx.AsyncClient(transport=WireTransport(server.url)) as client,
    ):
        answers = await asyncio.gather(*(client.put(server.url + f"/{number}") for number in range(20)))
        assert server.connections <= 3
    assert {answer.content for answer in answers} == {BODY}
    assert sorted(heard.target for heard in server.heard) == sorted(f"/{number}" for number in range(20))


async def test_a_cancelled_request_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed, and the next request has the place."""
    monkeypatch.setattr(transport, "CONNECTIONS_MOST", 1)
    async with (
        raw_server(says(), says(OK)) as server,
        httpx.AsyncClient(transport=WireTransport(server.url)) as client,
    ):
        task = asyncio.create_task(client.put(server.url + "/"))
        await until(lambda: bool(server.heard))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.put(server.url + "/")).content == BODY
        assert [heard.connection for heard in server.heard] == [1, 2]
