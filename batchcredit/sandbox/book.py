"""What really happened: every transfer that arrived, and every one that moved money."""

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from batchcredit.sandbox.accounts import EXACT

_NOTHING = Decimal(0)


class Order(NamedTuple):
    """A transfer as read from the wire; `account` is the text as it stood, `key` its canonical form."""

    provider: str
    login: str
    account: str
    key: str
    amount: str
    currency: str


class Arrival(NamedTuple):
    """A transfer request that arrived complete; times are `time.monotonic()` of this machine."""

    seq: int
    provider: str
    login: str
    account: str
    amount: str
    currency: str
    arrived_at: float
    fault: str


class Execution(NamedTuple):
    """Money moved: `amount` as it was written on the wire, `credited` what the client's balance grew by."""

    seq: int
    provider: str
    login: str
    account: str
    amount: str
    currency: str
    credited: str
    arrived_at: float
    executed_at: float
    fault: str


class Book:
    """Complete under concurrency: an execution is entered in the same step of the loop as its balance."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[Any, ...]] = []
        self.executions: list[tuple[Any, ...]] = []
        self.arrived = 0
        self.executed = 0
        self.rejects: Counter[tuple[str, str]] = Counter()
        self.sums: dict[tuple[str, str], Decimal] = {}
        self.faults: Counter[str] = Counter()

    def arrive(self, order: Order, arrived_at: float, fault: str, *, keep: bool) -> None:
        self.arrived += 1
        if fault:
            self.faults[fault] += 1
        if keep:
            provider, login, account, _, amount, currency = order
            self.arrivals.append(
                (self.arrived, provider, login, account, amount, currency, arrived_at, fault)
            )

    def execute(self, order: Order, credited: Decimal, arrived_at: float, fault: str, *, keep: bool) -> None:
        self.executed += 1
        provider, login, account, _, amount, currency = order
        lane = (provider, currency)
        self.sums[lane] = EXACT.add(self.sums.get(lane, _NOTHING), Decimal(amount))
        if keep:
            times = arrived_at, time.monotonic()
            self.executions.append(
                (self.executed, provider, login, account, amount, currency, f"{credited:f}", *times, fault)
            )

    def reject(self, provider: str, code: str) -> None:
        self.rejects[provider, code] += 1


def page(rows: Sequence[tuple[Any, ...]], after: int, limit: int) -> Sequence[tuple[Any, ...]]:
    """The first `limit` rows whose seq is above `after`."""
    start = bisect_right(rows, after, key=itemgetter(0))
    return rows[start : start + limit]
