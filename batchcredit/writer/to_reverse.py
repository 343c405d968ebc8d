"""`<batch>.to-reverse.csv`: what a withdrawn batch had already credited, for whoever takes it back."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.transfer import State
from batchcredit.writer import table
from batchcredit.writer.person_files import pages_in, write_list

TO_REVERSE_COLUMNS = (
    *("provider", "account", "amount", "currency", "reference", "row", "sent_at"),
    *("units", "balance_after", "transfer_id", "batch"),
)

_OF_THE_FILE = ("provider", "account", "amount", "currency", "reference")


def write_to_reverse(ledger: LedgerReader, batch: BatchRecord, path: Path) -> Path | None:
    """Write every credited row of a batch, with TO_REVERSE_COLUMNS.

    Returns the name that was written, as `write_list` does, None where nothing was credited. Raises
    StorageError where the disk refuses.
    """

    def frames() -> Iterator[pl.DataFrame]:
        for page in pages_in(ledger, batch, (State.CREDITED,)):
            asked = {name: [getattr(row, name) for row in page] for name in _OF_THE_FILE}
            frame = pl.DataFrame(asked, schema=dict.fromkeys(_OF_THE_FILE, pl.String()))
            yield frame.hstack(table.chunk(batch, page)).select(TO_REVERSE_COLUMNS)

    return write_list(path, batch, frames, ours=TO_REVERSE_COLUMNS)
