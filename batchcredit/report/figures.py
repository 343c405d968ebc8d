"""Figures and texts of a page: exact, in columns that line up, and without anything that hides."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from batchcredit.report.model import ROWS
from batchcredit.wording import visible

#: So much of a text is shown; the results file has the rest.
LONGEST: Final = 240

#: The decimals that money is shown with, where none of a column has more.
_CENTS: Final = 2


def fit(value: object) -> object:
    """What the templates show of a value: of a stranger's text, what can be seen."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    shown = visible(value[:LONGEST]).replace("\n", " ")
    return shown if len(value) <= LONGEST else f"{shown}… ({len(value):,} characters)"


def aligned(amounts: Iterable[Decimal]) -> int:
    """With how many decimals amounts of one column line up, none rounded."""
    return max((_CENTS, *map(_decimals, amounts)))


def _decimals(amount: Decimal) -> int:
    _, _, decimals = f"{amount:f}".partition(".")
    return len(decimals.rstrip("0"))


def exact(amount: Decimal, places: int) -> str:
    """With thousands and at least so many decimals; never rounded."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<{places}}" if places or decimals.strip("0") else whole


def quantity(amount: Decimal, what: str) -> str:
    """A number of rows, or an amount in a currency."""
    return exact(amount, 0 if what == ROWS else _CENTS)


def signed(amount: Decimal, what: str) -> str:
    """A difference, with its sign."""
    return f"+{quantity(amount, what)}" if amount > 0 else quantity(amount, what).replace("-", "\u2212")


def as_typed(amount: str) -> str:
    """The amount of one row as it stands in the file, with thousands and cents where it is a plain number."""
    value = value_of(amount)
    return amount if value is None else exact(value, _CENTS)


def value_of(amount: str) -> Decimal | None:
    """The number that a cell is, or None."""
    return Decimal(amount) if _is_plain(amount) else None


def _is_plain(amount: str) -> bool:
    return amount.isascii() and amount.replace(".", "", 1).isdigit() and len(amount) < LONGEST


def when(moment: datetime | None, zone: ZoneInfo) -> str:
    """A moment on the operator's clock; the page says once which zone that is."""
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def duration(began: datetime, ended: datetime | None) -> str:
    """A time that passed, in its two largest units."""
    if ended is None:
        return ""
    seconds = max(round((ended - began).total_seconds()), 0)
    units = (
        (seconds // 86_400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    said = [f"{number} {unit}" for number, unit in units if number]
    return " ".join(said[:2]) or "0 s"


def milliseconds(ms: int) -> str:
    """How long something took."""
    return f"{ms:,} ms" if ms < 10_000 else f"{ms / 1000:,.1f} s"
