"""Balances against worlds of which all is known: a verdict is the truth, as far as spending can be told."""

import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from reconcile_world import BEGIN_MS, MINUTE_MS, QUIET_MS, World, clock, known_row, sent_row, worlds

from batchcredit.ledger.base import SentRow
from batchcredit.reconcile.balances import Account, weigh
from batchcredit.reconcile.chain import Look
from batchcredit.reconcile.finding import Certainty, Finding, Verdict

OPENING = Decimal("100.00")


def look(minute: float, amount: str, currency: str = "USD") -> Look:
    at_ms = BEGIN_MS + round(minute * MINUTE_MS)
    return Look(at_ms, at_ms, Decimal(amount), currency, "read")


def with_balances(world: World, key: str, spent: dict[int, Decimal]) -> list[SentRow]:
    """The rows of one account; those that the provider confirmed have the balances that it had."""
    rows = {row.id: row for row in world.rows if row.account_key == key}
    gained = [(at, rows[number].amount, number) for number, at in world.executed.items() if number in rows]
    moves = sorted(gained + [(at, -amount, 0) for at, amount in spent.items()])
    told, balance = {}, OPENING
    for _, amount, number in moves:
        told[number] = (balance, balance + amount)
        balance += amount
    return [
        replace(row, balance_before=told[row.id][0], balance_after=told[row.id][1]) if row.is_known else row
        for row in rows.values()
    ]


def balance_at(world: World, key: str, spent: dict[int, Decimal], at_ms: int) -> Decimal:
    """What the client has at a moment."""
    rows = {row.id: row for row in world.rows if row.account_key == key}
    credited = (
        rows[number].amount for number, at in world.executed.items() if number in rows and at <= at_ms
    )
    return OPENING + sum(credited, Decimal(0)) - sum(amount for at, amount in spent.items() if at <= at_ms)


#: No sum of these is a sum of amounts.
SPENDINGS = ("0.03", "1.11", "6.07")


@settings(deadline=None)
@given(st.data(), st.booleans())
def test_no_verdict_contradicts_what_was_executed(data: st.DataObject, floats: bool) -> None:
    """Whatever the client spends and however late a request comes: what is likely is so, and only likely."""
    world = data.draw(worlds())
    minutes = st.integers(-5, 200)
    spent = {
        BEGIN_MS + minute * MINUTE_MS + 500: Decimal(data.draw(st.sampled_from(SPENDINGS)))
        for minute in data.draw(st.sets(minutes, max_size=2))
    }
    looks = [
        replace(look(minute, "0"), amount=balance_at(world, "anna", spent, BEGIN_MS + minute * MINUTE_MS))
        for minute in data.draw(st.sets(minutes, max_size=3))
    ]
    rows = with_balances(world, "anna", spent)
    for row in rows:
        if row.is_known:
            continue
        found = next(weigh([row], Account(rows, looks, floats=floats), QUIET_MS, clock))
        event(f"{found.verdict}")
        assert found.certainty is not Certainty.CERTAIN
        if found.decides:
            assert (found.verdict is Verdict.CREDITED) == (row.id in world.executed), found.reason


@settings(deadline=None)
@given(worlds(["5", "11", "23", "47", "95", "191", "383"]))
def test_looks_before_and_after_decide(world: World) -> None:
    """Nobody spends, no two sums are equal, the balance is known before and long after: all is decided."""
    world.rows = [replace(row, amount=Decimal(2**row.id)) for row in world.rows]
    end = 10_000
    looks = [
        look(-60, "100.00"),
        replace(look(end, "0"), amount=balance_at(world, "anna", {}, BEGIN_MS + end * MINUTE_MS)),
    ]
    rows = with_balances(world, "anna", {})
    for row in rows:
        if not row.is_known:
            found = next(weigh([row], Account(rows, looks), QUIET_MS, clock))
            assert found.decides, found.reason
            assert (found.verdict is Verdict.CREDITED) == (row.id in world.executed), found.reason


BEFORE = known_row(1, minute=0, amount="5", balance_after=Decimal("12.00"))
DOUBT = sent_row(2, minute=2)


def of(*looks: Look, rows: tuple[SentRow, ...] = (BEFORE,), **said: Any) -> Finding:
    return next(weigh([DOUBT], Account([*rows, DOUBT], looks, **said), QUIET_MS, clock))


def test_it_rose_by_this_row() -> None:
    """The words that a finance person reads, and what the audit trail keeps."""
    found = of(look(9, "17.00"))
    assert found.verdict is Verdict.CREDITED
    assert found.reason == (
        "the client's balance rose from 12.00 to 17.00 between 00:00 and 00:09, which is this row's 5; "
        "nothing else was sent to it in between"
    )
    assert [reading["after"] for reading in found.known["readings"]] == ["12.00", "17.00"]
    assert found.expected == (Decimal("17.00"), Decimal("12.00"))


def test_a_balance_read_in_the_very_millisecond_may_have_it_already() -> None:
    """Then the next one is the same, and shows nothing."""
    assert of(look(2, "17.00"), look(18, "17.00")).verdict is not Verdict.NOT_CREDITED


def test_many_rows_in_doubt_of_one_client_are_weighed_in_one_go() -> None:
    """As an accepted copy leaves them: what they have in common is not found out for each anew."""
    rows = [sent_row(number, minute=number) for number in range(3000)]
    began = time.process_time()
    reasons = {found.reason for found in weigh(rows, Account(rows), QUIET_MS, clock)}
    assert reasons == {"too many rows of this client are in doubt at once"}
    assert time.process_time() - began < 5


def test_it_did_not_move() -> None:
    """Only a balance from after the quiet time shows that it did not come."""
    assert of(look(17, "12.00")).verdict is Verdict.UNDECIDED
    found = of(look(18, "12.00"))
    assert (found.verdict, found.certainty) == (Verdict.NOT_CREDITED, Certainty.LIKELY)
    assert found.reason == (
        "the client's balance did not move between 00:00 and 00:18, past the quiet time: "
        "this row's 5 did not arrive"
    )


def test_it_moved_by_other_rows() -> None:
    """What the ledger knows of in between is said, and does not count for this row."""
    later = known_row(3, minute=5, amount="9", balance_after=Decimal("21.00"))
    found = of(look(40, "21.00"), rows=(BEFORE, later))
    assert found.verdict is Verdict.NOT_CREDITED
    assert "moved by other rows only between 00:00 and 00:40" in found.reason


@pytest.mark.parametrize(
    ("looks", "said", "words"),
    [
        ([], {"rows": ()}, "no balance of this client is known"),
        ([look(9, "17.00")], {"rows": ()}, "no balance of this client from before it is known"),
        (
            [look(9, "12.00")],
            {},
            "no balance of this client from 00:17 on is known",
        ),
        ([look(40, "9.00")], {}, "the client's balance fell"),
        ([look(40, "29.00")], {}, "rose by something that this ledger does not know"),
        ([look(40, "15.50")], {"floats": True}, "moved by spending or exchange rates"),
        ([look(40, "17.00", "AUD")], {}, "the client's balance is in AUD, and this row in USD"),
        ([look(40, "17.00")], {"rows": (BEFORE, sent_row(3, minute=5))}, "fit this row as well as row 3"),
        ([look(40, "17.00")], {"rows": (replace(BEFORE, currency="KES"),)}, "in several currencies"),
        (
            [look(40, "17.00")],
            {"rows": (BEFORE, *(sent_row(number, minute=5) for number in range(3, 20)))},
            "too many rows of this client are in doubt at once",
        ),
    ],
)
def test_what_leaves_a_row_undecided(looks: list[Look], said: dict[str, Any], words: str) -> None:
    """Each reason for which balances do not tell is said."""
    found = of(*looks, **said)
    assert (found.verdict, found.certainty) == (Verdict.UNDECIDED, Certainty.NONE)
    assert words in found.reason


def test_only_the_providers_word_is_a_reading() -> None:
    """What came with an answer that did not add up is no balance, though a person called the row credited."""
    claimed = known_row(3, minute=5, amount="9", settled_by="person", balance_after=Decimal("26.00"))
    found = of(look(40, "21.00"), rows=(BEFORE, claimed))
    assert found.verdict is Verdict.NOT_CREDITED
    assert [reading["after"] for reading in found.known["readings"]] == ["12.00", "21.00"]


def test_spending_makes_it_one_sided() -> None:
    """It rose by less than the row: something credited it, and that can only have been this row."""
    found = of(look(40, "15.50"))
    assert found.verdict is Verdict.CREDITED
    assert "one-sided evidence" in found.reason


def test_other_doubtful_rows_are_weighed_together() -> None:
    """Two rows in doubt, and a sum that only one of them explains; or only both."""
    other = sent_row(3, minute=5, amount="9")
    assert of(look(40, "21.00"), rows=(BEFORE, other)).verdict is Verdict.NOT_CREDITED
    both = of(look(40, "26.00"), rows=(BEFORE, other))
    assert both.verdict is Verdict.CREDITED
    assert "which only adds up with this row's 5" in both.reason


def test_units_are_learnt_from_the_clients_other_rows() -> None:
    """Half a shilling for a unit: 5 shillings are 10 units, where another row of the client tells so."""
    told = replace(BEFORE, amount=Decimal(3), units=Decimal("6.00"), balance_before=Decimal("6.00"))
    found = of(look(20, "22.00", ""), rows=(told,), counts_units=True)
    assert found.verdict is Verdict.CREDITED
    assert found.expected == (Decimal("22.00"), Decimal("12.00"))
    other = known_row(
        3, minute=1, amount="3", units=Decimal("9.00"), balance_before=Decimal(3), balance_after=Decimal(12)
    )
    for rows in ((told, other), (replace(told, settled_by="person"),)):
        unknown = of(look(-5, "12.00", ""), look(20, "22.00", ""), rows=rows, counts_units=True)
        assert "what this amount is in the client's units is not known" in unknown.reason
