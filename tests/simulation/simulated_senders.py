"""Several senders of one batch: processes that share a ledger, come, go, stand still and lose their sessions.

Each is the real `run` or `resume`, with engine, wire and reader of its own, in the world of `simulated_run`;
the ledger that they share is a model of what PostgreSQL's promises.
"""

import asyncio
import contextlib
import math
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from promises import PromiseError
from scenario import CURRENCY, Row, Scenario, Start, drawn, rows
from shared_ledger import Server, SharedLedger
from simulated_run import Ended, Machine, Story, live_on, simulated
from simulated_world import PROCESS, Processes, SharedLoop, World

from batchcredit.engine.shared_pace import SharedPace
from batchcredit.errors import BatchcreditError
from batchcredit.ledger import registry
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.transfer import State


class Trouble(StrEnum):
    """What happens to one sender."""

    KILL = "killed"
    LOSE = "cut off"  # its session has ended; it opens another one
    FREEZE = "stopped"  # SIGSTOP, and SIGCONT after a while
    FORGET = "stopped and cut off"  # and its session has ended meanwhile
    EVICT = "evicted"
    STOP = "stop"
    STOP_TWICE = "stop twice"


#: After these the provider's answers, and what others may do meanwhile, are out of its hands.
_DISTURBS = frozenset(Trouble) - {Trouble.STOP}


@dataclass(frozen=True)
class Strike:
    """When it happens, in seconds after the sender began, and how long it lasts."""

    trouble: Trouble
    after_s: float
    lasts_s: float


@dataclass(frozen=True)
class Sender:
    """One process: when it begins, how many rows it may send, and its troubles."""

    at_s: float
    limit: int | None = None
    strikes: tuple[Strike, ...] = ()


@dataclass(frozen=True)
class Crew:
    """A scenario with one file, and those that send it."""

    scenario: Scenario
    senders: tuple[Sender, ...]

    def smaller(self) -> "Iterator[Crew]":
        """Everything that is a little simpler, the boldest first."""
        for number, sender in enumerate(self.senders):
            rest = (*self.senders[:number], *self.senders[number + 1 :])
            if rest:
                yield replace(self, senders=rest)
            for left in range(len(sender.strikes)):
                calmer = replace(sender, strikes=(*sender.strikes[:left], *sender.strikes[left + 1 :]))
                yield replace(self, senders=(*self.senders[:number], calmer, *self.senders[number + 1 :]))
        for smaller in self.scenario.smaller():
            if smaller.files and smaller.files[0]:
                yield replace(self, scenario=smaller)


def crew(seed: int) -> Crew:
    """The senders of a seed, and what they have to send."""
    scenario = drawn(seed)
    dice = Random(f"senders {seed}")
    senders = (Sender(0.0, None, tuple(_strikes(dice))), *(_later(dice) for _ in range(dice.randint(1, 3))))
    file = tuple(_file(dice))
    return Crew(replace(scenario, files=(file,), starts=(), is_brief=True), senders)


def _file(dice: Random) -> Iterator[Row]:
    """A file in which there is something to share."""
    accounts = dice.choice((1, 3, 20, 100))
    for first in range(0, 25 * dice.choice((1, 2, 4)), 25):
        yield from rows(dice, list(CURRENCY), first, accounts)


def _later(dice: Random) -> Sender:
    limit = dice.randint(1, 8) if dice.random() < 0.15 else None
    return Sender(dice.choice((0.0, dice.uniform(0, 1), dice.uniform(0, 10))), limit, tuple(_strikes(dice)))


def _strikes(dice: Random) -> Iterator[Strike]:
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        after_s = math.exp(dice.uniform(math.log(0.01), math.log(20)))
        yield Strike(dice.choice(list(Trouble)), after_s, math.exp(dice.uniform(math.log(0.1), math.log(60))))


class SharedMachine(Machine):
    """All machines of a crew, and the database that they share."""

    server: Server

    def open_server(self) -> None:
        ledger = SqliteLedger.hold(self.disk.folder / "shared.db", "simulated")
        self.server = Server(ledger, lambda: self.world.now)
        self.processes = Processes(self.world)
        self.views: dict[int, SharedLedger] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.ended_at: dict[int, float] = {}

    def view(self, *_: object, **__: object) -> Any:
        """What a process is given when it opens the ledger."""
        if PROCESS.get() in self.views and self.views[PROCESS.get()].killed:
            raise asyncio.CancelledError
        view = self.views[PROCESS.get()] = SharedLedger(self.server)
        self.server.bury()
        return view

    def send_together(self, senders: Sequence[Sender]) -> None:
        """All of them, until the last one has ended."""
        self.world.start_machine()
        loop = SharedLoop(self.world, self.processes)
        loop.connect = self.providers.connect
        for number, sender in enumerate(senders, 1):
            context = copy_context()
            context.run(PROCESS.set, number)
            self.tasks[number] = loop.create_task(self._send(sender), context=context)
            for strike in sender.strikes:
                self._plan(loop, number, self.world.now + sender.at_s + strike.after_s, strike)
        try:
            loop.run_until_complete(asyncio.gather(*self.tasks.values(), return_exceptions=True))
            for task in self.tasks.values():
                if not task.cancelled():
                    task.result()
            self.story.sent_together = len(self.providers.book)
            self._check_that_nothing_is_left(senders)
        finally:
            for number in list(self.processes.stopped):
                self.processes.stopped.pop(number)
            self._tear_down(loop)

    async def _send(self, sender: Sender) -> None:
        await asyncio.sleep(sender.at_s)
        begun_at = self.world.now
        start = Start(0, limit=sender.limit, resumes=PROCESS.get() > 1)
        self.begun.append(begun_at)
        try:
            ended = Ended(start, *await self._run(start))
        except BatchcreditError as error:
            ended = Ended(start, error.exit_code, error.reason)
        self.ended_at[PROCESS.get()] = self.world.now
        ended.seconds = self.world.now - begun_at
        self.world.tell(f"process {PROCESS.get()} ended {ended.code} {ended.reason}")
        self.story.ended.append(ended)

    def _check_that_nothing_is_left(self, senders: Sequence[Sender]) -> None:
        """Where the last to end was free to send all, and no lane halted, nothing waits for another run; and
        nothing was held for a sender that stood still where none did."""
        ledger = self.server.ledger
        batch = next(iter(ledger.batches()), None)
        if batch is None or self.server.halts or not self.ended_at:
            return
        last = max(self.ended_at, key=lambda number: self.ended_at[number])
        alone_s = min(
            (self.ended_at[last] - at for number, at in self.ended_at.items() if number != last), default=9.9
        )
        is_free = senders[last - 1].limit is None and not senders[last - 1].strikes
        left = ledger.rows_in(batch.id, [State.PENDING], [], 10_000)
        if is_free and alone_s > 1.0 and any(row.reason in ("", "interrupted") for row in left):
            raise PromiseError(f"left, though process {last} could have sent it: {left}")
        if not self.disturbed and any(row.reason == "account_in_flight" for row in left):
            raise PromiseError(f"held for a sender that went on: {left}")

    def _plan(self, loop: SharedLoop, number: int, at: float, strike: Strike) -> None:
        def happen() -> None:
            if not self.tasks[number].done():
                self.world.tell(f"process {number} is {strike.trouble}")
                self._befall(loop, number, strike)

        self.world.at(at, happen, machine=True)

    def _befall(self, loop: SharedLoop, number: int, strike: Strike) -> None:
        view = self.views.get(number)
        self.story.struck.append(strike.trouble)
        if strike.trouble in _DISTURBS:
            self.disturbed.add(number)
            self.troubled.add(self.world.machine)
        match strike.trouble:
            case Trouble.KILL:
                self._kill(number, view)
            case Trouble.LOSE:
                self._cut_off(view)
            case Trouble.FREEZE:
                self._freeze(number, strike.lasts_s)
            case Trouble.FORGET:
                self._freeze(number, strike.lasts_s)
                self.world.at(self.world.now + strike.lasts_s / 2, lambda: self._cut_off(view), machine=True)
            case Trouble.EVICT:
                if view:
                    view.evicted = True
                self._cut_off(view)
            case Trouble.STOP:
                self._tell_to_stop(loop, number)
            case Trouble.STOP_TWICE:
                self._tell_to_stop(loop, number)
                self.world.at(self.world.now + 0.05, lambda: self._tell_to_stop(loop, number), machine=True)

    def _kill(self, number: int, view: SharedLedger | None) -> None:
        if view:
            view.killed = True
            view.lose_session()
        self.providers.lose_all(number)
        self.tasks[number].cancel()

    def _cut_off(self, view: SharedLedger | None) -> None:
        if view:
            view.lose_session()

    def _freeze(self, number: int, lasts_s: float) -> None:
        self.processes.stop(number)
        self.world.at(self.world.now + lasts_s, lambda: self.processes.go_on(number), machine=True)

    def _tell_to_stop(self, loop: SharedLoop, number: int) -> None:
        for process, call in self.stop:
            if process == number:
                context = copy_context()
                context.run(PROCESS.set, number)
                loop.call_soon(call, context=context)


@contextmanager
def shared(machine: SharedMachine) -> Iterator[None]:
    """Whoever opens the ledger meanwhile opens the one that all share."""
    with contextlib.ExitStack() as stack:
        for name, what in (("hold", machine.view), ("read", machine.view), ("exists", lambda _: True)):
            stack.enter_context(mock.patch.object(registry, name, what))
        clock = (machine.world.boot_s,)
        stack.enter_context(mock.patch.object(SharedPace.__init__, "__defaults__", clock))
        machine.open_server()
        stack.callback(machine.server.ledger.close)
        yield


def tell_of(many: Crew, *, with_history: bool = False) -> Story:
    """Live through a crew's work. A broken promise is in the story, as is a defect, which breaks them all."""
    scenario = many.scenario
    story = Story(scenario)
    world = World(scenario.seed, history=[] if with_history else None)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        machine = SharedMachine(scenario, world, Path(folder), story)
        with simulated(machine), shared(machine):
            try:
                machine.send_together(many.senders)
                live_on(machine)
            except PromiseError as error:
                story.broken = str(error)
            except Exception:
                story.broken = f"a defect: {traceback.format_exc()}"
    for worksheet, _ in machine.surveys.values():
        worksheet.remove()
    story.late = machine.server.late
    story.executed, story.seconds = len(machine.providers.book), world.now - 1_000
    story.digest, story.history = world.digest.hexdigest()[:16], world.history
    return story
