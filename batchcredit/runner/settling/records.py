"""What the ledger knows, and a person's word on it: results, show, cancel."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchLane, BatchRecord, LedgerReader, ResultRow, refuse_pruned
from batchcredit.runner.batch import find_batch, holding_known, kept_results, ledger_url, refuse_unagreed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing.dispatch import passed
from batchcredit.runner.outgoing.lists import to_reverse, to_reverse_path, with_to_fix
from batchcredit.runner.settling.money import Money, money_of
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.settings import Settings
from batchcredit.transfer import HELD_UP, STATUS, State
from batchcredit.writer import claim_path, write_results

#: So many rows that need somebody are shown.
SHOWN = 20

_NEED_SOMEBODY = (State.IN_DOUBT, State.SENDING, State.REJECTED, State.INVALID)


@dataclass(frozen=True, slots=True)
class BatchView:
    """One batch, for a person: how it stands, its lanes, its money, and the first rows that need somebody."""

    batch: BatchRecord
    summary: Summary
    lanes: Sequence[BatchLane]
    rows: Sequence[ResultRow]
    money: Money


def reading(how: SendOptions, settings: Settings) -> AbstractContextManager[LedgerReader]:
    """The ledger of this command, to be asked and not changed."""
    return closing(registry.read(ledger_url(how, settings), how.note))


def results(name: str, how: SendOptions, settings: Settings) -> Summary:
    """Rebuild the results file of a batch from the ledger."""
    with reading(how, settings) as ledger:
        batch = find_batch(ledger, name)
        refuse_pruned(batch)
        if how.is_passed:
            return passed(ledger, batch, how, Speed())
        path = kept_results(batch, how)
        claim_path(path, Path(batch.source), batch.name, batch, ledger)
        written = write_results(ledger, batch, path)
        summary = summarise(ledger, batch, written, Speed(), how.again)
        return with_to_fix(ledger, batch, summary, settings.profiles, how)


def show(name: str, how: SendOptions, settings: Settings) -> BatchView:
    """How one batch stands."""
    with reading(how, settings) as ledger:
        batch = find_batch(ledger, name)
        summary = summarise(ledger, batch, Path(batch.results), Speed(), how.again)
        rows = ledger.rows_in(batch.id, _NEED_SOMEBODY, HELD_UP, SHOWN)
        return BatchView(batch, summary, ledger.batch_lanes(batch.id), rows, money_of(ledger, batch))


def show_all(how: SendOptions, settings: Settings) -> list[tuple[BatchRecord, Summary]]:
    """The newest batches, at most 100, and how each stands."""
    with reading(how, settings) as ledger:
        found = ledger.batches()[:100]
        return [(batch, summarise(ledger, batch, Path(batch.results), Speed(), how.again)) for batch in found]


def row_of(ledger: LedgerReader, batch: BatchRecord, number: int) -> ResultRow:
    """One row of a batch, by its number. Raises RefusedError (`no_row`)."""
    found = ledger.rows(batch.id, number, number)
    if not found:
        raise RefusedError(
            f"batch {batch.name} has rows 1 to {batch.rows}, and no row {number}",
            reason="no_row",
            cure=f"batchcredit show {batch.name}",
        )
    return found[0]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """How many rows were withdrawn. `to_reverse` lists what the batch had credited before, `taking_back`
    says by profile who takes such credit back."""

    rows: int
    summary: Summary
    to_reverse: Path | None = None
    taking_back: Mapping[str, str] = field(default_factory=dict)


def cancel(
    name: str,
    row: int | None,
    note: str,
    how: SendOptions,
    settings: Settings,
    confirm: Callable[[str], bool],
) -> Withdrawn:
    """Withdraw what is not sent or rejected. `confirm` asks. With the whole batch, what it had credited is
    listed beside its results, or in `how.out`."""
    with holding_known(how, settings) as ledger:
        batch = find_batch(ledger, name)
        refuse_pruned(batch)
        listed = to_reverse_path(batch, how)
        what = f"row {row}" if row else "all rows that are not sent or were rejected"
        if row is not None:
            found = row_of(ledger, batch, row)
            what += f" ({STATUS[found.state]}: account {found.account}, {found.amount} {found.currency})"
        refuse_unagreed(how, lambda: confirm(f"{what} of batch {batch.name}"))
        number = ledger.cancel(batch.id, row, note)
        if row is not None and not number:
            raise RefusedError(
                f"{what} can't be withdrawn", reason="not_open", cure=f"batchcredit show {batch.name}"
            )
        summary = summarise(ledger, batch, None, Speed(), how.again)
        if row is not None:
            return Withdrawn(number, summary)
        return Withdrawn(number, summary, *to_reverse(ledger, batch, listed))
