"""A provider's own list of credits as evidence: which rows are on it, and whether it proves that one is not.

A line belongs to a row by account, amount, currency and time. What holds in every way of giving the lines to
the rows is certain. That a row is not there proves something only if the statement is whole: it holds every
row known as credited from the batch's first to its last send, began before the row, and ends behind the time
in which the request may still have been executed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from math import inf
from typing import Any

from batchcredit import host
from batchcredit.ledger.base import SentRow
from batchcredit.reconcile.finding import Certainty, Clock, Finding, Verdict, named, undecided
from batchcredit.reconcile.matching import Matching, components, matching
from batchcredit.reconcile.worth import Range, step, unit_rate, worth
from batchcredit.transfer import shortest

#: A line may be so much earlier than our request, since the provider's clock is another one.
EARLY_MS = 300_000

#: More pairs of equal rows and lines of one account than this are not compared.
PAIRS_MOST = 250_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement. `number` is the line of the file; `amount` is in units where `in_units`, and
    negative where something was taken back. The time is known between two moments, or not at all."""

    number: int
    account_key: str
    amount: Decimal
    currency: str = ""
    in_units: bool = False
    from_ms: int | None = None
    to_ms: int | None = None
    balance: str = ""

    @property
    def known(self) -> dict[str, Any]:
        """The line as the audit trail keeps it."""
        times = [None if ms is None else host.iso(ms) for ms in (self.from_ms, self.to_ms)]
        said = {"line": self.number, "account": self.account_key, "amount": f"{self.amount:f}"}
        return said | {"currency": self.currency, "from": times[0], "to": times[1], "balance": self.balance}


@dataclass(frozen=True, slots=True)
class Statement:
    """The lines of one lane, and between which moments a person says that they are all there."""

    name: str
    lines: Sequence[Line]
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def has_times(self) -> bool:
        """Whether it says when: else a line may be of any time."""
        return all(line.from_ms is not None for line in self.lines)

    @property
    def ends_ms(self) -> float:
        """Up to when it is known to be complete, if it is complete at all."""
        ends = [line.from_ms for line in self.lines if line.from_ms is not None]
        return max([self.until_ms if self.until_ms is not None else -inf, *ends])


@dataclass(frozen=True, slots=True)
class Period:
    """From the batch's first to its last send in the lane, and how long a request may come late."""

    first_ms: int
    last_ms: int
    quiet_ms: int

    def window(self, row: SentRow) -> tuple[float, float]:
        """When a line of this row may be dated."""
        since = -inf if row.sent_ms is None else row.sent_ms - EARLY_MS
        until = inf if row.ended_ms is None else row.ended_ms + self.quiet_ms
        return since, until

    def covers(self, row: SentRow) -> bool:
        return row.sent_ms is None or self.first_ms <= row.sent_ms <= self.last_ms


@dataclass(slots=True)
class _Proof:
    """What the rows known as credited say of the statement itself."""

    missing: list[SentRow] = field(default_factory=list)
    unsure: list[SentRow] = field(default_factory=list)
    held: int = 0
    first_held_ms: float = inf

    def note(self, rows: Sequence[SentRow], found: Matching, period: Period) -> None:
        """One group of rows that could have each other's lines. Only where each of them has one is it sure
        that a line that is there is not another row's."""
        all_held = found.size == len(rows)
        for row, line in zip(rows, found.line_of, strict=True):
            if not row.is_known:
                continue
            if all_held and row.ended_ms is not None:
                self.first_held_ms = min(self.first_held_ms, row.ended_ms)
            if not period.covers(row):
                continue
            if line is None:
                self.missing.append(row)
            elif all_held:
                self.held += 1
            else:
                self.unsure.append(row)


@dataclass(frozen=True, slots=True)
class _Absence:
    """A row without a line of its own; `doubt` says what speaks against it, `weak` what makes it unsure."""

    row: SentRow
    doubt: str
    weak: str
    lines: Sequence[Line]


def compare(
    statement: Statement,
    rows: Iterable[SentRow],
    doubtful: frozenset[int],
    period: Period,
    clock: Clock,
    *,
    counts_units: bool = False,
) -> dict[int, Finding]:
    """What the statement says of the rows with these ids. `rows` are those of its lane, the rows of an
    account together: all that the ledger has of the accounts in doubt, and of others those in the period."""
    proof = _Proof()
    findings: dict[int, Finding] = {}
    absences: list[_Absence] = []
    by_account: dict[str, list[Line]] = {}
    for line in statement.lines:
        by_account.setdefault(line.account_key, []).append(line)
    for key, group in groupby(rows, lambda row: row.account_key):
        account = _Account(list(group), by_account.get(key, []), period, counts_units=counts_units)
        for result in account.results(doubtful, proof, statement.name):
            if isinstance(result, _Absence):
                absences.append(result)
            else:
                findings[result.row.id] = result
    for absence in absences:
        findings[absence.row.id] = _absent(absence, statement, proof, period, clock)
    return findings


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that could have each other's lines, by their numbers in the account, and those lines."""

    numbers: Sequence[int]
    lines: set[int]
    found: Matching


class _Account:
    """The rows and lines of one client, rows known as credited first."""

    def __init__(
        self, rows: Sequence[SentRow], lines: Sequence[Line], period: Period, *, counts_units: bool
    ) -> None:
        self._rows = sorted(rows, key=lambda row: (not row.is_known, row.sent_ms or 0, row.id))
        self._lines, self._period = lines, period
        rates = {row.currency: unit_rate(rows, row.currency) for row in rows} if counts_units else {}
        self._worth = [worth(row, rates.get(row.currency), counts_units=counts_units) for row in self._rows]

    def results(self, doubtful: frozenset[int], proof: _Proof, name: str) -> Iterator[Finding | _Absence]:
        """A finding for each of these rows, or that it is not there; `proof` hears of the known ones."""
        if len(self._rows) * len(self._lines) > PAIRS_MOST:
            proof.missing += [row for row in self._rows if row.is_known and self._period.covers(row)]
            why = "too many rows and lines of this client to compare"
            yield from (undecided(row, why) for row in self._rows if row.id in doubtful)
            return
        groups = list(self._groups())
        explained = set[int]().union(
            *(group.lines for group in groups if group.found.size == len(group.lines))
        )
        spare = [line for at, line in enumerate(self._lines) if at not in explained]
        for group in groups:
            rows = [self._rows[number] for number in group.numbers]
            proof.note(rows, group.found, self._period)
            for at, row in enumerate(rows):
                if row.id in doubtful:
                    yield self._result(group, at, spare, name)

    def _groups(self) -> Iterator[_Group]:
        edges = [
            [at for at, line in enumerate(self._lines) if self._may_own(number, line)]
            for number in range(len(self._rows))
        ]
        for numbers, lines in components(edges):
            yield _Group(numbers, lines, matching([edges[number] for number in numbers]))

    def _may_own(self, number: int, line: Line) -> bool:
        return self._is_timely(number, line) and self._is_equal(number, line) is True

    def _is_timely(self, number: int, line: Line) -> bool:
        if line.from_ms is None or line.to_ms is None:
            return True
        since, until = self._period.window(self._rows[number])
        return line.from_ms <= until and line.to_ms >= since

    def _is_equal(self, number: int, line: Line) -> bool | None:
        """Whether the line is of this row's amount; None where the two do not compare."""
        row = self._rows[number]
        if line.in_units:
            return _within(line.amount, self._worth[number])
        if line.currency not in ("", row.currency):
            return None
        return line.amount == row.amount

    def _result(self, group: _Group, at: int, spare: Sequence[Line], name: str) -> Finding | _Absence:
        number, found, free = group.numbers[at], group.found, group.found.free()
        row, line = self._rows[number], found.line_of[at]
        if line is not None and at not in free:
            return self._present(number, self._lines[line], name, foreign=len(group.lines) > found.size)
        rows = {other: self._rows[group.numbers[other]] for other in sorted(free - {at})}
        takers = [rows[other] for other in rows if other in found.exchanges(at)]
        if line is None and all(taker.is_known for taker in takers):
            return self._absence(number, takers, spare)
        known = {"statement": name, "lines": [self._lines[each].known for each in found.edges[at]]}
        rivals = ", ".join(named(other, row) for other in rows.values() if not other.is_known)
        lines = ", ".join(str(self._lines[each].number) for each in found.edges[at])
        return undecided(row, f"line {lines} of the statement may be this row's or that of {rivals}", known)

    def _present(self, number: int, line: Line, name: str, *, foreign: bool) -> Finding:
        row, known = self._rows[number], {"statement": name, "lines": [line.known]}
        reason = f"line {line.number} of the statement is this row's {shortest(row.amount)}"
        taken_back = self._taken_back(number)
        if taken_back:
            return undecided(row, f"{reason}, but line {taken_back.number} takes it back", known)
        weak = ""
        if foreign:
            weak = "another such line is no row's of this ledger"
        elif line.from_ms is None:
            weak = "the statement does not say when, so that it may be somebody else's of another day"
        if weak:
            reason += f"; not certain, because {weak}"
        certainty = Certainty.LIKELY if weak else Certainty.CERTAIN
        return Finding(row, Verdict.CREDITED, certainty, "statement", reason, known)

    def _taken_back(self, number: int) -> Line | None:
        """A line behind this row that takes its amount back."""
        since, _ = self._period.window(self._rows[number])
        for line in self._lines:
            is_behind = line.to_ms is None or line.to_ms >= since
            if is_behind and self._is_equal(number, replace(line, amount=-line.amount)):
                return line
        return None

    def _absence(self, number: int, takers: Sequence[SentRow], spare: Sequence[Line]) -> _Absence:
        row, weak, doubt = self._rows[number], "", ""
        if takers:
            weak = "the lines of its amount and time are those of " + ", ".join(
                named(one, row) for one in takers
            )
        timely = [line for line in self._lines if self._is_timely(number, line)]
        unclear = next((line for line in timely if self._is_equal(number, line) is None), None)
        equal = next((line for line in spare if self._is_equal(number, line)), None)
        taken_back = self._taken_back(number)
        if unclear:
            doubt = f"line {unclear.number} of the statement may be this row's: its amount does not compare"
        elif equal:
            doubt = f"line {equal.number} of the statement is of this amount, but not of this row's time"
        elif taken_back:
            doubt = f"line {taken_back.number} of the statement takes this amount back"
        return _Absence(row, doubt, weak, [line for line in (unclear, equal, taken_back) if line])


def _within(printed: Decimal, range_: Range | None) -> bool | None:
    if range_ is None:
        return None
    slack = step(printed)
    return range_.low - slack < Fraction(printed) < range_.high + slack


def _absent(absence: _Absence, statement: Statement, proof: _Proof, period: Period, clock: Clock) -> Finding:
    """What it means that a row has no line."""
    row = absence.row
    known: dict[str, Any] = {
        "statement": statement.name,
        "lines": [line.known for line in absence.lines],
        "rows_held": proof.held,
        "ends": None if statement.ends_ms == -inf else host.iso(int(statement.ends_ms)),
    }
    doubt = absence.doubt or _too_short(row, statement, period, clock) or _incomplete(row, proof)
    if doubt:
        return undecided(row, doubt, known)
    weak = absence.weak or _unproven(row, statement, proof)
    held = f"it holds all {proof.held} rows known as credited" if proof.held else "it ends late enough"
    reason = f"the statement has no line of {shortest(row.amount)} for this row, and {held}"
    if weak:
        reason = f"{reason}; not certain, because {weak}"
    certainty = Certainty.LIKELY if weak else Certainty.CERTAIN
    return Finding(row, Verdict.NOT_CREDITED, certainty, "statement", reason, known)


def _too_short(row: SentRow, statement: Statement, period: Period, clock: Clock) -> str:
    _, until = period.window(row)
    if until == inf:
        return "the ledger does not know when its request ended"
    if statement.ends_ms >= until:
        return ""
    return (
        f"the statement is not known to reach {clock(int(until))}, until when the request may have come "
        "late: take one that ends later, or say --statement-until"
    )


def _incomplete(row: SentRow, proof: _Proof) -> str:
    if not proof.missing:
        return ""
    first = proof.missing[0]
    more = f" and {len(proof.missing) - 1} more" if len(proof.missing) > 1 else ""
    return (
        f"the statement is not complete: it lacks {named(first, row)} (account {first.account}, "
        f"{shortest(first.amount)} {first.currency}){more}, known as credited"
    )


def _unproven(row: SentRow, statement: Statement, proof: _Proof) -> str:
    """Why the statement may lack a line all the same."""
    if proof.unsure:
        unsure = named(proof.unsure[0], row)
        return f"the line of {unsure} may be another row's, so it is not sure that all lines are there"
    if not proof.held:
        return "no row known as credited shows that it is this account's and complete"
    since = -inf if row.sent_ms is None else row.sent_ms
    begins = min([line.to_ms + EARLY_MS for line in statement.lines if line.to_ms is not None], default=inf)
    said = inf if statement.since_ms is None else statement.since_ms + EARLY_MS
    if min(begins, said, proof.first_held_ms) > since:
        return "nothing in it is from before this row: say from when it is complete with --statement-from"
    return ""
