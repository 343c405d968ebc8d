"""Figures become a table: medians, ratios, verdicts, and what is missing is said."""

import json

import pytest

from benchmarks.pace import achieved, worst
from benchmarks.table import Measure, Payments, Results, Speed, Target, ToolLine

SLOW = Measure(
    "speed",
    "rows/s",
    "rows/s",
    [90, 100, 500],
    "a peer",
    [50, 10, 100],
    (Target(1.3, "at least"), Target(2.5, "at least", beyond=True)),
)


def results(*measures: Measure) -> Results:
    return Results("python -m benchmarks", {"cores": "2"}, list(measures))


def test_medians_count() -> None:
    """One turn on a busy machine changes nothing."""
    assert (SLOW.our_median, SLOW.their_median, SLOW.ratio) == (100, 50, 2)


def test_each_target_is_judged() -> None:
    """A figure can be enough, and still be short of what would be better."""
    assert SLOW.judged(beyond=False) == [">= 1.3 x: met"]
    assert SLOW.judged(beyond=True) == [">= 2.5 x: missed by 20.0%"]


@pytest.mark.parametrize(
    ("target", "figure", "verdict"),
    [
        (Target(450, "at most", of="value"), 450, "met"),
        (Target(450, "at most", of="value"), 495, "missed by 10.0%"),
        (Target(0, "at most", of="value"), 3, "missed by 3"),
        (Target(0.95, "at least"), 0.95, "met"),
    ],
)
def test_a_verdict_says_by_how_much(target: Target, figure: float, verdict: str) -> None:
    """The bound itself is enough; a miss is told in numbers."""
    assert target.verdict(figure) == verdict


def test_a_peer_of_zero_has_no_ratio() -> None:
    """Counts of what must not happen are judged by themselves."""
    none = Measure("n", "twice", "", [0], "best", [0], (Target(0, "at most", of="value"),))
    assert none.ratio is None
    assert none.judged(beyond=False) == ["<= 0: met"]
    assert "| twice | 0 | 0: best |  | <= 0: met |  |" in results(none).as_markdown()


def test_a_missing_tool_stands_in_the_table() -> None:
    """Whoever reads the table sees that somebody was not asked."""
    kept = results()
    kept.tools["a"] = ToolLine("a", "again", [Speed(64, 10, [5.0], [4.0], 3.0)], Payments(10, 2, 1, 0))
    kept.tools["b"] = ToolLine("b", "never", missing="not installed (apt install b)")
    lines = kept.as_markdown().splitlines()
    assert "| a | 5 | 2 of 10 | 1 of 10 | 0 of 10 | again |" in lines
    assert "| b: **not installed (apt install b)** |  |  |  |  | never |" in lines


def test_what_failed_is_told_first() -> None:
    """A table with a hole does not pass for a whole one."""
    kept = results(SLOW)
    kept.failed.append("pace")
    assert "Ended in an error, so not or not wholly measured: pace" in kept.as_markdown().split("##")[0]
    assert json.loads(kept.as_json())["failed"] == ["pace"]


def test_the_json_holds_each_turn() -> None:
    """What the Markdown leaves out can be computed again."""
    said = json.loads(results(SLOW).as_json())
    assert said["schema"] == 1
    [measure] = said["measures"]
    assert measure["ours"] == [90, 100, 500]
    assert measure["to_reach"] == [">= 1.3 x: met"]


def test_the_worst_window_is_found() -> None:
    """A burst shows, also across a second boundary; a request at the end of a window is outside of it."""
    assert worst([0.0, 0.5, 1.0, 1.5], 1) == 2
    assert worst([0.0, 0.9, 0.95, 1.0, 1.8], 1) == 4


def test_a_pause_is_left_out_of_the_pace() -> None:
    """What the provider asked for is not held against the limit."""
    times = [0.0, 0.1, 0.2, 2.2, 2.3, 2.4]
    assert achieved(times, without_pause=True) == pytest.approx(10)
    assert achieved(times) == pytest.approx(5 / 2.4)
