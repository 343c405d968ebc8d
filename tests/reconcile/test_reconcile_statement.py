"""A statement against worlds of which all is known: nothing that is certain is ever wrong."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from reconcile_world import (
    BEGIN_MS,
    MINUTE_MS,
    QUIET_MS,
    World,
    clock,
    known_row,
    line,
    lines_of,
    sent_row,
    worlds,
)

from batchcredit.ledger.base import SentRow
from batchcredit.reconcile.finding import Certainty, Finding, Verdict
from batchcredit.reconcile.statement import Line, Period, Statement, compare

FOR_EVER = BEGIN_MS + 10**9


def period_of(world: World) -> Period:
    return Period(min(world.sent, default=0), max(world.sent, default=0), QUIET_MS)


def judged(world: World, statement: Statement) -> dict[int, Finding]:
    return compare(statement, world.by_account(), world.doubtful, period_of(world), clock)


def lacks_known(world: World, kept: list[tuple[int, Line]]) -> bool:
    """Whether a line of a row is missing that is known as credited in the batch's time: the only thing by
    which a statement with holes can be told from one without."""
    there = {owner for owner, _ in kept}
    return any(row.is_known and period_of(world).covers(row) and row.id not in there for row in world.rows)


@st.composite
def statements(draw: st.DrawFn, world: World) -> Statement:
    """What a person may have exported: all of it, a part of its time, with holes, without times."""
    whole = draw(lines_of(world, to_the_minute=draw(st.booleans())))
    since, until = BEGIN_MS - 10**9, FOR_EVER
    kept = whole
    match draw(st.sampled_from(["whole", "begins late", "ends early", "holes", "holes and ends"])):
        case "begins late":
            since = BEGIN_MS + draw(st.integers(-10, 200)) * MINUTE_MS
            kept = [pair for pair in whole if (pair[1].from_ms or 0) >= since]
        case "ends early":
            until = BEGIN_MS + draw(st.integers(-10, 300)) * MINUTE_MS
            kept = [pair for pair in whole if (pair[1].from_ms or 0) <= until]
        case "holes":
            dropped = draw(st.sets(st.sampled_from(range(len(whole))))) if whole else set()
            kept = [pair for at, pair in enumerate(whole) if at not in dropped]
            if len(kept) < len(whole) and not lacks_known(world, kept):
                kept = whole
        case "holes and ends":
            known = {row.id for row in world.rows if row.is_known and period_of(world).covers(row)}
            lost = draw(st.sampled_from(sorted(known))) if known else None
            kept = [pair for pair in whole if lost is None or pair[0] not in (lost, *world.doubtful)]
    lines = [each for _, each in kept]
    if draw(st.integers(0, 4)) == 0:
        lines = [replace(each, from_ms=None, to_ms=None) for each in lines]
    said_since = since if draw(st.booleans()) else None
    said_until = until if draw(st.booleans()) else None
    return Statement("statement.csv", lines, said_since, said_until)


@settings(deadline=None)
@given(st.data())
def test_nothing_certain_is_wrong(data: st.DataObject) -> None:
    """Whatever the statement lacks or shows twice, no certain verdict contradicts what was executed."""
    world = data.draw(worlds())
    findings = judged(world, data.draw(statements(world)))
    assert findings.keys() == world.doubtful
    for number, finding in findings.items():
        event(f"{finding.verdict} {finding.certainty}")
        if finding.certainty is Certainty.CERTAIN:
            assert (finding.verdict is Verdict.CREDITED) == (number in world.executed), finding.reason


@settings(deadline=None)
@given(st.data())
def test_a_whole_statement_decides_what_is_not_ambiguous(data: st.DataObject) -> None:
    """No two amounts are the same: each row is decided for certain, as it was."""
    amounts = [f"{number}" for number in range(1, 40)]
    world = data.draw(worlds(amounts))
    world.rows = [replace(row, amount=row.amount + row.id * 100) for row in world.rows]
    lines = data.draw(lines_of(world, to_the_minute=data.draw(st.booleans())))
    statement = Statement("statement.csv", [each for _, each in lines], BEGIN_MS - 10**9, FOR_EVER)
    shown = any(row.is_known and period_of(world).covers(row) for row in world.rows)
    for number, finding in judged(world, statement).items():
        assert (finding.verdict is Verdict.CREDITED) == (number in world.executed), finding.reason
        proven = shown or finding.verdict is Verdict.CREDITED
        assert finding.certainty is (Certainty.CERTAIN if proven else Certainty.LIKELY), finding.reason


def one(rows: list[SentRow], lines: list[Line], **said: Any) -> Finding:
    """The finding on the first row."""
    world = World(rows)
    return judged(world, Statement("statement.csv", lines, **said))[rows[0].id]


DOUBT = sent_row(2, minute=10)
FIRST, LAST = known_row(1, minute=0, amount="7"), known_row(3, minute=40, amount="9")
FRAME = [line(2, 0, amount="7"), line(9, 40, amount="9")]


def test_a_line_is_credited() -> None:
    """The row's own amount in its own time is certain, and the line is named."""
    found = one([DOUBT, FIRST, LAST], [*FRAME, line(5, 10)])
    assert (found.verdict, found.certainty) == (Verdict.CREDITED, Certainty.CERTAIN)
    assert found.reason == "line 5 of the statement is this row's 5"
    assert found.known["lines"][0]["line"] == 5


def test_no_line_is_not_credited() -> None:
    """A statement that holds all known rows, begins before and ends late enough, is a proof."""
    found = one([DOUBT, FIRST, LAST], FRAME)
    assert (found.verdict, found.certainty) == (Verdict.NOT_CREDITED, Certainty.CERTAIN)
    assert "holds all 2 rows known as credited" in found.reason


@pytest.mark.parametrize(
    ("rows", "lines", "said", "words"),
    [
        ([FIRST, LAST], FRAME[:1], {}, "not known to reach 00:25"),
        (
            [FIRST, LAST],
            FRAME[:1],
            {"until_ms": FOR_EVER},
            "not complete: it lacks row 3 (account anna, 9 USD)",
        ),
        ([FIRST, LAST], FRAME[1:], {}, "not complete: it lacks row 1"),
        ([FIRST, LAST], [*FRAME, line(5, 26)], {}, "line 5 of the statement is of this amount, but not of"),
        ([FIRST, LAST], [*FRAME, line(5, 4)], {}, "line 5 of the statement is of this amount, but not of"),
        (
            [FIRST, LAST],
            [*FRAME, line(5, 10, currency="AUD")],
            {},
            "line 5 of the statement may be this row's",
        ),
        (
            [FIRST, LAST],
            [*FRAME, line(5, 12, amount="-5")],
            {},
            "line 5 of the statement takes this amount back",
        ),
        (
            [FIRST, LAST, sent_row(4, minute=14)],
            [*FRAME, line(5, 14)],
            {},
            "line 5 of the statement may be this row's or that of row 4",
        ),
    ],
)
def test_what_leaves_a_row_undecided(
    rows: list[SentRow], lines: list[Line], said: dict[str, Any], words: str
) -> None:
    """Each thing that keeps a statement from proving an absence is named."""
    found = one([DOUBT, *rows], lines, **said)
    assert (found.verdict, found.certainty) == (Verdict.UNDECIDED, Certainty.NONE)
    assert words in found.reason


@pytest.mark.parametrize(
    ("rows", "lines", "verdict", "words"),
    [
        ([], [line(9, 60, account="x")], Verdict.NOT_CREDITED, "no row known as credited shows"),
        ([LAST], FRAME[1:], Verdict.NOT_CREDITED, "nothing in it is from before this row"),
        (
            [FIRST, LAST, known_row(4, minute=14)],
            [*FRAME, line(5, 14)],
            Verdict.NOT_CREDITED,
            "the lines of its amount and time are those of row 4",
        ),
        (
            [FIRST, LAST, sent_row(5, minute=30, account="ben"), known_row(4, minute=31, account="ben")],
            [*FRAME, line(5, 31, account="ben")],
            Verdict.NOT_CREDITED,
            "the line of row 4 may be another row's",
        ),
        (
            [FIRST, LAST],
            [*FRAME, line(5, 10), line(6, 11)],
            Verdict.CREDITED,
            "another such line is no row's",
        ),
    ],
)
def test_what_makes_a_verdict_likely_only(
    rows: list[SentRow], lines: list[Line], verdict: Verdict, words: str
) -> None:
    """What may be otherwise is not called certain, and the reason says why."""
    found = one([DOUBT, *rows], lines)
    assert (found.verdict, found.certainty) == (verdict, Certainty.LIKELY), found.reason
    assert words in found.reason


def test_a_line_that_is_taken_back() -> None:
    """What was credited and reversed by somebody is for a person."""
    found = one([DOUBT, FIRST, LAST], [*FRAME, line(5, 10), line(6, 30, amount="-5")])
    assert found.verdict is Verdict.UNDECIDED
    assert "line 6 takes it back" in found.reason


def test_lines_without_times_count_only_where_forced() -> None:
    """As many equal lines as rows: all of them were credited, unless one is of a credit that others gave on
    another day. One less: nobody can say which."""
    rows = [DOUBT, known_row(1, minute=0), known_row(3, minute=400)]
    bare = [replace(line(number, 0), from_ms=None, to_ms=None) for number in (2, 3, 4)]
    found = one(rows, bare)
    assert (found.verdict, found.certainty) == (Verdict.CREDITED, Certainty.LIKELY)
    assert "does not say when" in found.reason
    assert one(rows, bare[:2], until_ms=FOR_EVER, since_ms=0).certainty is Certainty.LIKELY


def test_units_match_by_the_rate_of_other_rows() -> None:
    """A line in units is the row's, if the client's rate says so; without a rate it does not compare."""
    told = replace(known_row(1, minute=0, amount="10"), units=DOUBT.amount * 4, currency="KES")
    doubt = replace(DOUBT, currency="KES")
    lines = [
        line(2, 0, amount="20", in_units=True, currency=""),
        line(3, 10, amount="10", in_units=True, currency=""),
    ]
    for rows, verdict in (([doubt, told], Verdict.CREDITED), ([doubt], Verdict.UNDECIDED)):
        found = compare(
            Statement("s", lines),
            sorted(rows, key=lambda row: row.id),
            frozenset({2}),
            Period(0, FOR_EVER, QUIET_MS),
            clock,
            counts_units=True,
        )
        assert found[2].verdict is verdict, found[2].reason
