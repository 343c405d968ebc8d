"""How a ledger stands, for stdout: a line for people, an object for monitoring."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from batchcredit import host
from batchcredit.console.base import local_time, spoken
from batchcredit.runner.settling.health import Health, LastRun, Trouble

#: So many batches are named in the line.
_SHOWN = 5


def line(health: Health, within: str, zone: ZoneInfo) -> str:
    """One line: what is wrong and what to type, or that all is well."""
    parts = [_trouble(trouble, zone) for trouble in health.troubles[:_SHOWN]]
    if len(health.troubles) > _SHOWN:
        parts.append(f"{len(health.troubles) - _SHOWN} more batches")
    if health.late:
        parts.append(f"no run has ended well within {within}")
    said = "; ".join(parts) or "all is well"
    last = f"; last run: {_run(health.last, zone)}" if health.last else "; nothing was ever sent"
    older = f"; {health.older} older batches were not looked at" if health.older else ""
    return said + older + last + (f"; next: {spoken(health.next)}" if health.next else "")


def _trouble(trouble: Trouble, zone: ZoneInfo) -> str:
    counts = (
        (trouble.in_doubt, "in doubt"),
        (trouble.overpaid, "perhaps paid twice"),
        (trouble.left, "not sent"),
        (trouble.to_correct, "to correct"),
    )
    said = ", ".join(f"{number} {what}" for number, what in counts if number)
    return f"{trouble.batch}: {said} since {local_time(trouble.since_ms, zone)}"


def _run(last: LastRun, zone: ZoneInfo) -> str:
    when = last.run.started_ms if last.run.ended_ms is None else last.run.ended_ms
    return f"{last.batch} {last.how} {local_time(when, zone)}"


def as_json(health: Health) -> dict[str, Any]:
    """What --json has beside the keys of every command."""
    return {
        "late": health.late,
        "older": health.older,
        "troubles": _troubles(health.troubles),
        "last_run": _last_run(health.last) if health.last else None,
        "exit_code": health.exit_code,
        "next": list(health.next) if health.next else None,
    }


def _troubles(troubles: Sequence[Trouble]) -> list[dict[str, Any]]:
    return [
        {
            "batch": each.batch,
            "in_doubt": each.in_doubt,
            "overpaid": each.overpaid,
            "not_sent": each.left,
            "to_correct": each.to_correct,
            "since": host.iso(each.since_ms),
        }
        for each in troubles
    ]


def _last_run(last: LastRun) -> dict[str, Any]:
    run = last.run
    return {
        "batch": last.batch,
        "how": last.how,
        "started": host.iso(run.started_ms),
        "ended": None if run.ended_ms is None else host.iso(run.ended_ms),
        "user": run.user,
        "host": run.host,
    }
