"""Balances as evidence: what a client's balance did between two moments at which it is known.

Within a lane an account has one transfer in flight at a time, so what is known of its balance is a chain:
readings, and gaps between them. What a gap rose by was credited in it. A client also spends, and balances
kept in another currency move with exchange rates, so a verdict from balances is likely at most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise, product
from math import inf, prod
from typing import Any

from batchcredit.ledger.base import SentRow
from batchcredit.providers.reading import EXACT
from batchcredit.reconcile.chain import Gap, Look, Reading
from batchcredit.reconcile.finding import Certainty, Clock, Finding, Verdict, named, row_known, undecided
from batchcredit.reconcile.matching import components
from batchcredit.reconcile.worth import NOTHING, Range, is_told, unit_rate, worth
from batchcredit.transfer import shortest

#: So many ways in which doubtful rows may have been executed are tried, for one row.
WAYS_MOST = 4096


@dataclass(frozen=True, slots=True)
class Account:
    """One client in one lane: its rows in all batches of the ledger, and the balances read beside them.

    `floats`: the balance is shown in another currency than it is kept in, and moves with exchange rates.
    """

    rows: Sequence[SentRow]
    looks: Sequence[Look] = ()
    counts_units: bool = False
    floats: bool = False


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A row of which no reading tells, where in the chain it may have been executed, and what it adds."""

    row: SentRow
    places: tuple[int | None, ...]
    adds: Range


#: Where each suspect was executed, by its number; None: nowhere.
_Way = tuple[int | None, ...]


def weigh(rows: Sequence[SentRow], account: Account, quiet_ms: int, clock: Clock) -> Iterator[Finding]:
    """What the balances of their client say of each of these rows in doubt."""
    chain = _Chain(account, quiet_ms)
    for row in rows:
        yield _Weighing(row, chain, clock).finding()


class _Chain:
    """What all rows of one client have in common: the gaps, and where each row may have been executed."""

    def __init__(self, account: Account, quiet_ms: int) -> None:
        self.account, self.quiet_ms = account, quiet_ms
        readings = sorted(self._readings(), key=lambda reading: (reading.earliest, reading.latest))
        self.gaps = [Gap(first, last) for first, last in pairwise([None, *readings, None])]
        self.currencies = {row.currency for row in account.rows}
        self._hanging_together = self._components()

    @cached_property
    def rates(self) -> dict[str, Range | None]:
        """Units for one of each currency, where the client's balance is in units."""
        if not self.account.counts_units:
            return {}
        return {currency: unit_rate(self.account.rows, currency) for currency in self.currencies}

    def _is_reading(self, row: SentRow) -> bool:
        before = row.balance_before is not None or not self.account.counts_units
        return is_told(row) and before and None not in (row.balance_after, row.sent_ms, row.ended_ms)

    def _readings(self) -> Iterator[Reading]:
        for row in filter(self._is_reading, self.account.rows):
            assert row.sent_ms is not None
            assert row.ended_ms is not None
            assert row.balance_after is not None
            before = (
                row.balance_before
                if row.balance_before is not None
                else EXACT.subtract(row.balance_after, row.amount)
            )
            yield Reading(
                row.sent_ms, row.ended_ms, before, row.balance_after, f"row {row.row} of {row.batch}"
            )
        for look in self.account.looks:
            yield Reading(look.asked_ms, look.answered_ms, look.amount, look.amount, look.source)

    def suspects(self, row: SentRow) -> Sequence[SentRow]:
        """This row, and whatever may have been executed in the same gaps, or in gaps of those; nothing where
        there are too many ways in which they may have been."""
        rows = self._hanging_together[row.id]
        return [row, *(other for other in rows if other.id != row.id)] if rows else []

    def _components(self) -> dict[int, Sequence[SentRow]]:
        rows = [row for row in self.account.rows if not self._is_reading(row)]
        places = [self.places(row) for row in rows]
        edges = [[place for place in theirs if place is not None] for theirs in places]
        found: dict[int, Sequence[SentRow]] = {}
        for numbers, _ in components(edges):
            ways = prod(len(places[number]) for number in numbers)
            together = [rows[number] for number in numbers] if ways <= WAYS_MOST else []
            found |= {rows[number].id: together for number in numbers}
        return found

    def places(self, row: SentRow) -> tuple[int | None, ...]:
        """The gaps in which it may have been executed; a row in doubt also nowhere."""
        since = -inf if row.sent_ms is None else row.sent_ms
        until = inf if row.ended_ms is None else row.ended_ms + self.quiet_ms
        gaps = tuple(number for number, gap in enumerate(self.gaps) if gap.may_hold(since, until))
        return gaps if row.is_known else (None, *gaps)


class _Weighing:
    def __init__(self, row: SentRow, chain: _Chain, clock: Clock) -> None:
        self._row, self._chain, self._clock = row, chain, clock
        self._account, self._gaps = chain.account, chain.gaps
        self._rate = chain.rates.get(row.currency)

    def finding(self) -> Finding:
        problem = self._problem()
        if problem:
            return undecided(self._row, problem)
        rows = self._chain.suspects(self._row)
        if not rows:
            return self._with_known("too many rows of this client are in doubt at once", [])
        suspects = self._suspects(rows)
        if suspects is None:
            return self._with_known(
                "what this amount is in the client's units is not known: no other row tells the rate", []
            )
        return self._judged(suspects)

    def _problem(self) -> str:
        if self._row.sent_ms is None:
            return "the ledger does not know when it was sent"
        if len(self._chain.currencies) > 1:
            return "this client was credited in several currencies, so its balances do not compare"
        looks = () if self._account.counts_units else self._account.looks
        foreign = [look.currency for look in looks if look.currency not in ("", self._row.currency)]
        if foreign:
            return f"the client's balance is in {foreign[0]}, and this row in {self._row.currency}"
        return ""

    def _suspects(self, rows: Sequence[SentRow]) -> list[_Suspect] | None:
        """None where what one of them adds is not known."""
        found = []
        for row in rows:
            adds = worth(row, self._rate, counts_units=self._account.counts_units)
            if adds is None:
                return None
            found.append(_Suspect(row, self._chain.places(row), adds))
        return found

    def _judged(self, suspects: list[_Suspect]) -> Finding:
        closed = self._closed(suspects)
        if not closed:
            return self._with_known(self._no_reading(), suspects)
        ways = list(product(*(suspect.places for suspect in suspects)))
        exact = [way for way in ways if all(self._is_exact(gap, way, suspects) for gap in closed)]
        if exact:
            return self._by_exact(exact, suspects)
        possible = [way for way in ways if self._is_possible(closed, way, suspects)]
        if possible and all(way[0] is not None for way in possible):
            return self._credited(possible, suspects)
        return self._with_known(self._one_sided(closed), suspects)

    def _closed(self, suspects: list[_Suspect]) -> list[int]:
        """The gaps that can tell: a suspect may lie in them, and both ends are known."""
        places = _places(suspects)
        return [place for place in places if self._gaps[place].rise is not None]

    def _is_exact(self, number: int, way: _Way, suspects: list[_Suspect]) -> bool:
        gap, added = self._gaps[number], _sum(number, way, suspects)
        assert gap.rise is not None
        return added.low - gap.tolerance < gap.rise < added.high + gap.tolerance

    def _is_possible(self, closed: list[int], way: _Way, suspects: list[_Suspect]) -> bool:
        """Whether spending explains what is missing. Where balances float, only what arrived exactly counts,
        and a gap in which nothing arrived says nothing."""
        if self._account.floats:
            doubtful = {
                place for place, suspect in zip(way, suspects, strict=True) if not suspect.row.is_known
            }
            used = [gap for gap in closed if gap in doubtful]
            return bool(used) and all(self._is_exact(gap, way, suspects) for gap in used)
        return all(self._is_covered(gap, way, suspects) for gap in closed)

    def _is_covered(self, number: int, way: _Way, suspects: list[_Suspect]) -> bool:
        gap = self._gaps[number]
        assert gap.rise is not None
        return gap.rise < _sum(number, way, suspects).high + gap.tolerance

    def _by_exact(self, ways: list[_Way], suspects: list[_Suspect]) -> Finding:
        credited = sum(way[0] is not None for way in ways)
        if credited == len(ways):
            return self._credited(ways, suspects)
        if credited == 0:
            return self._not_credited(suspects)
        others = [named(suspect.row, self._row) for suspect in suspects[1:]]
        if others:
            return self._with_known(f"the balances fit this row as well as {', '.join(others)}", suspects)
        return self._with_known(self._no_reading(), suspects)

    def _credited(self, ways: list[_Way], suspects: list[_Suspect]) -> Finding:
        closed = self._closed(suspects)
        number = next((way[0] for way in ways if way[0] in closed), None)
        if number is None:
            return self._with_known(self._no_reading(), suspects)
        gap = self._gaps[number]
        exact = all(self._is_exact(number, way, suspects) for way in ways)
        with_others = any(way[at] == number for way in ways for at in range(1, len(suspects)))
        reason = f"{self._moved(gap)}, {self._explained(exact=exact, with_others=with_others)}"
        return self._found(Verdict.CREDITED, reason, suspects)

    def _explained(self, *, exact: bool, with_others: bool) -> str:
        amount = f"this row's {shortest(self._row.amount)}"
        if not exact:
            return (
                f"which nothing but {amount} can have brought, the client having spent in between: "
                "one-sided evidence, as another source may have credited it too"
            )
        if with_others:
            return f"which only adds up with {amount}"
        return f"which is {amount}; nothing else was sent to it in between"

    def _not_credited(self, suspects: list[_Suspect]) -> Finding:
        closed = [
            gap for gap in map(self._gaps.__getitem__, self._closed(suspects)) if gap.first and gap.last
        ]
        first, last = closed[0].first, closed[-1].last
        assert first is not None
        assert last is not None
        when = f"between {self._clock(first.earliest)} and {self._clock(last.latest)}"
        inside = [gap.first for gap in closed[1:] if gap.first]
        moved = any(gap.rise for gap in closed) or any(reading.before != reading.after for reading in inside)
        said = "moved by other rows only" if moved else "did not move"
        amount = shortest(self._row.amount)
        reason = (
            f"the client's balance {said} {when}, past the quiet time: this row's {amount} did not arrive"
        )
        return self._found(Verdict.NOT_CREDITED, reason, suspects)

    def _moved(self, gap: Gap) -> str:
        assert gap.first is not None
        assert gap.last is not None
        when = f"between {self._clock(gap.first.latest)} and {self._clock(gap.last.earliest)}"
        return f"the client's balance rose from {gap.first.after:f} to {gap.last.before:f} {when}"

    def _no_reading(self) -> str:
        if self._gaps == [Gap(None, None)]:
            return "no balance of this client is known"
        if 0 in self._chain.places(self._row):
            return "no balance of this client from before it is known"
        if self._row.ended_ms is None:
            return "no balance of this client from after it is known"
        when = self._clock(self._row.ended_ms + self._chain.quiet_ms)
        return f"no balance of this client from {when} on is known, and until then the request may come late"

    def _one_sided(self, closed: list[int]) -> str:
        gaps = [self._gaps[number] for number in closed]
        if self._account.floats:
            return "the client's balance moved by spending or exchange rates, so it does not tell"
        rise = sum((gap.rise or Fraction(0) for gap in gaps), Fraction(0))
        if rise > 0:
            return "the client's balance rose by something that this ledger does not know"
        return "the client's balance fell: it spent, and what it spent may or may not have come from this row"

    def _found(self, verdict: Verdict, reason: str, suspects: list[_Suspect]) -> Finding:
        known = self._known(suspects)
        return Finding(self._row, verdict, Certainty.LIKELY, "balance", reason, known, self._expected())

    def _with_known(self, reason: str, suspects: list[_Suspect]) -> Finding:
        known = self._known(suspects)
        return Finding(self._row, Verdict.UNDECIDED, Certainty.NONE, "", reason, known, self._expected())

    def _expected(self) -> tuple[Decimal, Decimal] | None:
        """The balance right behind this row, if it was credited and if not, by the last reading before it."""
        sent = self._row.sent_ms
        before = [
            gap.first for gap in self._gaps if gap.first and sent is not None and gap.first.latest <= sent
        ]
        adds = worth(self._row, self._rate, counts_units=self._account.counts_units)
        if not before or adds is None:
            return None
        balance = before[-1].after
        middle = (adds.low + adds.high) / 2
        printed = Decimal(middle.numerator) / Decimal(middle.denominator)
        fine = min(balance, self._row.amount, key=lambda number: int(number.as_tuple().exponent))
        return balance + (printed if adds.is_exact else printed.quantize(fine)), balance

    def _known(self, suspects: Sequence[_Suspect]) -> dict[str, Any]:
        gaps = map(self._gaps.__getitem__, _places(suspects))
        ends = (end for gap in gaps for end in (gap.first, gap.last))
        readings = dict.fromkeys(end for end in ends if end is not None)
        return {
            "readings": [reading.known for reading in readings],
            "rows": [row_known(suspect.row) for suspect in suspects],
        }


def _places(suspects: Sequence[_Suspect]) -> list[int]:
    """All gaps in which one of them may lie, in order of time."""
    return sorted({place for suspect in suspects for place in suspect.places if place is not None})


def _sum(number: int, way: _Way, suspects: Sequence[_Suspect]) -> Range:
    total = NOTHING
    for place, suspect in zip(way, suspects, strict=True):
        if place == number:
            total += suspect.adds
    return total
