"""How long a run will take, in virtual time: a lane whose pace is known, looked at as a screen does."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchcredit.console.pace import Outlook

TICK_S = 0.25

#: Rows done by a moment of a lane that is never paused.
Steady = Callable[[float], int]


class Watched:
    """A lane that does `per_s` rows a second but for its pauses, looked at a few times a second."""

    def __init__(self, per_s: float, pause_left_s: Callable[[float], float]) -> None:
        self.outlook = Outlook()
        self.at_s = self.done = 0.0
        self._per_s = per_s
        self._pause_left_s = pause_left_s

    def go_on(self, seconds: float) -> None:
        until = self.at_s + seconds
        while self.at_s < until:
            self.at_s += TICK_S
            pause_s = self._pause_left_s(self.at_s)
            if not pause_s:
                self.done += self._per_s * TICK_S
            self.outlook.look(int(self.done), self.at_s, paused=pause_s > 0)

    def left_s(self, rows: int) -> float | None:
        return self.outlook.left_s(rows, self._pause_left_s(self.at_s))


def never(_: float) -> float:
    return 0.0


@given(st.floats(0.05, 20_000), st.integers(1, 10**6))
def test_a_steady_pace_is_known_after_a_few_rows(per_s: float, left: int) -> None:
    """From twenty a minute to thousands a second: right within a few percent, as soon as rows ended."""
    lane = Watched(per_s, never)
    lane.go_on(max(10.0, 6 / per_s))
    assert lane.left_s(left) == pytest.approx(left / per_s, rel=0.06)


@given(st.floats(0.05, 20_000))
def test_nothing_is_said_before_it_is_known(per_s: float) -> None:
    """As long as too few rows have ended; and nothing is left of nothing."""
    lane = Watched(per_s, never)
    assert lane.left_s(7) is None
    lane.go_on(min(1.0, 1 / per_s))
    assert lane.left_s(7) is None
    assert lane.left_s(0) == 0.0


def test_two_rows_tell_nothing() -> None:
    """One distance between two rows can be anything."""
    lane = Watched(1, never)
    lane.go_on(2.5)
    assert lane.left_s(10) is None


@given(st.floats(1, 5_000), st.floats(1, 900), st.floats(0.05, 0.95))
def test_a_pause_is_counted(per_s: float, pause_s: float, part: float) -> None:
    """While it lasts, what is left of it comes to the time of the rows; afterwards it is forgotten."""
    lane = Watched(per_s, lambda at_s: max(0.0, min(pause_s, 30 + pause_s - at_s)) if at_s > 30 else 0.0)
    lane.go_on(30 + part * pause_s)
    left_s = 30 + pause_s - lane.at_s
    assume(left_s > 0)
    assert lane.left_s(5_000) == pytest.approx(5_000 / per_s + left_s, rel=0.05)
    lane.go_on(left_s + 10)
    assert lane.left_s(5_000) == pytest.approx(5_000 / per_s, rel=0.06)


@given(st.floats(20, 2_000), st.floats(5, 60), st.floats(2, 120), st.floats(0, 0.99))
def test_pauses_that_come_again_are_part_of_the_pace(
    per_s: float, works_s: float, rests_s: float, part: float
) -> None:
    """A provider that lets a burst through and then asks to wait: right within a cycle or so."""
    cycle_s = works_s + rests_s

    def pause_left_s(at_s: float) -> float:
        return max(0.0, cycle_s - at_s % cycle_s) if at_s % cycle_s >= works_s else 0.0

    lane = Watched(per_s, pause_left_s)
    lane.go_on((4 + part) * cycle_s)
    left = int(200 * per_s * works_s)
    assert lane.left_s(left) == pytest.approx(200 * cycle_s, rel=0.03, abs=1.5 * cycle_s)


def test_pauses_of_a_while_ago_are_forgotten() -> None:
    """Three pauses at the start, and then none for longer than they were apart: the pace is that of today."""
    lane = Watched(100, lambda at_s: max(0.0, 30 - at_s % 40) if at_s < 120 and at_s % 40 < 30 else 0.0)
    lane.go_on(119)
    assert lane.left_s(10_000) == pytest.approx(400, rel=0.1)
    lane.go_on(120)
    assert lane.left_s(10_000) == pytest.approx(100, rel=0.03)


def test_a_lane_that_falls_silent_takes_longer() -> None:
    """Nothing ends any more, and no pause says why: the time left grows instead of standing still."""
    lane = Watched(10, never)
    lane.go_on(30)
    before = lane.left_s(1_000)
    lane._per_s = 0.0
    lane.go_on(60)
    after = lane.left_s(1_000)
    assert before is not None
    assert after is not None
    assert after > 2 * before
