"""Figures as the page shows them: exact, in order, and drawn without a request too many."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_parts import example

from batchcredit.ledger.base import PIECES_MS
from batchcredit.report import charts, figures
from batchcredit.report.drawing import drawn
from batchcredit.report.headline import ATTENTION, DANGER, GOOD, headline
from batchcredit.report.model import Balance, PauseFigures, RequestSeries, Standing

AMOUNTS = st.decimals(min_value=-(10**15), max_value=10**15, places=6)


@given(st.lists(AMOUNTS, min_size=1, max_size=8))
def test_a_column_lines_up_and_rounds_nothing(column: list[Decimal]) -> None:
    """All of a column have the same decimals, two at least, and each says its value."""
    places = figures.aligned(column)
    shown = [figures.exact(amount, places) for amount in column]
    assert [Decimal(text.replace(",", "")) for text in shown] == column
    assert {len(text.partition(".")[2]) for text in shown} == {places}
    assert places >= 2


@given(AMOUNTS)
def test_a_difference_says_which_way(amount: Decimal) -> None:
    """It has a sign that is typeset, and its value."""
    shown = figures.signed(amount, "AUD")
    assert Decimal(shown.replace(",", "").replace("\u2212", "-")) == amount
    assert shown.startswith("+") == (amount > 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3_600, "1 h"), (180_061, "2 d 2 h")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    """Nothing is said that nobody asks for."""
    began = datetime(2026, 3, 31, tzinfo=UTC)
    assert figures.duration(began, began + timedelta(seconds=seconds)) == words


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=500),
    st.sampled_from(PIECES_MS),
    st.none() | st.decimals("0.01", 100, places=2),
)
def test_a_chart_has_each_request_once(counts: list[int], width_ms: int, per_s: Decimal | None) -> None:
    """However pieces are merged, all requests and all of the time are in them, in at most 120 steps."""
    series = RequestSeries(1, "p", datetime(2026, 3, 31, tzinfo=UTC), width_ms, tuple(counts), per_s)
    pace = charts.Pace.of(series)
    assert sum(step.requests for step in pace.steps) == sum(counts)
    assert pace.ended - pace.began == timedelta(milliseconds=width_ms * len(counts))
    assert len(pace.steps) <= 120


@given(
    st.lists(st.integers(0, 4_000), min_size=1, max_size=300), st.sampled_from(PIECES_MS), st.integers(1, 60)
)
def test_a_limit_that_was_kept_is_not_seen_exceeded(gaps: list[int], width_ms: int, limit: int) -> None:
    """At most so many a minute, or a second, in any of them: then no step of the chart is above that."""
    window_ms = 60_000 if limit < 60 else 1_000
    sent: list[int] = []
    for at_ms in accumulate(gaps):
        earlier = sent[-limit] if len(sent) >= limit else -window_ms
        sent.append(max(at_ms, earlier + window_ms, sent[-1] if sent else 0))
    counts = Counter(at_ms // width_ms for at_ms in sent)
    series = RequestSeries(
        run=1,
        provider="p",
        began=datetime(2026, 3, 31, tzinfo=UTC),
        width_ms=width_ms,
        counts=tuple(counts[piece] for piece in range(max(counts) + 1)),
        limit_per_s=Decimal(limit * 1000) / window_ms,
    )
    assert charts.Pace.of(series).highest <= limit + 1e-9


def test_a_drawing_is_shapes_and_words() -> None:
    """No picture, address, style, name or script of a chart comes through."""
    mark = {"type": "text", "font": "x", "description": "x", "cursor": "pointer"}
    data = {"values": [{"n": "<b onload=x>"}]}
    svg = drawn({"data": data, "mark": mark, "encoding": {"text": {"field": "n"}}}, "wide")
    assert "&lt;b onload=x&gt;" in svg
    kept = {
        "svg",
        "g",
        "text",
        "rect",
        "path",
        "d",
        "x",
        "y",
        "stroke",
        "class",
        "viewBox",
        "width",
        "height",
        "aria-hidden",
        "focusable",
    }
    kept |= {"transform", "text-anchor", "font-size", "fill", "opacity", "stroke-miterlimit"}
    assert {*re.findall(r"<([a-z]+)", svg), *re.findall(r' ([\w-]+)="', svg)} <= kept


def test_how_it_went_has_the_right_colour() -> None:
    """Doubt, double payment and a sum that does not hold are dangers; all credited is good."""
    calm = replace(example(), counts={"credited": 10_000}, standing=Standing(0, ""), own_accounts=())
    assert headline(calm).tone == GOOD
    assert headline(calm).points == ()
    assert headline(replace(calm, overpaid=1)).tone == DANGER
    assert headline(replace(calm, conservation=(Balance("rows", Decimal(2), {}),))).tone == DANGER
    doubt = replace(calm, counts={"credited": 9_998, "in_doubt": 1, "not_sent": 1})
    assert headline(doubt).tone == DANGER
    going_on = headline(replace(doubt, standing=Standing(3, "", running=True)))
    assert going_on.tone == ATTENTION  # a row in flight is no cause for alarm
    assert going_on.sentence == "9,998 of 10,000 rows were credited so far."
    assert going_on.points[:2] == (
        "1 row is in doubt or being sent right now. Do not send or pay it in another way.",
        "1 row is not sent yet.",
    )
    assert any("kenya was halted" in point and "wallet_empty" in point for point in going_on.points)


def test_a_pause_that_lasts_is_told_while_rows_are_sent() -> None:
    """Until when, on the operator's clock; one that is over is not, nor is any when nobody sends."""
    report = replace(example(), zone="Africa/Nairobi")
    until = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
    pauses = tuple(
        PauseFigures(provider, report.made_at - timedelta(hours=1), ends, "HTTP 429")
        for provider, ends in (("kenya", until), ("clicksend-au", report.made_at))
    )
    paused = replace(report, pauses=pauses, standing=Standing(4, "", running=True))
    said = [point for point in headline(paused).points if "pause" in point]
    assert said == ["kenya asked for a pause until 2026-04-02 12:30:00."]
    ended = replace(paused, standing=Standing(4, ""))
    assert not any("pause" in point for point in headline(ended).points)
