"""A batch as a frame of polars, for programs that go on with it."""

from collections.abc import Sequence

import polars as pl

from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.transfer import State
from batchcredit.writer import table
from batchcredit.writer.cells import Cells

#: What a row asked for, as the ledger has it: exact, and under our names whatever the file called them.
_ASKED = ("provider", "account", "amount", "currency", "reference")

#: Room for any amount and any balance that a provider tells.
_MONEY = pl.Decimal(38, 12)
_MONEY_COLUMNS = ("amount", "units", "balance_before", "balance_after")


def results_frame(ledger: LedgerReader, batch: BatchRecord) -> pl.DataFrame:
    """Every row of a batch once and in order: what it asked for, what became of it, then the input's other
    columns. Amounts and balances are Decimal(38, 12), `sent_at` is a time in UTC, accounts and references are
    text. The amount of an invalid row is null where it is no number."""
    pieces = []
    cells = Cells(ledger, batch)
    own = [name for name in cells.columns if name not in _ASKED]
    for first, piece in cells:
        rows = ledger.rows(batch.id, first, first + piece.height - 1)
        pieces.append(
            pl.concat([_asked(rows), table.chunk(batch, rows), piece.select(own)], how="horizontal")
        )
    money = [pl.col(name).cast(_MONEY, strict=False) for name in _MONEY_COLUMNS]
    return pl.concat(pieces).with_columns(money)


def _asked(rows: Sequence[ResultRow]) -> pl.DataFrame:
    columns = {name: [getattr(row, name) for row in rows] for name in _ASKED}
    columns["amount"] = [None if row.state is State.INVALID else row.amount for row in rows]
    return pl.DataFrame(columns, schema=dict.fromkeys(_ASKED, pl.String()))
