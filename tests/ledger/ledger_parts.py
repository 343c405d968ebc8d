"""A ledger in few words: batches of small rows, driven into states by what really leads there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchcredit.ledger import registry
from batchcredit.ledger.base import (
    Answered,
    BatchRecord,
    Caps,
    Claim,
    Claimed,
    EnrolChunk,
    EnrolRow,
    LaneIdentity,
    Ledger,
    LedgerReader,
    NewBatch,
    ResultRow,
    Settle,
    Verdict,
)
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.ledger.sqlite.reader import SqliteReader
from batchcredit.transfer import Event, Outcome, State, Transfer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WINDOW_MS = 6 * DAY_MS

SHOP = LaneIdentity("clicksend", "https://one.test", "shop")
KIOSK = LaneIdentity("clicksend", "https://one.test", "kiosk")

#: Nothing is limited, and the day is that of UTC.
NO_CAPS = Caps(day_start=lambda ms: ms - ms % DAY_MS)


@dataclass
class Clock:
    """A wall clock that only the test moves."""

    ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms


@dataclass(frozen=True)
class SqliteHome:
    """Where a ledger lives, whether it is open or not. Other implementations have a home like this one."""

    path: Path

    def hold(self, command: str = "run march.csv") -> Ledger:
        return SqliteLedger.hold(self.path, command)

    def hold_retired(self) -> Ledger:
        """Held although it may be a copy, or have moved."""
        return SqliteLedger.hold(self.path, "ledger", retired=True)

    def read(self) -> LedgerReader:
        return SqliteReader.open(self.path)


@dataclass(frozen=True)
class PostgresHome:
    """The same in a schema of a real server."""

    url: str

    def hold(self, command: str = "run march.csv") -> Ledger:
        return registry.hold(self.url, command)

    def hold_retired(self) -> Ledger:
        return registry.hold(self.url, "ledger", retired=True)

    def read(self) -> LedgerReader:
        return registry.read(self.url)


Home = SqliteHome | PostgresHome


@dataclass(frozen=True)
class Row:
    """One row as it is enrolled. The account's key is the account in small letters."""

    account: str = "Anna"
    amount: str = "1"
    currency: str = "USD"
    reference: str | None = None
    profile: str = "shop"
    state: State = State.PENDING
    reason: str = ""


@dataclass
class Lanes:
    """The lanes of a ledger by profile name; a profile is new as it is asked for."""

    ledger: Ledger
    ids: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, profile: str) -> int:
        identity = LaneIdentity("clicksend", "https://one.test", profile)
        return self.ids.setdefault(profile, self.ledger.accept_lane(identity).id)


def enrol_rows(rows: Sequence[Row], lanes: Lanes) -> list[EnrolRow]:
    """The rows as a ledger takes them, numbered from 1."""
    return [
        (
            *(number, None if row.state is State.INVALID else lanes[row.profile], row.profile),
            *(row.account, row.account.lower(), row.amount, row.currency, row.reference),
            *(row.state.value, row.reason, ""),
        )
        for number, row in enumerate(rows, 1)
    ]


def totals(rows: Sequence[Row]) -> dict[str, Decimal]:
    """The sum of all valid rows by currency."""
    sums: dict[str, Decimal] = {}
    for row in rows:
        if row.state is State.PENDING:
            sums[row.currency] = sums.get(row.currency, Decimal(0)) + Decimal(row.amount)
    return sums


def enrol(ledger: Ledger, name: str, rows: Sequence[Row], **changes: Any) -> BatchRecord:
    """Enter a batch in chunks of two rows."""
    lanes = Lanes(ledger)
    texts = enrol_rows(rows, lanes)
    ids = {row.profile: lanes[row.profile] for row in rows}
    given: dict[str, Any] = {"content": name.encode(), "source": "", "results": "", "live": False} | changes
    chunks = [
        EnrolChunk(first + 1, texts[first : first + 2], b"cells %d" % first)
        for first in range(0, len(texts), 2)
    ]
    return ledger.enrol(NewBatch(name=name, totals=totals(rows), lanes=ids, **given), chunks)


def correct(ledger: Ledger, batch: BatchRecord, rows: Sequence[Row]) -> int:
    """Hand a batch its rows once more, changed or not."""
    texts = enrol_rows(rows, Lanes(ledger))
    return ledger.correct(batch.id, b"corrected", [EnrolChunk(1, texts, b"new cells")])


def begin(
    ledger: Ledger,
    batch: BatchRecord,
    *,
    caps: Caps = NO_CAPS,
    window_ms: int = WINDOW_MS,
    allow_ms: int = 0,
    skip_since_ms: int | None = None,
    rejected: bool = False,
    only: Collection[int] | None = None,
    approval: str = "",
) -> int:
    """Begin a run of a batch, with its guards up."""
    run = ledger.begin_run(batch.id, allow_ms, skip_since_ms, rejected=rejected, only=only, approval=approval)
    ledger.guard(batch.id, caps, window_ms)
    return run


def say(ledger: Ledger, batch: int, row: int, verdict: str, note: str, quiet_ms: int) -> str:
    """A person's verdict on one row; "" or why it was not written."""
    problems = ledger.resolve(batch, [Verdict(row, verdict, note)], quiet_ms)
    assert [problem.row for problem in problems] in ([], [row])
    return problems[0].why if problems else ""


def row_of(ledger: LedgerReader, batch: BatchRecord, row: int = 1) -> ResultRow:
    return ledger.rows(batch.id, row, row)[0]


def states(ledger: LedgerReader, batch: BatchRecord) -> list[State]:
    return [row.state for row in ledger.rows(batch.id, 1, batch.rows)]


def transfer(ledger: LedgerReader, batch: BatchRecord, row: int = 1) -> Transfer:
    """The transfer of a row in any state; its number stands in the transfer_id."""
    known = row_of(ledger, batch, row)
    number = int(known.transfer_id.split("-")[2].partition(".")[0])
    key, reference = known.account.lower(), known.reference or ""
    return Transfer(number, row, known.account, key, known.amount, known.currency, reference)


def lane_of(ledger: LedgerReader, batch: BatchRecord, row: int = 1) -> int:
    profile = row_of(ledger, batch, row).provider
    return next(lane.lane.id for lane in ledger.batch_lanes(batch.id) if lane.profile == profile)


def a_claim(ledger: LedgerReader, batch: BatchRecord, row: int = 1) -> Claim:
    return Claim(batch.id, lane_of(ledger, batch, row), transfer(ledger, batch, row))


def claim(ledger: Ledger, batch: BatchRecord, row: int = 1) -> Answered:
    return ledger.commit([a_claim(ledger, batch, row)])[0]


def refusal(ledger: Ledger, batch: BatchRecord, row: int = 1) -> str:
    """The word with which a claim is not granted, or "" where it is."""
    answer = claim(ledger, batch, row)
    return "" if isinstance(answer, Claimed) else getattr(answer, "reason", "?")


def a_settle(
    ledger: LedgerReader, batch: BatchRecord, row: int, event: Event, not_before_ms: int = 0, **said: Any
) -> Settle:
    return Settle(batch.id, transfer(ledger, batch, row), Outcome(event, **said), 12, not_before_ms)


def settle(ledger: Ledger, batch: BatchRecord, row: int, event: Event, **said: Any) -> None:
    assert ledger.commit([a_settle(ledger, batch, row, event, **said)]) == [None]


#: How a row that is claimed comes into a state.
ENDINGS: Mapping[State, Event] = {
    State.CREDITED: Event.CREDIT,
    State.REJECTED: Event.REJECT,
    State.UNSENT: Event.GIVE_UP,
    State.IN_DOUBT: Event.DOUBT,
}


def drive(ledger: Ledger, batch: BatchRecord, wanted: Sequence[State]) -> None:
    """Bring the rows of a batch into these states, in order, by claims and endings."""
    begin(ledger, batch, window_ms=0)
    for number, state in enumerate(wanted, 1):
        if state is State.CANCELLED:
            assert ledger.cancel(batch.id, number, "") == 1
        elif state is not State.PENDING:
            assert isinstance(claim(ledger, batch, number), Claimed)
            if state is not State.SENDING:
                settle(ledger, batch, number, ENDINGS[state])
