"""How far the lanes of a run are: figures that every console shows, and how long the rest will take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from batchcredit.console.pace import Growth, Outlook
from batchcredit.engine.lane import Lane, LaneState
from batchcredit.engine.limiter import Rate
from batchcredit.transfer import Event

#: The rate shown is that of so many steps: of ten seconds, and in slow lanes of so many requests.
RATE_STEPS = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one lane is. `per_s`: requests, lately; `left_s`: what the rest will take. Both are None as
    long as they are not known. For `pause_s` nothing is sent; `reason` and `why` are those of a halt."""

    profile: str
    state: LaneState
    stopping: bool
    done: int
    rows: int
    per_s: float | None
    rate: Rate | None
    credited: Mapping[str, Decimal]
    refused: int
    in_doubt: int
    left_s: float | None
    pause_s: float
    reason: str
    why: str

    @property
    def left(self) -> int:
        """Rows that are still to be sent."""
        return max(0, self.rows - self.done)

    @property
    def goes_on(self) -> bool:
        """Whether it has something to do yet, and will."""
        return bool(self.left) and self.state is not LaneState.HALTED


def all_left_s(standings: Sequence[Standing]) -> float | None:
    """When the slowest lane that goes on will have ended, or None where one does not know yet."""
    times = [standing.left_s for standing in standings if standing.goes_on]
    known = [seconds for seconds in times if seconds is not None]
    return max(known, default=0.0) if len(known) == len(times) else None


@dataclass(slots=True)
class Observer:
    """Looks at the lanes of one run a few times a second."""

    _requests: dict[str, Growth] = field(default_factory=dict)
    _outlooks: dict[str, Outlook] = field(default_factory=dict)

    def look(self, lanes: Sequence[Lane], at_s: float) -> list[Standing]:
        """How far each of them is now, on the clock of the engine."""
        return [self._look(lane, at_s) for lane in lanes]

    def _look(self, lane: Lane, at_s: float) -> Standing:
        meter, state = lane.meter, lane.state
        pause_s = max(0.0, lane.paused_until - at_s)
        endless = state in (LaneState.PROBING, LaneState.SHORT)
        paused = endless or pause_s > 0
        requests = self._requests.setdefault(lane.profile, Growth(RATE_STEPS))
        requests.look(meter.rows.total(), at_s)
        outlook = self._outlooks.setdefault(lane.profile, Outlook())
        outlook.look(meter.done, at_s, paused=paused)
        return Standing(
            profile=lane.profile,
            state=state,
            stopping=lane.closed,
            done=meter.done,
            rows=lane.rows,
            per_s=0.0 if paused else requests.per_s(at_s),
            rate=lane.pace.rate,
            credited=dict(meter.credited),
            refused=meter.rows[Event.REJECT],
            in_doubt=meter.rows[Event.DOUBT],
            left_s=None if endless else outlook.left_s(lane.rows - meter.done, pause_s),
            pause_s=pause_s,
            reason=lane.halted.reason if lane.halted else "",
            why=lane.halted.message if lane.halted else "",
        )
