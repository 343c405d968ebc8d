"""All transfers of a ledger as a CSV file."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import HistoryRow
from batchcredit.transfer import STATUS
from batchcredit.writer.csv_file import write_csv
from batchcredit.writer.target import ending, replace

_PIECE_ROWS = 10_000

COLUMNS = (
    *("time", "batch", "row", "provider", "account", "amount", "currency", "reference"),
    *("status", "reason", "settled_by", "transfer_id", "user", "host", "approval"),
)
_SCHEMA = {name: pl.Int64() if name == "row" else pl.String() for name in COLUMNS}


def write_history(rows: Iterable[HistoryRow], path: Path) -> Path:
    """Write these transfers to `path`, whole or not at all; times are UTC, ISO 8601.

    Returns the name that was written: a second one where something stands at the first. Raises RefusedError
    for a name that is not a CSV file's, StorageError where the disk refuses.
    """
    if ending(path) != ".csv":
        raise RefusedError(
            f"{path}: a history is written as CSV", reason="out_format", cure="name a file that ends in .csv"
        )
    return replace(path, lambda file: write_csv(_frames(rows), file), lambda _: False)


def _frames(rows: Iterable[HistoryRow]) -> Iterator[pl.DataFrame]:
    yield pl.DataFrame(schema=_SCHEMA)  # the header stands there also where no transfer does
    cells = map(_cells, rows)
    while piece := list(islice(cells, _PIECE_ROWS)):
        yield pl.DataFrame(piece, schema=_SCHEMA, orient="row")


def _cells(row: HistoryRow) -> tuple[str | int | None, ...]:
    return (
        *(host.iso(row.at_ms), row.batch, row.row, row.provider, row.account, row.amount, row.currency),
        *(row.reference, STATUS[row.state], row.reason, row.settled_by, row.transfer_id),
        *(row.user, row.host, row.approval),
    )
