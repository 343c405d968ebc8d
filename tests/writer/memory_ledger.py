"""A ledger as far as a writer asks one, in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import polars as pl

from batchcredit.ledger.base import BatchRecord, Custody, LedgerReader, ResultRow
from batchcredit.transfer import State
from batchcredit.writer import pack


def result_row(row: int, **changes: Any) -> ResultRow:
    """A row as it is enrolled, with changes."""
    return replace(
        ResultRow(
            row=row,
            provider="clicksend",
            account=str(1000 + row),
            amount="12.5",
            currency="USD",
            reference=None,
            state=State.PENDING,
            reason="",
            http_status=None,
            provider_code="",
            message="",
            units=None,
            balance_before=None,
            balance_after=None,
            attempts=0,
            sent_ms=None,
            ended_ms=None,
            duration_ms=None,
            settled_by="",
            transfer_id=f"t-ledgerone-{row}",
        ),
        **changes,
    )


def credited(row: int, **changes: Any) -> ResultRow:
    """A row that the provider confirmed, with changes."""
    told = {
        "state": State.CREDITED,
        "http_status": 200,
        "provider_code": "SUCCESS",
        "balance_after": "170.728701",
        "attempts": 1,
        "sent_ms": 1_700_000_000_123,
        "duration_ms": 87,
        "settled_by": "provider",
    }
    return result_row(row, **(told | changes))


def batch_of(rows: int, name: str = "march-12ab34cd") -> BatchRecord:
    """A batch with so many rows."""
    return BatchRecord(1, name, b"", rows, "march.csv", "", {}, 0, None, 0, "")


def cells_of(rows: Sequence[ResultRow]) -> pl.DataFrame:
    """The cells of a plain input file with these rows."""
    return pl.DataFrame(
        {"account": [row.account for row in rows], "amount": [f"{row.amount}0" for row in rows], "note": "=x"}
    )


@dataclass
class MemoryLedger:
    """What it was given, in chunks of `chunk_rows`."""

    known: list[ResultRow]
    chunk_rows: int = 3
    id: str = "ledgerone"
    url: str = "sqlite:///one.db"
    live: bool | None = True
    accepted_ms: int | None = None
    named: list[BatchRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        chunks = [self.known[at : at + self.chunk_rows] for at in range(0, len(self.known), self.chunk_rows)]
        self.blocks = [(chunk[0].row, len(chunk), pack(cells_of(chunk))) for chunk in chunks]

    def cells(self, batch: int) -> Iterator[tuple[int, int, bytes]]:
        yield from self.blocks

    def rows(self, batch: int, first_row: int, last_row: int) -> list[ResultRow]:
        return [row for row in self.known if first_row <= row.row <= last_row]

    def batches(self, name: str = "") -> list[BatchRecord]:
        return [batch for batch in self.named if batch.name.startswith(name)]

    def custody(self) -> Custody:
        return Custody(None, "", self.accepted_ms)

    def is_live(self) -> bool | None:
        return self.live


def as_reader(ledger: MemoryLedger) -> LedgerReader:
    """The same, as the type that a writer asks for."""
    return cast(LedgerReader, ledger)
