"""A world with one clock, one seed, and one event loop that is the machine that batchcredit runs on.

Everything that happens outside the program (what the network brings, what the disk has written, a signal, the
end of the machine) is an event at a moment of the world's clock. The loop runs what is ready, and then time
leaps to the next event or timer. So hours take milliseconds, and a seed always makes the same history.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

from batchcredit.sandbox.faults import share

T = TypeVar("T")

#: Which of several processes of one machine the code at hand belongs to.
PROCESS: ContextVar[int] = ContextVar("process", default=0)

#: What one round of the loop takes: without it a wait that is too short to be a number would not end.
TICK_S = 1e-6

#: The wall clock's first moment: 2026-03-28 20:00 UTC, five hours before Berlin changes to summer time.
BEGIN_MS = 1_774_728_000_000


class CrashError(BaseException):
    """The machine or the process is gone: nothing of it runs any more."""


class StuckError(AssertionError):
    """Everybody waits for what will not come, or the work takes for ever."""


@dataclass(order=True)
class _Event:
    at: float
    number: int
    machine: int = field(compare=False)  # 0: the world's own, outlives every machine
    call: Callable[[], object] = field(compare=False)


@dataclass
class World:
    """`machine` counts the starts of the program: what an earlier one left to be done is done no more."""

    seed: object
    now: float = 1_000.0
    suspended_s: float = 0.0  # slept through by the machine: its own clock stood still
    wall_shift_s: float = 0.0  # by which somebody has set the wall clock
    machine: int = 0
    steps: int = 0
    most_steps: int = 300_000  # of one start: what takes more does not end by itself
    at_step: dict[int, Callable[[], object]] = field(default_factory=dict)
    history: list[str] | None = None
    digest: Any = field(default_factory=sha256)
    _events: list[_Event] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)
    _throws: dict[tuple[object, ...], int] = field(default_factory=dict)

    def dice(self, *about: object) -> float:
        """A number in [0, 1) that follows from the seed, what it is about, and how often that was asked.

        So what is left out of a history does not change the rest of it.
        """
        thrown = self._throws[about] = self._throws.get(about, 0) + 1
        return share(self.seed, *about, thrown)

    def span(self, least_s: float, most_s: float, *about: object) -> float:
        return least_s + (most_s - least_s) * self.dice(*about)

    def tell(self, what: str) -> None:
        """Enter something into the history."""
        line = f"{self.now - 1_000:12.6f} {what}"
        self.digest.update(line.encode())
        if self.history is not None:
            self.history.append(line)

    def at(self, moment: float, call: Callable[[], object], *, machine: bool = False) -> None:
        """Let something happen; with `machine` only if this machine still runs then."""
        heapq.heappush(
            self._events,
            _Event(max(moment, self.now), next(self._numbers), self.machine if machine else 0, call),
        )

    def next_at(self) -> float | None:
        while self._events and self._events[0].machine not in (0, self.machine):
            heapq.heappop(self._events)
        return self._events[0].at if self._events else None

    def pass_until(self, moment: float) -> None:
        """Let time pass, with all that happens in it."""
        while (at := self.next_at()) is not None and at <= moment:
            self.now = max(self.now, at)
            heapq.heappop(self._events).call()
        self.now = max(self.now, moment)

    def start_machine(self) -> None:
        """Begin anew: what an earlier machine left to be done is not done any more."""
        self.machine += 1
        self.steps = 0
        self.at_step.clear()

    def settle_down(self) -> None:
        """Let everything happen that is still to come, while no machine runs."""
        self.start_machine()
        while (at := self.next_at()) is not None:
            self.pass_until(at)

    def step(self) -> None:
        """The machine does the next thing that is ready."""
        self.steps += 1
        if call := self.at_step.pop(self.steps, None):
            call()

    # what host tells the program

    def now_ms(self) -> int:
        return BEGIN_MS + round((self.now - 1_000 + self.suspended_s + self.wall_shift_s) * 1000)

    def boot_s(self) -> float:
        return self.now + self.suspended_s


class _Ready(deque[Any]):
    """The loop's queue of what is ready, with the world looking on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def popleft(self) -> Any:
        self._world.step()
        return super().popleft()


class SimulatedLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop; sockets, threads, signals and the clock are the world's."""

    #: A run that takes longer than this does not end by itself.
    LONGEST_S = 40 * 86_400

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.connect: Callable[..., Any] | None = None
        self._begun_at = world.now
        self._thread_free_at = world.now
        self._ready = _Ready(world)
        self._selector.select = self._leap  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.world.now

    def _leap(self, timeout: float | None = None) -> list[Any]:
        world = self.world
        if world.now - self._begun_at > self.LONGEST_S or world.steps > world.most_steps:
            raise StuckError("it does not end")
        next_at = world.next_at()
        if timeout is None and next_at is None:
            raise StuckError("everybody waits, and nothing is to come")
        until = world.now + TICK_S + (timeout if timeout is not None else float("inf"))
        world.pass_until(min(until, next_at if next_at is not None else until))
        return []

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """The ledger's one thread: what it is given is done in order, each taking its time."""
        done: asyncio.Future[T] = self.create_future()
        took_s = self.world.span(0.0002, 0.004, "thread")
        self._thread_free_at = max(self._thread_free_at, self.world.now) + took_s
        self.world.at(self._thread_free_at, lambda: self._work(func, args, done), machine=True)
        return done

    def _work(self, func: Callable[..., T], args: tuple[Any, ...], done: "asyncio.Future[T]") -> None:
        try:
            result = func(*args)
        except CrashError:
            raise
        except Exception as error:
            if not done.cancelled():
                done.set_exception(error)
        else:
            if not done.cancelled():
                done.set_result(result)

    async def create_connection(self, factory: Any, *_: Any, sock: Any = None, **__: Any) -> Any:
        """Over a socket that the simulated network has dialled."""
        assert self.connect is not None
        return self.connect(self, factory, sock)


@dataclass
class Processes:
    """Those that are stopped (SIGSTOP): what they would do is done once they go on."""

    world: World
    stopped: dict[int, list[Callable[[], object]]] = field(default_factory=dict)

    def stop(self, process: int) -> None:
        self.stopped.setdefault(process, [])

    def go_on(self, process: int) -> None:
        for call in self.stopped.pop(process, []):
            self.world.at(self.world.now, call, machine=True)


class SharedLoop(SimulatedLoop):
    """One loop in which several processes run, each with a thread for its ledger, until they are stopped."""

    def __init__(self, world: World, processes: Processes) -> None:
        super().__init__(world)
        self._processes = processes
        self._free_at: dict[int, float] = {}

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = context or copy_context()
        stopped = self._processes.stopped.get(context.get(PROCESS, 0))
        if stopped is None:
            return super().call_soon(callback, *args, context=context)
        stopped.append(lambda: self.call_soon(callback, *args, context=context))
        return asyncio.Handle(callback, args, self, context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        done: asyncio.Future[T] = self.create_future()
        process = PROCESS.get()
        took_s = self.world.span(0.0002, 0.004, "thread")
        self._free_at[process] = max(self._free_at.get(process, 0.0), self.world.now) + took_s

        def work() -> None:
            stopped = self._processes.stopped.get(process)
            if stopped is None:
                self._work(func, args, done)
            else:
                stopped.append(work)

        self.world.at(self._free_at[process], work, machine=True)
        return done
