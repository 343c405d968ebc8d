"""Two kinds of evidence together: the stronger counts, and a contradiction is for a person."""

from typing import Any

import pytest
from reconcile_world import sent_row

from batchcredit.reconcile.finding import Certainty, Finding, Verdict, named, together

ROW = sent_row(1, minute=0)
CREDITED, NOT_CREDITED, UNDECIDED = Verdict.CREDITED, Verdict.NOT_CREDITED, Verdict.UNDECIDED
CERTAIN, LIKELY, NONE = Certainty.CERTAIN, Certainty.LIKELY, Certainty.NONE


def finding(verdict: Verdict, certainty: Certainty, by: str) -> Finding:
    known: dict[str, Any] = {by: "known"}
    return Finding(ROW, verdict, certainty, by if verdict is not UNDECIDED else "", f"{by} says", known)


@pytest.mark.parametrize(
    ("balance", "statement", "verdict", "certainty", "by"),
    [
        ((CREDITED, LIKELY), (CREDITED, CERTAIN), CREDITED, CERTAIN, "statement"),
        ((CREDITED, LIKELY), (UNDECIDED, NONE), CREDITED, LIKELY, "balance"),
        ((UNDECIDED, NONE), (NOT_CREDITED, CERTAIN), NOT_CREDITED, CERTAIN, "statement"),
        ((UNDECIDED, NONE), (UNDECIDED, NONE), UNDECIDED, NONE, ""),
        ((CREDITED, LIKELY), (NOT_CREDITED, CERTAIN), UNDECIDED, NONE, ""),
        ((CREDITED, LIKELY), (NOT_CREDITED, LIKELY), UNDECIDED, NONE, ""),
        ((NOT_CREDITED, LIKELY), (CREDITED, LIKELY), UNDECIDED, NONE, ""),
        ((NOT_CREDITED, LIKELY), (CREDITED, CERTAIN), CREDITED, CERTAIN, "statement"),
    ],
)
def test_two_kinds_of_evidence(
    balance: tuple[Verdict, Certainty],
    statement: tuple[Verdict, Certainty],
    verdict: Verdict,
    certainty: Certainty,
    by: str,
) -> None:
    """Nothing is sent again where balances say that it arrived; what both knew is kept."""
    found = together(finding(*balance, "balance"), finding(*statement, "statement"))
    assert (found.verdict, found.certainty, found.settled_by) == (verdict, certainty, by)
    assert found.known == {"balance": "known", "statement": "known"}
    assert "says" in found.reason


def test_a_row_of_another_batch_is_named_with_it() -> None:
    """Row numbers alone would mislead."""
    assert named(sent_row(7, minute=0), ROW) == "row 7"
    assert named(sent_row(7, minute=0, batch="may"), ROW) == "row 7 of may"
