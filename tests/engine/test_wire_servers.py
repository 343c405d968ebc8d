"""Each wire against servers that others wrote: each request arrives once, and each answer comes out whole."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from byte_server import BODY, until
from real_servers import KEPT_S, NGINX, RealServer, nginx, python_server, uvicorn
from wires import TIMEOUT_S, WIRES, Authority, MakeWire, opened

from batchcredit.engine.wire.base import Exchange, Wire
from batchcredit.providers.base import Request

Start = Callable[[Authority, Path], AbstractContextManager[RealServer]]

WITH_NGINX = pytest.mark.skipif(not NGINX, reason="nginx is not installed: the wire is NOT tested against it")

SERVERS: dict[str, Start] = {
    "uvicorn_httptools": lambda ca, folder: uvicorn("httptools", None, folder),
    "uvicorn_h11": lambda ca, folder: uvicorn("h11", None, folder),
    "uvicorn_tls": partial(uvicorn, "httptools"),
    "nginx": lambda ca, folder: nginx(None, folder),
    "nginx_tls": nginx,
    "python_10": lambda ca, folder: python_server("HTTP/1.0"),
    "python_11": lambda ca, folder: python_server("HTTP/1.1"),
}
PARAMS = [pytest.param(name, marks=WITH_NGINX if "nginx" in name else ()) for name in SERVERS]


@pytest.fixture(scope="module", params=PARAMS)
def server(
    request: pytest.FixtureRequest, ca: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    with SERVERS[request.param](ca, tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def front(
    request: pytest.FixtureRequest, ca: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    with nginx(None, tmp_path_factory.mktemp("front")) as started:
        yield started


async def put(wire: Wire, path: str, body: bytes = b"{}") -> Exchange:
    return await wire.exchange(Request("PUT", path, (), body), TIMEOUT_S)


def is_credited(exchange: Exchange) -> bool:
    """An answer that is whole, and not packed: none was asked for."""
    answer = exchange.answer
    return bool(answer and answer.body == BODY and "content-encoding" not in answer.headers)


def uncredited(exchanges: Iterable[Exchange]) -> list[Exchange]:
    return [exchange for exchange in exchanges if not is_credited(exchange)]


async def count(server: RealServer) -> int:
    return await asyncio.to_thread(server.arrived)


async def test_one_after_another(make: MakeWire, server: RealServer, ca: Authority) -> None:
    """Closes after so many requests and by announcement are survived without a doubt."""
    before = await count(server)
    async with opened(make(server.url, 1, ca.file)) as wire:
        exchanges = [await put(wire, path) for path in server.paths * 4]
        assert not uncredited(exchanges)
        assert await count(server) - before == len(exchanges)


async def test_many_at_once(make: MakeWire, server: RealServer, ca: Authority) -> None:
    """Two hundred requests by twenty senders: as many arrive, and all are credited."""
    before = await count(server)

    async def send(wire: Wire) -> list[Exchange]:
        return [await put(wire, server.paths[turn % len(server.paths)]) for turn in range(10)]

    async with opened(make(server.url, 20, ca.file)) as wire:
        sent = await asyncio.gather(*(send(wire) for _ in range(20)))
        exchanges = list(itertools.chain.from_iterable(sent))
        assert not uncredited(exchanges)
        assert await count(server) - before == 200


#: How long connections idle before they are used again: around the server's own limit, and well beyond it.
IDLES_S = [*(KEPT_S - 0.02 + 0.001 * number for number in range(40)), KEPT_S + 0.2]


async def test_in_the_moment_of_the_close(server: RealServer, ca: Authority) -> None:
    """A request that meets the server's close arrives once or not at all; none that came is called unsent.

    Once the close has been seen there is no doubt any more.
    """
    before = await count(server)

    async def meet(make: MakeWire, idle_s: float) -> Exchange:
        async with opened(make(server.url, 1, ca.file)) as wire:
            assert is_credited(await put(wire, "/credit"))
            await asyncio.sleep(idle_s)
            return await put(wire, "/credit")

    meetings = list(itertools.product(WIRES.values(), IDLES_S))
    exchanges = await asyncio.gather(*(meet(make, idle_s) for make, idle_s in meetings))
    arrived = await count(server) - before - len(exchanges)
    lost = uncredited(exchanges)
    assert len(exchanges) - len(lost) <= arrived <= sum(exchange.sent for exchange in exchanges)
    assert {exchange.problem for exchange in lost} <= {"lost_answer", "unreachable"}
    assert all(map(is_credited, exchanges[len(IDLES_S) - 1 :: len(IDLES_S)]))


@WITH_NGINX
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/credit", b"x" * 2000, 413),
        ("/credit", b"x" * (4 << 20), 413),
        ("/dead", b"{}", 502),
        ("/silent", b"{}", 504),
    ],
    ids=["too_large", "much_too_large", "dead", "silent"],
)
async def test_what_nginx_says_for_others(
    make: MakeWire, front: RealServer, path: str, body: bytes, status: int
) -> None:
    """Its own pages come out whole, and the next request is not harmed by them."""
    before = front.arrived()
    async with opened(make(front.url, 1)) as wire:
        exchange = await put(wire, path, body)
        assert is_credited(await put(wire, "/credit"))
    assert exchange.answer is not None
    assert exchange.answer.status == status
    assert exchange.answer.body.rstrip().endswith(b"</html>")
    await until(lambda: front.arrived() - before == 2)
