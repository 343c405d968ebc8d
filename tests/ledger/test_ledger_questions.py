"""What a ledger answers about its rows: matches, what is left, tallies, reasons, batches by name."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_parts import (
    DAY_MS,
    Clock,
    Lanes,
    Row,
    SqliteHome,
    begin,
    claim,
    drive,
    enrol,
    refusal,
    row_of,
    say,
    settle,
)

from batchcredit.ledger.base import Ledger, Left, Match, RowKey, Tally
from batchcredit.ledger.sqlite.database import decimal_sum
from batchcredit.transfer import Event, State

COUNTING = {State.PENDING, State.UNSENT, State.SENDING, State.IN_DOUBT, State.CREDITED}


def key(ledger: Ledger, reference: str | None = None, **changes: str) -> RowKey:
    """The key of a row like `Row()`."""
    texts = {"account_key": "anna", "amount": "1", "currency": "USD"} | changes
    return RowKey(1, Lanes(ledger)["shop"], reference=reference, provider="shop", **texts)


def found(ledger: Ledger, *keys: RowKey, batch: int = 0) -> list[Match]:
    return list(ledger.matches(keys, batch))


@pytest.mark.parametrize(
    ("theirs", "mine", "same_content", "same_reference"),
    [
        (None, None, True, False),
        (None, "r", True, False),
        ("r", None, True, False),
        ("r", "r", True, True),
        ("r", "other", None, None),
    ],
)
def test_equal_rows_match_unless_both_references_differ(
    theirs: str | None,
    mine: str | None,
    same_content: bool | None,
    same_reference: bool | None,
    ledger: Ledger,
) -> None:
    """Equal content is the same request for money, unless two references tell two requests apart."""
    batch = enrol(ledger, "b", [Row(reference=theirs)])
    asked = key(ledger, mine)
    wanted = [Match(asked, "b", batch.id, 1, State.PENDING, None, True, bool(same_reference))]
    assert found(ledger, asked) == (wanted if same_content else [])


@pytest.mark.parametrize(
    ("theirs", "mine"), [(None, None), (None, "r"), ("r", None), ("r", "other"), ("r", "r")]
)
def test_other_content_matches_by_reference_only(
    theirs: str | None, mine: str | None, ledger: Ledger
) -> None:
    """A reference that stands for something else is found; other content alone is nothing."""
    batch = enrol(ledger, "b", [Row(amount="7", reference=theirs)])
    asked = key(ledger, mine)
    wanted = [Match(asked, "b", batch.id, 1, State.PENDING, None, False, True)]
    assert found(ledger, asked) == (wanted if theirs == mine == "r" else [])


@pytest.mark.parametrize("state", State)
def test_only_what_is_open_or_spent_matches(state: State, ledger: Ledger, clock: Clock) -> None:
    """What was refused, withdrawn, invalid or credited by another batch is no reason to hold a row back."""
    if state is State.ALREADY_CREDITED:
        drive(ledger, enrol(ledger, "a", [Row(reference="r")]), [State.CREDITED])
        batch = enrol(ledger, "b", [Row(reference="r")])
    elif state is State.INVALID:
        batch = enrol(ledger, "b", [Row(state=state)])
    else:
        drive(ledger, batch := enrol(ledger, "b", [Row()]), [state])
    assert row_of(ledger, batch).state is state
    matches = [match for match in found(ledger, key(ledger)) if match.batch == "b"]
    assert [match.state for match in matches] == ([state] if state in COUNTING else [])
    if state is State.CREDITED:
        assert matches[0].ended_ms == clock.ms


def test_a_batch_does_not_match_itself(ledger: Ledger) -> None:
    """The rows of the batch that is asked about are left out, also beside another one."""
    batch, other = enrol(ledger, "b", [Row()]), enrol(ledger, "other", [Row()])
    assert [match.batch for match in found(ledger, key(ledger), batch=batch.id)] == ["other"]
    assert [match.batch for match in found(ledger, key(ledger), batch=other.id)] == ["b"]


def test_a_verdict_is_a_credit_from_when_it_was_given(ledger: Ledger, clock: Clock) -> None:
    """Before it nobody could know that a repeat would be one."""
    drive(ledger, batch := enrol(ledger, "b", [Row()]), [State.IN_DOUBT])
    clock.ms += DAY_MS
    assert say(ledger, batch.id, 1, "credited", "", 0) == ""
    assert found(ledger, key(ledger))[0].ended_ms == clock.ms


def test_many_keys_are_answered_in_their_order(ledger: Ledger) -> None:
    """Each key's matches come together, in the order of the keys; without a match there is nothing."""
    enrol(ledger, "a", [Row(amount="1"), Row(amount="2")])
    enrol(ledger, "b", [Row(amount="2")])
    asked = [key(ledger, amount=amount) for amount in ("2", "3", "1")]
    told = [(match.key.amount, match.batch, match.other_row) for match in found(ledger, *asked)]
    assert told == [("2", "a", 2), ("2", "b", 1), ("1", "a", 1)]


def test_left_is_what_a_run_would_send(ledger: Ledger) -> None:
    """Pending and unsent rows by profile and currency, and rejected ones if they are asked for."""
    rows = [
        Row(amount="1.10", account="a"),
        Row(amount="2.20", account="b"),
        Row(amount="4", account="c", currency="KES"),
        Row(amount="8", account="d", profile="kiosk"),
        Row(amount="16", account="e"),
        Row(amount="abc", account="f", state=State.INVALID),
    ]
    batch = enrol(ledger, "b", rows)
    drive(ledger, batch, [State.PENDING, State.UNSENT, State.PENDING, State.REJECTED, State.CREDITED])
    plain = [Left("shop", "KES", 1, Decimal(4)), Left("shop", "USD", 2, Decimal("3.30"))]
    rejected = Left("kiosk", "USD", 1, Decimal(8))
    assert sorted(ledger.left(batch.id, rejected=False), key=str) == plain
    assert sorted(ledger.left(batch.id, rejected=True), key=str) == [rejected, *plain]
    assert [row.row for row in ledger.left_keys(batch.id, rejected=False)] == [1, 2, 3]
    assert [row.row for row in ledger.left_keys(batch.id, rejected=True)] == [1, 2, 3, 4]


def test_tallies_hold_every_row_once(ledger: Ledger) -> None:
    """Rows by state, reason and currency, with exact sums; the amount of an invalid row is no number."""
    rows = [
        Row(amount="0.1", account="a"),
        Row(amount="0.2", account="b"),
        Row(amount="5", account="c", currency="KES"),
    ]
    rows += [Row(amount="x", account="d", state=State.INVALID, reason="amount_decimals"), Row(account="e")]
    batch = enrol(ledger, "b", rows)
    run = begin(ledger, batch)
    for number in (1, 2, 3):
        assert refusal(ledger, batch, number) == ""
        settle(ledger, batch, number, Event.CREDIT)
    ledger.end_run(run, batch.id, "limit")
    assert sorted(ledger.tallies(batch.id), key=str) == sorted(
        [
            Tally(State.CREDITED, "", "USD", 2, Decimal("0.3")),
            Tally(State.CREDITED, "", "KES", 1, Decimal(5)),
            Tally(State.INVALID, "amount_decimals", "", 1, Decimal(0)),
            Tally(State.PENDING, "limit", "USD", 1, Decimal(1)),
        ],
        key=str,
    )


@given(st.lists(st.decimals(min_value=0, max_value=10**12, places=4)))
def test_sums_in_sql_are_exact(amounts: list[Decimal]) -> None:
    """The ledger's own sum is the sum of decimals, whatever the floats would say."""
    total, step, final = decimal_sum()
    for amount in amounts:
        step(total, format(amount, "f"))
    assert Decimal(final(total)) == sum(amounts, Decimal(0))


def test_a_row_that_was_not_sent_has_the_reason_of_its_lane_or_its_run(ledger: Ledger) -> None:
    """Its own reason comes first, then why its lane halted, then why the run stopped."""
    rows = [Row(account="a"), Row(account="b"), Row(account="c", profile="kiosk"), Row(account="d")]
    batch = enrol(ledger, "b", rows)
    assert [row.reason for row in ledger.rows(batch.id, 1, 4)] == ["interrupted"] * 4
    run = begin(ledger, batch)
    assert refusal(ledger, batch, 1) == refusal(ledger, batch, 4) == ""
    settle(ledger, batch, 1, Event.GIVE_UP, reason="connect", message="no route")
    settle(ledger, batch, 4, Event.CREDIT)
    ledger.halt(batch.id, Lanes(ledger)["shop"], "wallet_empty", "no credit left")
    ledger.end_run(run, batch.id, "stopped")
    told = [(row.reason, row.message) for row in ledger.rows(batch.id, 1, 4)]
    assert told == [("connect", "no route"), ("wallet_empty", "no credit left"), ("stopped", ""), ("", "")]
    begin(ledger, batch)
    assert [row.reason for row in ledger.rows(batch.id, 1, 4)] == ["interrupted"] * 3 + [""]
    assert {row.message for row in ledger.rows(batch.id, 1, 4)} == {""}


def test_rows_come_in_order_and_by_range(ledger: Ledger) -> None:
    """Any range of rows, beyond the end too; and the first ones in chosen states or with chosen reasons."""
    batch = enrol(ledger, "b", [Row(account=f"c{number}") for number in range(7)])
    drive(ledger, batch, [State.PENDING, State.IN_DOUBT, State.REJECTED, State.IN_DOUBT])
    assert [row.row for row in ledger.rows(batch.id, 3, 5)] == [3, 4, 5]
    assert [row.row for row in ledger.rows(batch.id, 6, 99)] == [6, 7]
    assert ledger.rows(batch.id, 8, 9) == []
    some = [State.IN_DOUBT, State.REJECTED]
    assert [row.row for row in ledger.rows_in(batch.id, some, [], 2)] == [2, 3]
    assert [row.row for row in ledger.rows_in(batch.id, some, [], 2, after_row=2)] == [3, 4]
    assert [row.row for row in ledger.rows_in(batch.id, [], [""], 9, after_row=4)] == [5, 6, 7]


def test_cells_come_back_as_they_were_given(ledger: Ledger) -> None:
    """The input's own columns are blocks that the ledger does not look into."""
    batch = enrol(ledger, "b", [Row(account=str(number)) for number in range(5)])
    assert list(ledger.cells(batch.id)) == [(1, 2, b"cells 0"), (3, 2, b"cells 2"), (5, 1, b"cells 4")]


def test_any_beginning_of_a_name_will_do(ledger: Ledger) -> None:
    """Newest first; an exact name comes alone, whatever else begins with it; nothing is a pattern."""
    for name in ("march", "march-2", "april", "m%"):
        enrol(ledger, name, [Row(account=name)])
    names = lambda begin: [batch.name for batch in ledger.batches(begin)]  # noqa: E731
    assert names("") == ["m%", "april", "march-2", "march"]
    assert names("mar") == ["march-2", "march"]
    assert names("march") == ["march"]
    assert names("m%") == ["m%"]
    assert names("x") == names("MARCH") == []


def test_a_batch_is_known_by_its_content(ledger: Ledger) -> None:
    """The same content under two names is found, newest first."""
    one = enrol(ledger, "one", [Row(amount="1.50")], content=b"c", source="in.csv", results="out.csv")
    two = enrol(ledger, "two", [Row()], content=b"c")
    assert [batch.id for batch in ledger.batches_of(b"c")] == [two.id, one.id]
    assert ledger.batches_of(b"d") == []
    known = ledger.batches("one")[0]
    assert (known.rows, known.source, known.results) == (1, "in.csv", "out.csv")
    assert known.totals == {"USD": Decimal("1.50")}
    assert (known.finished_ms, known.stop_reason) == (None, "interrupted")


def test_the_results_have_a_place(ledger: Ledger) -> None:
    """Where the results go may change from run to run."""
    batch = enrol(ledger, "b", [Row()])
    ledger.place_results(batch.id, "elsewhere.csv")
    assert ledger.batches("b")[0].results == "elsewhere.csv"


def test_a_lane_is_remembered_once(ledger: Ledger) -> None:
    """Accepting a lane again changes nothing; proving it stays."""
    batch = enrol(ledger, "b", [Row()])
    lane = ledger.batch_lanes(batch.id)[0].lane
    assert not lane.proven
    ledger.prove_lane(lane.id)
    again = ledger.accept_lane(lane.identity)
    assert again == ledger.lane(lane.identity)
    assert (again.id, again.proven) == (lane.id, True)
    assert ledger.lane(type(lane.identity)("clicksend", "https://one.test", "nobody")) is None


def test_a_reader_answers_what_the_holder_answers(ledger: Ledger, home: SqliteHome) -> None:
    """Whoever only reads sees the same rows, while the ledger is held and changed."""
    batch = enrol(ledger, "b", [Row(account="a"), Row(account="b", reference="r")])
    reader = home.read()
    begin(ledger, batch)
    assert refusal(ledger, batch) == ""
    same: list[tuple[object, object]] = [
        (reader.rows(batch.id, 1, 2), ledger.rows(batch.id, 1, 2)),
        (reader.tallies(batch.id), ledger.tallies(batch.id)),
        (reader.batches(), ledger.batches()),
        (reader.batch_lanes(batch.id), ledger.batch_lanes(batch.id)),
        (reader.id, ledger.id),
        (reader.is_live(), False),
    ]
    reader.close()
    assert all(theirs == ours for theirs, ours in same)
    assert row_of(ledger, batch).state is State.SENDING


def test_sent_rows_are_those_that_may_have_been_credited(ledger: Ledger, clock: Clock) -> None:
    """Of any batch, an account's together; by account, or by when they were sent; with what was told."""
    rows = [Row("Ben"), Row("Anna", "2.50"), Row("Ben", "3"), Row("Anna", "4"), Row("Carl", profile="kiosk")]
    batch = enrol(ledger, "march", rows)
    lane, other = Lanes(ledger)["shop"], Lanes(ledger)["kiosk"]
    begin(ledger, batch)
    times = []
    for row, event in ((1, Event.CREDIT), (2, Event.DOUBT), (3, Event.REJECT), (5, Event.DOUBT)):
        clock.ms += 1000
        times.append(clock.ms)
        claim(ledger, batch, row)
        settle(ledger, batch, row, event, balance_after=Decimal("7.10"))
    found = list(ledger.sent_rows(lane))
    assert [(row.account, row.row, row.state) for row in found] == [
        ("Anna", 2, State.IN_DOUBT),
        ("Ben", 1, State.CREDITED),
    ]
    ben = found[1]
    assert (ben.batch, ben.account_key, ben.amount, ben.currency) == ("march", "ben", Decimal(1), "USD")
    assert (ben.sent_ms, ben.ended_ms, ben.settled_by) == (times[0], times[0], "provider")
    assert (ben.units, ben.balance_before, ben.balance_after) == (None, None, Decimal("7.10"))
    assert (ben.is_known, found[0].is_known) == (True, False)
    assert list(ledger.sent_rows(lane, account_key="ben")) == [ben]
    assert list(ledger.sent_rows(lane, until_ms=times[0])) == [ben]
    assert list(ledger.sent_rows(lane, since_ms=times[1])) == [found[0]]
    in_doubt = ledger.rows_in_doubt(batch.id)
    assert in_doubt == {lane: [found[0]], other: list(ledger.sent_rows(other))}
    assert ledger.sent_span(batch.id, lane) == (times[0], times[1])
    assert ledger.sent_span(batch.id, 99) is None
