"""The pace of one lane: requests evenly spaced, and never more than the rate in any window of its period."""

import math
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import anyio
from aiolimiter import AsyncLimiter

from batchcredit.engine.loop import now

#: So much unused time is made up for: a timer can't be relied on to fire in time.
BURST_S = 0.02

#: The window is watched this much longer than the period, since requests are counted where they arrive, and
#: some arrive a few milliseconds sooner after they left than others.
WINDOW_SLACK = 1.004

#: Tokens come this much slower than the rate allows. Were they faster than the window lets requests go, those
#: that wait for it would become more and more, and wait for longer than an intent lasts.
SLACK = 1.0045


_UNITS = {1: "s", 60: "min", 3600: "h"}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `period_s` seconds, exactly as it was written."""

    count: Decimal
    period_s: int

    @property
    def exact_per_s(self) -> Fraction:
        """Requests per second without rounding: what two rates are compared by."""
        return Fraction(self.count) / self.period_s

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return float(self.exact_per_s)

    def __str__(self) -> str:
        return f"{self.count}/{_UNITS[self.period_s]}"


#: The window is watched over so many requests at the most; a longer one is cut in proportion.
WINDOW_MOST = 1_000


class Pace:
    """Hands out turns. Unused time is not saved up: aiolimiter's bucket holds 20 ms of it."""

    def __init__(self, rate: Rate | None, wait_s: float = 0.0) -> None:
        """`wait_s`: how long the first turn waits, because the lane was used just before we started."""
        self.rate = rate
        self._first_at = now() + wait_s
        self._limiter = _limiter(rate) if rate else None
        self._new = True
        requests = min(WINDOW_MOST, Fraction(rate.count).limit_denominator(1000).numerator) if rate else 0
        self._window_s = WINDOW_SLACK * requests / rate.per_second if rate else 0.0
        self._sent: deque[float] = deque(maxlen=requests)

    @property
    def is_free(self) -> bool:
        """Whether there is no rate: nobody ever waits for a token."""
        return self._limiter is None

    async def turn(self) -> None:
        """Wait for a token."""
        if self._limiter:
            await anyio.sleep_until(self._first_at)
            if self._new:
                self._new = False  # what a new bucket holds beside a token was not saved up by waiting
                await self._limiter.acquire(self._limiter.max_rate - 1)
            await self._limiter.acquire()

    def unused(self) -> None:
        """Who had a turn does not go to the window. The token is lost: no bucket takes one back."""

    async def window(self, most_s: float = math.inf) -> bool:
        """Wait until the window has room, and take it; called as the last thing before a request leaves.
        False, and nothing is taken, where that would be later than in `most_s`.

        What comes between a token and its request, a commit or a dial, takes longer for one than for another,
        so evenly spaced tokens alone don't keep evenly spaced requests.
        """
        until = now() + most_s
        while self._sent and len(self._sent) == self._sent.maxlen:
            opens_at = self._sent[0] + self._window_s
            if opens_at <= now():
                break
            if opens_at > until:
                return False
            await anyio.sleep_until(opens_at)
        self._sent.append(now())
        return True


def _limiter(rate: Rate) -> AsyncLimiter:
    """Room for a token and a little: timers that fire late would lose that time at every token."""
    per_s = rate.per_second / SLACK
    return AsyncLimiter(1 + per_s * BURST_S, 1 / per_s + BURST_S)
