"""The real engine put together by hand: SQLite ledger, our own wire, pipeline, against a sandbox."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from batchcredit.engine.delivery import Listener
from batchcredit.engine.lane import Lane, LanePolicy
from batchcredit.engine.limiter import Pace, Rate
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget
from batchcredit.engine.wire.base import Wire
from batchcredit.engine.wire.direct import DirectWire
from batchcredit.ledger.base import BatchRecord, EnrolChunk, LaneIdentity, LaneRecord, NewBatch, ResultRow
from batchcredit.ledger.journal import open_journal
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.providers.base import Provider
from batchcredit.providers.clicksend import ClickSend, ClickSendSettings
from batchcredit.providers.fastmessage import FastMessage, FastMessageSettings
from batchcredit.sandbox import SandboxAddress
from batchcredit.transfer import State

KINDS = ("clicksend", "fastmessage")

POLICY = LanePolicy(
    concurrency=1, timeout_s=5.0, attempts=5, in_doubt_limit=5, max_pause_s=900, outage_wait_s=900
)

_numbers = itertools.count(1)


def provider(kind: str, login: str, base_url: str) -> Provider:
    """An adapter with a made-up secret."""
    if kind == "clicksend":
        return ClickSend(base_url, ClickSendSettings(username=login, api_key=SecretStr("k3y")))
    return FastMessage(base_url, FastMessageSettings(partner_id=login, apikey=SecretStr("k3y")))


@dataclass
class Rig:
    """One ledger, lanes with logins of their own, and what the sandbox saw of these logins."""

    ledger: SqliteLedger
    address: SandboxAddress
    lanes: list[Lane] = field(default_factory=list)
    batch: BatchRecord | None = None

    def lane(
        self, kind: str, rate: Rate | None = None, wire: Wire | None = None, url: str = "", **policy: Any
    ) -> Lane:
        """One more lane; its profile's name is its login."""
        login = f"{kind}{next(_numbers)}"
        url = url or self.address.base_url(kind)
        record = self.ledger.accept_lane(LaneIdentity(kind, url, login))
        wanted = replace(POLICY, **policy)
        lane = Lane(
            profile=login,
            record=record,
            provider=provider(kind, login, url),
            wire=wire or DirectWire(url),
            pace=Pace(rate),
            policy=wanted,
            dice=random.Random(1),
        )
        self.lanes.append(lane)
        return lane

    def enrol(self, rows: Iterable[tuple[Lane, str]]) -> BatchRecord:
        """A batch of (lane, account) in this order, each over 1.5."""
        lanes = {lane.profile: lane.record.id for lane in self.lanes}
        new = NewBatch(f"b{next(_numbers)}", b"", "in.csv", "out.csv", {"USD": Decimal(1)}, lanes, live=False)
        entered = [_row(number, *row) for number, row in enumerate(rows, 1)]
        self.batch = self.ledger.enrol(new, [EnrolChunk(1, entered, b"")])
        return self.batch

    async def send(
        self, budgets: Sequence[Budget] | None = None, listener: Listener | None = None
    ) -> Pipeline:
        """Run the batch to its end."""
        assert self.batch is not None
        async with open_journal(self.ledger) as journal:
            pipeline = Pipeline(self.batch.id, self.lanes, journal, listener)
            await pipeline.run(budgets or [Budget()] * len(self.lanes))
        return pipeline

    async def close(self) -> None:
        for lane in self.lanes:
            await lane.wire.aclose()

    def rows(self, lane: Lane | None = None) -> list[ResultRow]:
        """All rows, or those of one lane, as the ledger has them."""
        assert self.batch is not None
        found = self.ledger.rows(self.batch.id, 1, self.batch.rows)
        return [row for row in found if lane is None or row.provider == lane.profile]

    def states(self, lane: Lane | None = None) -> Counter[State]:
        return Counter(row.state for row in self.rows(lane))

    def record(self, lane: Lane) -> LaneRecord:
        """What the ledger knows of a lane now."""
        record = self.ledger.lane(lane.record.identity)
        assert record is not None
        return record

    def arrivals(self, lane: Lane) -> list[dict[str, Any]]:
        return [row for row in self.address.control().arrivals() if row["login"] == lane.profile]

    def executions(self, lane: Lane) -> list[dict[str, Any]]:
        return [row for row in self.address.control().book() if row["login"] == lane.profile]

    def check_book(self) -> None:
        """Promise 2: what the ledger says of each row and what the provider executed agree.

        Accounts must stand in one row each.
        """
        for lane in self.lanes:
            executed = Counter(row["account"] for row in self.executions(lane))
            for row in self.rows(lane):
                _check(row, executed.pop(row.account, 0))
            assert not executed


def _check(row: ResultRow, executions: int) -> None:
    assert row.state is not State.SENDING
    if row.state is State.CREDITED:
        assert executions == 1, row
    elif row.state is State.IN_DOUBT:
        assert executions <= 1, row
    else:
        assert executions == 0, row


def _row(number: int, lane: Lane, account: str) -> tuple[Any, ...]:
    kind = lane.record.identity.kind
    currency = "USD" if kind == "clicksend" else "KES"
    key = lane.provider.account_key(account)
    return (number, lane.record.id, lane.profile, account, key, "1.5", currency, None, "pending", "", "")


def account(kind: str, number: int | None = None) -> str:
    """A client that no other test names, and that the sandbox credits."""
    number = next(_numbers) if number is None else number
    return f"7{number}1" if kind == "clicksend" else f"client{number}"


def accounts(kind: str, count: int) -> list[str]:
    return [account(kind) for _ in range(count)]


@contextmanager
def held_ledger(path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger.hold(path / "ledger.db", "test")
    try:
        yield ledger
    finally:
        ledger.close()


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """How many of these (begin, end) overlap at the most."""
    steps = sorted(step for begin, end in spans for step in ((begin, 1), (end, -1)))
    counts = itertools.accumulate(change for _, change in steps)
    return max(counts, default=0)
