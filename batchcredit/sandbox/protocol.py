"""The connection: uvicorn's, with a quick door for the transfers that need nothing but an answer."""

import socket
import struct
import time
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from batchcredit.sandbox.answers import Answer, Dialect
from batchcredit.sandbox.front import ARRIVED_AT, CASE, WIRE, Front
from batchcredit.sandbox.transfers import BODY_BYTES, Case

_HEADS_REMEMBERED = 1024
_LINGER_0 = struct.pack("ii", 1, 0)


class Wording:
    """Answers as uvicorn words them; what many have in common is remembered for as long as it is the same."""

    def __init__(self) -> None:
        self._common: list[tuple[bytes, bytes]] = []
        self._known: dict[tuple[int, bytes], bytes] = {}

    def of(self, answer: Answer, common: list[tuple[bytes, bytes]], *, stays: bool) -> bytes:
        """`common` is what all answers begin with: a new list every second, since it has the date."""
        if common is not self._common:
            self._common = common
            self._known.clear()
        key = answer.status, answer.content_type
        head = self._known.get(key)
        if head is None:
            head = self._known[key] = self._begun(*key)
        more = _lines(answer.headers) if answer.headers else b""
        end = b"" if stays else b"connection: close\r\n"
        return b"%b%d\r\n%b%b\r\n%b" % (head, len(answer.body), more, end, answer.body)

    def _begun(self, status: int, content_type: bytes) -> bytes:
        headers = [*self._common, (b"content-type", content_type)]
        return STATUS_LINE[status] + _lines(headers) + b"content-length: "


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


class Exchange:
    """Stands where uvicorn has its cycle while the quick door has a request: no task, no scope, no queue."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = True

    @property
    def message_event(self) -> "Exchange":
        return self

    def set(self) -> None:
        """Nobody waits for more of this request."""


class Head(NamedTuple):
    """What the parser made of a transfer's head; the same bytes mean the same whenever a request begins."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body_bytes: int


class SandboxProtocol(HttpToolsProtocol):
    """A transfer that needs nothing but an answer is judged at once, without a task. Whatever the quick door
    does not know for certain goes uvicorn's way to the wide one: a fault, a full buffer, `Expect`, the last
    request of a connection, one that comes while another waits. Both give the same bytes for the same case.
    """

    _wording = Wording()
    _heads: ClassVar[dict[bytes, Head]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        front = self.config.app
        assert isinstance(front, Front)
        self._transfers = front.transfers
        self._exchange: Any = Exchange()
        self._is_between = True  # the parser has not begun a request that it has not ended
        self._came: tuple[bytes, int] | None = None  # head and body's length, where a request began what came
        self._dialect: Dialect | None = None  # of the request that the quick door is hearing
        self._body = b""
        self._case: Case | None = None  # opened without the parser, which has to see it after all
        self._idle_since = 0.0

    def data_received(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        known = self._heads.get(head)
        if known is not None and len(body) == known.body_bytes and self._is_between and self._is_idle():
            self._begin()
            dialect = self._transfers.dialect(known.method, known.path)
            assert dialect is not None
            case = self._transfers.arrive(dialect, known.headers, body, time.monotonic())
            if self._is_plain(case):
                self._work_off(case)
                return
            self._exchange.response_complete = True
            self._case = case
        self._came = (head, len(body)) if self._is_between else None
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._is_between = False
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        self._dialect = self._quick_dialect()
        if self._dialect is None:
            self._give_to_uvicorn()
            return
        self._body = b""
        self._begin()

    def on_body(self, body: bytes) -> None:
        if self._dialect is None:
            super().on_body(body)
            return
        self._body += body
        if len(self._body) > BODY_BYTES:
            self._hand_over()
            super().on_body(self._body)

    def on_message_complete(self) -> None:
        arrived_at = time.monotonic()
        self._is_between = True
        if self._dialect is None:
            scope: dict[str, Any] = self.scope  # type: ignore[assignment]
            scope[ARRIVED_AT] = arrived_at
            super().on_message_complete()
            return
        self._remember(self._dialect)
        case = self._case or self._transfers.arrive(self._dialect, self.headers, self._body, arrived_at)
        self._case = None
        if self._is_plain(case):
            self._dialect = None
            self._work_off(case)
            return
        self._hand_over(case)
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """The quick door lets the timer run on, so what counts is how long nothing came."""
        left_s = self._idle_since + self.timeout_keep_alive - time.monotonic()
        self.timeout_keep_alive_task = None
        if not self._is_idle():
            return
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def cut(self, sent: bytes, *, reset: bool) -> None:
        """Send these bytes past the HTTP of uvicorn, then end the connection: FIN, or RST with `reset`."""
        if self.transport.is_closing():
            return
        if sent:
            self.transport.write(sent)
        if not reset:
            self.transport.close()
            return
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.transport.abort()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _begin(self) -> None:
        self.cycle = self._exchange
        self._exchange.response_complete = False

    def _quick_dialect(self) -> Dialect | None:
        """Whose transfer this is, if nothing that its head says is beyond the quick door."""
        stays = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"
        if not stays or not self._is_idle() or self.expect_100_continue or self.parser.should_upgrade():
            return None
        return self._transfers.dialect(self.parser.get_method().decode(), self.url.decode("latin-1"))

    def _remember(self, dialect: Dialect) -> None:
        """Its head, if what came was this one request and no more: then the lengths agree.

        Without a body a head could not be told from its beginning.
        """
        if self._came is None or not self._body or self._came[1] != len(self._body):
            return
        if len(self._heads) >= _HEADS_REMEMBERED:
            self._heads.clear()
        self._heads[self._came[0]] = Head(dialect.method, dialect.path, self.headers, len(self._body))

    def _is_plain(self, case: Case) -> bool:
        return case.fault is None and self._exchange.keep_alive and not self.flow.write_paused

    def _give_to_uvicorn(self) -> None:
        """Begin the request as uvicorn would have begun it by itself."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[WIRE] = self
        super().on_headers_complete()

    def _hand_over(self, case: Case | None = None) -> None:
        """Leave a request that the quick door was hearing to the wide one."""
        self._dialect = None
        self._exchange.response_complete = True
        self._give_to_uvicorn()
        self.cycle.keep_alive &= self._exchange.keep_alive
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[CASE] = case

    def _work_off(self, case: Case) -> None:
        answer = self._transfers.end(case)
        assert isinstance(answer, Answer)
        if wait_s := self._transfers.wait_after_s(case):
            self.loop.call_later(wait_s, self._reply, answer)
        else:
            self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        if self.transport.is_closing():
            return
        stays = self._exchange.keep_alive
        self.transport.write(self._wording.of(answer, self.server_state.default_headers, stays=stays))
        self._exchange.response_complete = True
        if not stays:
            self.transport.close()
        self._idle_since = time.monotonic()
        if self.timeout_keep_alive_task is None:  # or it runs on; a request that waits came with its end
            self.on_response_complete()
