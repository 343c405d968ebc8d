"""The order of one attempt, and what is left when it is broken off: ledger, wire and stop."""

import asyncio
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anyio
import pytest
from byte_server import raw_server, says, until
from rig import Rig, account, accounts

from batchcredit import host
from batchcredit.engine import delivery
from batchcredit.engine.limiter import Rate
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget
from batchcredit.engine.wire.base import Departs, DialsLate, Exchange, Wire, WithheldError, at_once
from batchcredit.engine.wire.stock import HttpxWire
from batchcredit.errors import StorageError
from batchcredit.ledger.base import Answered, Claim, Claimed, Ledger, NotClaimed, Operation, Settle
from batchcredit.ledger.journal import Journal, open_journal
from batchcredit.providers.base import Answer, Request
from batchcredit.sandbox import Control
from batchcredit.transfer import Event, Outcome, State, Transfer

PENDING, CREDITED, DOUBT = State.PENDING, State.CREDITED, State.IN_DOUBT
GOOD = b'{"response-code":200,"prev-balance":"1.00","sms-units":"1.50","new-balance":"2.50"}'


class NotingWire(DialsLate):
    """Credits everybody after `takes_s`; notes when requests begin and how many were broken off."""

    def __init__(self, log: list[str], takes_s: float = 0.0) -> None:
        self.log = log
        self.takes_s = takes_s
        self.cancelled = 0

    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        try:
            await departs()
        except WithheldError:
            return Exchange(sent=False, withheld=True)
        self.log.append("sent")
        try:
            await anyio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Exchange(True, Answer(200, {}, GOOD))

    async def aclose(self) -> None:
        pass


def noting(ledger: Ledger, log: list[str]) -> None:
    """Let the ledger note what is durable, once it is."""
    commit = ledger.commit

    def noted(operations: Sequence[Operation]) -> list[Answered]:
        answers = commit(operations)
        time.sleep(0.002)  # an answer that was given too early would show
        log.extend(type(operation).__name__ for operation in operations)
        return answers

    ledger.commit = noted  # type: ignore[method-assign]


def rig_of(rig: Rig, wire: Wire, rows: int = 5, concurrency: int = 1) -> Rig:
    lane = rig.lane("fastmessage", wire=wire, concurrency=concurrency)
    rig.enrol((lane, client) for client in accounts("fastmessage", rows))
    return rig


async def test_intent_before_request_and_ending_before_the_next(rig: Rig) -> None:
    """With one sender: the intent is durable, then the request leaves, then its ending is durable."""
    log: list[str] = []
    noting(rig.ledger, log)
    await rig_of(rig, NotingWire(log)).send()
    assert log == ["Claim", "sent", "Settle"] * 5


async def test_as_many_intents_as_requests_at_any_time(rig: Rig) -> None:
    """With many senders: at no moment have more requests left than intents were durable."""
    log: list[str] = []
    noting(rig.ledger, log)
    await rig_of(rig, NotingWire(log, 0.003), 200, concurrency=16).send()
    claimed = sent = settled = 0
    for word in log:
        claimed, sent, settled = (
            claimed + (word == "Claim"),
            sent + (word == "sent"),
            settled + (word == "Settle"),
        )
        assert settled <= sent <= claimed <= settled + 16
    assert sent == 200


async def test_an_old_intent_is_not_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine stood still for 3 s behind each row's first intent: it is settled and claimed anew."""
    log: list[str] = []
    noting(rig.ledger, log)
    slept_s, old = 0.0, [True] * 5 + [False] * 5
    boot_s = host.boot_s

    def jumping() -> float:
        nonlocal slept_s
        in_loop = threading.current_thread() is threading.main_thread()
        if in_loop and log and log[-1] == "Claim" and old:
            slept_s += 3.0 if old.pop(0) else 0.0
        return boot_s() + slept_s

    monkeypatch.setattr(host, "boot_s", jumping)
    await rig_of(rig, NotingWire(log)).send()
    assert log == ["Claim", "Settle"] * 5 + ["Claim", "sent", "Settle"] * 5
    assert {row.attempts for row in rig.rows()} == {2}
    assert rig.states() == {CREDITED: 5}


async def test_dials_that_outlast_their_intent_come_to_an_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that always take longer to stand than an intent lasts: nothing leaves, in few tries."""
    monkeypatch.setattr(delivery, "INTENT_MOST_S", -1.0)
    async with raw_server() as server, asyncio.timeout(15):
        lane = rig.lane("fastmessage", wire=HttpxWire(server.url, 1), url=server.url, attempts=3)
        rig.enrol((lane, client) for client in accounts("fastmessage", 2))
        await rig.send()
        assert server.heard == []
        assert server.connections == 6
    assert {(row.state, row.reason, row.attempts) for row in rig.rows()} == {
        (State.UNSENT, "stale_intent", 3)
    }


async def test_a_row_that_may_not_be_claimed_is_not_sent(rig: Rig) -> None:
    """A claim that is not granted leaves its row as it is, frees its account, and the rest goes on."""
    log: list[str] = []
    lane = rig.lane("fastmessage", wire=NotingWire(log), concurrency=2)
    clients = accounts("fastmessage", 3)
    rig.enrol((lane, client) for client in [clients[0], clients[1], clients[0], clients[2]])
    commit = rig.ledger.commit

    def refusing(operations: Sequence[Operation]) -> list[Answered]:
        kept = [one for one in operations if not (isinstance(one, Claim) and one.transfer.row == 1)]
        answers = iter(commit(kept))
        return [next(answers) if one in kept else NotClaimed("open_elsewhere", "") for one in operations]

    rig.ledger.commit = refusing  # type: ignore[method-assign]
    await rig.send()
    assert [row.state for row in rig.rows()] == [PENDING, CREDITED, CREDITED, CREDITED]
    assert lane.meter.held == 1
    assert lane.meter.done == 4
    assert lane._in_flight == 0
    assert log == ["sent"] * 3


async def test_a_pause_puts_off_what_waits_for_its_moment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that pauses between intent and request sends it later; that counts against no row."""
    log: list[str] = []
    lane = rig.lane("fastmessage", Rate(Decimal(50), 1), wire=NotingWire(log), attempts=1)
    rig.enrol([(lane, account("fastmessage"))])
    window = lane.pace.window

    async def paused(most_s: float) -> bool:
        monkeypatch.setattr(lane.pace, "window", window)
        lane.pause(0.3)
        return True

    monkeypatch.setattr(lane.pace, "window", paused)
    began = time.monotonic()
    await rig.send()
    assert time.monotonic() - began > 0.3
    assert [(row.state, row.attempts) for row in rig.rows()] == [(CREDITED, 2)]
    assert log == ["sent"]


async def test_a_row_that_another_took_is_left_to_it(rig: Rig) -> None:
    """Where several processes send, it counts as held by nobody."""
    log: list[str] = []
    lane = rig.lane("fastmessage", wire=NotingWire(log))
    rig.enrol((lane, client) for client in accounts("fastmessage", 2))
    rig.ledger.is_shared = True
    rig.ledger.candidates = _once(rig.ledger.candidates)  # type: ignore[method-assign]
    commit = rig.ledger.commit
    rig.ledger.commit = lambda operations: [  # type: ignore[method-assign]
        NotClaimed("not_pending", "")
        if isinstance(one, Claim) and one.transfer.row == 1
        else commit([one])[0]
        for one in operations
    ]
    await rig.send()
    assert [row.state for row in rig.rows()] == [PENDING, CREDITED]
    assert lane.meter.held == 0
    assert log == ["sent"]


def _once(candidates: Any) -> Any:
    """Rows are offered once."""
    offered: list[object] = []

    def some(*given: Any, **more: Any) -> list[tuple[Transfer, int]]:
        fresh = [one for one in candidates(*given, **more) if one not in offered]
        offered.extend(fresh)
        return fresh

    return some


async def test_stop_hears_out_what_is_in_flight(rig: Rig) -> None:
    """After `stop` no request leaves; those that had left are answered, and nobody waits for anything."""
    log: list[str] = []
    wire = NotingWire(log, 0.2)
    rig_of(rig, wire, 50, concurrency=4)
    assert rig.batch is not None
    async with open_journal(rig.ledger) as journal, asyncio.timeout(5):
        pipeline = Pipeline(rig.batch.id, rig.lanes, journal)
        running = asyncio.create_task(pipeline.run([Budget()]))
        await until(lambda: len(log) == 4)
        pipeline.stop()
        await running
    assert len(log) == 4
    assert wire.cancelled == 0
    assert rig.states() == {CREDITED: 4, PENDING: 46}


async def test_stop_before_the_start(rig: Rig) -> None:
    """A stop that came while the pipeline was being made is not forgotten."""
    log: list[str] = []
    rig_of(rig, NotingWire(log))
    assert rig.batch is not None
    async with open_journal(rig.ledger) as journal, asyncio.timeout(5):
        pipeline = Pipeline(rig.batch.id, rig.lanes, journal)
        pipeline.stop()
        await pipeline.run([Budget()])
    assert log == []
    assert rig.states() == {PENDING: 5}


async def test_cancelled_at_once(rig: Rig) -> None:
    """A second signal: what was in flight stays `sending` until the run's end makes it doubtful; the
    connection is let go."""
    async with raw_server(says()) as server:
        lane = rig.lane("fastmessage", url=server.url, concurrency=3)
        rig.enrol((lane, client) for client in accounts("fastmessage", 10))
        running = asyncio.create_task(rig.send())
        await until(lambda: len(server.heard) == 3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: not server.open)
    assert rig.states() == {State.SENDING: 3, PENDING: 7}
    assert lane._in_flight == 0


# The journal


async def test_error_of_the_ledger_stops_everything(rig: Rig) -> None:
    """The disk is full in the middle: the error comes out, no request leaves after it, nothing hangs."""
    log: list[str] = []
    rig_of(rig, NotingWire(log, 0.02), 200, concurrency=8)
    commit, calls = rig.ledger.commit, 0

    def failing(operations: Sequence[Operation]) -> list[Answered]:
        nonlocal calls
        calls += 1
        if calls > 5:
            log.append("error")
            raise StorageError("the disk is full", reason="disk_full")
        return commit(operations)

    rig.ledger.commit = failing  # type: ignore[method-assign]
    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup) as caught:
            await rig.send()
    assert caught.group_contains(StorageError, match="disk is full")
    assert log.count("error") == 1
    assert log[log.index("error") :] == ["error"]
    assert rig.lanes[0]._in_flight == 0


async def test_error_while_reading_stops_everything(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of rows that can't be read ends the run with that error."""
    log: list[str] = []
    rig_of(rig, NotingWire(log))

    def broken(*_: object, **__: object) -> None:
        raise StorageError("unreadable", reason="ledger_damaged")

    monkeypatch.setattr(rig.ledger, "candidates", broken)
    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup) as caught:
            await rig.send()
    assert caught.group_contains(StorageError, match="unreadable")
    assert log == []


async def test_no_call_goes_through_after_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the journal afterwards gets the same error, and the ledger is left alone."""
    lane = rig.lane("fastmessage")
    rig.enrol([(lane, account("fastmessage"))])
    error = StorageError("the disk is full", reason="disk_full")

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(rig.ledger, "commit", failing)
    journal = Journal(rig.ledger)
    running = asyncio.create_task(journal.run())
    (transfer, _), *_ = await journal.candidates(1, lane.record.id, 0, 1)
    claim = Claim(1, lane.record.id, transfer)
    with pytest.raises(asyncio.CancelledError):
        await journal.claim(claim)
    with pytest.raises(StorageError):
        await running
    monkeypatch.setattr(rig.ledger, "commit", None)
    for call in (
        journal.claim(claim),
        journal.candidates(1, lane.record.id, 0, 1),
        journal.halt(1, lane.record.id, "", ""),
    ):
        with pytest.raises(StorageError) as again:
            await call
        assert again.value is error


class SlowCommit:
    """Holds every commit until it is let go."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.commit = rig, rig.ledger.commit
        self.begun, self.go = threading.Event(), threading.Event()
        self.done: list[Operation] = []
        rig.ledger.commit = self  # type: ignore[method-assign]

    def __call__(self, operations: Sequence[Operation]) -> list[Answered]:
        self.begun.set()
        assert self.go.wait(5)
        answers = self.commit(operations)
        self.done += operations
        return answers


async def test_a_claim_whose_sender_is_gone_is_taken_back(rig: Rig) -> None:
    """Stopped at once while the intent is being made durable: no request left, and the row is pending."""
    log: list[str] = []
    rig_of(rig, NotingWire(log), 1)
    slow = SlowCommit(rig)
    running = asyncio.create_task(rig.send())
    await until(slow.begun.is_set)
    running.cancel()
    await asyncio.sleep(0.02)
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log == []
    assert rig.states() == {PENDING: 1}
    assert [type(operation) for operation in slow.done] == [Claim, Settle]


async def test_an_ending_that_was_heard_is_kept(rig: Rig) -> None:
    """Stopped at once while endings wait to be committed: what the provider said is not lost."""
    lane = rig.lane("fastmessage")
    rig.enrol((lane, client) for client in accounts("fastmessage", 2))
    found = rig.ledger.candidates(1, lane.record.id, 0, 2)
    claims = [Claim(1, lane.record.id, transfer) for transfer, _ in found]
    assert all(isinstance(answer, Claimed) for answer in rig.ledger.commit(claims))
    slow = SlowCommit(rig)

    async def settle_both() -> None:
        async with open_journal(rig.ledger) as journal, anyio.create_task_group() as tasks:
            for transfer, _ in found:
                tasks.start_soon(journal.settle, Settle(1, transfer, Outcome(Event.CREDIT), 1))
                await asyncio.to_thread(slow.begun.wait)

    running = asyncio.create_task(settle_both())
    await until(slow.begun.is_set)
    await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.sleep(0.02)
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert rig.states() == {CREDITED: 2}


async def test_many_at_once_are_few_transactions(rig: Rig) -> None:
    """200 senders that claim at the same moment share their syncs."""
    lane = rig.lane("fastmessage")
    rig.enrol((lane, client) for client in accounts("fastmessage", 200))
    found = rig.ledger.candidates(1, lane.record.id, 0, 200)
    commit, groups = rig.ledger.commit, []

    def counted(operations: Sequence[Operation]) -> list[Answered]:
        groups.append(len(operations))
        return commit(operations)

    rig.ledger.commit = counted  # type: ignore[method-assign]
    answers: dict[int, object] = {}

    async def claim(journal: Journal, row: int) -> None:
        answers[row] = await journal.claim(Claim(1, lane.record.id, found[row][0]))

    async with open_journal(rig.ledger) as journal, anyio.create_task_group() as tasks:
        for row in range(200):
            tasks.start_soon(claim, journal, row)
    assert sum(groups) == 200
    assert len(groups) <= 3
    assert list(answers) == list(range(200)), "answers come in the order of the calls"


async def test_listener_hears_each_ending_once(rig: Rig, control: Control) -> None:
    """Every ending that is durable is told, with its lane and row; the meter counts the same."""
    lane = rig.lane("clicksend", concurrency=4)
    clients = [*accounts("clicksend", 20), "70404"]
    control.set(retry_after_s=0)
    control.script(clients[3], ["status_429"])
    control.script(clients[5], ["close_after"])
    rig.enrol((lane, client) for client in clients)
    heard: list[tuple[int, Event]] = []
    await rig.send(
        listener=lambda lane, job, judged, ms: heard.append((job.transfer.row, judged.outcome.event))
    )
    assert len(heard) == 22
    assert {row for row, event in heard if event is Event.RETRY} == {4}
    assert {row for row, event in heard if event is Event.DOUBT} == {6}
    assert {row for row, event in heard if event is Event.REJECT} == {21}
    assert lane.meter.done == 21
    assert lane.meter.latencies.total() == 22
    assert [str(total) for total in lane.meter.credited.values()] == ["28.5"]
