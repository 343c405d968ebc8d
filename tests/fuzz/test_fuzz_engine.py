"""A provider that executes and then answers anything, in front of the whole engine: ledger and book agree."""

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from answer_bytes import CUTS, cut
from byte_server import Line, RawServer, raw_server, says
from hostile_bodies import bodies
from hypothesis import event, given, settings
from hypothesis import strategies as st
from rig import KINDS, Rig, account, held_ledger
from strict_http import whole_answer
from true_success import body_of, is_true_success
from wires import WIRES, MakeWire, head

from batchcredit.sandbox import SandboxAddress
from batchcredit.transfer import State

ROWS = 6
TIMEOUT_S = 0.3

#: Whoever says one of these has not executed, by the pages: no client can know better.
REFUSAL = re.compile(rb"100[4569]|1010|409[123]")

# 4xx with the provider's own envelope would be a refusal, and 429 asks to be sent again.
STATUSES = st.sampled_from(["200 OK"] * 9 + ["201 Made", "302 Found", "408 Late", "500 Oh", "503 Not now"])


@dataclass
class Saying:
    """What the provider does with one transfer: whether it executes, and what it says then."""

    executes: bool
    succeeds: bool
    pieces: list[bytes]
    then: str


@st.composite
def sayings(draw: st.DrawFn, kind: str, client: str) -> Saying:
    """A provider may answer as it likes, but a true success and a refusal it says only when they are true."""
    body = draw(bodies(kind, client) | st.just(body_of(kind, client)))
    length = [f"Content-Length: {len(body)}"] * draw(st.booleans())
    sent = head(draw(STATUSES), *length) + body
    sent = sent[: draw(st.integers(1, len(sent)))] if draw(st.integers(0, 7)) == 0 else sent
    then = draw(st.sampled_from(["close", "close", "close", "reset"]))
    told = whole_answer(sent, ended=then == "close")
    succeeds = told is not None and is_true_success(kind, client, *told)
    executes = succeeds or (draw(st.booleans()) and not REFUSAL.search(sent))
    return Saying(executes, succeeds, cut(sent, draw(CUTS)), then)


@dataclass
class Book:
    """The provider: what arrived and what it executed, account by account."""

    sayings: dict[str, Saying]
    arrived: Counter[str] = field(default_factory=Counter)
    executed: Counter[str] = field(default_factory=Counter)
    server: RawServer | None = None

    async def reply(self, line: Line) -> None:
        assert self.server
        asked = json.loads(self.server.heard[-1].body)
        client = str(asked.get("client_user_id") or asked["childID"])
        self.arrived[client] += 1
        saying = self.sayings[client]
        self.executed[client] += saying.executes
        await says(*saying.pieces, then=saying.then)(line)


async def states_after(book: Book, kind: str, make: MakeWire, folder: Path) -> dict[str, State]:
    """Send one row for each saying; how each account's row ended."""
    async with raw_server(book.reply) as server:
        book.server = server
        with held_ledger(folder) as ledger:
            rig = Rig(ledger, cast(SandboxAddress, None))  # this provider is no sandbox
            wire = make(server.url, 4)
            lane = rig.lane(
                kind, wire=wire, url=server.url, concurrency=4, timeout_s=TIMEOUT_S, in_doubt_limit=1000
            )
            rig.enrol((lane, client) for client in book.sayings)
            await rig.send()
            await rig.close()
            return {row.account: row.state for row in rig.rows()}


@pytest.mark.parametrize("make", WIRES.values(), ids=WIRES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=max(settings().max_examples // 8, 1), deadline=None)
@given(data=st.data())
def test_credited_was_executed_once(kind: str, make: MakeWire, data: st.DataObject) -> None:
    """One request each; credited by a true success alone, and in doubt whatever else was executed."""
    clients = [account(kind, number) for number in range(ROWS)]
    book = Book({client: data.draw(sayings(kind, client)) for client in clients})
    with TemporaryDirectory() as folder:
        states = asyncio.run(states_after(book, kind, make, Path(folder)))
    assert states.keys() == book.sayings.keys()
    for client, state in states.items():
        event(state)
        assert book.arrived[client] <= 1
        if state is State.CREDITED:
            assert book.sayings[client].succeeds
            assert book.executed[client] == 1
        elif state is not State.IN_DOUBT:
            assert book.executed[client] == 0
