"""What one lane did in this run, in numbers that a screen or a summary can read at any time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from batchcredit.transfer import Event, Outcome, Transfer


@dataclass(slots=True)
class Meter:
    """Counts of rows by event; `credited` in amounts by currency, `latencies` requests by duration in ms."""

    rows: Counter[Event] = field(default_factory=Counter)
    credited: dict[str, Decimal] = field(default_factory=dict)
    latencies: Counter[int] = field(default_factory=Counter)
    held: int = 0  # claims that were not granted

    def settled(self, transfer: Transfer, outcome: Outcome, duration_ms: int) -> None:
        """Count one ending that is durable."""
        self.rows[outcome.event] += 1
        self.latencies[duration_ms] += 1
        if outcome.event is Event.CREDIT:
            before = self.credited.get(transfer.currency, Decimal(0))
            self.credited[transfer.currency] = before + Decimal(transfer.amount)

    @classmethod
    def sum(cls, meters: Iterable["Meter"]) -> "Meter":
        """All of them together, as a new one."""
        total = cls()
        for meter in meters:
            total.rows.update(meter.rows)
            total.latencies.update(meter.latencies)
            total.held += meter.held
            for currency, amount in meter.credited.items():
                total.credited[currency] = total.credited.get(currency, Decimal(0)) + amount
        return total

    @property
    def done(self) -> int:
        """Rows that need no more requests in this run."""
        ended = (Event.CREDIT, Event.REJECT, Event.DOUBT, Event.GIVE_UP)
        return self.held + sum(self.rows[event] for event in ended)


def percentile(latencies: Counter[int], part: float) -> int | None:
    """The duration in ms within which `part` (0..1) of the requests ended, or None without any."""
    left = part * latencies.total()
    for duration_ms in sorted(latencies):
        left -= latencies[duration_ms]
        if left <= 0:
            return duration_ms
    return None
