"""Every transfer that was ever asked for, found again by account, reference and time."""

from ledger_parts import DAY_MS, HOUR_MS, Clock, Row, begin, claim, drive, enrol, settle, transfer

from batchcredit import host
from batchcredit.ledger.base import HistoryQuery, Ledger
from batchcredit.transfer import Event, State

EVERYTHING = HistoryQuery()


def two_months(ledger: Ledger, clock: Clock) -> None:
    """Anna twice, Berta once, over two batches that lie thirty days apart."""
    drive(ledger, enrol(ledger, "march", [Row("Anna", "1", reference="m1"), Row("Berta")]), [State.CREDITED])
    clock.ms += 30 * DAY_MS
    april = enrol(ledger, "april", [Row("ANNA", "2", reference="a1")])
    run = begin(ledger, april, approval="typed the total")
    clock.ms += HOUR_MS
    claim(ledger, april)
    settle(ledger, april, 1, Event.REJECT, reason="unknown_account")
    ledger.end_run(run, april.id, "")


def found(ledger: Ledger, query: HistoryQuery) -> list[tuple[str, int]]:
    assert ledger.history_size(query) == len(list(ledger.history(query)))
    return [(row.batch, row.row) for row in ledger.history(query)]


def test_all_batches_are_searched_and_the_newest_comes_first(ledger: Ledger, clock: Clock) -> None:
    """Rows that were never sent stand where they were enrolled."""
    two_months(ledger, clock)
    assert found(ledger, EVERYTHING) == [("april", 1), ("march", 2), ("march", 1)]
    assert [row.row for row in ledger.history(EVERYTHING, 1)] == [1]


def test_each_filter_keeps_what_fits(ledger: Ledger, clock: Clock) -> None:
    """An account in any spelling, a reference, a time; together they narrow."""
    begun = clock.ms
    two_months(ledger, clock)
    assert found(ledger, HistoryQuery(account_keys=("anna", "nobody"))) == [("april", 1), ("march", 1)]
    assert found(ledger, HistoryQuery(reference="a1")) == [("april", 1)]
    assert found(ledger, HistoryQuery(from_ms=begun + 1)) == [("april", 1)]
    assert found(ledger, HistoryQuery(before_ms=begun)) == []
    assert found(ledger, HistoryQuery(("anna",), before_ms=begun + 1)) == [("march", 1)]


def test_a_transfer_tells_who_ran_it_and_how_it_was_agreed_to(ledger: Ledger, clock: Clock) -> None:
    """The run that sent it last; a row that was never sent has none."""
    two_months(ledger, clock)
    april, berta, _ = ledger.history(EVERYTHING)
    batch = ledger.batches("april")[0]
    assert (april.user, april.host, april.approval) == (host.user(), host.name(), "typed the total")
    assert (april.state, april.reason, april.at_ms) == (State.REJECTED, "unknown_account", clock.ms)
    assert april.transfer_id == f"t-{ledger.id}-{transfer(ledger, batch).id}"
    assert (berta.user, berta.host, berta.approval) == ("", "", "")


def test_a_later_run_that_left_a_row_alone_did_not_send_it(ledger: Ledger, clock: Clock) -> None:
    """Who ran it is whoever sent it, not whoever came after."""
    batch = enrol(ledger, "b", [Row("Anna"), Row("Berta")])
    for row, approval in ((1, "first"), (2, "second")):
        begin(ledger, batch, approval=approval)
        claim(ledger, batch, row)
        settle(ledger, batch, row, Event.CREDIT)
        clock.ms += HOUR_MS
    assert [row.approval for row in ledger.history(EVERYTHING)] == ["second", "first"]
