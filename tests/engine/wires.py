"""Both wires, made and used alike, and what is said to them."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
import trustme
from byte_server import Line, RawServer

from batchcredit.engine.wire.base import Wire
from batchcredit.engine.wire.direct import DirectWire
from batchcredit.engine.wire.stock import HttpxWire
from batchcredit.providers.base import Request

TIMEOUT_S = 5.0
SHORT_S = 0.25
SECRET = "s3cr3t-k3y"


class MakeWire(Protocol):
    """Every wire is made like this one."""

    def __call__(
        self, base_url: str, senders: int, ca_file: Path | None = None, proxy: str | None = None
    ) -> Wire: ...


def direct(base_url: str, senders: int, ca_file: Path | None = None, proxy: str | None = None) -> Wire:
    """Our own wire, which needs no number and knows no proxy."""
    return DirectWire(base_url, ca_file)


WIRES: dict[str, MakeWire] = {"direct": direct, "httpx": HttpxWire}


@contextlib.asynccontextmanager
async def opened(wire: Wire) -> AsyncIterator[Wire]:
    try:
        yield wire
    finally:
        await wire.aclose()


def request(method: str = "POST") -> Request:
    headers = (("Authorization", f"Basic {SECRET}"), ("Content-Type", "application/json"))
    return Request(method, "/credit", headers, b'{"apikey":"%b"}' % SECRET.encode())


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode()


def sized(body: bytes, *headers: str) -> bytes:
    return head("200 OK", f"Content-Length: {len(body)}", *headers) + body


def speak(line: Line) -> None:
    line.writer.write(sized(b"stray"))


#: What a server may do on a connection on which nothing is asked.
HAPPENINGS: dict[str, Callable[[Line], None]] = {
    "speaks": speak,
    "closes": Line.close,
    "cuts": Line.cut,
    "resets": Line.reset,
}

#: These happen at once, while the loop is busy elsewhere.
AT_ONCE = ("speaks", "cuts")

TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def the_line(server: RawServer) -> Line:
    """The server's end of the one connection that it holds."""
    (writer,) = server.open
    return Line(asyncio.StreamReader(), writer)


def loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """asyncio's own loop, and the one that the product runs on where it is installed."""
    try:
        import uvloop
    except ImportError:
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=WIRES.values(), ids=WIRES)
def make(request: pytest.FixtureRequest) -> MakeWire:
    factory: MakeWire = request.param
    return factory


class Authority(NamedTuple):
    """A certificate authority of this test run, and its certificate as a file."""

    ca: trustme.CA
    file: Path

    def server(self, name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem")
    authority.ca.cert_pem.write_to_path(str(authority.file))
    return authority
