"""What a results file tells of its rows, cell by cell, as far as it makes sense."""

import re
from datetime import UTC, datetime

from batchcredit.transfer import STATUSES, State

#: What a row of this status is in a ledger.
STATES = {status: State(status) for status in STATUSES if status != "not_sent"} | {"not_sent": State.UNSENT}

_WHOLE_NUMBER = re.compile(r"([0-9]{1,12})(?:\.0+)?")
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_WORD = re.compile(r"[a-z_]{1,60}")


def whole(text: str) -> int | None:
    """A whole number, also where a spreadsheet program wrote it as 12.0."""
    found = _WHOLE_NUMBER.fullmatch(text)
    return int(found[1]) if found else None


def number(text: str) -> str | None:
    """A plain decimal as it stands."""
    return text if _NUMBER.fullmatch(text) else None


def word(text: str) -> str:
    """A reason, or "" where it can't be one."""
    return text if _WORD.fullmatch(text) else ""


def moment_ms(text: str, now_ms: int) -> int | None:
    """When that was, and not later than now; None where it can't be told."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return None
        return min(int(moment.astimezone(UTC).timestamp() * 1000), now_ms)
    except (ValueError, OverflowError):
        return None
