"""What is unusual against earlier batches: told to whoever has to agree, and refused by nobody.

The rules are simple, so that a person can follow them: a client that this login never credited, a currency
that a client never got, an amount of more than three times the largest that a client ever got, a total of
more than three times that of any earlier batch.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from batchcredit.ledger.base import LedgerReader, RowKey
from batchcredit.transfer import shortest

#: More than so many times what was usual is unusual.
FACTOR = 3

#: So many rows of each kind are named, those first that stand out most; all of them are counted.
SHOWN = 5

#: So many rows are looked up at a time.
GROUP_ROWS = 10_000


@dataclass(slots=True)
class _Kind:
    """Rows that are unusual in one way: how many, and the few that stand out most."""

    rows: int = 0
    most: list[tuple[float, int, str]] = field(default_factory=list)

    def add(self, weight: float, key: RowKey, more: str = "") -> None:
        self.rows += 1
        if len(self.most) == SHOWN and weight <= self.most[0][0]:
            return  # of equal weight the first rows stay
        text = f"row {key.row}: account {key.account_key}, {key.amount} {key.currency}{more}"
        push = heapq.heappushpop if len(self.most) == SHOWN else heapq.heappush
        push(self.most, (weight, -key.row, text))

    def told(self, what: str) -> tuple[str, ...]:
        if not self.rows:
            return ()
        shown = "; ".join(text for _, _, text in sorted(self.most, reverse=True))
        more = f"; ... {self.rows - SHOWN} more" if self.rows > SHOWN else ""
        return (f"unusual: {self.rows} {'row' if self.rows == 1 else 'rows'} {what}: {shown}{more}",)


class Unusual:
    """Watches the rows of a file go by. `batch` is left out of what counts as earlier; 0 leaves out none."""

    def __init__(self, ledger: LedgerReader, batch: int) -> None:
        self._ledger = ledger
        self._batch = batch
        self._has_history: dict[int, bool] = {}
        self._new_clients = _Kind()
        self._new_currencies = _Kind()
        self._amounts = _Kind()

    def watch(self, keys: Iterable[RowKey]) -> Iterator[RowKey]:
        """The same rows, each looked at by the time that the last one has gone by."""
        groups: dict[tuple[int, str], list[RowKey]] = {}
        for key in keys:
            if key.lane > 0:  # else the ledger has never seen the lane
                group = groups.setdefault((key.lane, key.currency), [])
                group.append(key)
                if len(group) == GROUP_ROWS:
                    self._look_at(key.lane, key.currency, group)
                    group.clear()
            yield key
        for (lane, currency), group in groups.items():
            self._look_at(lane, currency, group)

    def _look_at(self, lane: int, currency: str, group: list[RowKey]) -> None:
        if not self._knows(lane):
            return
        accounts = [key.account_key for key in group]
        largest = self._ledger.largest_credited(lane, currency, accounts, self._batch)
        strangers = []
        for key, before in zip(group, largest, strict=True):
            if before is None:
                strangers.append(key)
            elif (times := float(key.amount) / before) > FACTOR:
                self._amounts.add(times, key, f", {times:.1f} times as much")
        self._sort_out(lane, strangers)

    def _knows(self, lane: int) -> bool:
        """Whether this lane has credited anything: in a first batch everybody is new."""
        if lane not in self._has_history:
            self._has_history[lane] = self._ledger.has_credited(lane, self._batch)
        return self._has_history[lane]

    def _sort_out(self, lane: int, strangers: list[RowKey]) -> None:
        known = self._ledger.ever_credited(lane, [key.account_key for key in strangers], self._batch)
        for key in strangers:
            kind = self._new_currencies if key.account_key in known else self._new_clients
            kind.add(float(key.amount), key)

    def warnings(self, totals: Mapping[str, Decimal]) -> tuple[str, ...]:
        """What was found, in sentences; `totals` is what is to be sent by currency."""
        return (
            *self._amounts.told(f"of more than {FACTOR} times what the client ever got"),
            *self._new_clients.told("for clients that were never credited before"),
            *self._new_currencies.told("in a currency that the client never got"),
            *self._totals(totals),
        )

    def _totals(self, totals: Mapping[str, Decimal]) -> Iterator[str]:
        earlier = [batch for batch in self._ledger.batches() if batch.id != self._batch]
        for currency, total in totals.items():
            largest = max((batch.totals.get(currency, Decimal(0)) for batch in earlier), default=Decimal(0))
            if largest and total > FACTOR * largest:
                yield (
                    f"unusual: {shortest(total)} {currency} in all, and no earlier batch had more than "
                    f"{shortest(largest)}"
                )
