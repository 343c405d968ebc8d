"""What httpx reads from and writes to: sockets, looked at before a request leaves.

httpcore hears what a server said beforehand as its answer. Nothing is held here between the kernel and TLS,
so that a look finds whatever came.
"""
# ruff: noqa: ASYNC109 (httpcore hands timeouts over; whoever asks for an exchange limits all of it)

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import httpcore
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from batchcredit.engine.wire.base import Departs
from batchcredit.engine.wire.dial import dialled
from batchcredit.engine.wire.socket_look import SocketLook

#: What a connection that ended may raise.
BROKEN = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    ssl.SSLError,
    OSError,
)


class GoneError(Exception):
    """The server closed the connection, or spoke on it, before the request left."""


class _SilentError(Exception):
    """Nothing waits to be read."""


@dataclass(slots=True)
class Departure:
    """One request on its way out, and what was dialled for it."""

    departs: Departs
    writing: bool = False
    dialled: "list[Stream]" = field(default_factory=list)

    async def leave(self, stream: "Stream") -> None:
        """The last thing before the first byte. Raises what `departs` does, and GoneError."""
        await self.departs()
        if not await stream.is_silent():
            raise GoneError
        if anyio.current_time() >= anyio.current_effective_deadline():
            await anyio.sleep_forever()  # nobody has told us yet that the time is over
        self.writing = True

    async def hang_up(self) -> None:
        """Close what was dialled: httpcore forgets a connection that is cancelled in its TLS handshake."""
        for stream in self.dialled:
            await stream.aclose()


#: The request of this task. httpcore tells a stream no more than the bytes.
UNDER_WAY: ContextVar[Departure] = ContextVar("UNDER_WAY")


class Network(httpcore.AsyncNetworkBackend):
    """Dials for httpcore."""

    async def connect_tcp(self, host: str, port: int, *_: object, **__: object) -> "Stream":
        loop = asyncio.get_running_loop()
        sock = await dialled(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw = _Socket(sock)
        stream = Stream(raw, raw)
        UNDER_WAY.get().dialled.append(stream)
        return stream


class Stream(httpcore.AsyncNetworkStream):
    """A socket, and TLS on it where it was started."""

    def __init__(self, raw: "_Socket", top: ByteStream) -> None:
        self._raw = raw
        self._top = top

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self._top.receive(max_bytes)
        except anyio.EndOfStream:
            return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        departure = UNDER_WAY.get()
        if not departure.writing and not buffer.startswith(b"CONNECT "):  # that is none of ours
            await departure.leave(self)
        try:
            await self._top.send(buffer)
        except (OSError, anyio.BrokenResourceError) as error:
            raise httpcore.WriteError(str(error)) from error  # httpcore then reads an early answer

    async def is_silent(self) -> bool:
        """Whether nothing that was said is unread, and the server has not hung up. Reads TLS's own words."""
        try:
            with self._raw.at_once():
                await self._top.receive(1)
        except _SilentError:
            return True
        except BROKEN:
            return False
        return False

    async def aclose(self) -> None:
        await self._raw.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "Stream":
        try:
            tls = await TLSStream.wrap(
                self._top,
                ssl_context=ssl_context,
                hostname=server_hostname,
                standard_compatible=False,
                server_side=False,
            )
        except (ConnectionError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise ConnectionError("the server closed the connection in the TLS handshake") from error
        return Stream(self._raw, tls)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._raw.is_readable()
        if info == "ssl_object":
            return self._top.extra(TLSAttribute.ssl_object, None)  # noqa: S610 (anyio's, not Django's)
        return None


class _Socket(ByteStream):
    """A connected socket without a buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._look = SocketLook(sock)
        self._waits = True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is received meanwhile lies there already, or else _SilentError is raised."""
        self._waits = False
        try:
            yield
        finally:
            self._waits = True

    def is_readable(self) -> bool:
        return self._sock.fileno() < 0 or not self._look.is_silent()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        while True:
            if self._waits:
                await anyio.wait_readable(self._sock)
            try:
                data = self._sock.recv(max_bytes)
                break
            except BlockingIOError:
                if not self._waits:
                    raise _SilentError from None
        if not data:
            raise anyio.EndOfStream
        if not self._waits:
            await anyio.lowlevel.checkpoint()  # a server that goes on and on is not to stop the clock
        return data

    async def send(self, item: bytes) -> None:
        rest = memoryview(item)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sock)

    async def send_eof(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        anyio.notify_closing(self._sock)
        self._sock.close()
