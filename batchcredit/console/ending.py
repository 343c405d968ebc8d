"""How a batch stands at the end of a command, in the words of somebody who has to go on from there."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from batchcredit.console.base import spoken
from batchcredit.runner.summary import Speed, Summary
from batchcredit.wording import in_words, visible

#: So many reasons are told, the commonest first.
REASONS_MOST = 5


class Said(NamedTuple):
    """A line. What can be copied, a path or a command, follows `text` whole: it is never cut, and a terminal
    that is too narrow wraps it. `urgent` ones are told in quiet, too."""

    text: str
    whole: str = ""
    urgent: bool = False


def said_of(summary: Summary) -> Iterator[Said]:
    """What was done, what somebody has to know or do, and at last the command to type next."""
    if summary.speed.rows:
        yield Said(_speed(summary.speed))
    if summary.reasons:
        yield Said(f"why: {visible(_counted(summary.reasons))}")
    if summary.results:
        yield Said("results: ", str(summary.results))
    for sentence in _advice(summary):
        yield Said(sentence, urgent=True)
    command = summary.next
    if summary.to_fix and summary.mend:
        yield Said("correct them in: ", str(summary.to_fix), urgent=True)
        if command and command[1] == "show":
            command = summary.mend  # which tells the same rows, and why
        else:
            yield Said("then: ", spoken(summary.mend), urgent=True)
    elif summary.speed.rows and command is None:
        yield Said("report: ", spoken(("batchcredit", "report", summary.batch, *summary.again)))
    if command:
        yield Said("next: ", spoken(command), urgent=True)


def _speed(speed: Speed) -> str:
    return f"{_rows(speed.rows)} in {in_words(speed.seconds)}, {speed.rows / speed.seconds:,.1f} a second"


def _advice(summary: Summary) -> Iterator[str]:
    counts = summary.counts
    if summary.overpaid:
        yield (
            f"{_rows(summary.overpaid)} may have been paid twice: look them up, take back what is too much"
        )
    if doubts := counts.get("in_doubt"):
        yield (
            f"{_rows(doubts)} in doubt: may have been credited. Do not send them again or pay them in "
            "another way before you know"
        )
    if left := counts.get("not_sent", 0) - summary.held_up:
        yield f"{_rows(left)} not sent: safe to send again"
    if summary.held_up:
        yield (
            f"{_rows(summary.held_up)} not sent because of another batch, until it is resolved, sent or "
            f"cancelled; which one: batchcredit show {summary.batch}"
        )
    if rejected := counts.get("rejected"):
        yield f"{_rows(rejected)} refused by the provider, and not credited"
    if invalid := counts.get("invalid"):
        yield f"{_rows(invalid)} invalid, and not sent"


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _counted(reasons: Mapping[str, int]) -> str:
    ordered = sorted(reasons.items(), key=lambda pair: -pair[1])
    told = [f"{number:,} {reason}" for reason, number in ordered[:REASONS_MOST]]
    more = sum(number for _, number in ordered[REASONS_MOST:])
    return ", ".join([*told, f"{more:,} for other reasons"] if more else told)
