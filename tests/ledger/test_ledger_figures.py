"""What a report asks of a ledger: runs, pauses, and requests in numbers."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_parts import (
    HOUR_MS,
    Clock,
    Home,
    Lanes,
    Row,
    a_claim,
    a_settle,
    begin,
    drive,
    enrol,
    settle,
)

from batchcredit.errors import DefectError
from batchcredit.ledger.base import PIECES_MS, Began, Ledger, Pause, PauseRecord, Span, Took, Tried
from batchcredit.transfer import Event, State


def test_a_run_keeps_who_made_it_and_with_what(ledger: Ledger, clock: Clock) -> None:
    """Each run stands by itself, with its settings as they were given, and the end of it."""
    batch, began_ms = enrol(ledger, "b", [Row()]), clock.ms
    other = enrol(ledger, "other", [Row(account="Berta")])
    run = ledger.begin_run(batch.id, 0, None, rejected=False, approval="--yes", settings='{"rate": "10/s"}')
    clock.ms += HOUR_MS
    ledger.end_run(run, batch.id, "stopped")
    begin(ledger, batch)
    begin(ledger, other)
    first, second = ledger.runs(batch.id)
    assert (first.id, first.started_ms, first.ended_ms) == (run, began_ms, clock.ms)
    assert (first.reason, first.approval, first.settings) == ("stopped", "--yes", '{"rate": "10/s"}')
    assert (second.ended_ms, second.settings) == (None, "")
    assert first.user
    assert first.host


def test_who_sent_stands_with_the_run(home: Home, ledger: Ledger) -> None:
    """Where a ledger is shared each of its senders is known; elsewhere nobody sends beside the run."""
    batch = enrol(ledger, "b", [Row()])
    run = begin(ledger, batch)
    if not ledger.is_shared:
        assert ledger.crews(batch.id) == []
        return
    second = home.hold("sender")
    second.enlist(run)
    second.close()
    crews = ledger.crews(batch.id)
    assert [crew.run for crew in crews] == [run, run]
    assert [crew.ended_ms is None for crew in crews] == [True, False]
    assert crews[1].why


def test_one_pause_is_one_row_however_many_ask_for_it(ledger: Ledger, clock: Clock) -> None:
    """Whoever is refused meanwhile makes it longer, never shorter; the next one is another."""
    batch = enrol(ledger, "b", [Row(), Row(profile="kiosk")])
    shop, kiosk, began_ms = Lanes(ledger)["shop"], Lanes(ledger)["kiosk"], clock.ms
    ledger.commit([Pause(batch.id, shop, clock.ms + 5_000, "first")] * 3)
    clock.ms += 1_000
    ledger.commit([Pause(batch.id, shop, clock.ms + more, "again") for more in (6_000, 1)])
    ledger.commit([Pause(batch.id, kiosk, clock.ms + 10, "other")])
    clock.ms += HOUR_MS
    ledger.commit([Pause(batch.id, shop, clock.ms + 7_000, "later")])
    expected = [
        PauseRecord(shop, began_ms, began_ms + 7_000, "first"),
        PauseRecord(kiosk, began_ms + 1_000, began_ms + 1_010, "other"),
        PauseRecord(shop, clock.ms, clock.ms + 7_000, "later"),
    ]
    assert ledger.pauses(batch.id, 10) == (expected, 3)
    assert ledger.pauses(batch.id, 2) == (expected[:2], 3)


@pytest.mark.parametrize("way", ["pruned", "forgotten"])
def test_pauses_leave_with_their_batch(way: str, ledger: Ledger, clock: Clock) -> None:
    """Nothing of them is left behind, and those of other batches stay."""
    batch, other = (enrol(ledger, name, [Row(name)]) for name in ("b", "other"))
    shop = Lanes(ledger)["shop"]
    drive(ledger, batch, [State.CREDITED])
    ledger.commit([Pause(one.id, shop, clock.ms + 5_000, "wait") for one in (batch, other)])
    ledger.end_run(ledger.runs(batch.id)[0].id, batch.id, "")
    clock.ms += HOUR_MS
    if way == "pruned":
        ledger.prune(batch.id, clock.ms, "archive", "00", "old")
    else:
        ledger.forget(batch.id)
    assert ledger.pauses(batch.id, 10) == ([], 0)
    assert ledger.pauses(other.id, 10)[1] == 1


def test_a_pause_is_written_with_the_ending_that_asked_for_it(ledger: Ledger) -> None:
    """Both or neither: a group that is taken back leaves no pause."""
    begin(ledger, batch := enrol(ledger, "b", [Row()]))
    pause = Pause(batch.id, Lanes(ledger)["shop"], 1)
    with pytest.raises(DefectError, match="settled twice"):
        ledger.commit([pause, a_settle(ledger, batch, 1, Event.CREDIT)])
    assert ledger.pauses(batch.id, 10) == ([], 0)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_requests_are_counted_where_they_began(home: Home, clock: Clock, data: st.DataObject) -> None:
    """Every dated request is in the piece of the span in which it began, and nowhere else; endings and tries
    are counted once for each row."""
    gaps = data.draw(st.lists(st.integers(0, 2_000), min_size=1, max_size=8))
    most = data.draw(st.integers(1, 9))
    tries = data.draw(st.lists(st.integers(0, 3), min_size=len(gaps), max_size=len(gaps)))
    ledger = home.hold()
    try:
        name = f"b{len(ledger.batches())}"
        rows = [Row(account=f"{name}-{n}", profile=("shop", "kiosk")[n % 2]) for n in range(len(gaps))]
        batch = enrol(ledger, name, rows)
        begin(ledger, batch, window_ms=0)
        from_ms, sent = clock.ms, dict[int, int]()
        for number, (gap, times) in enumerate(zip(gaps, tries, strict=True), 1):
            for attempt in range(times):
                clock.ms += gap
                sent[number] = clock.ms
                ledger.commit([a_claim(ledger, batch, number)])
                settle(ledger, batch, number, Event.CREDIT if attempt == times - 1 else Event.RETRY)
        middle_ms = from_ms + sum(gaps)
        spans = [Span(from_ms, middle_ms), Span(middle_ms, clock.ms + HOUR_MS)]
        found = ledger.activity(batch.id, spans, most)
        pieces: Counter[tuple[int, str, int]] = Counter()
        for number, at_ms in sent.items():
            span = 0 if at_ms < middle_ms else 1
            piece = (at_ms - spans[span].from_ms) // found.widths_ms[span]
            pieces[span, rows[number - 1].profile, piece] += 1
        assert all(piece < most or found.widths_ms[span] == PIECES_MS[0] for span, _, piece in pieces)
        assert all(PIECES_MS[0] <= width <= sum(gaps) * 3 + PIECES_MS[0] for width in found.widths_ms)
        assert found.began == [Began(*place, requests) for place, requests in sorted(pieces.items())]
        assert Counter(times for times in tries) == {tried.attempts: tried.rows for tried in found.tried}
        assert all(tried.dated == (tried.rows if tried.attempts else 0) for tried in found.tried)
        through = Counter(rows[number - 1].profile for number in sent)
        assert found.took == [Took(profile, 12, requests) for profile, requests in sorted(through.items())]
        assert ledger.activity(batch.id, [], most).began == []
    finally:
        ledger.close()


def test_what_was_never_sent_has_no_figures(ledger: Ledger) -> None:
    """Rows without a request stand under no attempts."""
    batch = enrol(ledger, "b", [Row(), Row(account="Berta")])
    assert ledger.activity(batch.id, [Span(0, 1)], 1).tried == [Tried(0, 2, 0)]
    assert ledger.runs(batch.id) == []
    assert ledger.crews(batch.id) == []
