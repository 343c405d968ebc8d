"""A finding: what the evidence says of one row, how sure it is, and why, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from batchcredit import host
from batchcredit.ledger.base import SentRow

#: A moment (ms since 1970, UTC) as the person reads it.
Clock = Callable[[int], str]


class Verdict(StrEnum):
    """What a finding proposes."""

    CREDITED = "credited"
    NOT_CREDITED = "not credited"
    UNDECIDED = "undecided"


class Certainty(StrEnum):
    """How far a verdict may be relied on. Balances alone are never certain."""

    CERTAIN = "certain"
    LIKELY = "likely"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one row in doubt. `known` are the readings and lines that it rests on, for the audit
    trail. `expected`: the client's balance behind this row, if it was credited and if not."""

    row: SentRow
    verdict: Verdict
    certainty: Certainty
    settled_by: str
    reason: str
    known: Mapping[str, Any] = field(default_factory=dict)
    expected: tuple[Decimal, Decimal] | None = None

    @property
    def decides(self) -> bool:
        return self.verdict is not Verdict.UNDECIDED


def undecided(row: SentRow, reason: str, known: Mapping[str, Any] | None = None) -> Finding:
    """No verdict, and why not."""
    return Finding(row, Verdict.UNDECIDED, Certainty.NONE, "", reason, known or {})


def together(of_balances: Finding, of_statement: Finding) -> Finding:
    """One finding from two kinds of evidence. Where they contradict each other, the row is not decided,
    unless it is certain that it was credited: that never pays twice."""
    known = {**of_balances.known, **of_statement.known}
    if not of_balances.decides or not of_statement.decides:
        chosen = of_statement if of_statement.decides or not of_balances.decides else of_balances
        reason = chosen.reason
        if not chosen.decides:
            reason = f"{of_statement.reason}; {of_balances.reason}"
        return _with(chosen, reason, known, of_balances)
    if of_balances.verdict is of_statement.verdict:
        return _with(of_statement, f"{of_statement.reason}; and {of_balances.reason}", known, of_balances)
    if of_statement.verdict is Verdict.CREDITED and of_statement.certainty is Certainty.CERTAIN:
        return _with(of_statement, of_statement.reason, known, of_balances)
    reason = f"statement and balances contradict each other: {of_statement.reason}; but {of_balances.reason}"
    return _with(undecided(of_balances.row, reason), reason, known, of_balances)


def _with(chosen: Finding, reason: str, known: Mapping[str, Any], of_balances: Finding) -> Finding:
    return replace(chosen, reason=reason, known=known, expected=of_balances.expected)


def named(row: SentRow, of: SentRow) -> str:
    """A row as it is named beside another one: with its batch, where that is another."""
    return f"row {row.row}" if row.batch == of.batch else f"row {row.row} of {row.batch}"


def row_known(row: SentRow) -> dict[str, Any]:
    """What the ledger knew of a row."""
    return {
        "batch": row.batch,
        "row": row.row,
        "amount": f"{row.amount:f} {row.currency}",
        "state": row.state.value,
        "sent_at": _iso(row.sent_ms),
        "ended_at": _iso(row.ended_ms),
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else host.iso(ms)
