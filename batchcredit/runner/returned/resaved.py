"""What a spreadsheet program does to a cell when it saves it again, told from a person's correction; pure."""

import re
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import Enum

from batchcredit.writer import by_value


class Reading(Enum):
    """What a cell that comes back says beside the one that was written."""

    SAME = "same"
    DAMAGED = "damaged"  # the same value, in the form that a spreadsheet gives it: no edit
    UNCLEAR = "unclear"  # may be either: nothing is sent on it
    CHANGED = "changed"  # a person wrote something else


_PLAIN = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")
_DIGITS = re.compile(r"[0-9]{1,128}")
_EXPONENT = re.compile(r"[+-]?[0-9]{1,20}(?:[.,][0-9]{1,20})?[eE][+-]?[0-9]{1,3}")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:([,.' _\u00a0\u202f\u2019])[0-9]{3})(?:\1[0-9]{3})*(?:[.,][0-9]+)?")
_COMMA = re.compile(r"[0-9]{1,40},[0-9]{1,40}")
_MONTH = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE = re.compile(
    rf"[0-9]{{1,4}}[-/. ][0-9]{{1,2}}[-/. ][0-9]{{1,4}}(?:[ T][0-9:.]+)?Z?|[0-9]{{1,2}}[-/. ]{_MONTH}"
    rf"(?:[-/. ][0-9]{{2,4}})?|{_MONTH}[-/. ]?[0-9]{{1,4}}|[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}})?"
)
#: What a spreadsheet takes for a date: `1-2`, `3/4`, `MAR5`, `2026-11`.
_LIKE_A_DATE = re.compile(
    rf"[0-9]{{1,4}}[-/. ][0-9]{{1,4}}(?:[-/. ][0-9]{{1,4}})?|{_MONTH}[-/. ]?[0-9]{{1,4}}"
    rf"|[0-9]{{1,2}}[-/. ]?{_MONTH}(?:[-/. ]?[0-9]{{2,4}})?"
)
#: A spreadsheet keeps so many digits of a number.
_KEPT_DIGITS = 15


def compared(column: str, known: str, found: str) -> Reading:
    """What the cell `found` of one of our columns says where the ledger has `known`."""
    if known == found:
        return Reading.SAME
    if not known or not found:
        return Reading.CHANGED
    if found.strip() == known or found.lstrip("'") == known.lstrip("'"):
        return Reading.DAMAGED
    if found.startswith("#"):
        return Reading.UNCLEAR
    return _amounts(known, found) if column == "amount" else _texts(known, found)


def _amounts(known: str, found: str) -> Reading:
    if not _PLAIN.fullmatch(known):
        return Reading.UNCLEAR if _EXPONENT.fullmatch(found) or _DATE.fullmatch(found) else Reading.CHANGED
    if by_value(known) == by_value(found):
        return Reading.SAME
    if _PLAIN.fullmatch(found):
        unclear = _is_rounded(known, found) or _stands_for(known, found)
        return Reading.UNCLEAR if unclear else Reading.CHANGED
    if _stands_for(known, found):
        return Reading.DAMAGED
    return Reading.UNCLEAR if _EXPONENT.fullmatch(found) or _DATE.fullmatch(found) else Reading.CHANGED


def _texts(known: str, found: str) -> Reading:
    if _DIGITS.fullmatch(found) and found.startswith("0") and len(found) > len(known):
        return Reading.CHANGED  # no program adds zeros
    if _stands_for(known, found) or _is_cut(known, found) or known.casefold() == found.casefold() == "true":
        return Reading.DAMAGED
    if _EXPONENT.fullmatch(found):
        return Reading.UNCLEAR
    if _DATE.fullmatch(found):
        return Reading.DAMAGED if _LIKE_A_DATE.fullmatch(known) else Reading.UNCLEAR
    if _LIKE_A_DATE.fullmatch(known) and _PLAIN.fullmatch(found):
        return Reading.UNCLEAR  # a date's own number
    return Reading.CHANGED


def _stands_for(known: str, found: str) -> bool:
    """Whether `found` is the number `known` in a spreadsheet's form, as far as that form keeps it."""
    if not (_PLAIN.fullmatch(known) or _EXPONENT.fullmatch(known)):
        return False
    number, values = _number(known), _numbers(found)
    if number is None:
        return False
    if number in values:
        return True
    return bool(_EXPONENT.fullmatch(found)) and any(_rounds_to(number, value) for value in values)


def _numbers(text: str) -> list[Decimal]:
    """What numbers a text may be, whichever sign begins its decimals."""
    forms = [text]
    if _COMMA.fullmatch(text) or _EXPONENT.fullmatch(text):
        forms.append(text.replace(",", "."))
    if grouped := _THOUSANDS.fullmatch(text):
        forms.append(text.replace(grouped[1], "").replace(",", "."))
    return [number for form in forms if (number := _number(form)) is not None]


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 200 else None


def _rounds_to(number: Decimal, found: Decimal) -> bool:
    """Whether `found`, with the digits that it shows, is what is left of `number`."""
    exponent = found.as_tuple().exponent
    assert isinstance(exponent, int)
    if number.adjusted() - exponent > _KEPT_DIGITS + 2:
        return False
    place = Decimal(1).scaleb(exponent)
    return any(number.quantize(place, way) == found for way in (ROUND_HALF_UP, ROUND_HALF_EVEN))


def _is_rounded(known: str, found: str) -> bool:
    """Whether `found` is `known` with fewer decimals."""
    fewer = len(found.partition(".")[2]) < len(known.partition(".")[2])
    return fewer and _rounds_to(Decimal(known), Decimal(found))


def _is_cut(known: str, found: str) -> bool:
    """Whether `found` is the long number `known` with zeros behind the digits that a spreadsheet keeps."""
    bare = known.lstrip("0")
    if not (_DIGITS.fullmatch(known) and _DIGITS.fullmatch(found) and len(bare) == len(found) > _KEPT_DIGITS):
        return False
    place = Decimal(1).scaleb(len(bare) - _KEPT_DIGITS)
    cut = (Decimal(bare) / place).to_integral_value(ROUND_HALF_UP) * place
    return Decimal(found) in (cut, Decimal(bare) // place * place)
