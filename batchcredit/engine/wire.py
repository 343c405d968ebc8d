"""All HTTP. An exchange is one request on the wire at the most: nothing is repeated, nothing followed.

An exchange always ends as a value that tells what is certain: whether a byte of the request may have left,
and the whole answer if there is one. httpx is judged by its trace events and not by its exception classes,
because what decides is whether the writing of the request began.
"""

import itertools
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import anyio
import httpx

from batchcredit.errors import RefusedError
from batchcredit.providers.base import Answer, Request

#: A larger answer is cut off: no provider's answer comes near it.
ANSWER_MOST_BYTES = 1 << 20

#: A connection that was idle for longer is dialled again: a server that closes it while we write makes doubt.
IDLE_S = 2.0

#: httpx's pool searches all its connections for each request, so each pool serves a few senders only.
SENDERS_PER_POOL = 8

_WRITING = ".send_request_headers.started"
_DIALLED = "connection.connect_tcp.complete"

#: httpcore has no public way to ask what its parser holds.
_PARSER = attrgetter("stream._httpcore_stream._stream._connection._h11_state")

#: What h11 quotes of a request or an answer, which may hold secrets.
_QUOTED = re.compile(r"[\s:]*(?:bytearray\()?b(['\"]).*", re.DOTALL)

#: What an exchange that goes wrong may raise in httpx and below it.
_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    ssl.SSLError,
    UnicodeError,
    OSError,
)

Departs = Callable[[], Awaitable[None]]


class WithheldError(Exception):
    """Raised by `departs`: the request is not to leave any more."""


async def at_once() -> None:
    """Nothing holds a request up."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """How one exchange ended. `problem` is a word, empty where `answer` is whole."""

    sent: bool  # a byte of the request may have left
    answer: Answer | None = None
    problem: str = ""
    detail: str = ""
    untrusted: bool = False  # the server's TLS certificate does not verify
    withheld: bool = False  # `departs` did not let it go


class Wire(ABC):
    """HTTP to one base_url."""

    @abstractmethod
    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        """Send once and hear the answer out, within `timeout_s` for all of it. Raises nothing of its own.

        `departs` is awaited when a connection stands, as the last thing before the first byte. It may raise
        WithheldError, and then nothing leaves.
        """

    @abstractmethod
    async def aclose(self) -> None: ...


@dataclass(slots=True)
class _Trace:
    """What httpcore tells while an exchange goes on; a CONNECT to a proxy is no request of ours."""

    departs: Departs
    writing: bool = False
    _dialled: Any = None

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(_WRITING) and info["request"].method != b"CONNECT":
            await self.departs()
            self.writing = True
        elif event == _DIALLED:
            self._dialled = info["return_value"]

    async def hang_up(self) -> None:
        """Close what was dialled: httpcore forgets a connection that is cancelled in its TLS handshake."""
        if self._dialled:
            with anyio.CancelScope(shield=True):
                await self._dialled.aclose()


@dataclass(slots=True)
class HttpxWire(Wire):
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
        return httpx.AsyncHTTPTransport(
            verify=trust, limits=limits, retries=0, trust_env=False, proxy=self.proxy
        )

    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        trace, exchange = _Trace(departs), None
        try:
            with anyio.move_on_after(timeout_s):
                exchange = await self._tried(request, trace, timeout_s)
        finally:
            if exchange is None or exchange.answer is None:
                await trace.hang_up()
        return exchange or Exchange(
            trace.writing, problem="timeout", detail=f"no whole answer within {timeout_s:g} s"
        )

    async def _tried(self, request: Request, trace: _Trace, timeout_s: float) -> Exchange:
        try:
            return await self._exchange(request, trace, timeout_s)
        except WithheldError:
            return Exchange(sent=False, withheld=True)
        except _ERRORS as error:
            return _broken(error, trace.writing)

    async def _exchange(self, request: Request, trace: _Trace, timeout_s: float) -> Exchange:
        response = await next(self._pools).handle_async_request(self._outgoing(request, trace, timeout_s))
        try:
            body = await _read(cast("AsyncIterable[bytes]", response.stream))
            if body is not None and _is_followed(response):
                await response.extensions["network_stream"].aclose()
        finally:
            await response.aclose()
        if body is None:
            return Exchange(True, problem="too_large", detail=f"the answer exceeds {ANSWER_MOST_BYTES} bytes")
        return Exchange(True, Answer(response.status_code, dict(response.headers), body))

    def _outgoing(self, request: Request, trace: _Trace, timeout_s: float) -> httpx.Request:
        headers = [("User-Agent", USER_AGENT), ("Accept-Encoding", "identity"), *request.headers]
        timeout = httpx.Timeout(timeout_s).as_dict()
        extensions = {"trace": trace, "timeout": timeout}
        url = self.base_url + request.path
        return httpx.Request(
            request.method, url, headers=headers, content=request.body, extensions=extensions
        )

    async def aclose(self) -> None:
        for pool in self._opened:
            await pool.aclose()


USER_AGENT = f"batchcredit/{version('batchcredit')}"


async def _read(stream: AsyncIterable[bytes]) -> bytes | None:
    """The whole body, or None where it is longer than we are willing to hold."""
    body = bytearray()
    async for piece in stream:
        body += piece
        if len(body) > ANSWER_MOST_BYTES:
            return None
    return bytes(body)


def _is_followed(response: httpx.Response) -> bool:
    """Whether bytes came behind the answer, which would be heard as the answer to the next request."""
    try:
        held, _ = _PARSER(response).trailing_data
    except AttributeError:
        return True
    return bool(held) or _tls_holds_more(response.extensions["network_stream"].get_extra_info("ssl_object"))


def _tls_holds_more(tls: ssl.SSLObject | None) -> bool:
    try:
        return tls is not None and tls.read(1) is not None
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True


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


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Whom we trust: the operating system's authorities, or those of `ca_file` alone."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise RefusedError(
            f"ca_file {ca_file} could not be read as certificates: {error.strerror or error}",
            reason="settings",
            cure="Name a file with PEM certificates.",
        ) from error
