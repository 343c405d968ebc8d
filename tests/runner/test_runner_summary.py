"""How a batch stands: every combination of counts, and nothing lost on the way."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import BATCH

from batchcredit.errors import DefectError
from batchcredit.ledger.base import BatchRecord, LedgerReader, Tally
from batchcredit.runner.summary import Speed, Summary, summarise, summed_up
from batchcredit.transfer import STATUS, STATUSES, State

KEYS = (
    *("schema", "batch", "rows", "counts", "reasons", "amounts", "results", "seconds", "rows_per_s"),
    *("latency_ms", "exit_code", "next"),
)

TALLIES = st.lists(
    st.builds(
        Tally,
        state=st.sampled_from(list(State)),
        reason=st.sampled_from(["", "wallet_empty", "bad_request"]),
        currency=st.sampled_from(["USD", "KES"]),
        rows=st.integers(1, 5),
        amount=st.decimals("0.01", "99999.9999", places=4),
    ),
    min_size=1,
    max_size=8,
)


def expected_code(counts: dict[str, int]) -> int:
    """The first sentence of the contract's list of exit codes that holds."""
    if counts["in_doubt"]:
        return 3
    if counts["not_sent"]:
        return 4
    if counts["rejected"] or counts["invalid"]:
        return 1
    return 0


def a_summary(counts: dict[str, int]) -> Summary:
    return Summary("march", sum(counts.values()), counts, {}, {}, None, Speed(), None)


def test_the_exit_code_of_every_combination() -> None:
    """In doubt before left, left before rejected or invalid, and 0 for nothing but good endings."""
    for numbers in itertools.product((0, 1, 7), repeat=len(STATUSES)):
        counts = dict(zip(STATUSES, numbers, strict=True))
        summary = a_summary(counts)
        assert summary.exit_code == expected_code(counts)
        assert summary.as_json()["exit_code"] == summary.exit_code


def of_tallies(tallies: Sequence[Tally]) -> tuple[BatchRecord, LedgerReader]:
    totals: dict[str, Decimal] = {}
    for tally in tallies:
        if tally.state is not State.INVALID:
            totals[tally.currency] = totals.get(tally.currency, Decimal(0)) + tally.amount
    batch = replace(BATCH, rows=sum(tally.rows for tally in tallies), totals=totals)
    return batch, cast(LedgerReader, SimpleNamespace(tallies=lambda _: tallies))


@settings(deadline=None)
@given(TALLIES)
def test_every_row_and_every_cent_is_in_the_summary_once(tallies: list[Tally]) -> None:
    """Counts, reasons and amounts of a summary add up to what the ledger tells."""
    batch, ledger = of_tallies(tallies)
    summary = summarise(ledger, batch, None, Speed())
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts[STATUS[tally.state]] += tally.rows
    assert dict(summary.counts) == dict(counts)
    assert {cur: sum(by.values(), Decimal(0)) for cur, by in summary.amounts.items()} == dict(batch.totals)
    told = sum(tally.rows for tally in tallies if tally.reason and tally.state is not State.CREDITED)
    assert sum(summary.reasons.values()) == told
    said = summary.as_json()
    assert tuple(said) == KEYS
    assert list(said["counts"]) == list(STATUSES)
    assert all(isinstance(amount, str) for by in said["amounts"].values() for amount in by.values())


@settings(deadline=None)
@given(TALLIES, st.integers(0, 7), st.booleans())
def test_a_lost_row_or_cent_is_a_defect(tallies: list[Tally], place: int, lose_money: bool) -> None:
    """A batch that does not add up is never summed up as if it did."""
    batch, _ = of_tallies(tallies)
    lost = tallies[place % len(tallies)]
    if lose_money and lost.state is State.INVALID:
        return
    less = (
        replace(lost, amount=lost.amount - Decimal("0.0001"))
        if lose_money
        else replace(lost, rows=lost.rows - 1)
    )
    wrong = [less if tally is lost else tally for tally in tallies]
    _, ledger = of_tallies(wrong)
    with pytest.raises(DefectError, match="does not add up") as caught:
        summarise(ledger, batch, None, Speed())
    assert caught.value.exit_code == 70


@pytest.mark.parametrize(
    ("statuses", "command"),
    [
        (("credited", "already_credited", "cancelled"), None),
        (("credited", "not_sent", "rejected"), "resume"),
        (("in_doubt", "not_sent"), "reconcile"),
        (("rejected",), "show"),
        (("invalid",), "show"),
    ],
)
def test_the_next_command(statuses: tuple[str, ...], command: str | None) -> None:
    """What can be typed next follows from what is left, and names the same ledger."""
    state = {STATUS[one]: one for one in State}
    tallies = [Tally(state[status], "", "USD", 1, Decimal(1)) for status in statuses]
    batch, ledger = of_tallies(tallies)
    summary = summarise(ledger, batch, None, Speed(), ("--ledger", "sqlite:///x.db"))
    expected = ("batchcredit", command, batch.name, "--ledger", "sqlite:///x.db") if command else None
    assert summary.next == expected


@pytest.mark.parametrize("state", [State.CREDITED, State.IN_DOUBT])
def test_an_overpaid_row_is_never_a_good_end(state: State) -> None:
    """It is an incident whatever else is said of it: its own code, its own reason, and where to read on."""
    tally = Tally(state, "overpaid", "USD", 1, Decimal(1))
    batch = replace(BATCH, rows=1, totals={"USD": Decimal(1)})
    ledger = cast("LedgerReader", SimpleNamespace(tallies=lambda _: [tally]))
    summary = summarise(ledger, batch, None, Speed())
    assert (summary.exit_code, summary.overpaid, summary.reasons["overpaid"]) == (3, 1, 1)
    assert summary.next
    assert summary.next[1] == ("reconcile" if state is State.IN_DOUBT else "audit")


def test_rows_that_were_left_out_hold_nothing_up() -> None:
    """A repeat that was credited before has the word of one that waits for another batch: neither the command
    to type next nor what is told of rows that wait may count it."""
    tallies = [
        Tally(State.ALREADY_CREDITED, "repeat", "USD", 5, Decimal(5)),
        Tally(State.UNSENT, "open_elsewhere", "USD", 1, Decimal(1)),
        Tally(State.PENDING, "limit", "USD", 2, Decimal(2)),
    ]
    summary = summed_up("march", 8, tallies, is_over=False)
    assert summary.held_up == 1
    assert summary.next == ("batchcredit", "resume", "march")
    waiting = summed_up("march", 6, tallies[:2], is_over=False)
    assert (waiting.held_up, waiting.next) == (1, ("batchcredit", "show", "march"))
