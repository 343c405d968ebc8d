"""The stock wire: httpx without its client, judged by what it writes and not by its exception classes.

What decides is whether the writing of the request began.
"""

import itertools
import re
import ssl
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import cast

import anyio
import httpx

from batchcredit.engine.wire.base import (
    ANSWER_MOST_BYTES,
    BODILESS,
    CUT_OFF,
    GONE,
    IDLE_S,
    TOO_LARGE,
    USER_AGENT,
    WITHHELD,
    Departs,
    DialsLate,
    Exchange,
    WithheldError,
    at_once,
    said_farewell,
    timed_out,
    trusted,
)
from batchcredit.engine.wire.network import BROKEN, UNDER_WAY, Departure, GoneError, Network
from batchcredit.providers.base import Answer, Request

#: httpx's pool searches all its connections for each request, so each pool serves a few senders only.
SENDERS_PER_POOL = 8

#: httpcore has no public way to ask what its parser holds.
_PARSER = attrgetter("stream._httpcore_stream._stream._connection._h11_state")

#: What dials for httpx; were it called otherwise, ours would be set beside it and never asked.
_BACKEND = attrgetter("_pool._network_backend")

#: h11 reads any version, as if it were this one.
_VERSIONS = frozenset({b"HTTP/1.1", b"HTTP/1.0"})

_OTHER_VERSION = Exchange(True, problem="lost_answer", detail="the answer is no HTTP/1.1")

#: What h11 quotes of a request or an answer, which may hold secrets.
_QUOTED = re.compile(r"[\s:]*(?:bytearray\()?b(['\"]).*", re.DOTALL)

#: What an exchange that goes wrong may raise in httpx and below it.
_ERRORS = (*BROKEN, httpx.HTTPError, httpx.InvalidURL, UnicodeError)


@dataclass(slots=True)
class HttpxWire(DialsLate):
    """Stock httpx, without its client: no redirects, no cookies, no retries, no proxy of the environment."""

    base_url: str
    senders: int
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    _pools: "itertools.cycle[httpx.AsyncHTTPTransport]" = field(init=False, repr=False)
    _opened: Sequence[httpx.AsyncHTTPTransport] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        trust = trusted(self.ca_file)
        number = -(-self.senders // SENDERS_PER_POOL)
        self._opened = [self._pool(trust) for _ in range(number)]
        self._pools = itertools.cycle(self._opened)

    def _pool(self, trust: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=IDLE_S)
        return _looking(
            httpx.AsyncHTTPTransport(
                verify=trust, limits=limits, retries=0, trust_env=False, proxy=self.proxy
            )
        )

    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        departure, exchange = Departure(departs), None
        UNDER_WAY.set(departure)
        try:
            with anyio.move_on_after(timeout_s):
                exchange = await self._tried(request, departure)
        finally:
            if exchange is None or exchange.answer is None:
                await departure.hang_up()
        return exchange or timed_out(timeout_s, sent=departure.writing)

    async def _tried(self, request: Request, departure: Departure) -> Exchange:
        try:
            return await self._exchange(request)
        except WithheldError:
            return WITHHELD
        except GoneError:
            return GONE
        except _ERRORS as error:
            return _broken(error, departure.writing)

    async def _exchange(self, request: Request) -> Exchange:
        response = await next(self._pools).handle_async_request(self._outgoing(request))
        try:
            if response.extensions["http_version"] not in _VERSIONS:
                return _OTHER_VERSION
            body = await _read(cast("AsyncIterable[bytes]", response.stream))
            whole = not _lasts_to_the_end(request, response) or said_farewell(_tls(response))
            if body is not None and await _is_followed(response):
                await response.extensions["network_stream"].aclose()
        finally:
            await response.aclose()
        if body is None:
            return TOO_LARGE
        if not whole:
            return CUT_OFF
        return Exchange(True, Answer(response.status_code, dict(response.headers), body))

    def _outgoing(self, request: Request) -> httpx.Request:
        headers = [("User-Agent", USER_AGENT), ("Accept-Encoding", "identity"), *request.headers]
        return httpx.Request(
            request.method, self.base_url + request.path, headers=headers, content=request.body
        )

    async def aclose(self) -> None:
        for pool in self._opened:
            await pool.aclose()


def _looking(transport: httpx.AsyncHTTPTransport) -> httpx.AsyncHTTPTransport:
    """Let it dial through our network. Raises AttributeError where it could not be told to."""
    _BACKEND(transport)
    transport._pool._network_backend = Network()  # noqa: SLF001 (httpx has no public way)
    return transport


async def _read(stream: AsyncIterable[bytes]) -> bytes | None:
    """The whole body, or None where it is longer than we are willing to hold."""
    body = bytearray()
    async for piece in stream:
        body += piece
        if len(body) > ANSWER_MOST_BYTES:
            return None
    return bytes(body)


def _lasts_to_the_end(request: Request, response: httpx.Response) -> bool:
    """Whether nothing but the end of the connection ends the answer."""
    bodiless = request.method == "HEAD" or response.status_code in BODILESS
    return not (bodiless or "content-length" in response.headers or "transfer-encoding" in response.headers)


def _tls(response: httpx.Response) -> ssl.SSLObject | None:
    tls: ssl.SSLObject | None = response.extensions["network_stream"].get_extra_info("ssl_object")
    return tls


async def _is_followed(response: httpx.Response) -> bool:
    """Whether bytes came behind the answer, which would be heard as the answer to the next request."""
    try:
        held, _ = _PARSER(response).trailing_data
    except AttributeError:
        return True
    return bool(held) or not await response.extensions["network_stream"].is_silent()


def _broken(error: Exception, writing: bool) -> Exchange:
    untrusted = not writing and _has_cause(error, ssl.SSLCertVerificationError)
    problem = "lost_answer" if writing else "unreachable"
    return Exchange(writing, problem=problem, detail=_told(error), untrusted=untrusted)


def _told(error: Exception) -> str:
    return _QUOTED.sub("", str(error)) or type(error).__name__


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
