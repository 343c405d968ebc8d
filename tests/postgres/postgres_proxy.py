"""A line between a client and PostgreSQL that stalls, delays, breaks or is not there."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from batchcredit.sandbox.server import HOST, _bound

Way = Literal["server", "client", "both"]

_LINGER_0 = struct.pack("ii", 1, 0)
_PIECE_BYTES = 65_536
_CALL_S = 10.0


class PostgresProxy:
    """Passes bytes on between whoever dials `port` and the server, in a thread of its own.

    Its methods may be called from any thread; what they say holds when they return. A stall closes nothing,
    and the kernel still takes what its buffers hold, so that `tcp_user_timeout` and keepalives see nothing of
    it: a limit of the client's own has to.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._claim = _bound(0)
        self.port: int = self._claim.getsockname()[1]
        self.dialled = 0
        """How many connections were accepted."""
        self.delay_s = 0.0
        """How much later each piece arrives."""
        self._loop = asyncio.new_event_loop()
        self._flowing = {"server": asyncio.Event(), "client": asyncio.Event()}
        self._listening: asyncio.Server | None = None
        self._lines: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres-proxy", daemon=True)

    def open(self) -> None:
        self._thread.start()
        self.flow()
        self.accept()

    def close(self) -> None:
        """Break whatever still stands, and end the thread."""
        self.refuse()
        self.reset()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S)
        assert not self._thread.is_alive()
        self._loop.close()
        self._claim.close()

    def stall(self, towards: Way = "both") -> None:
        """Pass nothing on to that side, on any connection, and close none."""
        self._do(self._set_flow(towards, flows=False))

    def flow(self, towards: Way = "both") -> None:
        """Pass on again, first what waited."""
        self._do(self._set_flow(towards, flows=True))

    def reset(self) -> None:
        """Break each connection on both sides, with RST instead of FIN; what waited is lost."""
        self._do(self._reset())

    def refuse(self) -> None:
        """Nobody listens any more; connections that stand are left alone."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Somebody listens again, on the same port."""
        self._do(self._accept())

    def _do(self, act: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(act, self._loop).result(_CALL_S)

    async def _set_flow(self, towards: Way, *, flows: bool) -> None:
        for side in ("server", "client") if towards == "both" else (towards,):
            if flows:
                self._flowing[side].set()
            else:
                self._flowing[side].clear()

    async def _reset(self) -> None:
        lines = list(self._lines)
        for line, writers in list(self._lines.items()):
            for writer in writers:
                _break(writer)
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _end(self) -> None:
        """End what was accepted, but had not begun."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _refuse(self) -> None:
        if self._listening:
            self._listening.close()
            self._listening = None

    async def _accept(self) -> None:
        if self._listening is None:
            self._listening = await asyncio.start_server(self._serve, sock=_bound(self.port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line
        self.dialled += 1
        self._lines[line] = [writer]
        try:
            there = await asyncio.open_connection(HOST, self._server_port)
            self._lines[line].append(there[1])
            await self._join((reader, writer), there)
        except (ConnectionError, asyncio.CancelledError):
            pass  # one side is gone, or both are to go
        finally:
            for end in self._lines.pop(line):
                end.close()

    async def _join(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Pass on both ways until one side has nothing more to say."""
        ways = [
            asyncio.create_task(self._pass_on(client[0], server[1], "server")),
            asyncio.create_task(self._pass_on(server[0], client[1], "client")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, side: str) -> None:
        while piece := await source.read(_PIECE_BYTES):
            await asyncio.sleep(self.delay_s)
            await self._flowing[side].wait()
            sink.write(piece)
            await sink.drain()
        await self._flowing[side].wait()  # a farewell is held up like any other word


@contextmanager
def postgres_proxy(server_port: int) -> Iterator[PostgresProxy]:
    """A line that flows, on a free port, until the context ends."""
    proxy = PostgresProxy(server_port)
    proxy.open()
    try:
        yield proxy
    finally:
        proxy.close()


def _break(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
    writer.transport.abort()
