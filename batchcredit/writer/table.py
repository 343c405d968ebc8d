"""The columns of a results file, and how a chunk of the ledger's rows becomes a chunk of it."""

import io
from collections.abc import Sequence
from operator import attrgetter

import polars as pl

from batchcredit.formulas import escaped
from batchcredit.ledger.base import BatchRecord, ResultRow
from batchcredit.transfer import RESULT_COLUMNS, STATUS, State
from batchcredit.writer.seal import seal

_DTYPES: dict[str, pl.DataType] = {
    "row": pl.Int64(),
    "http_status": pl.Int64(),
    "attempts": pl.Int64(),
    "sent_at": pl.Datetime("ms", "UTC"),
    "duration_ms": pl.Int64(),
}

#: What stands behind the input's own columns. Amounts and balances are text, so that they stay exact. In
#: Parquet `sent_at` is a UTC timestamp; in CSV it is ISO 8601. An absent value is null, in CSV an empty cell.
COLUMNS = {name: _DTYPES.get(name, pl.String()) for name in RESULT_COLUMNS}

_BY_LEDGER = tuple(name for name in COLUMNS if name not in ("status", "sent_at", "batch", "seal"))
_ISO = "%Y-%m-%dT%H:%M:%S%.3fZ"


def pack(cells: pl.DataFrame) -> bytes:
    """The input's own cells as the opaque block that a ledger keeps: an Arrow IPC stream with zstd."""
    block = io.BytesIO()
    cells.write_ipc_stream(block, compression="zstd")
    return block.getvalue()


def unpack(block: bytes) -> pl.DataFrame:
    """The cells that `pack` was given."""
    return pl.read_ipc_stream(block)


def chunk(batch: BatchRecord, rows: Sequence[ResultRow]) -> pl.DataFrame:
    """Our columns for these rows of a batch."""
    columns = {name: list(map(attrgetter(name), rows)) for name in _BY_LEDGER}
    columns["status"] = [STATUS[row.state] for row in rows]
    columns["reason"] = [row.reason or _REASONS.get(row.state, "") for row in rows]
    columns["sent_at"] = [row.sent_ms for row in rows]
    columns["batch"] = [batch.name] * len(rows)
    columns["seal"] = [_seal(batch, row) for row in rows]
    frame = pl.DataFrame({name: columns[name] for name in COLUMNS}, schema=COLUMNS)
    return frame.with_columns(pl.col(pl.String).replace("", None))


#: Why a row stands there for which the ledger has no reason yet.
_REASONS = {State.SENDING: "sending"}


def _seal(batch: BatchRecord, row: ResultRow) -> str:
    return seal(
        batch.name,
        batch.rows,
        row.row,
        row.provider,
        row.account,
        row.amount,
        row.currency,
        row.reference,
        STATUS[row.state],
        row.transfer_id,
        handed_over=batch.closed_ms is not None,
    )


def csv_text(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as a CSV file shows it: no cell of it is a formula to a spreadsheet program."""
    shown = frame.with_columns(pl.col(pl.String).replace("", None))
    if isinstance(frame.schema.get("sent_at"), pl.Datetime):
        shown = shown.with_columns(pl.col("sent_at").dt.strftime(_ISO))
    return escaped(shown)
