"""One connection of our own: one request at a time, and a whole answer, or what is certain without one."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

from batchcredit.engine.wire.answer_reader import AnswerError, AnswerReader
from batchcredit.engine.wire.base import (
    CUT_OFF,
    GONE,
    IDLE_S,
    WITHHELD,
    Departs,
    Exchange,
    Line,
    WithheldError,
    at_once,
    said_farewell,
    timed_out,
)
from batchcredit.engine.wire.request_writer import RequestWriter, UnwritableError
from batchcredit.engine.wire.socket_look import SocketLook
from batchcredit.providers.base import Answer, Request

#: A larger request may still be on its way when its answer comes, unseen below TLS: nothing may follow it.
_FOLLOWED_BYTES = 16 << 10

#: So often the loop may read what has come on a connection, before that is given up.
_LOOKS = 5


class Connection(asyncio.Protocol, Line):
    """A connection that stands. `on_idle` hears when somebody else may use it."""

    def __init__(
        self, sock: socket.socket, writer: RequestWriter, on_idle: "Callable[[Connection], None]"
    ) -> None:
        self._writer = writer
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader()
        self._look = SocketLook(sock)
        self._ended: asyncio.Future[Exchange] | None = None
        self._fresh_until = self._loop.time() + IDLE_S
        self._usable = True
        self._lent = True

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._ended is None or self._ended.done():
            self.abort()  # nobody asked: it must not be heard as the answer to another request
            return
        try:
            answer = self._reader.feed(data)
        except AnswerError as error:
            self._ended.set_result(Exchange(True, problem=error.problem, detail=str(error)))
        else:
            if answer:
                self._ended.set_result(Exchange(True, answer))

    def eof_received(self) -> None:
        self._usable = False
        answer = self._reader.end()
        if answer and said_farewell(self._transport.get_extra_info("ssl_object")):
            self._end(Exchange(True, answer))
        else:
            self._end(CUT_OFF)  # at once: what is still to be written may keep the connection for long

    def connection_lost(self, error: Exception | None) -> None:
        self._usable = False
        self._end(replace(CUT_OFF, detail=str(error)) if error and str(error) else CUT_OFF)

    def _end(self, exchange: Exchange) -> None:
        if self._ended and not self._ended.done():
            self._ended.set_result(exchange)

    # What the wire and a sender call

    def take(self) -> bool:
        """Take it for one more exchange: if it is open, not idle for long, and the server is silent."""
        self._lent = True
        return self._usable and self._loop.time() <= self._fresh_until and self._look.is_silent()

    async def _is_silent(self) -> bool:
        """A last look at the socket itself: the loop may not have read yet that the connection has ended."""
        for _ in range(_LOOKS):
            if not self._usable or self._look.is_silent():
                return self._usable
            await asyncio.sleep(0)  # the loop reads it: an end, or something of TLS's own
        return False

    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        deadline = self._loop.time() + timeout_s
        try:
            written = self._writer.write(request)
            await departs()
            if not await self._is_silent():
                self.abort()
                return GONE
            if self._loop.time() >= deadline:
                self.release()
                return timed_out(timeout_s, sent=False)
            self._reader.expect(bodiless=request.method == "HEAD")
            return await self._ask(written, deadline, timeout_s)
        except WithheldError:
            self.release()
            return WITHHELD
        except UnwritableError as error:
            self.release()
            return Exchange(sent=False, problem="unreachable", detail=str(error))
        except BaseException:
            self.abort()
            raise

    async def _ask(self, written: bytes, deadline: float, timeout_s: float) -> Exchange:
        self._ended = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._be_late, self._ended, timeout_s)
        self._transport.write(written)
        try:
            exchange = await self._ended
        finally:
            timer.cancel()
            self._ended = None
        self._leave(exchange.answer, len(written))
        return exchange

    def _be_late(self, ended: asyncio.Future[Exchange], timeout_s: float, looks: int = _LOOKS) -> None:
        """Give up, but for what has come unread: after a standstill the timers of uvloop fire first."""
        if ended.done():
            return
        if looks and self._usable and not self._look.is_silent():
            self._loop.call_soon(self._be_late, ended, timeout_s, looks - 1)
        else:
            ended.set_result(timed_out(timeout_s))

    def _leave(self, answer: Answer | None, written_bytes: int) -> None:
        """After an answer that leaves no question open the connection may be used again."""
        if answer is None or not self._reader.reusable or written_bytes > _FOLLOWED_BYTES:
            self.abort()
        else:
            self._fresh_until = self._loop.time() + min(IDLE_S, self._reader.kept_s / 2)
            self.release()

    def release(self) -> None:
        assert self._lent, "two senders would share a connection"
        self._lent = False
        if self._usable:
            self._on_idle(self)

    def abort(self) -> None:
        """Close at once; what is still to come on it is never heard."""
        self._usable = False
        self._transport.abort()
