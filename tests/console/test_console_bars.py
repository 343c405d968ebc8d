"""What stands on a screen of whatever size, of whatever lanes."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from batchcredit.console import bars
from batchcredit.console.progress import Standing, all_left_s
from batchcredit.engine.lane import LaneState
from batchcredit.engine.limiter import Rate

LANE = Standing(
    profile="clicksend",
    state=LaneState.SENDING,
    stopping=False,
    done=12_345,
    rows=50_000,
    per_s=9.83,
    rate=Rate(Decimal(10), 1),
    credited={"USD": Decimal("123450.00")},
    refused=3,
    in_doubt=1,
    left_s=3780.0,
    pause_s=0.0,
    reason="",
    why="",
)

names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
seconds = st.floats(0, 10**6)
standings = st.builds(
    Standing,
    profile=names,
    state=st.sampled_from(LaneState),
    stopping=st.booleans(),
    done=st.integers(0, 10**6),
    rows=st.integers(0, 10**7),
    per_s=st.none() | st.floats(0, 20_000),
    rate=st.none() | st.builds(Rate, st.decimals("0.1", 10_000, places=1), st.sampled_from([1, 60, 3600])),
    credited=st.dictionaries(st.sampled_from(["USD", "KES", "EUR"]), st.decimals(0, 10**9, places=2)),
    refused=st.integers(0, 10**6),
    in_doubt=st.integers(0, 10**6),
    left_s=st.none() | seconds,
    pause_s=st.just(0.0) | seconds,
    reason=st.just("unreachable"),
    why=st.text(),
)


def drawn(lanes: Sequence[Standing], width: int = 79, height: int = 23) -> list[str]:
    return [line.plain for line in bars.lines(lanes, width, height, bars.ASCII)]


@given(st.lists(standings, min_size=1, max_size=12), st.integers(20, 200), st.integers(2, 60))
def test_it_has_room_on_every_screen(lanes: list[Standing], width: int, height: int) -> None:
    """Never more lines than there are, nothing that steers, and each lane is there or counted."""
    found = drawn(lanes, width, height)
    assert 1 <= len(found) <= height
    assert all(line.isprintable() for line in found)
    if width >= 60 and height > len(lanes):
        assert all(any(line.startswith(one.profile) for line in found) for one in lanes)


@given(st.lists(standings, min_size=1, max_size=3), st.integers(70, 200))
def test_nothing_urgent_is_cut(lanes: list[Standing], width: int) -> None:
    """Doubts and refusals of each lane stand whole within the width, where there are lines enough."""
    found = drawn(lanes, width, 60)
    for one in lanes:
        told = [line for line in found if one.in_doubt and f"{one.in_doubt:,} in doubt" in line]
        assert bool(told) == bool(one.in_doubt)
        assert all(cell_len(line) <= width or "halted" in line for line in told)


def test_a_lane_in_two_lines() -> None:
    """How far, how fast against the limit, how long; and what became of the rows."""
    head, under = drawn([LANE])
    assert head.startswith("clicksend  ###")
    assert head.endswith("12,345/50,000  9.8/10 per s  1 h 03 min left")
    assert under == "  1 in doubt, 3 refused, 123,450.00 USD credited"


@pytest.mark.parametrize("width", [59, 79, 159])
def test_widths(width: int) -> None:
    """Nothing is wrapped or cut, at the width of a phone's photo and of a wide window."""
    two = [LANE, replace(LANE, profile="kenya", rate=Rate(Decimal(300), 60), per_s=4.9)]
    found = drawn(two, width)
    assert all(len(line) <= width for line in found)
    assert [line.split()[0] for line in found if not line.startswith(" ")] == ["clicksend", "kenya", "all:"]
    assert "294.0/300 per min" in " ".join(found) or "294/300 per min" in " ".join(found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": LaneState.PAUSED, "pause_s": 42.0}, "paused by the provider: 42 s"),
        ({"state": LaneState.PROBING, "pause_s": 4.0}, "unreachable: next try in 4 s"),
        ({"state": LaneState.SHORT}, "own account is empty: waiting for funds"),
        ({"state": LaneState.HALTED, "why": "no\x1b[2J\nconnection"}, "halted: no\ufffd[2J connection"),
        ({"state": LaneState.CAREFUL}, "one at a time after a doubtful answer"),
        ({"stopping": True}, "stopping: what is in flight is heard out"),
    ],
)
def test_what_holds_a_lane_up_is_said(changes: dict[str, object], said: str) -> None:
    """On the screen and in the line of a log alike."""
    one = replace(LANE, **changes)  # type: ignore[arg-type]
    assert said in "\n".join(drawn([one]))
    assert said in bars.sentence([one])


def test_twelve_lanes_on_a_low_screen() -> None:
    """One line each where there is no room for two; those that are through give way first."""
    lanes = [replace(LANE, profile=f"lane{number}") for number in range(12)]
    assert len(drawn(lanes, 79, 14)) == 13
    lanes[2] = replace(LANE, profile="ready", done=LANE.rows)
    found = drawn(lanes, 79, 11)
    assert len(found) == 11
    assert not any(line.startswith("ready") for line in found)
    assert "and 3 more lanes" in found


def test_the_slowest_lane_decides() -> None:
    """And nothing is said as long as one lane's time is not known; a lane that halted takes none."""
    slow = replace(LANE, left_s=9000.0)
    assert all_left_s([LANE, slow]) == 9000.0
    assert all_left_s([LANE, replace(LANE, left_s=None)]) is None
    assert all_left_s([LANE, replace(LANE, left_s=None, state=LaneState.HALTED)]) == LANE.left_s
    assert all_left_s([replace(LANE, done=LANE.rows)]) == 0.0


def test_the_line_of_a_log_has_everything() -> None:
    """Done, total, rate, credited, refused, in doubt, left, and how long."""
    assert bars.sentence([LANE]) == (
        "clicksend: 12,345 of 50,000 rows, 9.8/10 per s, 1 in doubt, 3 refused, 123,450.00 USD credited, "
        "37,655 left, 1 h 03 min left"
    )
