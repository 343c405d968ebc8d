"""What other batches say about the rows at hand, against the contract's sentences computed the slow way."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import Row, enrolled, how

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, RowKey
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.runner.intake import overlap
from batchcredit.runner.intake.overlap import Found, Overlap, Window
from batchcredit.transfer import SPENT, State

SINCE = Window(repeat_since_ms=50, correction_since_ms=20)
OPEN = (State.SENDING, State.IN_DOUBT)
WAITING = (State.PENDING, State.UNSENT)

STATES = st.sampled_from([state for state in State if state is not State.INVALID])
ROWS = st.builds(
    Row,
    account=st.sampled_from("ab"),
    amount=st.sampled_from(["1", "2.5"]),
    reference=st.sampled_from([None, "R", "S"]),
    state=STATES,
    ended_ms=st.sampled_from([10, 30, 60]),
)


def possible(rows: Sequence[Row]) -> list[Row]:
    """The rows that a ledger can hold together: one spent row of a reference, one of an account under way."""
    kept: list[Row] = []
    for row in rows:
        clash = row.reference and row.state in SPENT
        taken = clash and any(one.reference == row.reference and one.state in SPENT for one in kept)
        busy = row.state is State.SENDING and any(
            one.account == row.account and one.state is State.SENDING for one in kept
        )
        if not taken and not busy:
            kept.append(row)
    return kept


@contextmanager
def small_ledger() -> Iterator[SqliteLedger]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger.hold(Path(folder) / "ledger.db", "test")
        ledger._connection.execute("PRAGMA synchronous = OFF")
        try:
            yield ledger
        finally:
            ledger.close()


def keys(rows: Sequence[Row]) -> list[RowKey]:
    return [
        RowKey(number, 1, row.account, row.amount, "USD", row.reference) for number, row in enumerate(rows, 1)
    ]


def equal(one: Row, other: Row) -> bool:
    told_apart = None not in (one.reference, other.reference) and one.reference != other.reference
    return (one.account, one.amount) == (other.account, other.amount) and not told_apart


def kind_of(row: Row, others: Sequence[tuple[int, Row]], batch: int) -> str:
    """What the contract says of a row, given all rows of other batches with their batch's number."""
    counting = [(number, one) for number, one in others if one.state in (*WAITING, *SPENT)]
    named = [one for _, one in counting if row.reference and one.reference == row.reference]
    if any((one.account, one.amount) != (row.account, row.amount) for one in named):
        return "clashes"
    if any(one.state is State.CREDITED for one in named):
        return "recognised"
    same = [(number, one) for number, one in counting if equal(row, one)]
    if any(
        one.state in OPEN or (one.state in WAITING and (not batch or number < batch)) for number, one in same
    ):
        return "waiting"
    since_ms = SINCE.repeat_since_ms
    return (
        "repeats" if any(one.state is State.CREDITED and one.ended_ms > since_ms for _, one in same) else ""
    )


def split(rows: Sequence[Row], sizes: Sequence[int]) -> list[list[Row]]:
    parts, rest = [], list(rows)
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    return [part for part in parts if part]


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(ROWS, max_size=9).map(possible),
    sizes=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    mine=st.lists(ROWS, min_size=1, max_size=5),
    known=st.integers(0, 3),
)
def test_each_row_is_what_the_contract_says(
    rows: list[Row], sizes: list[int], mine: list[Row], known: int
) -> None:
    """Rows at hand, new or of a batch between the others, are sorted as the sentences of the contract do."""
    parts = split(rows, sizes)
    with small_ledger() as ledger:
        batches = [enrolled(ledger, f"batch-{number}", part) for number, part in enumerate(parts)]
        batch = batches[known - 1] if 0 < known <= len(batches) else None
        at_hand = parts[known - 1] if batch else mine
        found = overlap.survey_overlap(ledger, keys(at_hand), batch, SINCE)
    number = batch.id if batch else 0
    others = [
        (one.id, row) for one, part in zip(batches, parts, strict=True) for row in part if one.id != number
    ]
    expected = [kind_of(row, others, number) for row in at_hand]
    for name in ("clashes", "recognised", "waiting", "repeats"):
        of_kind = [row for row, kind in zip(at_hand, expected, strict=True) if kind == name]
        part: Found = getattr(found, name)
        assert part.rows == len(of_kind)
        assert [match.key.row for match in part.examples] == [
            place for place, kind in enumerate(expected, 1) if kind == name
        ][: overlap.SHOWN]
        total = sum((Decimal(row.amount) for row in of_kind), Decimal(0))
        assert sum((total.amount for total in part.amounts.values()), Decimal(0)) == total


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROWS, max_size=8).map(possible), mine=st.lists(ROWS, min_size=1, max_size=5))
def test_credited_rows_are_counted_once_for_each_batch(rows: list[Row], mine: list[Row]) -> None:
    """What looks like a correction is measured in rows at hand, by batch, however often each is there."""
    with small_ledger() as ledger:
        batch = enrolled(ledger, "one", rows) if rows else None
        found = overlap.survey_overlap(ledger, keys(mine), None, SINCE)
    lately = [row for row in rows if row.state is State.CREDITED and row.ended_ms > SINCE.correction_since_ms]
    expected = sum(any(equal(row, one) for one in lately) for row in mine)
    assert found.credited_rows == (Counter({batch.id: expected}) if batch and expected else Counter())


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(ROWS, min_size=1, max_size=6).map(possible),
    credited=st.integers(0, 12),
    size=st.integers(1, 12),
)
def test_half_the_rows_of_a_batch_with_rows_left_look_like_its_correction(
    rows: list[Row], credited: int, size: int
) -> None:
    """Refused exactly when half the rows or more were credited by a batch that has rows left."""
    found = Overlap(credited_rows=Counter({1: credited}) if credited else Counter())
    left = {State.PENDING, State.UNSENT, State.SENDING, State.IN_DOUBT, State.REJECTED}
    refused = credited > 0 and credited * 2 >= size and any(row.state in left for row in rows)
    with small_ledger() as ledger:
        batch: BatchRecord = enrolled(ledger, "march", rows)
        batches = {batch.id: batch}
        if not refused:
            overlap.refuse_correction(ledger, found, size, batches, Path("april.csv"))
            return
        with pytest.raises(RefusedError, match="looks like a correction") as caught:
            overlap.refuse_correction(ledger, found, size, batches, Path("april.csv"))
    assert "batchcredit resume march" in caught.value.cure


@pytest.mark.parametrize(("allow", "skip"), [(False, False), (True, False), (False, True)])
def test_repeats_need_a_word(allow: bool, skip: bool) -> None:
    """Repeats are refused with both ways out, unless one of them was taken."""
    found = Overlap(repeats=Found(numbers={1}))
    if allow or skip:
        overlap.refuse_repeats(found, how(allow_repeat=allow, skip_repeats=skip))
        return
    with pytest.raises(RefusedError) as caught:
        overlap.refuse_repeats(found, how())
    assert "--skip-repeats" in caught.value.cure
    assert "--allow-repeat" in caught.value.cure


def test_what_was_approved_is_no_repeat() -> None:
    """The window of repeats begins no earlier than the moment up to which they were approved."""
    since = overlap.window(repeat_window_ms=10_000_000, approved_ms=4_102_444_800_000)
    assert since.repeat_since_ms == 4_102_444_800_000
