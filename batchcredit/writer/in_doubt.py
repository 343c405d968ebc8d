"""`<batch>.in-doubt.csv`: rows in doubt, for the person who looks them up and fills in a verdict."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from batchcredit import host
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.transfer import State, shortest
from batchcredit.writer.person_files import pages_in, write_list

#: `line` is the row of the file as people count, with the header as the first one.
IN_DOUBT_COLUMNS = (
    *("line", "row", "provider", "account", "amount", "currency", "reference", "sent_at"),
    *("balance_if_credited", "balance_if_not", "where_to_look", "proposal", "why"),
    *("verdict", "note", "batch", "transfer_id"),
)

_FILLED_IN = ("verdict", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """What evidence says of a row in doubt. `proposal` is a verdict as `resolve` takes it, or "".

    The balances are those that the client had right after the row's own request, either way.
    """

    proposal: str = ""
    why: str = ""
    balance_if_credited: Decimal | None = None
    balance_if_not: Decimal | None = None


#: What is written of a row for which there is no evidence.
NOTHING_FOUND = Finding()


def write_in_doubt(
    ledger: LedgerReader,
    batch: BatchRecord,
    path: Path,
    *,
    where_to_look: Callable[[str], str],
    zone: ZoneInfo,
    findings: Mapping[int, Finding],
) -> Path | None:
    """Write the rows in doubt of a batch, with IN_DOUBT_COLUMNS and an empty `verdict` and `note` in each.

    `where_to_look` says for a profile's name where its provider shows what it executed; `findings` are by
    row. Returns the name that was written, as `write_list` does, None where nothing is in doubt. Raises
    StorageError where the disk refuses.
    """

    def cells(row: ResultRow) -> tuple[str | int | None, ...]:
        found = findings.get(row.row, NOTHING_FOUND)
        return (
            *(row.row + 1, row.row, row.provider, row.account, row.amount, row.currency, row.reference),
            "" if row.sent_ms is None else host.local_time(row.sent_ms, zone),
            *(_known(found.balance_if_credited), _known(found.balance_if_not), where_to_look(row.provider)),
            *(found.proposal, found.why, "", "", batch.name, row.transfer_id),
        )

    def frames() -> Iterator[pl.DataFrame]:
        for page in pages_in(ledger, batch, (State.IN_DOUBT,)):
            yield _frame([cells(row) for row in page])

    return write_list(path, batch, frames, ours=IN_DOUBT_COLUMNS, filled_in=_FILLED_IN)


def _frame(cells: Sequence[Sequence[str | int | None]]) -> pl.DataFrame:
    numbers = ("line", "row")
    schema = {name: pl.Int64() if name in numbers else pl.String() for name in IN_DOUBT_COLUMNS}
    return pl.DataFrame(cells, schema=schema, orient="row")


def _known(balance: Decimal | None) -> str:
    return "" if balance is None else shortest(balance)
