"""A number of a workbook's XML as the text that a careful person expects. Pure.

Spreadsheets compute in binary, write up to 17 digits and show 15: 13.2 stands there as 13.200000000000001.
The 15 are what was meant, and whoever reads them hears of it.
"""

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

_DIGITS = 15
_ROUNDED = Context(prec=_DIGITS, rounding=ROUND_HALF_EVEN)
_FORM = re.compile(r"-?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?")
_SHORT = re.compile(r"(?:0|-?[1-9][0-9]{0,7})(?:\.[0-9]{0,5}[1-9])?")
_LONGEST = 40  # beyond it an exponent says more than zeros
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001  a cell has no zone
_LAST_DAY = 2_958_465  # of the year 9999


def plain(stored: str) -> tuple[str, bool] | None:
    """The shortest exact text of a stored number, at most 15 digits of it, and whether it had more.

    None for what is no number.
    """
    if _SHORT.fullmatch(stored):
        return stored, False
    if not _FORM.fullmatch(stored):
        return None
    number = Decimal(stored)
    rounded = _ROUNDED.normalize(number)
    longer = rounded != number or number.adjusted() >= _DIGITS
    text = f"{rounded:f}" if abs(number.adjusted()) < _LONGEST else str(rounded)
    return ("0" if not rounded else text), longer


def moment(days: str, *, since_1904: bool) -> str | None:
    """A stored date or time of day in ISO 8601, or None where no calendar has it."""
    number = Decimal(days)
    if not 0 <= number <= _LAST_DAY:
        return None
    at = (_EPOCH_1904 if since_1904 else _EPOCH) + timedelta(milliseconds=round(number * 86_400_000))
    if number < 1:
        return at.time().isoformat()
    return at.date().isoformat() if number == int(number) else at.isoformat(sep=" ")
