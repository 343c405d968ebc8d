"""The console of log collectors: one JSON object a line, one word for each event (docs/logs.md).

Such a log is kept elsewhere and read by others: a row is told by its number and its transfer's id, never by
client, amount, or the provider's words about it.
"""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from batchcredit.console.base import EVERYTHING, NORMAL, QUIET, VERBOSE, Console, agreed, agreed_to_total
from batchcredit.console.impersonal import impersonal
from batchcredit.console.progress import Observer, Standing
from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.queue import Job
from batchcredit.errors import BatchcreditError
from batchcredit.ledger.base import LaneIdentity
from batchcredit.reader import Survey
from batchcredit.runner.attendant import Trial
from batchcredit.runner.plan import Plan
from batchcredit.runner.summary import Summary
from batchcredit.transfer import Event

#: Seconds between two lines of progress.
EVERY_S = 60.0

#: The first comes so soon.
FIRST_S = 2.0

#: Endings that somebody has to look at are told at any level.
_ALWAYS = (Event.DOUBT, Event.REJECT)


class JsonConsole(Console):
    """Writes to stderr. Money is text, times are ISO 8601 in UTC. From the plan on each line has `batch`."""

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
        self._observer = Observer()
        self._last_s = dict.fromkeys(("step", "progress"), time.monotonic() - EVERY_S + FIRST_S)
        self._ledger = ""

    @property
    def listens(self) -> bool:
        return True

    def note(self, text: str) -> None:
        if self.level > QUIET:
            self._log.info("note", message=impersonal(text))

    def warn(self, text: str) -> None:
        self._log.warning("warning", message=impersonal(text))

    def show_survey(self, path: Path, survey: Survey) -> None:
        for word, problem in survey.problems.items():
            rows = [example.row for example in problem.examples]
            self._log.warning("invalid_rows", file=str(path), reason=word, count=problem.count, rows=rows)

    def show_plan(self, plan: Plan) -> None:
        totals = {currency: format(total.amount, "f") for currency, total in plan.totals.items()}
        lanes = [{"profile": lane.profile, "rows": lane.rows} for lane in plan.lanes]
        self._log, self._ledger = self._log.bind(batch=plan.batch), plan.ledger.id
        self._log.info(
            "plan",
            mode=plan.mode,
            resumed=plan.resumed,
            rows=plan.rows,
            totals=totals,
            lanes=lanes,
            ledger=plan.ledger.url,
            settings=str(plan.settings) if plan.settings else None,
            results=str(plan.results),
            seconds=round(plan.seconds),
            warnings=[impersonal(warning) for warning in plan.warnings],
            checked=plan.checked,
        )

    def accept_lane(self, profile: str, identity: LaneIdentity, settings: Path | None) -> bool:
        self._log.warning("new_lane", profile=profile)
        return agreed(f"{profile} is new: login {identity.login} at {identity.base_url}. Is it right?")

    def approve(self, plan: Plan) -> bool:
        return agreed_to_total(plan)

    def go_on(self, trials: Sequence[Trial]) -> bool:
        for trial in trials:
            self._log.info("trial", profile=trial.profile, row=trial.row, status=trial.status)
        return agreed(f"{len(trials)} rows have ended.")

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        event = judged.outcome.event
        if event in _ALWAYS or self.level >= (EVERYTHING if event is Event.CREDIT else VERBOSE):
            self._log.log(
                logging.WARNING if event in _ALWAYS else logging.INFO,
                "attempt",
                profile=lane.profile,
                row=job.transfer.row,
                transfer_id=job.transfer.id_in(self._ledger),
                outcome=event.value,
                reason=judged.outcome.reason,
                http_status=judged.outcome.http_status,
                provider_code=judged.outcome.provider_code,
                duration_ms=duration_ms,
            )

    def step(self, what: str, rows: int = 0, of: int = 0) -> None:
        if self.level > QUIET and self._is_time("step"):
            self._log.info("step", what=what, rows=rows, of=of or None)

    def progress(self, lanes: Sequence[Lane]) -> None:
        if self.level > QUIET:
            standings = self._observer.look(lanes, now())
            if self._is_time("progress"):
                for standing in standings:
                    self._log.info("progress", **_progress(standing))

    def _is_time(self, event: str) -> bool:
        """Whether this is to be told again."""
        now_s = time.monotonic()
        if now_s - self._last_s[event] < EVERY_S:
            return False
        self._last_s[event] = now_s
        return True

    def progress_ends(self) -> None:
        self._observer = Observer()

    def show_summary(self, summary: Summary) -> None:
        pass  # it stands in the last event

    def show_address(self, address: str) -> None:
        self._log.info("live_view", address=address)

    def show_error(self, error: BatchcreditError) -> None:
        self._log.error(
            "refused" if error.exit_code == 2 else "failed",
            reason=error.reason,
            message=impersonal(str(error)),
            cure=error.cure,
            exit_code=error.exit_code,
        )

    def show_end(self, said: Mapping[str, Any]) -> None:
        told = dict(said)
        if warnings := told.get("warnings"):
            told["warnings"] = list(map(impersonal, warnings))
        if error := told.get("error"):
            told["error"] = error | {"message": impersonal(error["message"])}
        self._log.info("ended", **told)


def _progress(one: Standing) -> dict[str, Any]:
    return {
        "profile": one.profile,
        "state": one.state.value,
        "done": one.done,
        "rows": one.rows,
        "left": one.left,
        "credited": {currency: format(amount, "f") for currency, amount in one.credited.items()},
        "refused": one.refused,
        "in_doubt": one.in_doubt,
        "requests_per_s": None if one.per_s is None else round(one.per_s, 3),
        "limit": str(one.rate) if one.rate else None,
        "seconds_left": None if one.left_s is None else round(one.left_s),
        "paused_s": round(one.pause_s),
        "reason": one.reason,
    }
