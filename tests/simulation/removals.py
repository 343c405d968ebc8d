"""Safeguards, each taken out by a switch: the simulation has to notice, or it would notice nothing."""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from batchcredit import host
from batchcredit.engine import delivery
from batchcredit.engine.delivery import Delivery
from batchcredit.engine.judgement import Ending, Judged, judge
from batchcredit.engine.lane import Lane
from batchcredit.engine.limiter import Pace
from batchcredit.engine.queue import Job, LaneQueue
from batchcredit.engine.wire.base import Exchange
from batchcredit.engine.wire.connection import Connection
from batchcredit.ledger.base import Claim, Claimed, Settle
from batchcredit.ledger.sqlite import file as sqlite_file
from batchcredit.ledger.sqlite import ledger as sqlite_ledger
from batchcredit.ledger.sqlite import sender as sqlite_sender
from batchcredit.runner.intake import overlap
from batchcredit.transfer import Event

_late_claims: list[object] = []

Patch = tuple[object, str, object]


def _intent_before_send() -> Iterator[Patch]:
    async def claim(self: Delivery, line: object, job: Job) -> Claimed:
        claim = self.journal.claim(Claim(self.batch, self.lane.record.id, job.transfer))
        _late_claims.append(asyncio.ensure_future(claim))
        return Claimed(host.boot_s())

    yield Delivery, "_claim", claim


def _sync_before_send() -> Iterator[Patch]:
    yield sqlite_file, "_WRITING", sqlite_file._WRITING.replace("synchronous=FULL", "synchronous=OFF")


def _commit_before_send() -> Iterator[Patch]:
    """Intents become durable at the next checkpoint: what NORMAL means for a write-ahead log."""
    yield sqlite_file, "_WRITING", sqlite_file._WRITING.replace("synchronous=FULL", "synchronous=NORMAL")


def _doubt_is_final() -> Iterator[Patch]:
    def hopeful(*given: Any) -> Judged:
        judged = judge(*given)
        if judged.ending is not Ending.DOUBTFUL:
            return judged
        return judged._replace(outcome=judged.outcome._replace(event=Event.RETRY))

    yield delivery, "judge", hopeful


def _a_crash_leaves_doubt() -> Iterator[Patch]:
    yield sqlite_ledger, "TO_DOUBT", sqlite_ledger.TO_DOUBT.replace("'in_doubt'", "'pending'")


class Unlocked:
    """`host` for the ledger's file alone: what else is locked stays so."""

    def lock(self, _: int) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(host, name)


def _one_holder() -> Iterator[Patch]:
    class Nobody(set[Any]):
        def __contains__(self, _: object) -> bool:
            return False

    yield sqlite_file, "host", Unlocked()
    yield sqlite_file, "_held_here", Nobody()


def _one_in_flight_per_client() -> Iterator[Patch]:
    def add(self: LaneQueue, job: Job, not_before: float) -> None:
        self._rows.add(job.transfer.row)
        self._accounts.setdefault(job.transfer.account_key, mock.MagicMock(__bool__=lambda _: False))
        self._ready.append(job)

    def done(self: LaneQueue, job: Job) -> None:
        self._rows.discard(job.transfer.row)
        self._change.tell()

    yield LaneQueue, "_add", add
    yield LaneQueue, "done", done
    yield sqlite_file, "migrations", _without_index("transfer_in_flight")


def _one_transfer_per_reference() -> Iterator[Patch]:
    yield sqlite_file, "migrations", _without_index("transfer_reference_spent")
    yield overlap, "refuse_clashes", lambda *_, **__: None


def _without_index(name: str) -> Callable[[], list[str]]:
    steps = [
        step.replace(f"CREATE UNIQUE INDEX {name} ", f"CREATE INDEX {name} ")
        for step in sqlite_file.migrations()
    ]
    assert steps != sqlite_file.migrations()
    return lambda: steps


def _equal_rows_wait() -> Iterator[Patch]:
    yield sqlite_sender, "CLAIM", sqlite_sender.CLAIM.partition("AND NOT EXISTS")[0]


def _no_redirects() -> Iterator[Patch]:
    exchange = Connection.exchange

    async def follow(self: Connection, request: Any, timeout_s: float, *departs: Any) -> Exchange:
        ended = await exchange(self, request, timeout_s, *departs)
        if ended.answer and 300 <= ended.answer.status < 400 and self.take():
            return await exchange(self, request, timeout_s)
        return ended

    yield Connection, "exchange", follow


def _lanes_halt() -> Iterator[Patch]:
    yield Lane, "_halt", lambda *_: None


def _lanes_pause() -> Iterator[Patch]:
    yield Lane, "pause", lambda *_: None


async def _at_once(*_: object) -> bool:
    return True


def _lanes_keep_pace() -> Iterator[Patch]:
    yield Pace, "turn", _at_once
    yield Pace, "window", _at_once


def _the_window_is_watched() -> Iterator[Patch]:
    yield Pace, "window", _at_once


def _old_intents_stay_here() -> Iterator[Patch]:
    yield delivery, "INTENT_MOST_S", math.inf


def _endings_in_order() -> Iterator[Patch]:
    """An ending that nobody waits for becomes durable some time later, and not before the next intent."""

    def note(self: Any, settle: Settle, then: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(1.0, self._enter, settle, then)

    yield delivery.Journal, "note", note


def _silence_before_a_request() -> Iterator[Patch]:
    """What a server says unasked is heard as the answer to the next request."""
    receive = Connection.data_received

    def data_received(self: Connection, data: bytes) -> None:
        if self._ended is None or self._ended.done():
            _unasked.setdefault(id(self), bytearray()).extend(data)
        else:
            receive(self, data)

    ask = Connection._ask

    async def asked(self: Connection, *given: Any) -> Exchange:
        if before := _unasked.pop(id(self), None):
            asyncio.get_running_loop().call_soon(receive, self, bytes(before))
        return await ask(self, *given)

    async def silent(_: Connection) -> bool:
        return True

    yield Connection, "data_received", data_received
    yield Connection, "_ask", asked
    yield Connection, "_is_silent", silent
    yield Connection, "take", lambda self: setattr(self, "_lent", True) or self._usable


_unasked: dict[int, bytearray] = {}

#: Each safeguard's name, as docs/ARCHITECTURE.md has it, and what takes it out.
REMOVALS: dict[str, Callable[[], Iterator[Patch]]] = {
    "intent before request": _intent_before_send,
    "sync before request": _sync_before_send,
    "sync at each commit": _commit_before_send,
    "doubt is never sent again": _doubt_is_final,
    "a crash leaves doubt": _a_crash_leaves_doubt,
    "one holder of a ledger": _one_holder,
    "one in flight per client": _one_in_flight_per_client,
    "one transfer per reference": _one_transfer_per_reference,
    "equal rows wait": _equal_rows_wait,
    "no redirects": _no_redirects,
    "silence before a request": _silence_before_a_request,
    "old intents are not sent": _old_intents_stay_here,
    "lanes halt": _lanes_halt,
    "lanes pause": _lanes_pause,
    "lanes keep their pace": _lanes_keep_pace,
    "the window is watched": _the_window_is_watched,
    "endings before the next intent": _endings_in_order,
}


@contextmanager
def without(safeguard: str) -> Iterator[None]:
    """The program without one of its safeguards."""
    patches = [mock.patch.object(*patch) for patch in REMOVALS[safeguard]()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()
