"""A batch in a few sentences, for whoever reads nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from batchcredit.report.figures import when
from batchcredit.report.model import Report

#: How it went, as the page shows it beside the words.
GOOD, ATTENTION, DANGER = "good", "attention", "danger"


@dataclass(frozen=True, slots=True)
class Headline:
    """One sentence, what has to be known beside it, and how it went."""

    sentence: str
    points: tuple[str, ...]
    tone: str


def headline(report: Report) -> Headline:
    """What happened to the money, and what must not be done now."""
    return Headline(_sentence(report), tuple(_points(report)), _tone(report))


def _sentence(report: Report) -> str:
    credited, rows = report.counts.get("credited", 0), report.rows
    if credited == rows:
        return f"All {rows:,} rows were credited." if rows > 1 else "The one row was credited."
    number, verb = f"{credited:,}" if credited else "None", "were" if credited > 1 else "was"
    ending = " so far" if report.standing.running else ""
    return f"{number} of {_rows(rows)} {verb} credited{ending}."


def _points(report: Report) -> Iterator[str]:
    if not report.is_conserved:
        yield "This does not add up: rows or money are missing, or too many. Send nothing more."
    if report.overpaid:
        yield f"{_rows(report.overpaid)} may have been credited twice: look them up at the provider."
    words_of = _POINTS | _WHILE_SENDING if report.standing.running else _POINTS
    for status, words in words_of.items():
        if number := report.counts.get(status, 0):
            yield words.format(
                _rows(number), "is" if number == 1 else "are", "was" if number == 1 else "were"
            )
    if any(not control.agrees for control in report.controls):
        yield "The file does not have the control totals that were expected of it."
    if any(account.explained is False for account in report.own_accounts):
        yield "Your own account does not show what was credited: see below."
    yield from _standstill(report)
    if report.standing.running:
        yield "Rows are being sent now; this is how it stood when the page was made."


def _standstill(report: Report) -> Iterator[str]:
    """Where nothing is sent now, and why: lanes that were halted, and pauses that are not over."""
    zone = ZoneInfo(report.zone)
    for lane in report.lanes:
        if lane.halt_reason and report.counts.get("not_sent"):
            why = f"{lane.halt_reason}: {lane.halt_message}" if lane.halt_message else lane.halt_reason
            yield f"{lane.provider} was halted, so its other rows are not sent ({why})."
    if report.standing.running:
        until = {one.provider: one.until for one in report.pauses if one.until > report.made_at}
        for provider, moment in until.items():
            yield f"{provider} asked for a pause until {when(moment, zone)}."


_POINTS: Final = {
    "in_doubt": "{0} {1} in doubt: the client may have the credit. Do not send or pay it again yet.",
    "rejected": "{0} {2} refused by the provider and not credited.",
    "invalid": "{0} {1} invalid and {2} not sent.",
    "not_sent": "{0} {2} not sent.",
    "already_credited": "{0} had been credited before, not by this batch.",
    "cancelled": "{0} {2} cancelled by a person.",
}

#: The same, while it goes on.
_WHILE_SENDING: Final = {
    "in_doubt": "{0} {1} in doubt or being sent right now. Do not send or pay it in another way.",
    "not_sent": "{0} {1} not sent yet.",
}


def _rows(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"


def _tone(report: Report) -> str:
    doubt = report.counts.get("in_doubt") and not report.standing.running
    if not report.is_conserved or report.overpaid or doubt:
        return DANGER
    calm = report.rows == report.counts.get("credited", 0) + report.counts.get("already_credited", 0)
    return GOOD if calm and all(control.agrees for control in report.controls) else ATTENTION
