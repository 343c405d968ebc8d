"""The promise of a console: an attendant that can also show endings and errors."""

import getpass
import sys
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from batchcredit import host
from batchcredit.errors import BatchcreditError, RefusedError
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.plan import Plan
from batchcredit.runner.summary import Summary
from batchcredit.wording import visible

#: How much is told: -q, nothing, -v, -vv.
QUIET, NORMAL, VERBOSE, EVERYTHING = -1, 0, 1, 2

#: An answer that can't be used is asked for again so often.
TRIES = 5


class Console(Attendant):
    """An attendant that shows how a command ended."""

    level: int = NORMAL

    @property
    def listens(self) -> bool:
        return self.level >= VERBOSE

    def show_summary(self, summary: Summary) -> None:
        """How the batch stands after a run, and the next command."""
        raise NotImplementedError

    def show_address(self, address: str) -> None:
        """Where a browser finds the live view: told here and nowhere else."""
        raise NotImplementedError

    def show_error(self, error: BatchcreditError) -> None:
        """What stopped the command, and the cure."""
        raise NotImplementedError

    def show_end(self, said: Mapping[str, Any]) -> None:
        """The very last: the object of --json, for those who have not shown it before."""


def asked(question: str) -> str:
    """What a person types; refused where nobody can."""
    if not sys.stdin.isatty():
        raise _nobody()
    with host.interrupted_by_stop_signals():  # an event loop's handlers wait for an await, and so for Enter
        sys.stderr.write(visible(question))
        sys.stderr.flush()
        host.wait_until_readable(sys.stdin)
        return sys.stdin.readline().strip()


def _nobody() -> RefusedError:
    return RefusedError(
        "there is nobody to ask, because stdin is no terminal",
        reason="usage",
        cure="agree beforehand with --yes",
    )


def asked_secretly(question: str) -> str:
    """A secret that a person types, one line that the terminal does not show; refused where it would.

    What no secret can be is asked for again, a few times.
    """
    if not sys.stdin.isatty():
        raise _nobody()
    for _ in range(TRIES):
        secret = _typed_unseen(question)
        if secret and secret.isprintable():
            return secret
        shown("  one line of letters, digits and signs is needed here")
    raise _no_secret()


def _typed_unseen(question: str) -> str:
    with host.interrupted_by_stop_signals(), warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(visible(question), sys.stderr).strip()
        except (getpass.GetPassWarning, EOFError):
            raise _no_secret() from None


def _no_secret() -> RefusedError:
    return RefusedError(
        "no secret was typed that can be used: one line of letters, digits and signs",
        reason="usage",
        cure="type it again, or keep it in the environment",
    )


def shown(text: str) -> None:
    """A line to whoever is asked."""
    sys.stderr.write(f"{visible(text)}\n")


def agreed(question: str) -> bool:
    """Whether a person types yes."""
    return asked(f"{question} Type yes to go on: ").lower() == "yes"


def agreed_to_total(plan: Plan) -> bool:
    """Whether a person types the total, or with several currencies the number of rows."""
    totals = plan.totals
    if len(totals) == 1:
        ((currency, total),) = totals.items()
        return _same(asked(f"To send it, type the total in {currency}: "), total.amount)
    return _same(asked("To send it, type the number of rows: "), Decimal(plan.rows))


def _same(typed: str, meant: Decimal) -> bool:
    try:
        return Decimal(typed) == meant
    except InvalidOperation:
        return False


def spoken(command: Sequence[str]) -> str:
    """A command as it can be typed."""
    import shlex

    return shlex.join(command)


def local_time(ms: int | None, zone: ZoneInfo) -> str:
    """A moment in the operator's time zone, which is shown; "" where there is none."""
    return "" if ms is None else host.local_time(ms, zone)
