"""The console of log collectors: one JSON object a line, one word for each event."""

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from batchcredit.console.base import EVERYTHING, NORMAL, QUIET, Console, agreed, agreed_to_total
from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.queue import Job
from batchcredit.errors import BatchcreditError
from batchcredit.ledger.base import LaneIdentity
from batchcredit.reader import Survey
from batchcredit.runner.attendant import Trial
from batchcredit.runner.plan import Plan
from batchcredit.runner.summary import Summary
from batchcredit.transfer import Event

#: Seconds between two lines of progress.
EVERY_S = 10.0


class JsonConsole(Console):
    """Writes to stderr. Money is text, times are ISO 8601 in UTC."""

    def __init__(self, level: int = NORMAL) -> None:
        self.level = level
        self._log: Any = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(default=str),
            ],
        )
        self._last_s = 0.0

    def note(self, text: str) -> None:
        if self.level > QUIET:
            self._log.info("note", message=text)

    def warn(self, text: str) -> None:
        self._log.warning("warning", message=text)

    def show_survey(self, path: Path, survey: Survey) -> None:
        for word, problem in survey.problems.items():
            rows = [example.row for example in problem.examples]
            self._log.warning("invalid_rows", file=str(path), reason=word, count=problem.count, rows=rows)

    def show_plan(self, plan: Plan) -> None:
        totals = {currency: format(total.amount, "f") for currency, total in plan.totals.items()}
        lanes = [
            {"profile": lane.profile, "login": lane.identity.login, "rows": lane.rows} for lane in plan.lanes
        ]
        self._log.info(
            "plan",
            mode=plan.mode,
            batch=plan.batch,
            resumed=plan.resumed,
            rows=plan.rows,
            totals=totals,
            lanes=lanes,
            ledger=plan.ledger.url,
            settings=str(plan.settings) if plan.settings else None,
            results=str(plan.results),
            seconds=round(plan.seconds),
            warnings=list(plan.warnings),
            checked=plan.checked,
        )

    def accept_lane(self, profile: str, identity: LaneIdentity, settings: Path | None) -> bool:
        self._log.warning("new_lane", profile=profile, base_url=identity.base_url, login=identity.login)
        return agreed(f"{profile} is new.")

    def approve(self, plan: Plan) -> bool:
        return agreed_to_total(plan)

    def go_on(self, trials: Sequence[Trial]) -> bool:
        for trial in trials:
            self._log.info("trial", profile=trial.profile, row=trial.row, status=trial.status)
        return agreed(f"{len(trials)} rows have ended.")

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        if self.level >= EVERYTHING or judged.outcome.event is not Event.CREDIT:
            outcome = judged.outcome
            self._log.info(
                "attempt",
                profile=lane.profile,
                row=job.transfer.row,
                transfer=job.transfer.id,
                outcome=outcome.event.value,
                reason=outcome.reason,
                http_status=outcome.http_status,
                message=outcome.message,
                duration_ms=duration_ms,
            )

    def progress(self, lanes: Sequence[Lane]) -> None:
        import time

        if self.level > QUIET and time.monotonic() - self._last_s >= EVERY_S:
            self._last_s = time.monotonic()
            for lane in lanes:
                self._log.info("progress", **_progress(lane))

    def progress_ends(self) -> None:
        self._last_s = 0.0

    def show_summary(self, summary: Summary) -> None:
        self._log.info("summary", **summary.as_json())

    def show_error(self, error: BatchcreditError) -> None:
        self._log.error(
            "refused" if error.exit_code == 2 else "failed",
            reason=error.reason,
            message=str(error),
            cure=error.cure,
            exit_code=error.exit_code,
        )


def _progress(lane: Lane) -> dict[str, Any]:
    credited: dict[str, Decimal] = lane.meter.credited
    return {
        "profile": lane.profile,
        "state": lane.state.value,
        "done": lane.meter.done,
        "rows": lane.rows,
        "credited": {currency: format(amount, "f") for currency, amount in credited.items()},
    }
