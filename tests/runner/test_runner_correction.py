"""A changed file under a known name: exactly the corrections of the contract, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import BATCH, ListLedger, as_reader, result_row, worksheet

from batchcredit.errors import RefusedError
from batchcredit.runner.intake import correction
from batchcredit.transfer import State

NOT_CREDITED = (State.PENDING, State.UNSENT, State.REJECTED, State.INVALID)

Texts = tuple[str, str, str, str, str]

TEXTS: st.SearchStrategy[Texts] = st.tuples(
    st.just("clicksend"),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["10", "20"]),
    st.just("USD"),
    st.sampled_from(["", "A", "B"]),
)


def found(
    was: Sequence[tuple[State, Texts]], now: Sequence[Texts], chunk_rows: int = 3
) -> list[correction.Change]:
    ledger = ListLedger([result_row(row, *known) for row, known in enumerate(was, 1)])
    rows = worksheet([(*texts, None) for texts in now], chunk_rows)
    return correction.changes(as_reader(ledger), replace(BATCH, rows=len(was)), rows, Path("march.csv"))


@settings(deadline=None)
@given(
    was=st.lists(st.tuples(st.sampled_from(list(State)), TEXTS), min_size=1, max_size=6),
    edits=st.lists(st.one_of(st.none(), TEXTS), min_size=6, max_size=6),
    extra=st.integers(-1, 1),
    chunk_rows=st.integers(1, 4),
)
def test_only_rows_with_a_reference_that_were_not_credited_may_differ(
    was: list[tuple[State, Texts]], edits: list[Texts | None], extra: int, chunk_rows: int
) -> None:
    """As many rows in the same order; each that differs has its old reference and was not credited."""
    now = [edit or texts for (_, texts), edit in zip(was, edits, strict=False)]
    now = now + [now[0]] * extra if extra >= 0 else now[:extra]
    differing = [
        (row, state, before, after)
        for row, ((state, before), after) in enumerate(zip(was, now, strict=False), 1)
        if before != after or (state is State.INVALID and before[4])
    ]
    allowed = len(now) == len(was) and all(
        before[4] and before[4] == after[4] and state in NOT_CREDITED for _, state, before, after in differing
    )
    if not allowed:
        with pytest.raises(RefusedError) as caught:
            found(was, now, chunk_rows)
        assert "--batch NAME" in caught.value.cure
        assert caught.value.reason == "changed_content"
        return
    changes = found(was, now, chunk_rows)
    assert [(change.row, change.was, change.now) for change in changes] == [
        (row, before, after) for row, _, before, after in differing
    ]


def test_a_change_says_old_and_new() -> None:
    """A person reads what a row said and what it says, and no more."""
    was = (State.REJECTED, ("clicksend", "1", "10", "USD", "A"))
    (change,) = found([was], [("clicksend", "2", "10.5", "USD", "A")])
    assert str(change) == "row 1: account 1 -> 2, amount 10 -> 10.5"


def test_more_than_ten_thousand_changes_are_another_file() -> None:
    """The changes of one correction are held in memory, so their number has a limit."""
    texts = [("clicksend", str(row), "10", "USD", f"R{row}") for row in range(1, 10_002)]
    was: list[tuple[State, Texts]] = [(State.REJECTED, one) for one in texts]
    now: list[Texts] = [(one[0], one[1], "20", one[3], one[4]) for one in texts]
    assert len(found(was[:-1], now[:-1], 5000)) == 10_000
    with pytest.raises(RefusedError, match="more than 10,000 rows differ"):
        found(was, now, 5000)
