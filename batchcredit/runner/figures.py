"""Sums, counts and distributions of a report, from wherever the rows were read; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from batchcredit.engine.meter import percentile
from batchcredit.ledger.base import PIECES_MS, ResultRow, Tally
from batchcredit.report.model import (
    ROWS,
    Balance,
    Latency,
    LatencyBucket,
    MoneyFigures,
    NeedsSomeone,
    ReasonCount,
    RequestSeries,
    Sum,
)
from batchcredit.transfer import OVERPAID, STATUS, STATUSES

#: So many rows that need somebody are told one by one; the rest is counted.
NEEDS_MOST = 2_000

#: Requests over time are told in so many pieces at the most.
PIECES_MOST = 240


class Part(NamedTuple):
    """Valid rows of one profile, currency and status."""

    provider: str
    currency: str
    status: str
    sum: Sum


def moment(ms: int) -> datetime:
    """A moment of a ledger, as a report has it."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def by_status(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Rows by status, in the order in which statuses are shown."""
    counted: Counter[str] = Counter()
    for status, number in rows:
        counted[status] += number
    return {status: counted[status] for status in STATUSES if counted[status]}


def by_provider(parts: Sequence[Part]) -> list[MoneyFigures]:
    """Money by profile and currency."""
    places = sorted({(part.provider, part.currency) for part in parts})
    return [
        _money(*place, [part for part in parts if (part.provider, part.currency) == place])
        for place in places
    ]


def by_currency(parts: Sequence[Part]) -> list[MoneyFigures]:
    """Money by currency, whatever the profile."""
    currencies = sorted({part.currency for part in parts})
    return [_money("", each, [part for part in parts if part.currency == each]) for each in currencies]


def _money(provider: str, currency: str, parts: Sequence[Part]) -> MoneyFigures:
    sums = {
        status: _sum(part.sum for part in parts if part.status == status)
        for status in STATUSES
        if any(part.status == status for part in parts)
    }
    return MoneyFigures(provider, currency, _sum(sums.values()), sums)


def _sum(sums: Iterable[Sum]) -> Sum:
    total = Sum(0, Decimal(0))
    for one in sums:
        total = Sum(total.rows + one.rows, total.amount + one.amount)
    return total


def balance_of_rows(rows: int, counts: Mapping[str, int]) -> Balance:
    """The rows that were enrolled against those that are there."""
    return Balance(ROWS, Decimal(rows), {status: Decimal(number) for status, number in counts.items()})


def balances_of_money(enrolled: Mapping[str, Decimal], totals: Sequence[MoneyFigures]) -> Iterator[Balance]:
    """The same of each currency, also where it was enrolled and is gone, or is there and was not enrolled."""
    found = {money.currency: money.by_status for money in totals}
    for currency in sorted({*enrolled, *found}):
        amounts = {status: one.amount for status, one in found.get(currency, {}).items()}
        yield Balance(currency, enrolled.get(currency, Decimal(0)), amounts)


def by_reason(tallies: Iterable[Tally]) -> list[ReasonCount]:
    """Rows by reason and status, the most frequent first."""
    counted: Counter[tuple[str, str]] = Counter()
    for tally in tallies:
        if tally.reason:
            counted[tally.reason, STATUS[tally.state]] += tally.rows
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [ReasonCount(reason, status, rows) for (reason, status), rows in ordered]


def latency(provider: str, durations: Counter[int]) -> Latency:
    """How long requests took: duration in ms -> requests, of which there is one at least."""
    p50, p95, p99 = (percentile(durations, part) or 0 for part in (0.5, 0.95, 0.99))
    return Latency(provider, tuple(_doubling(durations)), p50, p95, p99, max(durations))


def _doubling(durations: Counter[int]) -> Iterator[LatencyBucket]:
    """Buckets without a gap, each from 0 or a power of two to the next one."""
    counted: Counter[int] = Counter()
    for duration_ms, requests in durations.items():
        counted[duration_ms.bit_length()] += requests
    for bits in range(min(counted), max(counted) + 1):
        yield LatencyBucket((1 << bits) >> 1, 1 << bits, counted[bits])


class Pieces:
    """Requests counted by the time at which they began, in pieces that grow with the time between them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._width_ms = PIECES_MS[0]
        self._counts: Counter[int] = Counter()

    def add(self, at_ms: int) -> None:
        piece = at_ms // self._width_ms
        if piece not in self._counts:
            self._widen(min(self._counts, default=piece), max(self._counts, default=piece), at_ms)
        self._counts[at_ms // self._width_ms] += 1

    def _widen(self, first: int, last: int, at_ms: int) -> None:
        """Until the new piece is not too far from the others."""
        while max(last, at_ms // self._width_ms) - min(first, at_ms // self._width_ms) >= self._most:
            wider_ms = _wider_ms(self._width_ms)
            times = wider_ms // self._width_ms
            counts: Counter[int] = Counter()
            for piece, requests in self._counts.items():
                counts[piece // times] += requests
            first, last = first // times, last // times
            self._width_ms, self._counts = wider_ms, counts

    def series(self, provider: str) -> RequestSeries:
        """As a report has it, of no run that is known; after one request at least."""
        first, last = min(self._counts), max(self._counts)
        counts = tuple(self._counts[piece] for piece in range(first, last + 1))
        return RequestSeries(0, provider, moment(first * self._width_ms), self._width_ms, counts, None)


class Urgent:
    """The rows that need somebody, the most urgent first: no more of them are kept than are told."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: dict[int, list[NeedsSomeone]] = {}
        self.total = 0

    def add(self, row: NeedsSomeone) -> None:
        """Rows that are equally urgent stay in the order in which they come."""
        self.total += 1
        kept = self._rows.setdefault(_urgency(row), [])
        if len(kept) < self._most:
            kept.append(row)

    def rows(self) -> tuple[NeedsSomeone, ...]:
        ordered = (row for urgency in sorted(self._rows) for row in self._rows[urgency])
        return tuple(islice(ordered, self._most))


def _wider_ms(width_ms: int) -> int:
    """The next length of a piece that consists of whole ones of this length."""
    wider = (each for each in PIECES_MS if each > width_ms and each % width_ms == 0)
    return next(wider, width_ms * 2)


#: What was paid twice comes before all of them.
URGENCY = ("in_doubt", "rejected", "invalid", "not_sent")


def needs_someone(status: str, reason: str) -> bool:
    """Whether a row needs a person."""
    return status in URGENCY or reason == OVERPAID


def needy(row: ResultRow, next_step: str, command: str) -> NeedsSomeone:
    """A row that needs a person, and what that one does."""
    return NeedsSomeone(
        row=row.row,
        provider=row.provider,
        account=row.account,
        amount=row.amount,
        currency=row.currency,
        reference=row.reference or "",
        status=STATUS[row.state],
        reason=row.reason,
        message=row.message,
        sent_at=None if row.sent_ms is None else moment(row.sent_ms),
        next_step=next_step,
        command=command,
    )


def _urgency(row: NeedsSomeone) -> int:
    return -1 if row.reason == OVERPAID else URGENCY.index(row.status)
