"""A network between the program and the simulated providers, which loses, cuts and delays at any byte.

The sockets are real, in pairs, so that a look at one sees what a kernel would show; what moves on them moves
when the world says so. The providers are the sandbox's own, asked without HTTP servers in between.
"""

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httptools
from simulated_world import PROCESS, SimulatedLoop, World

from batchcredit.sandbox import clicksend
from batchcredit.sandbox.answers import Answer, Cut
from batchcredit.sandbox.clicksend import ClickSend
from batchcredit.sandbox.fastmessage import FastMessage
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.settings import SandboxSettings
from batchcredit.sandbox.simulation import Simulation
from batchcredit.sandbox.transfers import Case, Transfers

_BUFFER_BYTES = 65_536


@dataclass(frozen=True)
class Weather:
    """How likely each accident of the network is, 0..1, and how long things take."""

    refused: float = 0.0  # a dial finds nobody
    unheard: float = 0.0  # a dial is not answered at all
    lost: float = 0.0  # the connection breaks before the request has come through
    cut: float = 0.0  # ... in the middle of the answer
    mute: float = 0.0  # the answer never comes, and neither does the end of the connection
    chatty: float = 0.0  # the answer is said twice
    hasty: float = 0.0  # the server closes after an answer that promised to keep the connection
    pieces: float = 0.3  # the answer comes in pieces
    slow_s: float = 0.05  # one way, at the most


@dataclass(frozen=True)
class HeardRequest:
    """A whole request as a server has read it."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


Key = tuple[str, str, str]
"""Kind, account and amount of a transfer, as they stood on the wire."""


@dataclass(frozen=True)
class Arrived:
    """A whole request, and when its first byte was written, on the world's clock and on the machine's."""

    at: float
    machine: int
    key: Key
    written_at: float
    written_boot_s: float
    process: int = 0


@dataclass(frozen=True)
class Refused:
    """An answer that came through and forbids further requests, for good or until a moment."""

    at: float
    machine: int
    kind: str
    until: float
    process: int = 0


#: Faults after which nothing more may come to ClickSend from the same run.
_HALTING = frozenset(
    {
        Fault.STATUS_401,
        Fault.STATUS_403,
        Fault.STATUS_404,
        Fault.HTML_403,
        Fault.REDIRECT_302,
        Fault.REDIRECT_307,
    }
)

RETRY_AFTER_S = 2


@dataclass
class Providers:
    """Both providers, what arrived there, and their book."""

    world: World
    settings: SandboxSettings
    weather: Weather
    arrived: list[Arrived] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    heard: dict[Key, int] = field(default_factory=dict)  # plain answers that came through: on which machine
    said: dict[Key, bytes] = field(default_factory=dict)  # the right answer to a transfer
    spread_s: float = field(init=False)  # by so much more than others a request may take on its way
    links: "list[Link]" = field(default_factory=list)
    is_down: bool = False

    def __post_init__(self) -> None:
        self.spread_s = self.weather.slow_s + 0.01
        self.simulation = Simulation(self.settings)
        self._clicksend = ClickSend(self.simulation)
        self._transfers = Transfers(self.simulation, [self._clicksend, FastMessage(self.simulation)])

    @property
    def book(self) -> Sequence[tuple[Any, ...]]:
        return self.simulation.book.executions

    async def start_connection(self, addresses: Sequence[Any], **_: object) -> socket.socket:
        """What aiohappyeyeballs does, in this world."""
        world = self.world
        await asyncio.sleep(world.span(0.0001, self.weather.slow_s, "dial"))
        if self.is_down or world.dice("refused") < self.weather.refused:
            raise ConnectionRefusedError(111, "Connection refused")
        if world.dice("unheard") < self.weather.unheard:
            await asyncio.sleep(1_000_000)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.links.append(Link(self, ours, theirs))
        return ours

    def connect(self, loop: SimulatedLoop, factory: Callable[[], Any], sock: socket.socket) -> Any:
        """What the event loop's create_connection does with such a socket."""
        link = next(link for link in reversed(self.links) if link.ours is sock)
        return link.connected(loop, factory())

    def lose_all(self, process: int | None = None) -> None:
        """The machine of the program is gone, or one process of it, and its end of every connection."""
        gone = [link for link in self.links if process in (None, link.process)]
        for link in gone:
            link.vanish()
        self.links = [link for link in self.links if link not in gone]

    def arrive(self, link: "Link", request: HeardRequest) -> None:
        """A whole request is here; from now on its client's connection matters only for the answer."""
        world = self.world
        dialect = self._transfers.dialect(request.method, request.path)
        if dialect is None:
            world.at(world.now, lambda: link.answer(self._client(request)))
            return
        case = self._transfers.arrive(dialect, request.headers, request.body, world.now)
        order = case.order
        key = order.provider, order.account, order.amount
        written = link.written_at, link.written_boot_s
        self.arrived.append(Arrived(world.now, world.machine, key, *written, link.process))
        world.tell(f"arrives {order.login} {order.key} {order.amount} {case.fault or ''}")
        wait_s = self._transfers.wait_before_s(case) + world.span(0.0, 0.02, "work", order.login, order.key)
        world.at(world.now + wait_s, lambda: self._execute(link, case))

    def _execute(self, link: "Link", case: Case) -> None:
        world, before = self.world, len(self.book)
        ending = self._transfers.end(case)
        if case.fault is None and isinstance(ending, Answer):
            self.said[case.order.provider, case.order.account, case.order.amount] = ending.body
        if len(self.book) > before:
            world.tell(f"executes {case.order.login} {case.order.key} {case.order.amount}")
        wait_s = self._transfers.wait_after_s(case)
        world.at(world.now + wait_s, lambda: link.answer(ending, case))

    def _client(self, request: HeardRequest) -> Answer:
        """The answer to the one question that a run asks: what a ClickSend client has."""
        prefix, _, client = request.path.rpartition("/")
        assert (request.method, prefix) == ("GET", "/clicksend/v3/reseller/accounts"), request
        account = self.simulation.accounts.account(
            clicksend.KIND, self._clicksend.login(request.headers), client
        )
        found = json.loads(self._clicksend.shown(client, account))
        return clicksend.envelope(200, "SUCCESS", "Here is your client.", found)

    def is_struck(self, accident: str, case: Case) -> bool:
        """Whether this accident happens to this request."""
        chance: float = getattr(self.weather, accident)
        return self.world.dice(accident, case.order.login, case.order.key, case.order.amount) < chance


class _RequestReader:
    """httptools' parser, as a server uses it."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._url, self._body = b"", b""
        self.whole: list[HeardRequest] = []

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers, self._url, self._body = [], b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self.whole.append(HeardRequest(method, self._url.decode(), self._headers, self._body))


class Link(asyncio.Transport):
    """One connection: the program's transport, and both ways to the server and back."""

    def __init__(self, providers: Providers, ours: socket.socket, theirs: socket.socket) -> None:
        super().__init__()
        self.ours = ours
        self._theirs = theirs
        self._providers = providers
        self._world = providers.world
        self._machine = providers.world.machine
        self.process = PROCESS.get()
        self._reader = _RequestReader()
        self._protocol: Any = None
        self._loop: Any = None
        self._closed_here = False  # the program has closed it
        self._closed_there = False  # the server has, or the way between is cut
        self._to_server_at = 0.0
        self.written_at = self.written_boot_s = 0.0
        self._to_client_at = 0.0
        self._said_at = 0.0  # when the last byte of what was said is there

    def connected(self, loop: SimulatedLoop, protocol: Any) -> tuple["Link", Any]:
        self._loop, self._protocol = loop, protocol
        protocol.connection_made(self)
        return self, protocol

    # the program's transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.ours if name == "socket" else default

    def is_closing(self) -> bool:
        return self._closed_here

    def write(self, data: Any) -> None:
        """A request goes its way, unless it is lost on it."""
        if self._closed_here or self._machine != self._world.machine:
            return
        world, weather = self._world, self._providers.weather
        data = bytes(data)
        self.written_at, self.written_boot_s = world.now, world.boot_s()
        self._to_server_at = max(self._to_server_at, world.now) + world.span(0.0001, weather.slow_s, "way")
        if world.dice("lost", data) < weather.lost:
            data = data[: int(world.dice("lost at", data) * len(data))]
            world.at(self._to_server_at, lambda: self._break_off(data))
        else:
            world.at(self._to_server_at, lambda: self._reach(data))

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if self._closed_here:
            return
        self._closed_here = True
        if self._loop is not None and self._machine == self._world.machine:
            self._loop.call_soon(self._lost, None)

    def vanish(self) -> None:
        self._closed_here = True
        self._shut()

    def _lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
        self._shut()

    def _shut(self) -> None:
        self.ours.close()
        self._theirs.close()

    # the server

    def _reach(self, data: bytes) -> None:
        if self._closed_there:
            return  # its kernel answers with a reset, which is on its way since it closed
        self._reader.feed(data)
        while self._reader.whole:
            self._providers.arrive(self, self._reader.whole.pop(0))

    def _break_off(self, data: bytes) -> None:
        self._reach(data)
        self._say(b"", end="reset")

    def answer(self, ending: Answer | Cut, case: Case | None = None) -> None:
        """What the client is to see, with what the way back makes of it; of the answers to transfers."""
        if self._closed_there or self._closed_here:
            return
        providers, world = self._providers, self._world
        if isinstance(ending, Cut):
            self._say(ending.sent, end="reset" if ending.reset else "close")
            return
        said = _worded(ending)
        if case is None:
            self._say(said, end="")
            return
        if providers.is_struck("mute", case):
            return
        if providers.is_struck("cut", case):
            at = int(world.dice("cut at", case.order.key, case.order.amount) * len(said))
            self._say(said[:at], end="reset" if world.dice("cut how") < 0.5 else "close")
            return
        self._say(said, end="close" if providers.is_struck("hasty", case) else "")
        world.at(self._said_at, lambda: self._come_through(case))
        if not self._closed_there and providers.is_struck(
            "chatty", case
        ):  # sooner than anybody could ask again
            world.at(self._said_at + 0.00005, lambda: self._come(said))

    def _come_through(self, case: Case) -> None:
        """The answer has reached the program's kernel; whoever has closed the connection does not hear it."""
        if not self._is_open():
            return
        providers, world, order = self._providers, self._world, case.order
        if case.fault is None:
            providers.heard[order.provider, order.account, order.amount] = self._machine
        elif case.fault in _HALTING:
            self._forbidden(order.provider, math.inf)
        elif case.fault is Fault.STATUS_429:
            self._forbidden(order.provider, world.now + RETRY_AFTER_S)

    def _forbidden(self, kind: str, until: float) -> None:
        refused = Refused(self._world.now, self._machine, kind, until, self.process)
        self._providers.refused.append(refused)

    def _say(self, data: bytes, end: str) -> None:
        world = self._world
        while data and world.dice("pieces") < self._providers.weather.pieces and len(data) > 1:
            size = 1 + int(world.dice("piece") * (len(data) - 1))
            self._send(data[:size])
            data = data[size:]
        if data:
            self._send(data)
        self._said_at = self._to_client_at
        if end:
            self._closed_there = True
            moment = self._on_the_way()
            world.at(moment, lambda: self._come_to_an_end(end))

    def _send(self, data: bytes) -> None:
        self._world.at(self._on_the_way(), lambda: self._come(data))

    def _on_the_way(self) -> float:
        way_s = self._world.span(0.0001, self._providers.weather.slow_s, "way back")
        self._to_client_at = max(self._to_client_at, self._world.now) + way_s
        return self._to_client_at

    # what reaches the kernel, and then the program

    def _come(self, data: bytes) -> None:
        if not self._is_open():
            return
        for start in range(0, len(data), _BUFFER_BYTES):
            if start:
                self._read()  # an answer that is larger than the kernel's buffer
            self._theirs.send(data[start : start + _BUFFER_BYTES])
        self._soon(self._read)

    def _read(self) -> None:
        """The loop gets round to it: until then only a look at the socket would have seen it."""
        with contextlib.suppress(BlockingIOError):
            while not self._closed_here and (data := self.ours.recv(_BUFFER_BYTES)):
                self._protocol.data_received(data)

    def _come_to_an_end(self, how: str) -> None:
        if not self._is_open():
            return
        self._theirs.shutdown(socket.SHUT_WR)
        self._soon(lambda: self._end(how))

    def _end(self, how: str) -> None:
        if how == "reset":
            self._closed_here = True
            self._lost(ConnectionResetError(104, "Connection reset by peer"))
            return
        self._read()
        if not self._closed_here:
            self._protocol.eof_received()
            self.close()

    def _soon(self, call: Callable[[], None]) -> None:
        def read() -> None:
            if self._is_open():
                call()

        late_s = self._world.span(0.0, 0.001, "the loop reads")
        self._world.at(self._world.now + late_s, read, machine=True)

    def _is_open(self) -> bool:
        return not self._closed_here and self._machine == self._world.machine


def _worded(answer: Answer) -> bytes:
    lines = [(b"content-type", answer.content_type), *answer.headers]
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    reason = HTTPStatus(answer.status).phrase.encode()
    length = len(answer.body)
    return b"HTTP/1.1 %d %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        answer.status,
        reason,
        head,
        length,
        answer.body,
    )
