"""How fast a lane goes and how long it will take, from what it did lately; pure."""

from collections import deque
from itertools import pairwise

#: A count is looked at no more often than this; so many steps of it are remembered, and so few tell nothing.
STEP_S = 0.5
STEPS_MOST, STEPS_LEAST = 120, 3

#: So many ends of pauses are remembered.
PAUSES_MOST = 10


class Growth:
    """A count that grows, looked at again and again. Rare rows and fast ones alike: a step is a change."""

    def __init__(self, steps_most: int = STEPS_MOST) -> None:
        self._seen: int | None = None
        self._steps: deque[tuple[float, int]] = deque(maxlen=steps_most + 1)

    def look(self, count: int, at_s: float) -> None:
        if self._seen is None:
            self._seen = count  # what was there before says nothing about when it came
        is_new = count > self._seen
        if is_new and (not self._steps or at_s - self._steps[-1][0] >= STEP_S):
            self._steps.append((at_s, count))
            self._seen = count

    def per_s(self, at_s: float) -> float | None:
        """How fast it grows by `at_s`, or None as long as that is not known."""
        steps = len(self._steps) - 1
        if steps < STEPS_LEAST:
            return None
        (first_s, first), (last_s, last) = self._steps[0], self._steps[-1]
        took_s = last_s - first_s
        late_s = max(0.0, at_s - last_s - took_s / steps)  # the next step should have been there by now
        return (last - first) / (took_s + late_s)


class Outlook:
    """How long what is left of a lane will take.

    A pause that comes again and again is a part of the lane's pace: then whole cycles are measured, from the
    end of one pause to that of another. A single pause says nothing about what follows, nor do those of a
    while ago: then what was done between pauses counts.
    """

    def __init__(self) -> None:
        self._leg = Growth()
        self._leg_before: float | None = None  # the pace before the last pause
        self._starts: deque[tuple[float, int]] = deque(
            maxlen=PAUSES_MOST
        )  # ends of pauses, rows done by then
        self._paused = False
        self._at_s = 0.0  # the last look at a lane that was not paused

    def look(self, done: int, at_s: float, *, paused: bool) -> None:
        """`done` rows by now; while it is paused nothing is sent."""
        if paused:
            self._paused = True
            return
        if self._paused:
            self._paused = False
            self._leg_before, self._leg = self._leg_per_s(), Growth()
            self._starts.append((at_s, done))
        self._at_s = at_s
        self._leg.look(done, at_s)

    def left_s(self, rows: int, pause_s: float) -> float | None:
        """Seconds that so many rows will take, or None as long as that is not known."""
        if rows <= 0:
            return 0.0
        per_s = self._cycles_per_s() or self._leg_per_s()
        return pause_s + rows / per_s if per_s else None

    def _leg_per_s(self) -> float | None:
        return self._leg.per_s(self._at_s) or self._leg_before

    def _cycles_per_s(self) -> float | None:
        if len(self._starts) < 2:
            return None
        (first_s, first), (last_s, last) = self._starts[0], self._starts[-1]
        longest_s = max(later - sooner for (sooner, _), (later, _) in pairwise(self._starts))
        are_over = self._at_s - last_s > longest_s
        return None if are_over else (last - first) / (last_s - first_s)
