"""What was ever asked for, across batches: for one client, one reference, one month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from batchcredit.ledger.base import BatchRecord, HistoryQuery, HistoryRow
from batchcredit.providers import registry as providers
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.records import reading
from batchcredit.settings import Settings
from batchcredit.writer import write_history


@dataclass(frozen=True, slots=True)
class Sought:
    """What a person looks for. `first` and `last` are days in the operator's time zone, both included."""

    account: str = ""
    reference: str | None = None
    first: date | None = None
    last: date | None = None

    def query(self, zone: ZoneInfo) -> HistoryQuery:
        """The same in the ledger's terms, with the account in every spelling that a provider takes for it."""
        keys = {providers.load(kind).account_key(self.account) for kind in providers.installed()}
        return HistoryQuery(
            tuple(sorted(keys)) if self.account else (),
            self.reference,
            _begin_ms(self.first, zone),
            _begin_ms(self.last + timedelta(days=1), zone) if self.last else None,
        )


def _begin_ms(day: date | None, zone: ZoneInfo) -> int | None:
    return None if day is None else round(datetime.combine(day, time(), zone).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class HistoryView:
    """The newest of what was found, how many there are in all, and the file that has them all, if any. What
    `archived` batches had is in their archives alone."""

    rows: Sequence[HistoryRow]
    found: int
    written: Path | None
    archived: Sequence[BatchRecord]


def history(
    sought: Sought, limit: int, out: Path | None, how: SendOptions, settings: Settings
) -> HistoryView:
    """The newest `limit` transfers that fit; all of them in the file `out`, where it is asked for."""
    query = sought.query(settings.timezone)
    with reading(how, settings) as ledger:
        written = write_history(ledger.history(query), out.absolute()) if out else None
        archived = [batch for batch in ledger.batches() if batch.pruned_ms is not None]
        return HistoryView(list(ledger.history(query, limit)), ledger.history_size(query), written, archived)
