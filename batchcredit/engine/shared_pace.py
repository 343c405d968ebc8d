"""The pace of a lane that several processes send through: slots of one schedule, which the ledger keeps.

A slot belongs to whoever reserved it and is used at its time or not at all. So the rate holds however many
senders come, go, stop or are killed, and nobody has to know of the others.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import NamedTuple

import anyio

from batchcredit import host
from batchcredit.engine.limiter import Rate
from batchcredit.engine.loop import Change
from batchcredit.ledger.journal import Reserved

#: Slots are so much further apart than the rate asks for: what a window of the rate gains by that, its first
#: request may be late.
SLACK = 1.016

#: A request may be so late, as a part of the window. What is left of the slack is for clocks that drift, and
#: for requests that take a little longer or shorter to arrive.
LATE = 0.012

#: Unused time is not saved up: a request is late by one spacing at the most, or by this.
LATE_LEAST_S = 0.1

#: Slots are reserved so far ahead at the most: what is lost of the rate with a sender that is killed.
HORIZON_S = 0.5

#: So long before its slot a row is let through at the most: below the horizon.
LEAD_MOST_S = 0.4

#: So much sooner than rows usually take to the window they are let through, where there are slots: then
#: another row is there for the slot of one that stalls. And so many slots sooner.
SPARE_S, SPARE_SLOTS = 0.1, 1.5

#: How long rows take to the window, to begin with, and how much of it follows one that took longer or
#: shorter: most are to be in time.
WAY_FIRST_S, LONGER, SHORTER = 0.02, 0.25, 0.02

#: The ledger is asked no sooner than so long after it granted all, or not all, that was wanted.
PAUSE_S, PAUSE_SHORT_S = 0.01, 0.05

#: The ledger is asked again after so long at the latest.
PAUSE_MOST_S = 10.0

#: One question is for so many slots at the most.
COUNT_MOST = 500

#: (count, spacing_us, horizon_us, after_us), as `Ledger.reserve` takes them behind the lane.
Reserve = Callable[[int, int, int, int], Awaitable[Reserved]]


class Slot(NamedTuple):
    """When a request may leave: seconds of our own clock."""

    opens_s: float
    closes_s: float


class SharedPace:
    """Hands out turns as `Pace` does, by slots that no other sender has. `reserve` may be changed."""

    is_free = False

    def __init__(self, rate: Rate, reserve: Reserve, clock: Callable[[], float] = host.boot_s) -> None:
        self.rate = rate
        self.reserve = reserve
        requests = max(1, Fraction(rate.count).limit_denominator(1000).numerator)
        self._spacing_s = SLACK / rate.per_second
        self._late_s = min(LATE * requests / rate.per_second, max(LATE_LEAST_S, self._spacing_s))
        self._clock = clock
        self._ledger_clock = LedgerClock()
        self._slots: deque[Slot] = deque()
        self._handed: deque[float] = deque()  # when each of the first of them was handed to a row
        self._waiting = 0  # rows that wait for a slot: for their turn, or at the window
        self._at_window = 0  # those at the window
        self._door = anyio.Lock()
        self._way_s = WAY_FIRST_S  # what rows take to the window
        self._spare_s = max(SPARE_S, SPARE_SLOTS * self._spacing_s)
        self._asking = False
        self._ask_at = -math.inf
        self._change = Change()

    async def turn(self) -> None:
        """Wait until a slot is as near as a row takes from here to the window."""
        self._waiting += 1
        try:
            if not self._asking and self._waiting > self._free():
                await self._ask()
            async with self._door:
                while (wait_s := self._next_in_s()) is None or wait_s > 0:
                    await (self._ask() if wait_s is None else self._change.wait(wait_s))
                self._handed.append(self._clock())
        finally:
            self._waiting -= 1

    async def window(self, most_s: float = math.inf) -> bool:
        """Wait for the earliest slot that can still be used, and take it; called as the last thing before a
        request leaves. False, and none is taken, where that would be later than in `most_s`."""
        until = self._clock() + most_s
        self._learn()
        while (slot := await self._earliest(until)) is not None:
            await self._sleep_until(slot.opens_s)
            if self._clock() <= slot.closes_s:
                return True
        return False

    def unused(self) -> None:
        """A row that had its turn does not go to the window: another may have its slot."""
        if self._handed:
            self._handed.pop()
            self._change.tell()

    async def _earliest(self, until: float) -> Slot | None:
        """Take the earliest slot, or None if there is none until then."""
        while not self._usable():
            left_s = until - self._clock()
            if left_s <= 0:
                return None
            with anyio.move_on_after(left_s):
                await self._ask_at_window()
        if self._slots[0].opens_s > until:
            return None
        return self._pop()

    async def _ask_at_window(self) -> None:
        self._waiting += 1
        self._at_window += 1
        try:
            await self._ask()
        finally:
            self._waiting -= 1
            self._at_window -= 1

    def _usable(self) -> deque[Slot]:
        """The slots at hand, without those that have passed."""
        while self._slots and self._slots[0].closes_s < self._clock():
            self._pop()
        return self._slots

    def _pop(self) -> Slot:
        if self._handed:
            self._handed.popleft()
        return self._slots.popleft()

    def _free(self) -> int:
        """How many slots at hand were not handed to anybody."""
        return len(self._usable()) - len(self._handed)

    def _next_in_s(self) -> float | None:
        """In how many seconds the next row may go; None as long as there is no slot for it."""
        if self._free() <= 0:
            return None
        lead_s = min(LEAD_MOST_S, self._way_s + self._spare_s)
        return self._slots[len(self._handed)].opens_s - lead_s - self._clock()

    def _learn(self) -> None:
        """A row has come to the window: how long did it take?"""
        if self._handed:
            longer_s = self._clock() - self._handed[0] - self._way_s
            self._way_s += longer_s * (LONGER if longer_s > 0 else SHORTER)
            self._way_s = min(LEAD_MOST_S, self._way_s)

    async def _ask(self) -> None:
        """Reserve what is wanted, or wait until whoever asks already has the answer."""
        if self._asking:
            await self._change.wait()
            return
        self._asking = True
        try:
            await self._sleep_until(self._ask_at)
            wanted = min(COUNT_MOST, self._waiting - self._free())
            if wanted > 0:
                await self._reserve(wanted, 0.0 if self._at_window else self._way_s)
        finally:
            self._asking = False
            self._change.tell()

    async def _reserve(self, count: int, after_s: float) -> None:
        # What is uncertain of the ledger's clock makes a request late, and the next slot waits for that.
        extra_s = max(0.0, self._ledger_clock.doubt_s - self._late_s / 2)
        spacing_us = math.ceil((self._spacing_s + extra_s) * 1e6)
        reserved = await self.reserve(count, spacing_us, round(HORIZON_S * 1e6), round(after_s * 1e6))
        earliest_s, latest_s = self._ledger_clock.heard(reserved)
        slots = reserved.slots
        for at_s in slots.at_s:
            slot = Slot(latest_s + at_s, earliest_s + at_s + self._late_s + extra_s)
            if slot.closes_s > slot.opens_s:
                self._slots.append(slot)
        short = len(slots.at_s) < count
        pause_s = max(PAUSE_SHORT_S, min(PAUSE_MOST_S, slots.retry_s)) if short else PAUSE_S
        self._ask_at = self._clock() + pause_s

    async def _sleep_until(self, moment_s: float) -> None:
        wait_s = moment_s - self._clock()
        if wait_s > 0:
            await anyio.sleep(wait_s)


#: Clocks that are kept by the network drift apart by so much of the time at the most.
DRIFT = 5e-4

#: So many answers tell about the ledger's clock, and so many what is usual.
ANSWERS, USUAL = 64, 8

#: An uncertainty beyond this is not made up for: the ledger does not answer.
DOUBT_MOST_S = 0.5


class LedgerClock:
    """What the ledger's clock shows, as exactly as the quickest of its answers told.

    When it showed `now_s`, ours was somewhere between the question and the answer.
    """

    def __init__(self) -> None:
        self._answers: deque[Reserved] = deque(maxlen=ANSWERS)
        self._doubts_s: deque[float] = deque([0.0], maxlen=USUAL)

    @property
    def doubt_s(self) -> float:
        """How uncertain it is what the clock shows, after most of the last answers."""
        return min(DOUBT_MOST_S, sorted(self._doubts_s)[len(self._doubts_s) * 5 // 8])

    def heard(self, reserved: Reserved) -> tuple[float, float]:
        """Between which moments of our clock the ledger's showed the `now_s` of this answer."""
        self._answers.append(reserved)
        earliest_s, latest_s = self._bounds(reserved)
        if earliest_s > latest_s:  # one of the clocks was set
            self._answers.clear()
            self._answers.append(reserved)
            earliest_s, latest_s = reserved.asked_s, reserved.heard_s
        self._doubts_s.append(latest_s - earliest_s)
        return earliest_s, latest_s

    def _bounds(self, reserved: Reserved) -> tuple[float, float]:
        bounds = [_seen_from(reserved, answer) for answer in self._answers]
        return max(earliest for earliest, _ in bounds), min(latest for _, latest in bounds)


def _seen_from(reserved: Reserved, earlier: Reserved) -> tuple[float, float]:
    """The bounds of one answer's moment, as an earlier answer has them."""
    since_s = reserved.slots.now_s - earlier.slots.now_s
    drift_s = DRIFT * abs(since_s)
    return earlier.asked_s + since_s - drift_s, earlier.heard_s + since_s + drift_s
