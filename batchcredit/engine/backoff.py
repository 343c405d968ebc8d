"""How long to wait before something is tried again."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Waits after failed connections double from the first to the last of these, in seconds.
FIRST_S, LAST_S = 0.5, 30.0

#: Waits that a provider asks for without saying how long.
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0


def connect_wait_s(failures: int, dice: random.Random) -> float:
    """The wait after so many failures (1, 2, ...), with jitter so that many senders don't knock together."""
    return float(min(LAST_S, FIRST_S * 2 ** min(failures - 1, 10)) * dice.uniform(0.5, 1.0))


def pause_s(headers: Mapping[str, str], pauses: int, now: datetime | None = None) -> float:
    """How long a lane pauses after a 429: the larger of `Retry-After` (seconds or a date, RFC 9110 10.2.3)
    and `ratelimit-reset` (seconds); without either 1 s doubling to 60 s, after so many `pauses` before."""
    asked = (_seconds(headers.get("retry-after"), now), _seconds(headers.get("ratelimit-reset"), None))
    known = [wait for wait in asked if wait is not None]
    return max(known) if known else min(LAST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(pauses, 10))


def _seconds(text: str | None, now: datetime | None) -> float | None:
    """Nonsense counts as absent."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 10:
        return float(text)
    return _until(text, now) if text and now else None


def _until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
