"""Small parts to put in front of the runner: options, profiles, a ledger with rows in chosen states."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import polars as pl

from batchcredit.ledger.base import BatchRecord, EnrolChunk, LaneIdentity, LedgerReader, NewBatch, ResultRow
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.reader import Chunk, Worksheet
from batchcredit.runner.options import SendOptions
from batchcredit.settings import Profile, default_profile
from batchcredit.transfer import State

BATCH = BatchRecord(
    id=1,
    name="march-12ab34cd",
    content=b"content",
    rows=1,
    source="march.csv",
    results="march.results.csv",
    totals={},
    created_ms=0,
    finished_ms=None,
    repeats_allowed_ms=0,
    stop_reason="",
)


def how(**changes: Any) -> SendOptions:
    """What a person asks for who asks for nothing special."""
    return replace(SendOptions(command="run march.csv"), **changes)


def profile(name: str = "clicksend", kind: str = "clicksend", **changes: Any) -> Profile:
    """A profile that needs no settings file."""
    return replace(default_profile(kind), name=name, **changes)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a small ledger. `ended_ms` counts from a moment that the test chooses."""

    account: str = "a"
    amount: str = "1"
    reference: str | None = None
    state: State = State.PENDING
    ended_ms: int = 0


def enrolled(ledger: SqliteLedger, name: str, rows: Sequence[Row]) -> BatchRecord:
    """A batch with these rows, all of one lane, each put into its state behind the ledger's back."""
    lane = ledger.accept_lane(LaneIdentity("clicksend", "https://one.test", "shop")).id
    total = sum((Decimal(row.amount) for row in rows), Decimal(0))
    new = NewBatch(name, name.encode(), "", "", {"USD": total}, {"clicksend": lane}, live=False)
    texts = [
        (
            *(number, lane, "clicksend", row.account, row.account.lower(), row.amount, "USD", row.reference),
            *("pending", "", ""),
        )
        for number, row in enumerate(rows, 1)
    ]
    batch = ledger.enrol(new, [EnrolChunk(1, texts, b"")])
    with ledger._transaction():
        for number, row in enumerate(rows, 1):
            ledger._change(
                "UPDATE transfer SET state = ?, ended_at = ? WHERE batch = ? AND row = ?",
                *(row.state.value, row.ended_ms or None, batch.id, number),
            )
    return batch


COLUMNS = ("provider", "account", "amount", "currency", "reference", "problem")


def worksheet(rows: Sequence[Sequence[str | None]], chunk_rows: int = 3) -> Worksheet:
    """A worksheet that was examined to these rows (`COLUMNS`), in chunks."""
    return cast(Worksheet, SimpleNamespace(chunks=lambda: iter(_chunks(rows, chunk_rows))))


def _chunks(rows: Sequence[Sequence[str | None]], chunk_rows: int) -> Iterable[Chunk]:
    schema = dict.fromkeys(COLUMNS, pl.String)
    for first in range(0, len(rows), chunk_rows):
        frame = pl.DataFrame(list(rows[first : first + chunk_rows]), schema=schema, orient="row")
        numbers = pl.int_range(first + 1, first + 1 + frame.height, dtype=pl.UInt32)
        told = frame.with_columns(
            row=numbers, line=numbers + 1, account_key="account", account_name=pl.lit("")
        )
        yield Chunk(first + 1, told, frame)


@dataclass
class ListLedger:
    """A ledger as far as a correction or a limit asks one: rows in a list, and what was spent so far."""

    known: Sequence[ResultRow] = ()
    spent_so_far: Mapping[str, Decimal] = field(default_factory=dict)
    got_today: Mapping[str, Decimal] = field(default_factory=dict)  # by account, in each currency

    def rows(self, batch: int, first_row: int, last_row: int) -> list[ResultRow]:
        return [row for row in self.known if first_row <= row.row <= last_row]

    def spent(self, batch: int | None, currency: str, since_ms: int) -> Decimal:
        return self.spent_so_far.get(currency, Decimal(0))

    def spent_by_account(self, lane: int, account_key: str, currency: str, since_ms: int) -> Decimal:
        return self.got_today.get(account_key, Decimal(0))


def as_reader(ledger: ListLedger) -> LedgerReader:
    """The same, as the type that the runner asks for."""
    return cast(LedgerReader, ledger)


def result_row(row: int, state: State, texts: Sequence[str]) -> ResultRow:
    """A row of a ledger with these `COLUMNS`, problem left out."""
    provider, account, amount, currency, reference = texts
    nothing = (None, "", "", None, None, None, 0, None, None, None, "", f"t-one-{row}")
    return ResultRow(row, provider, account, amount, currency, reference or None, state, "", *nothing)
