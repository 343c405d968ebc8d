"""When a line of a statement is dated: in one of the forms that mean one thing only.

A time that is told to the minute, or by its day alone, lies between two moments; so does one that a clock
which was set back shows twice.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = (
    r"(?:[T ]\s*(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_FORMS = (
    re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{2})[-/.](?P<day>\d{2})" + _CLOCK, re.ASCII),
    re.compile(r"(?P<day>\d{1,2})[ -](?P<name>[A-Za-z]{3})[a-z]*[ -](?P<year>\d{4})" + _CLOCK, re.ASCII),
)
_COUNTED = re.compile(r"(?P<seconds>1\d{9})(?P<thousandths>\d{3})?", re.ASCII)
_AMBIGUOUS = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2,4}.*", re.ASCII)


class Moment(NamedTuple):
    """Between these two moments, in ms since 1970; both included."""

    from_ms: int
    to_ms: int


class UnclearTimeError(ValueError):
    """What stands there could be read in more than one way, or in none; `cure` says what to do."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.cure = cure


def moment(text: str, zone: tzinfo | None) -> Moment:
    """When it was. `zone` is for times without an offset. Raises UnclearTimeError."""
    if counted := _COUNTED.fullmatch(text):
        begin_ms = int(counted["seconds"]) * 1000 + int(counted["thousandths"] or 0)
        return Moment(begin_ms, begin_ms if counted["thousandths"] else begin_ms + 999)
    found = next((form for form in (each.fullmatch(text) for each in _FORMS) if form), None)
    if found is None:
        raise _unclear(text)
    begin, length = _read(text, found)
    return _between(text, begin, length, _zone(text, found["offset"], zone))


def _unclear(text: str) -> UnclearTimeError:
    if _AMBIGUOUS.fullmatch(text):
        return UnclearTimeError(
            f"{text!r}: it could be day or month that comes first",
            "write dates as 2026-03-31, in the spreadsheet program by the format of the column",
        )
    return UnclearTimeError(f"{text!r}: it is no time that is known here", "write it as 2026-03-31 14:05:09")


def _read(text: str, found: re.Match[str]) -> tuple[datetime, timedelta]:
    """The time as it stands, without a zone, and how long it may be."""
    parts = found.groupdict()
    try:
        month = int(parts["month"]) if "month" in parts else 1 + _MONTHS.index(parts["name"].lower())
        date = (int(parts["year"]), month, int(parts["day"]))
        if parts["hour"] is None:
            return datetime(*date), timedelta(days=1)  # noqa: DTZ001  its zone comes with `_between`
        time = (int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0))
        begin = datetime(*date, *time)  # noqa: DTZ001
    except ValueError:
        raise _unclear(text) from None
    return begin, timedelta(minutes=1) if parts["second"] is None else timedelta(seconds=1)


def _zone(text: str, offset: str | None, zone: tzinfo | None) -> tzinfo:
    if offset is None:
        if zone is None:
            raise UnclearTimeError(
                f"{text!r}: it does not say in which time zone",
                "say it with --statement-tz, such as Africa/Nairobi",
            )
        return zone
    if offset in ("Z", "UTC", "GMT"):
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 14 or minutes > 59:
        raise _unclear(text)
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)


def _between(text: str, begin: datetime, length: timedelta, zone: tzinfo) -> Moment:
    try:
        begins = [_ms(begin.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
        ends = [_ms((begin + length).replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
    except (OverflowError, ValueError):
        raise _unclear(text) from None
    return Moment(min(begins), max(ends) - 1)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
