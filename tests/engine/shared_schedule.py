"""The schedule of one lane as a ledger keeps it, senders on machines of their own, and a loop that can
freeze each of them."""

import asyncio
import contextvars
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from leaping_loop import LeapingLoop

from batchcredit.engine.limiter import Rate
from batchcredit.engine.shared_pace import SharedPace
from batchcredit.ledger.base import Slots
from batchcredit.ledger.journal import Reserved

#: Which sender the code at hand belongs to.
_sender: contextvars.ContextVar["Sender | None"] = contextvars.ContextVar("sender", default=None)

#: What the server's clock shows when the true one shows nothing.
BEGIN_US = 1_700_000_000_000_000

#: An intent lasts so long.
INTENT_S = 2.0


class FreezingLoop(LeapingLoop):
    """What a frozen sender would do is done when it thaws, in order."""

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> Any:
        context = context or contextvars.copy_context()
        return super().call_soon(self._unless_frozen, context, callback, args, context=context)

    def _unless_frozen(self, context: contextvars.Context, callback: Any, args: tuple[Any, ...]) -> None:
        sender = _sender.get()
        if sender is None or sender.frozen_until <= self.time():
            callback(*args)
            return
        if not sender.held:
            self.call_at(sender.frozen_until, self._thaw, sender, context=contextvars.Context())
        sender.held.append((context, callback, args))

    def _thaw(self, sender: "Sender") -> None:
        held, sender.held = sender.held, []
        for context, callback, args in held:
            super().call_soon(self._unless_frozen, context, callback, args, context=context)


@dataclass
class Schedule:
    """What PostgreSQL does with one row: the next slot that is free, by the clock of the server."""

    next_us: int = 0
    paused_until_us: int = 0
    drift: float = 0.0
    granted: dict[float, float] = field(default_factory=dict)  # true time -> how far the next slot is, s
    asked: int = 0

    def now_us(self) -> int:
        return round(BEGIN_US + asyncio.get_running_loop().time() * 1e6 * (1 + self.drift))

    def _true_s(self, clock_us: int) -> float:
        return (clock_us - BEGIN_US) / 1e6 / (1 + self.drift)

    def reserve(self, count: int, spacing_us: int, horizon_us: int, after_us: int) -> Slots:
        now_us = self.now_us()
        self.asked += 1
        if now_us < self.paused_until_us:
            return Slots((), (self.paused_until_us - now_us) / 1e6, now_us / 1e6)
        first_us = max(self.next_us, now_us + after_us)
        room = max(0, (now_us + horizon_us - first_us) // spacing_us + 1)
        taken = min(count, room)
        if taken:
            self.next_us = first_us + taken * spacing_us
        at_us = [first_us + number * spacing_us for number in range(taken)]
        self.granted.update({self._true_s(slot_us): spacing_us / 1e6 for slot_us in at_us})
        at_s = tuple((slot_us - now_us) / 1e6 for slot_us in at_us)
        return Slots(at_s, max(0, self.next_us - now_us - horizon_us) / 1e6, now_us / 1e6)


@dataclass
class Weather:
    """How long things take, in seconds: from a turn to the window, on the way to the ledger and back, in the
    provider; and how often a row stalls on its way."""

    row_s: float = 0.02
    way_s: float = 0.001
    provider_s: float = 0.05
    stalls: float = 0.0
    stall_s: float = 0.2


@dataclass
class Sender:
    """One process with a clock of its own. `left` is when a request left, on the true clock."""

    schedule: Schedule
    rate: Rate
    seed: int = 0
    width: int = 8
    weather: Weather = field(default_factory=Weather)
    left: list[float] = field(default_factory=list)
    refused: int = 0
    frozen_until: float = -math.inf
    held: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._ahead_s, self._drift = self._dice.uniform(0, 1e6), self._dice.uniform(-2e-4, 2e-4)

    def clock(self) -> float:
        return self._ahead_s + asyncio.get_running_loop().time() * (1 + self._drift)

    async def reserve(self, *wanted: int) -> Reserved:
        """Behind other work of the ledger's thread, and over the net."""
        await anyio.sleep(self._dice.uniform(0, self.weather.row_s / 2))
        asked_s = self.clock()
        await anyio.sleep(self._dice.uniform(0, self.weather.way_s))
        slots = self.schedule.reserve(*wanted)
        await anyio.sleep(self._dice.uniform(0, self.weather.way_s))
        return Reserved(slots, asked_s, self.clock())

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Send, so many requests at a time, until it is over."""
        _sender.set(self)
        pace = SharedPace(self.rate, self.reserve, self.clock)
        async with anyio.create_task_group() as tasks:
            for _ in range(self.width):
                tasks.start_soon(self._send, pace, is_over)

    async def _send(self, pace: SharedPace, is_over: Callable[[], bool]) -> None:
        while not is_over():
            await pace.turn()
            await anyio.sleep(self._dice.uniform(0, self.weather.row_s))
            if self._dice.random() < self.weather.stalls:
                await anyio.sleep(self.weather.stall_s)
            if await pace.window(INTENT_S):
                self.left.append(asyncio.get_running_loop().time())
            else:
                self.refused += 1
            await anyio.sleep(self.weather.provider_s)
