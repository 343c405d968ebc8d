"""Any bytes as an answer, in any pieces, with any end: both wires, over real sockets.

What a wire calls an answer is one whole answer to a strict reader as well, and every exchange ends in time.
"""

import asyncio
import gzip
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from answer_bytes import CUTS, ENDLESS, SOUPS, Said, answers, cut, damaged
from byte_server import OK, Line, RawServer, Reply, raw_server, says, until
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from strict_http import Told, whole_answer
from wires import TIMEOUT_S, WIRES, MakeWire, head, opened, request, sized

from batchcredit.engine.wire.base import Exchange, Wire

LOOPS = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError:
    pass
else:
    LOOPS["uvloop"] = uvloop.new_event_loop

#: For an answer that may never be whole; and by how much a busy machine may miss it.
DEADLINE_S = 0.1
MARGIN_S = 4.0


unhurried = settings(deadline=None)

PAUSE_S = 0.003

FIRST, SECOND = replace(request(), path="/first"), replace(request(), path="/second")


class Play(NamedTuple):
    """How two exchanges on one wire ended, the first one after so many seconds."""

    first: Exchange
    seconds: float
    second: Exchange


class Stage:
    """One server and one wire of each make on one loop; each example says what the server is to say."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self._replies: dict[str, Reply] = {}
        self._said = asyncio.Event()
        self._open = AsyncExitStack()
        self._wires: dict[MakeWire, Wire] = {}
        self._server: RawServer = runner.run(self._open.enter_async_context(raw_server(self._reply)))

    async def _reply(self, line: Line) -> None:
        asked = self._server.heard.pop().target
        await self._replies[asked](line)
        if asked == FIRST.path:
            self._said.set()

    def play(self, make: MakeWire, first: Reply, second: Reply, deadline_s: float) -> Play:
        """Ask once, and once more when the server has said all it has to say."""
        self._replies = {FIRST.path: first, SECOND.path: second}
        return self.runner.run(self._play(make, deadline_s))

    async def _play(self, make: MakeWire, deadline_s: float) -> Play:
        wire = await self._wire(make)
        self._said.clear()
        began = time.monotonic()
        first = await wire.exchange(FIRST, deadline_s)
        seconds = time.monotonic() - began
        assume(first.sent)
        with suppress(TimeoutError):  # it may have been given up before it was read
            await asyncio.wait_for(self._said.wait(), MARGIN_S)
        await asyncio.sleep(PAUSE_S)
        return Play(first, seconds, await wire.exchange(SECOND, TIMEOUT_S))

    async def _wire(self, make: MakeWire) -> Wire:
        if make not in self._wires:
            wire = make(self._server.url, 1)
            self._wires[make] = await self._open.enter_async_context(opened(wire))
        return self._wires[make]

    def close(self) -> None:
        self.runner.run(self._open.aclose())


@pytest.fixture(scope="module", params=LOOPS.values(), ids=LOOPS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        stage = Stage(runner)
        yield stage
        stage.close()


each_wire = pytest.mark.parametrize("make", WIRES.values(), ids=WIRES)

STRAYS = st.sampled_from([b"", b"\r\n", b"\x00", OK, OK[:20], sized(b"stray") * 2])
ENDS = st.sampled_from(["stay", "close", "close", "close", "reset"])


def told(exchange: Exchange) -> Told | None:
    return exchange.answer and Told(exchange.answer.status, exchange.answer.body)


@each_wire
@unhurried
@given(
    data=st.one_of(damaged(), SOUPS, st.binary(max_size=60), answers().map(lambda said: said.wire)),
    stray=STRAYS,
    then=ENDS,
    places=CUTS,
    pauses=st.booleans(),
)
def test_an_answer_is_a_whole_one_and_nothing_else(
    stage: Stage, make: MakeWire, data: bytes, stray: bytes, then: str, places: list[int], pauses: bool
) -> None:
    """A strict reader finds the same in the same bytes; what came behind them answers no other request."""
    sent = data + stray
    pieces = cut(sent, places) if sent else []
    reply = says(*pieces, then=then, pause_s=PAUSE_S / 3 if pauses else 0)
    play = stage.play(make, reply, says(sized(b"second")), DEADLINE_S)
    assert play.seconds < DEADLINE_S + MARGIN_S
    assert play.first.answer is None or told(play.first) == whole_answer(sent, ended=then == "close")
    assert (play.first.answer is None) == bool(play.first.problem)
    assert told(play.second) == Told(200, b"second")
    event(play.first.problem or "answer")


@each_wire
@unhurried
@given(said=answers(), places=CUTS)
def test_a_whole_answer_is_an_answer(stage: Stage, make: MakeWire, said: Said, places: list[int]) -> None:
    """However it is cut, a whole answer that both readers know is not lost."""
    then = "close" if said.to_the_end else "stay"
    play = stage.play(make, says(*cut(said.wire, places), then=then), says(sized(b"second")), TIMEOUT_S)
    meant = Told(said.told.status, said.told.body)
    assert whole_answer(said.wire, ended=said.to_the_end) == meant
    assert told(play.first) == meant
    assert told(play.second) == Told(200, b"second")


# What was said too early


@each_wire
async def test_what_was_said_before_the_request_is_no_answer_to_it(make: MakeWire) -> None:
    """A second success behind an answer that comes while the next request still waits to depart."""

    async def departs() -> None:
        await lines[0].say(sized(b"stray"))
        await asyncio.sleep(10 * PAUSE_S)

    async def first(line: Line) -> None:
        lines.append(line)
        await line.say(OK)

    lines: list[Line] = []
    async with raw_server(first, says()) as server, opened(make(server.url, 1)) as wire:
        assert (await wire.exchange(request(), TIMEOUT_S)).answer
        exchange = await wire.exchange(request(), DEADLINE_S, departs)
    assert told(exchange) != Told(200, b"stray")


# What does not end


GIGABYTE = 1 << 30
MOST_GROWTH_BYTES = 20 << 20
FLOOD_DEADLINE_S = 1.0

#: An answer of less than a megabyte, of which a willing client would make a gigabyte.
BOMB = gzip.compress(bytes(16 << 20)) * 60


def floods(start: bytes, more: bytes, pause_s: float = 0.0) -> Reply:
    """Goes on until the client lets go, or a gigabyte is said."""

    async def reply(line: Line) -> None:
        await line.say(start)
        said = 0
        while said < GIGABYTE and not line.writer.is_closing():
            await line.say(more)
            await asyncio.sleep(pause_s)
            said += len(more)
        assert said < GIGABYTE, "the client took it all"

    return reply


FLOODS = {name: floods(start, more * (65_536 // len(more))) for name, (start, more, _) in ENDLESS.items()} | {
    "continue_100": floods(b"", head("100 Continue") * 2000),
    "slow_drip": floods(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"y", FLOOD_DEADLINE_S / 8),
    "slow_1xx": floods(b"", head("100 Continue"), 0.01),
    "packed": floods(head("200 OK", "Content-Encoding: gzip"), BOMB),
    "packed_chunks": floods(head("200 OK", "Transfer-Encoding: gzip, chunked"), b"%x\r\n" % len(BOMB) + BOMB),
}


@pytest.mark.parametrize("name", WIRES)
async def test_what_does_not_end_takes_neither_time_nor_memory(name: str) -> None:
    """A gigabyte of anything, and drops for ever: given up in time, in a few megabytes, and let go."""
    async with raw_server(says(OK), *FLOODS.values(), says(sized(BOMB, "Content-Encoding: gzip"))) as server:
        told = await probe(name, server.url, len(FLOODS) + 1)
        await until(lambda: not server.open)
    *endings, (unpacked, _, _) = told
    for flood, (problem, seconds, growth) in zip(FLOODS, endings, strict=True):
        assert problem in ("lost_answer", "too_large", "timeout"), flood
        assert seconds < FLOOD_DEADLINE_S + MARGIN_S, flood
        assert growth < MOST_GROWTH_BYTES, flood
    assert unpacked == "answer"
    assert told[-1][2] < MOST_GROWTH_BYTES


async def probe(name: str, url: str, exchanges: int) -> list[tuple[str, float, int]]:
    """How a client in a process of its own fared."""
    probe = [Path(__file__).with_name("memory_probe.py"), name, url, str(FLOOD_DEADLINE_S), str(exchanges)]
    child = await asyncio.create_subprocess_exec(sys.executable, *probe, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0
    lines = [line.split() for line in said.decode().splitlines()]
    return [(problem, float(seconds), int(growth)) for problem, seconds, growth in lines]
