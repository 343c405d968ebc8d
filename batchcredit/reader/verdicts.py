"""A list of rows in doubt that comes back with verdicts filled in."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from batchcredit.reader.table import refused
from batchcredit.reader.text_table import text_table
from batchcredit.reader.worksheet import Worksheet

_NEEDED = ("row", "account", "amount", "currency", "verdict", "note", "batch", "transfer_id")
_EVIDENCE = ("proposal", "why")


class FilledIn(NamedTuple):
    """One line of such a list, each cell as text without spaces around it; "" where there is none."""

    row: str
    account: str
    amount: str
    currency: str
    verdict: str
    note: str
    batch: str
    transfer_id: str
    proposal: str
    why: str


def filled_in(path: Path) -> Iterator[FilledIn]:
    """The lines of a list of rows in doubt, in any format. Raises RefusedError (`not_verdicts`) where the
    file is none."""
    with Worksheet() as worksheet:
        table = text_table(path, worksheet)
        missing = [name for name in _NEEDED if name not in table.schema]
        if missing:
            raise refused(
                path,
                f"it is no list of rows in doubt: it has no column {', '.join(missing)}",
                "not_verdicts",
                "give the file back that reconcile wrote, with `verdict` and `note` filled in",
            )
        for block in table.blocks():
            yield from map(FilledIn._make, _cells(block.cells).iter_rows())


def _cells(block: pl.DataFrame) -> pl.DataFrame:
    absent = [pl.lit("").alias(name) for name in _EVIDENCE if name not in block.columns]
    frame = block.with_columns(*absent).select(*_NEEDED, *_EVIDENCE)
    return frame.select(pl.all().fill_null("").str.strip_chars())
