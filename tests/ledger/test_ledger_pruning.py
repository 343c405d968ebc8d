"""A pruned ledger answers as one that never was: the same play in two ledgers, of which one is pruned."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ledger_parts import (
    DAY_MS,
    WINDOW_MS,
    Clock,
    Home,
    Lanes,
    PostgresHome,
    Row,
    SqliteHome,
    begin,
    claim,
    enrol,
    row_of,
    say,
    settle,
    states,
)

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import AdoptChunk, AdoptRow, BatchRecord, Claimed, Ledger, NewBatch, RowKey
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.ledger.sql import pruning
from batchcredit.runner.intake import overlap
from batchcredit.transfer import FINAL, Event, State

ACCOUNTS, AMOUNTS, REFERENCES = ("anna", "berta"), ("1", "2.5"), (None, "r", "s", "t")
PROFILES = ("shop", "kiosk")

#: What an attempt ends with, or that there is none.
ENDINGS = {
    State.CREDITED: Event.CREDIT,
    State.REJECTED: Event.REJECT,
    State.IN_DOUBT: Event.DOUBT,
}

ROWS = st.builds(
    Row,
    account=st.sampled_from(ACCOUNTS),
    amount=st.sampled_from(AMOUNTS),
    reference=st.sampled_from(REFERENCES),
    profile=st.sampled_from(PROFILES),
    state=st.sampled_from([State.PENDING] * 7 + [State.INVALID]),
)
WANTED = st.sampled_from([State.CREDITED] * 5 + [State.REJECTED, State.CANCELLED, State.CANCELLED])
BATCHES = st.lists(st.lists(st.tuples(ROWS, WANTED), min_size=1, max_size=5), min_size=1, max_size=4)
LATER = st.lists(ROWS, min_size=1, max_size=6)

Past = Sequence[Sequence[tuple[Row, State]]]


@contextmanager
def ledgers(kind: str, request: pytest.FixtureRequest) -> Iterator[tuple[list[Ledger], Clock]]:
    """Two new ledgers of one kind, held, on one clock."""
    clock = Clock()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, patch.object(host, "now_ms", clock.now_ms):
        patched = patch.object(PostgresDatabase, "_measured_offset_ms", lambda _: 0)
        homes: list[Home] = [SqliteHome(Path(folder) / f"{each}.db") for each in range(2)]
        if kind == "postgres":
            homes = [PostgresHome(request.getfixturevalue("postgres").fresh_url()) for _ in range(2)]
        with patched:
            held = [home.hold() for home in homes]
        try:
            yield held, clock
        finally:
            for ledger in held:
                ledger.close()


def play(ledger: Ledger, name: str, rows: Sequence[tuple[Row, State]]) -> BatchRecord:
    """A batch whose rows are brought to these ends; what may not be sent is withdrawn."""
    batch = enrol(ledger, name, [row for row, _ in rows])
    run = begin(ledger, batch, window_ms=0)
    for number, (_, wanted) in enumerate(rows, 1):
        if row_of(ledger, batch, number).state is not State.PENDING:
            continue
        if wanted in ENDINGS and isinstance(claim(ledger, batch, number), Claimed):
            settle(ledger, batch, number, ENDINGS[wanted])
        elif wanted is not State.PENDING:
            ledger.cancel(batch.id, number, "not wanted")
    ledger.end_run(run, batch.id, "")
    return batch


def past(ledger: Ledger, clock: Clock, batches: Past) -> None:
    """A batch a month, and a newest one that is not prunable."""
    start_ms = clock.ms
    for number, rows in enumerate(batches):
        play(ledger, f"b{number}", rows)
        clock.ms += 30 * DAY_MS
    play(ledger, "newest", [(Row("zoe"), State.PENDING)])
    clock.ms = start_ms


def prune_all(ledger: Ledger, clock: Clock) -> list[str]:
    """Prune what may go; the names."""
    gone = []
    for batch in ledger.batches():
        if batch.pruned_ms is None and not ledger.stays(batch, clock.ms - 25 * DAY_MS):
            ledger.prune(batch.id, clock.ms - 25 * DAY_MS, f"/archive/{batch.name}", "ab" * 32, "old")
            gone.append(batch.name)
    return gone


def answers(ledger: Ledger) -> list[object]:
    """All that guards ask of a ledger."""
    lanes = Lanes(ledger)
    ids = [lanes[profile] for profile in PROFILES]
    probes = [
        (account, amount, ref, lane)
        for account in ACCOUNTS
        for amount in AMOUNTS
        for ref in REFERENCES
        for lane in zip(ids, PROFILES, strict=True)
    ]
    keys = [
        RowKey(number, lane, account, amount, "USD", ref, profile)
        for number, (account, amount, ref, (lane, profile)) in enumerate(probes, 1)
    ]
    seen = overlap.survey_overlap(ledger, keys, None, overlap.window(WINDOW_MS))
    names = {batch.id: batch.name for batch in ledger.batches()}
    return [
        [
            (kind.numbers, kind.amounts)
            for kind in (seen.recognised, seen.repeats, seen.waiting, seen.clashes)
        ],
        {names[number]: rows for number, rows in seen.credited_rows.items()},
        [ledger.largest_credited(lane, "USD", [*ACCOUNTS, "zoe"], 0) for lane in ids],
        [ledger.ever_credited(lane, [*ACCOUNTS, "zoe"], 0) for lane in ids],
        [ledger.has_credited(lane, 0) for lane in ids],
        ledger.spent(None, "USD", host.now_ms() - DAY_MS),
        [[found.name for found in ledger.batches_of(f"b{number}".encode())] for number in range(4)],
        [(batch.name, batch.totals, batch.finished_ms) for batch in ledger.batches()],
        [sorted(map(repr, ledger.tallies(batch.id))) for batch in ledger.batches()],
        [ledger.shares(batch.id) for batch in ledger.batches()],
    ]


def later(ledger: Ledger, rows: Sequence[Row]) -> list[object]:
    """What becomes of a new batch: what is recognised, and the answer to each claim."""
    batch = enrol(ledger, "later", rows)
    begin(ledger, batch)
    told: list[object] = [[(row.state, row.reason) for row in ledger.rows(batch.id, 1, len(rows))]]
    for number in range(1, len(rows) + 1):
        if row_of(ledger, batch, number).state is State.PENDING:
            answer = claim(ledger, batch, number)
            told.append("claimed" if isinstance(answer, Claimed) else answer)
            if isinstance(answer, Claimed):
                settle(ledger, batch, number, Event.CREDIT)
    return told


#: How many plays of each kind of ledger.
PLAYS = pytest.mark.parametrize(("kind", "plays"), [("sqlite", 12), ("postgres", 3)])


def few(plays: int) -> settings:
    return settings(max_examples=plays, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PLAYS
def test_a_pruned_ledger_answers_as_before(kind: str, plays: int, request: pytest.FixtureRequest) -> None:
    """Whatever a guard asks, and whatever is enrolled and claimed afterwards."""

    @few(plays)
    @given(batches=BATCHES, rows=LATER)
    @example(  # one reference: for the same, for something else, and one that was never spent
        batches=[[(Row("anna", reference="r"), State.CREDITED), (Row(reference="s"), State.REJECTED)]],
        rows=[Row("anna", reference="r"), Row("anna", "2.5", reference="r"), Row(reference="s")],
    )
    def compare(batches: Past, rows: Sequence[Row]) -> None:
        with ledgers(kind, request) as ((whole, pruned), clock):
            for ledger in (whole, pruned):
                past(ledger, clock, batches)
            clock.ms += 30 * DAY_MS * (len(batches) + 1)
            gone = prune_all(pruned, clock)
            assert len(gone) == len(batches)
            assert answers(pruned) == answers(whole)
            assert later(pruned, rows) == later(whole, rows)
            assert answers(pruned) == answers(whole)
            assert list(pruned.faults()) == []
            assert all(not pruned.rows(batch.id, 1, 1) for batch in pruned.batches() if batch.name in gone)

    compare()


class _KillError(BaseException):
    """The process ends here."""


@PLAYS
def test_a_killed_prune_is_finished_by_the_same_command(
    kind: str, plays: int, request: pytest.FixtureRequest
) -> None:
    """At no moment in between does a guard answer otherwise; then the rest goes."""

    one = [[(Row(reference="r"), State.CREDITED)]]

    @few(plays)
    @given(batches=BATCHES, steps=st.integers(0, 40))
    @example(batches=one, steps=3)  # marked; then between what is kept of a row and its end
    @example(batches=one, steps=4)
    @example(batches=one, steps=6)
    @example(batches=one, steps=7)
    def kill(batches: Past, steps: int) -> None:
        with ledgers(kind, request) as ((whole, pruned), clock), patch.object(pruning, "_PIECE_ROWS", 2):
            for ledger in (whole, pruned):
                past(ledger, clock, batches)
            clock.ms += 30 * DAY_MS * (len(batches) + 1)
            changing = _killing(pruned._change, steps)  # type: ignore[attr-defined]
            with patch.object(pruned, "_change", changing), contextlib.suppress(_KillError):
                prune_all(pruned, clock)
            assert answers(pruned) == answers(whole)
            pruned.sweep()
            prune_all(pruned, clock)
            assert answers(pruned) == answers(whole)
            gone = [batch for batch in pruned.batches() if batch.pruned_ms is not None]
            assert len(gone) == len(batches)
            assert not any(pruned.rows(batch.id, 1, 5) or list(pruned.cells(batch.id)) for batch in gone)

    kill()


def _killing(change: Callable[..., int], steps: int) -> Callable[..., int]:
    left = iter(range(steps))

    def counted(sql: str, *bindings: object) -> int:
        if next(left, None) is None:
            raise _KillError
        return change(sql, *bindings)

    return counted


# what stays


def old_batch(ledger: Ledger, clock: Clock, *wanted: State, **said: str) -> BatchRecord:
    """A batch whose rows came to these ends two months ago, with a newer one behind it."""
    rows = [(Row(f"client{number}", **said), state) for number, state in enumerate(wanted, 1)]  # type: ignore[arg-type]
    batch = play(ledger, "old", rows)
    play(ledger, "newest", [(Row("zoe"), State.PENDING)])
    clock.ms += 60 * DAY_MS
    [found] = ledger.batches("old")
    return found if found.id == batch.id else batch


def why(ledger: Ledger, clock: Clock, batch: BatchRecord) -> str:
    """Why it stays; pruning it says the same, and changes nothing."""
    before_ms = clock.ms - 25 * DAY_MS
    [found] = ledger.batches(batch.name)
    reason = ledger.stays(found, before_ms)
    if reason:
        known = ledger.rows(batch.id, 1, batch.rows)
        with pytest.raises(RefusedError, match=reason) as refused:
            ledger.prune(batch.id, before_ms, "/archive/x", "ab", "")
        assert refused.value.reason == "not_prunable"
        assert ledger.rows(batch.id, 1, batch.rows) == known
    return reason


@pytest.mark.parametrize("state", sorted(set(State) - set(FINAL) - {State.UNSENT, State.SENDING}))
def test_a_batch_with_a_row_that_is_not_final_stays(ledger: Ledger, clock: Clock, state: State) -> None:
    """It may still be sent, or need its neighbours as evidence."""
    batch = old_batch(ledger, clock, State.CREDITED, state)
    assert f"1 {state}" in why(ledger, clock, batch)


def test_the_newest_batch_stays(ledger: Ledger, clock: Clock) -> None:
    """Where rows have the highest numbers, those would be given out again: two transfers of one id."""
    batch = play(ledger, "old", [(Row(), State.CREDITED)])
    clock.ms += 60 * DAY_MS
    assert why(ledger, clock, batch) == "it is the newest batch"
    given = row_of(ledger, batch).transfer_id
    next_one = play(ledger, "next", [(Row("zoe"), State.PENDING)])
    assert why(ledger, clock, batch) == ""
    ledger.prune(batch.id, clock.ms - 25 * DAY_MS, "/archive/old", "ab", "")
    assert given != row_of(ledger, next_one).transfer_id
    third = play(ledger, "third", [(Row("yves"), State.PENDING)])
    assert row_of(ledger, third).transfer_id not in (given, row_of(ledger, next_one).transfer_id)


def test_a_verdict_makes_a_batch_young_again(ledger: Ledger, clock: Clock) -> None:
    """What counts as credited since yesterday is compared with new files."""
    batch = old_batch(ledger, clock, State.CREDITED, State.IN_DOUBT)
    assert say(ledger, batch.id, 2, "credited", "seen", 0) == ""
    assert why(ledger, clock, batch).startswith("it was changed last on")
    clock.ms += 30 * DAY_MS
    assert why(ledger, clock, batch) == ""


def test_a_run_makes_a_batch_young_again(ledger: Ledger, clock: Clock) -> None:
    """Rejected rows that somebody wants to send again, and then did not."""
    batch = old_batch(ledger, clock, State.REJECTED)
    run = begin(ledger, batch, rejected=True)
    ledger.cancel(batch.id, 1, "")
    ledger.end_run(run, batch.id, "")
    assert why(ledger, clock, batch).startswith("it was changed last on")


def test_a_batch_of_another_ledger_stays(ledger: Ledger, clock: Clock) -> None:
    """It is closed here, and its rows are looked up there."""
    batch = old_batch(ledger, clock, State.CREDITED)
    ledger.close_batch(batch.id, "moved")
    assert why(ledger, clock, batch) == "it was handed over to another ledger"


# what an archived reference forbids


def test_a_verdict_that_is_taken_back_meets_an_archived_reference(ledger: Ledger, clock: Clock) -> None:
    """Its reference was credited elsewhere meanwhile, and that batch is archived: it can't be in doubt."""
    doubtful = play(ledger, "doubtful", [(Row("anna", reference="r"), State.IN_DOUBT)])
    assert say(ledger, doubtful.id, 1, "not-credited", "asked", 0) == ""
    other = old_batch(ledger, clock, State.CREDITED, reference="r")
    ledger.prune(other.id, clock.ms - 25 * DAY_MS, "/archive/old", "ab", "")
    assert say(ledger, doubtful.id, 1, "in-doubt", "no", 0) == (
        "its reference has been sent or credited elsewhere meanwhile"
    )
    assert states(ledger, doubtful) == [State.PENDING]
    begin(ledger, doubtful)
    assert "row 1 of batch old, credited" in getattr(claim(ledger, doubtful), "message", "")


def test_a_batch_of_another_ledger_meets_an_archived_reference(ledger: Ledger, clock: Clock) -> None:
    """What is taken over as paid can't hold a reference that this ledger has paid for; else it can."""
    other = old_batch(ledger, clock, State.CREDITED, reference="r")
    ledger.prune(other.id, clock.ms - 25 * DAY_MS, "/archive/old", "ab", "")
    lane = Lanes(ledger)["shop"]
    for state, reference in (("credited", "r"), ("in_doubt", "r"), ("credited", "s"), ("rejected", "r")):
        row = (1, lane, "shop", "Anna", "anna", "1", "USD", reference, state, "", "")
        past = AdoptRow(row, *(200, "", None, None, None, 1, 5, 6, 1, "provider", None, "t-x-1", 1))
        name = f"{state}-{reference}"
        new = NewBatch(name, name.encode(), "", "", {"USD": Decimal(1)}, {"shop": lane}, live=False)
        adopting = partial(ledger.adopt, new, [AdoptChunk(1, [past], b"cells")], "lost", "")
        if (state, reference) in (("credited", "r"), ("in_doubt", "r")):
            with pytest.raises(Exception, match=r"transfer.reference|is archived"):
                adopting()
        else:
            adopting()
    assert {batch.name for batch in ledger.batches()} == {"old", "newest", "credited-s", "rejected-r"}


def test_an_archived_reference_stays_taken_in_a_copy(ledger: Ledger, home: SqliteHome, clock: Clock) -> None:
    """A copy that is taken into use puts rows in doubt, but not this one: nothing can have sent it."""
    doubtful = play(ledger, "doubtful", [(Row("anna", reference="r"), State.IN_DOUBT)])
    assert say(ledger, doubtful.id, 1, "not-credited", "asked", 0) == ""
    other = old_batch(ledger, clock, State.CREDITED, reference="r")
    ledger.prune(other.id, clock.ms - 25 * DAY_MS, "/archive/old", "ab", "")
    if isinstance(home, PostgresHome):
        ledger.accept("lost")
        assert states(ledger, doubtful) == [State.PENDING]
        return
    path = home.path.with_name("copy.db")
    ledger.back_up(path)
    with closing(SqliteHome(path).hold_retired()) as copy:
        copy.accept("lost")
        assert states(copy, doubtful) == [State.PENDING]


def test_the_trail_says_what_was_archived(ledger: Ledger, clock: Clock) -> None:
    """Who, where to, and the hash of the file; what was decided of the batch before stays."""
    batch = old_batch(ledger, clock, State.CREDITED, State.CANCELLED)
    before = list(ledger.audit("old"))
    ledger.prune(batch.id, clock.ms - 25 * DAY_MS, "/archive/old", "ab" * 32, "a new year")
    *same, last = ledger.audit("old")
    assert same == before
    assert (last.what, last.note) == ("pruned", "a new year")
    assert "/archive/old" in last.known
    assert "ab" * 32 in last.known
    [found] = ledger.batches("old")
    assert (found.archive, found.archive_sha256, found.pruned_ms) == ("/archive/old", "ab" * 32, clock.ms)


def test_what_a_lane_sent_is_known_to_be_archived(ledger: Ledger, clock: Clock) -> None:
    """Up to when rows are missing as evidence."""
    lane = Lanes(ledger)["shop"]
    assert ledger.archived_until(lane) is None
    sent_ms = clock.ms
    batch = old_batch(ledger, clock, State.CREDITED, State.REJECTED)
    ledger.prune(batch.id, clock.ms - 25 * DAY_MS, "/archive/old", "ab", "")
    assert ledger.archived_until(lane) == sent_ms
    assert ledger.archived_until(Lanes(ledger)["kiosk"]) is None
