"""What a report is drawn from: one batch as values, so that the page has nothing to look up.

Money is Decimal, moments are datetimes in UTC, durations are whole milliseconds. Any text may be a
stranger's: whoever draws it escapes it. What could not be known is None or empty, and a sentence in
`Report.absent` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from batchcredit.transfer import shortest

#: Where the figures come from.
FROM_LEDGER, FROM_RESULTS = "ledger", "results file"

#: Whether money moved, as far as that is known.
LIVE, TEST, UNKNOWN = "live", "test", ""

#: What a `Balance` or a `ControlTotal` counts where it counts no currency.
ROWS = "rows"


class Sum(NamedTuple):
    """Rows, and what they ask for together."""

    rows: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class MoneyFigures:
    """The valid rows of one profile in one currency: what was asked for, and what became of it, by status."""

    provider: str
    currency: str
    asked: Sum
    by_status: Mapping[str, Sum]


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """One login at one provider. `kind`, `login` and `base_url` are "" where only a results file tells of it;
    `halt_reason` is "" unless the last run ended because of this lane."""

    provider: str
    kind: str
    login: str
    base_url: str
    halt_reason: str
    halt_message: str
    money: tuple[MoneyFigures, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """Conservation: what was enrolled of `what` (`rows`, or a currency) and what its rows are now, by status.

    Both sides are counted apart: `enrolled` was written down when the file was, `by_status` is summed over
    the rows as they stand. Invalid rows count among the rows and in no currency.
    """

    what: str
    enrolled: Decimal
    by_status: Mapping[str, Decimal]

    @property
    def found(self) -> Decimal:
        return sum(self.by_status.values(), Decimal(0))

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing came from nowhere."""
        return self.enrolled == self.found


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """What a person said the file must hold of `what` (`rows`, or a currency) when run `run` began."""

    what: str
    expected: Decimal
    had: Decimal
    run: int

    @property
    def agrees(self) -> bool:
        return self.expected == self.had


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """The reseller's own account before the first run and after the last. `expected` and `difference` are
    None where they can't be compared; `explained` is None where that depends on rows in doubt."""

    provider: str
    currency: str  # "" where the provider counts in units of its own
    before: Decimal
    after: Decimal
    expected: Decimal | None
    difference: Decimal | None
    explained: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class NeedsSomeone:
    """A row that needs a person. `amount` stands as in the file: that of an invalid row may be no number.
    `next_step` is a sentence, `command` what to type for it, or "" where no command helps."""

    row: int
    provider: str
    account: str
    amount: str
    currency: str
    reference: str
    status: str
    reason: str
    message: str
    sent_at: datetime | None
    next_step: str
    command: str


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """So many rows of a status for one reason."""

    reason: str
    status: str
    rows: int


@dataclass(frozen=True, slots=True)
class SenderFigures:
    """A process that sent for a run, where several could. `why` it ended, where that was told."""

    user: str
    host: str
    pid: int
    began: datetime
    ended: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One time that rows were sent; `number` counts from 1. `ended` is None while it goes on, or where it was
    killed. `stop_reason` is "" where nothing stopped it. `settings` are names and texts, never a secret; it
    and `command` and `version` are empty where the batchcredit that made the run did not keep them."""

    number: int
    began: datetime
    ended: datetime | None
    user: str
    host: str
    approval: str
    stop_reason: str
    command: str
    version: str
    python: str
    platform: str
    settings: Mapping[str, str]
    senders: tuple[SenderFigures, ...]


@dataclass(frozen=True, slots=True)
class RequestSeries:
    """Requests that one lane began in one run (`run` is 0 where nobody knows in which): `counts[i]` of them
    within `width_ms` from `began` + i x `width_ms`. Only the last request of each row is dated. `limit_per_s`
    is None without a limit, or where it was not kept."""

    run: int
    provider: str
    began: datetime
    width_ms: int
    counts: tuple[int, ...]
    limit_per_s: Decimal | None


class LatencyBucket(NamedTuple):
    """Requests that took from `from_ms` up to but without `below_ms`."""

    from_ms: int
    below_ms: int
    requests: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a lane's requests took, in buckets that double; percentiles are exact."""

    provider: str
    buckets: tuple[LatencyBucket, ...]
    p50_ms: int
    p95_ms: int
    p99_ms: int
    max_ms: int


@dataclass(frozen=True, slots=True)
class PauseFigures:
    """A time in which a lane's provider wanted no request, and its words."""

    provider: str
    began: datetime
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The file as it was enrolled. `content` is the SHA-256 of its rows, in hex."""

    file: str
    content: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How the batch stands. `exit_code` is the contract's; `next` the command that goes on, or "". `running`:
    somebody sends it now. `closed` and `archive` say where its rows are, if no longer here."""

    exit_code: int
    next: str
    running: bool = False
    finished_at: datetime | None = None
    stop_reason: str = ""
    closed: str = ""
    archive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One batch. `where` is the ledger's address or the file's path; `zone` the name of the operator's time
    zone; `results` the file that has every row.

    `needs` are the first rows that need somebody, the most urgent first, `needs_total` how many there are.
    `requests` counts all that were begun, `dated` those of which is known when. `attempts`: requests per row
    -> rows; rows never sent stand under 0. `absent` are sentences on what could not be known.
    """

    batch: str
    mode: str
    made_at: datetime
    made_by: str  # the version of batchcredit
    source: str
    where: str
    zone: str
    enrolled: Enrolled | None
    results: str
    rows: int
    invalid: int
    standing: Standing
    lanes: tuple[LaneFigures, ...]
    counts: Mapping[str, int]  # rows by status
    totals: tuple[MoneyFigures, ...]  # by currency, over all profiles: `provider` is ""
    conservation: tuple[Balance, ...]
    controls: tuple[ControlTotal, ...]
    own_accounts: tuple[OwnAccount, ...]
    needs: tuple[NeedsSomeone, ...]
    needs_total: int
    reasons: tuple[ReasonCount, ...]
    overpaid: int
    decisions: int  # entries of the audit trail on this batch
    runs: tuple[RunFigures, ...]
    series: tuple[RequestSeries, ...]
    latencies: tuple[Latency, ...]
    pauses: tuple[PauseFigures, ...]
    pauses_total: int
    attempts: Mapping[int, int]
    requests: int
    dated: int
    absent: tuple[str, ...]

    @property
    def is_conserved(self) -> bool:
        """Whether rows and money add up, in every currency."""
        return all(balance.holds for balance in self.conservation)


def as_json(value: object) -> object:
    """A value of this module as JSON has it: amounts as exact text, moments in ISO 8601, UTC."""
    if isinstance(value, Decimal):
        return shortest(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): as_json(found) for key, found in value.items()}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [as_json(found) for found in value]
    names = getattr(value, "_fields", None) or getattr(value, "__dataclass_fields__", None)
    return {name: as_json(getattr(value, name)) for name in names} if names else value
