"""Servers that speak HTTP by hand, so that they can do every wrong thing, and count what reaches them."""

import asyncio
import os
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

BODY = b'{"response-code":200}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

_LINGER_0 = struct.pack("ii", 1, 0)


@dataclass
class Heard:
    """One request as it came in, and on which connection (1, 2, ...)."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Line:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """RST instead of FIN."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.writer.transport.abort()

    def cut(self) -> None:
        """FIN, without TLS's farewell."""
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as raw:
            raw.shutdown(socket.SHUT_RDWR)


Reply = Callable[[Line], Awaitable[None]]


def says(*pieces: bytes, then: str = "stay", pause_s: float = 0.0) -> Reply:
    """Send these pieces, then "stay", "close", "cut" or "reset"."""

    async def reply(line: Line) -> None:
        for piece in pieces:
            await line.say(piece)
            await asyncio.sleep(pause_s)
            if line.writer.is_closing():
                return  # the client has let go
        if then == "close":
            line.close()
        elif then == "cut":
            line.cut()
        elif then == "reset":
            line.reset()

    return reply


@dataclass
class RawServer:
    """Answers the n-th request with the n-th of `replies`, the last one for ever.

    `greet` meets a connection before anything is read from it.
    """

    replies: Sequence[Reply]
    greet: Reply | None = None
    port: int = 0
    scheme: str = "http"
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            await self._converse(Line(reader, writer), self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client let go
        finally:
            self.open.discard(writer)
            writer.close()

    async def _converse(self, line: Line, connection: int) -> None:
        if self.greet:
            await self.greet(line)
        while not line.writer.is_closing():
            self.heard.append(await self._request(line.reader, connection))
            await self.replies[min(len(self.heard), len(self.replies)) - 1](line)

    async def _request(self, reader: asyncio.StreamReader, connection: int) -> Heard:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = first.split(" ")
        return Heard(method, target, headers, body, connection)


@asynccontextmanager
async def raw_server(
    *replies: Reply, greet: Reply | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """A server on a free port of loopback until the context ends, with all that it still holds open."""
    served = RawServer(replies or (says(OK),), greet, scheme="https" if tls else "http")
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = listening.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        listening.close()
        for writer in list(served.open):
            writer.transport.abort()
        await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool], most_s: float = 5.0) -> None:
    """Wait until it holds; a test fails that waits for longer."""
    deadline = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {most_s:g} s"
        await asyncio.sleep(0.005)


@dataclass
class ConnectProxy:
    """A proxy that knows CONNECT and nothing else; `refusal` is said instead of a tunnel."""

    refusal: bytes = b""
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if self.refusal:
                writer.write(self.refusal)
                await writer.drain()
            else:
                await self._tunnel(head, reader, writer)
        writer.close()

    async def _tunnel(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = head.split(b" ")[1].decode().partition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [
            asyncio.create_task(_pump(reader, there_writer)),
            asyncio.create_task(_pump(there_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        there_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def connect_proxy(
    refusal: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[ConnectProxy]:
    """A proxy on a free port of loopback."""
    proxy = ConnectProxy(refusal)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        await asyncio.sleep(0.01)
