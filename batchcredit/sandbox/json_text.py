"""JSON whose numbers stay the text that was on the wire."""

import json
from typing import Any

_TEXT_LIMIT = 256
_BLANKS = " \t\n\r"


class WireNumber(str):
    """A number's digits as they came; no float on the way."""

    __slots__ = ()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decoder = json.JSONDecoder(parse_float=WireNumber, parse_int=WireNumber, parse_constant=_no_constant)


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The object that `body` is, or None."""
    try:
        text = body.decode().strip(_BLANKS)
        content, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return content if end == len(text) and isinstance(content, dict) else None


def wire_text(value: Any) -> str:
    """Text and numbers as they stood, anything else as nothing."""
    return value[:_TEXT_LIMIT] if isinstance(value, str) else ""
