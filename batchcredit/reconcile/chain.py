"""One client's balance as a chain: readings in order of time, and the gaps between them."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import inf

from batchcredit import host
from batchcredit.reconcile.worth import step


@dataclass(frozen=True, slots=True)
class Look:
    """A balance that was read between two moments; `source` says how. The currency is "" for units."""

    asked_ms: int
    answered_ms: int
    amount: Decimal
    currency: str
    source: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The balance around a moment between `earliest` and `latest`; a credit may stand in its middle."""

    earliest: int
    latest: int
    before: Decimal
    after: Decimal
    source: str

    @property
    def known(self) -> dict[str, str]:
        """The reading as the audit trail keeps it."""
        return {
            "from": host.iso(self.earliest),
            "to": host.iso(self.latest),
            "before": f"{self.before:f}",
            "after": f"{self.after:f}",
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """From one reading to the next; open at an end where there is none."""

    first: Reading | None
    last: Reading | None

    @property
    def rise(self) -> Fraction | None:
        """What the balance grew by; None in an open gap."""
        if self.first is None or self.last is None:
            return None
        return Fraction(self.last.before) - Fraction(self.first.after)

    @property
    def tolerance(self) -> Fraction:
        """How much the rise may be off, because balances are printed with so many digits."""
        assert self.first is not None
        assert self.last is not None
        return step(self.first.after, self.last.before)

    def may_hold(self, since: float, until: float) -> bool:
        """Whether something that happened in this time may have happened in this gap."""
        begins = -inf if self.first is None else self.first.earliest
        ends = inf if self.last is None else self.last.latest
        return since <= ends and until >= begins
