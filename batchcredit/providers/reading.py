"""Reading what a server sent, exactly and without trust.

Nothing here raises, whatever the bytes: what can not be read for certain is None, and its answer doubtful.
"""

import json
import re
from codecs import BOM_UTF8
from decimal import Context, Decimal, InvalidOperation

from batchcredit.providers.base import Judgement, Ruling

# Far beyond any balance, and far below what makes arithmetic or printing costly.
_INTEGER_DIGITS = 15
_FRACTION_DIGITS = 20

#: Arithmetic on what `exact` reads loses nothing in this context.
EXACT = Context(prec=2 * (_INTEGER_DIGITS + _FRACTION_DIGITS))

_DECIMAL_TEXT = re.compile(rf"-?[0-9]{{1,{_INTEGER_DIGITS}}}(?:\.[0-9]{{1,{_FRACTION_DIGITS}}})?")
_WHOLE_ESCAPES = re.compile(r"\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_object(body: bytes) -> dict[str, object] | None:
    """The JSON object that `body` is, or None.

    Stricter than the json module: no NaN or Infinity, no name twice in one object, no lone surrogates, no
    numbers beyond any balance. Numbers with a point or an exponent are Decimal, the others int.
    """
    try:
        text = body.removeprefix(BOM_UTF8).decode()
        if "\\u" in text and _LONE_SURROGATE.search(_WHOLE_ESCAPES.sub(" ", text)):
            return None
        value = _DECODER.decode(text)
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def exact(value: object) -> Decimal | None:
    """The decimal that a JSON number or a text like "529.00" stands for, with its precision, or None."""
    if isinstance(value, str):
        return Decimal(value) if _DECIMAL_TEXT.fullmatch(value) else None
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_INTEGER_DIGITS:
        return Decimal(value)
    return None


def ruled_by_status(status: int) -> Judgement | None:
    """The judgement that an HTTP status makes whatever the body says, or None where the body has a say."""
    if 300 <= status < 400:
        return Judgement(Ruling.DOUBTFUL, reason="foreign_answer", halts=True)
    if status == 429:
        return Judgement(Ruling.DOUBTFUL, reason="throttled")
    if 200 <= status < 300 or (400 <= status < 500 and status != 408):
        return None
    return Judgement(Ruling.DOUBTFUL, reason="provider_error")


def unreadable(status: int) -> Judgement:
    """The judgement on an answer that is not in the provider's own form, where the status has not ruled.

    A 4xx like that comes from something in between or from a wrong address: no further row may go there.
    """
    if status >= 400:
        return Judgement(Ruling.DOUBTFUL, reason="foreign_answer", halts=True)
    return Judgement(Ruling.DOUBTFUL, reason="not_readable")


def _bounded(text: str) -> Decimal:
    if len(text) > 2 * (_INTEGER_DIGITS + _FRACTION_DIGITS):
        raise ValueError("number too long")
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_FRACTION_DIGITS or number.adjusted() >= _INTEGER_DIGITS:
        raise InvalidOperation("number out of range")
    return number if exponent <= 0 else number.quantize(Decimal(1), context=EXACT)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return values


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    parse_float=_bounded, parse_constant=_no_constant, object_pairs_hook=_without_duplicates
)
