"""Our own wire under an ordinary `httpx.AsyncClient`: for requests that are no transfers."""

from pathlib import Path

import anyio
import httpx

from batchcredit.engine.wire.answer_reader import Fields
from batchcredit.engine.wire.base import CONNECT_MOST_S, Exchange
from batchcredit.engine.wire.direct import DirectWire
from batchcredit.providers.base import Answer, Request

#: As many as httpx allows by default.
CONNECTIONS_MOST = 100

#: A request that names no timeout gets this one.
TIMEOUT_S = 60.0

#: The wire writes these itself.
_WRITTEN = frozenset(
    {"host", "user-agent", "accept-encoding", "connection", "content-length", "transfer-encoding"}
)


class WireTransport(httpx.AsyncBaseTransport):
    """Requests to one origin, each sent once at the most. An answer is held whole, within the wire's limit.

    Raises httpx.ConnectError or ConnectTimeout where no byte left, ReadError or ReadTimeout where one may
    have left, and UnsupportedProtocol for another origin than that of `base_url`. Of a request's timeouts
    `connect` counts for the connection and `read` for all that follows.
    """

    def __init__(self, base_url: str, ca_file: Path | None = None) -> None:
        """Raises RefusedError where `ca_file` holds no certificates."""
        url = httpx.URL(base_url)
        self._origin = (url.scheme, url.raw_host, url.port)
        self._wire = DirectWire(str(url.copy_with(raw_path=b"/")), ca_file)
        self._places = anyio.Semaphore(CONNECTIONS_MOST)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if (url.scheme, url.raw_host, url.port) != self._origin:
            raise httpx.UnsupportedProtocol("this transport leads to another origin", request=request)
        body = await request.aread()
        headers = tuple(pair for pair in request.headers.multi_items() if pair[0].lower() not in _WRITTEN)
        outgoing = Request(request.method, url.raw_path.decode("ascii"), headers, body)
        async with self._places:
            exchange = await self._exchange(outgoing, request.extensions.get("timeout") or {})
        if exchange.answer is None:
            raise _error(exchange, request)
        return _response(exchange.answer)

    async def _exchange(self, outgoing: Request, timeouts: dict[str, float | None]) -> Exchange:
        line = await self._wire.line(timeouts.get("connect") or CONNECT_MOST_S)
        if isinstance(line, Exchange):
            return line
        return await line.exchange(outgoing, timeouts.get("read") or TIMEOUT_S)

    async def aclose(self) -> None:
        await self._wire.aclose()


def _error(exchange: Exchange, request: httpx.Request) -> httpx.TransportError:
    if exchange.problem == "timeout":
        kind: type[httpx.TransportError] = httpx.ReadTimeout if exchange.sent else httpx.ConnectTimeout
    else:
        kind = httpx.ReadError if exchange.sent else httpx.ConnectError
    return kind(exchange.detail, request=request)


def _response(answer: Answer) -> httpx.Response:
    assert isinstance(answer.headers, Fields)
    return httpx.Response(answer.status, headers=list(answer.headers.raw), content=answer.body)
