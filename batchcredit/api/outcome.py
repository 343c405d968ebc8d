"""What a program is told: how far a run is, and how it ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from batchcredit.engine.lane import Lane
from batchcredit.runner.plan import Plan
from batchcredit.runner.summary import Summary
from batchcredit.transfer import Event

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class LaneProgress:
    """How far one profile is. `credited`: by currency. `halted`: why nothing more is sent through it."""

    profile: str
    rows: int
    done: int
    credited: Mapping[str, Decimal]
    rejected: int
    in_doubt: int
    halted: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    lanes: tuple[LaneProgress, ...]

    @classmethod
    def of(cls, lanes: Sequence[Lane]) -> "Progress":
        return cls(tuple(map(_lane_progress, lanes)))

    @property
    def rows(self) -> int:
        """Rows that this run is to send."""
        return sum(lane.rows for lane in self.lanes)

    @property
    def done(self) -> int:
        """Those of them that have ended."""
        return sum(lane.done for lane in self.lanes)


def _lane_progress(lane: Lane) -> LaneProgress:
    meter = lane.meter
    return LaneProgress(
        lane.profile,
        lane.rows,
        meter.done,
        dict(meter.credited),
        meter.rows[Event.REJECT],
        meter.rows[Event.DOUBT],
        lane.halted.message if lane.halted else "",
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a batch stands. `exit_code` is the command line's: 0 when every row is credited, 1 when some have
    to be corrected, 3 when rows are in doubt, 4 when rows are left that the same call will send.

    `counts`: rows by status. `reasons`: rows that are not credited, by reason. `amounts`: currency -> status
    -> amount. `results_path`: the results file, None after `check`. `to_fix`: the list of rows to correct,
    where there are any. `next`: the command that goes on, or None. `plan`: what was about to happen; None
    where nothing was left to send.
    """

    batch: str
    rows: int
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    amounts: Mapping[str, Mapping[str, Decimal]]
    exit_code: int
    results_path: Path | None
    to_fix: Path | None
    next: tuple[str, ...] | None
    warnings: tuple[str, ...]
    seconds: float
    plan: Plan | None
    _frame: Callable[[], "pl.DataFrame"] = field(repr=False, compare=False)

    @classmethod
    def of(cls, summary: Summary, plan: Plan | None, frame: Callable[[], "pl.DataFrame"]) -> "Outcome":
        return cls(
            batch=summary.batch,
            rows=summary.rows,
            counts={status: number for status, number in summary.counts.items() if number},
            reasons=dict(summary.reasons),
            amounts={currency: dict(by_status) for currency, by_status in summary.amounts.items()},
            exit_code=summary.exit_code,
            results_path=summary.results,
            to_fix=summary.to_fix,
            next=summary.next,
            warnings=summary.warnings,
            seconds=summary.speed.seconds,
            plan=plan,
            _frame=frame,
        )

    def results(self) -> "pl.DataFrame":
        """Every row of the batch and what became of it, from the ledger: see `batchcredit.results`."""
        return self._frame()
