"""What is about to happen, for the person who has to agree to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchcredit.ledger.base import LaneIdentity
from batchcredit.providers.base import Balance
from batchcredit.reader import Total
from batchcredit.settings import Profile

#: What a request takes where no rate says how long a lane is busy.
ASSUMED_LATENCY_S = 0.3


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What goes through one lane. `balance` is the reseller's own, where it could be read."""

    profile: str
    identity: LaneIdentity
    totals: Mapping[str, Total]  # by currency
    balance: Balance | None
    seconds: float

    @property
    def rows(self) -> int:
        return sum(total.rows for total in self.totals.values())


@dataclass(frozen=True, slots=True)
class LedgerNote:
    """Which ledger: so that a wrong one is noticed."""

    url: str
    id: str
    batches: int
    newest: str  # name of the newest batch, "" for a new ledger


@dataclass(frozen=True, slots=True)
class Plan:
    """One batch as it would be sent now. `mode` is LIVE, TEST or SANDBOX, `checked` says who checked it."""

    mode: str
    batch: str
    resumed: bool
    lanes: tuple[LanePlan, ...]
    ledger: LedgerNote
    settings: Path | None
    results: Path
    warnings: tuple[str, ...]
    checked: str = ""

    @property
    def rows(self) -> int:
        return sum(lane.rows for lane in self.lanes)

    @property
    def totals(self) -> dict[str, Total]:
        """Rows and amount by currency, over all lanes."""
        found: dict[str, Total] = {}
        for lane in self.lanes:
            for currency, total in lane.totals.items():
                found[currency] = found.get(currency, Total()) + total
        return found

    @property
    def seconds(self) -> float:
        """How long it will take: lanes go side by side."""
        return max((lane.seconds for lane in self.lanes), default=0.0)


def seconds_needed(rows: int, profile: Profile) -> float:
    """How long so many rows take at the profile's rate and concurrency."""
    by_concurrency = rows * ASSUMED_LATENCY_S / profile.concurrency
    by_rate = rows / profile.rate.per_second if profile.rate else 0.0
    return max(by_concurrency, by_rate)
