"""JSON read to the letter of RFC 8259, without the json module: a second opinion on what a server said.

Numbers keep their text and objects all their members, so that nothing is rounded and nothing hidden.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple


class NotJsonError(Exception):
    """No JSON text, or one that two readers may read in two ways."""


class Number(NamedTuple):
    text: str


@dataclass
class _Open:
    """An array or object that is being read; `name` waits for its value."""

    found: "list[object] | dict[str, object]"
    name: str | None = field(default=None)

    def add(self, value: object) -> None:
        if isinstance(self.found, list):
            self.found.append(value)
        else:
            assert self.name is not None
            self.found[self.name] = value


_TOKEN = re.compile(
    r'[ \t\n\r]*(?:(?P<mark>[\[\]{},:])|"(?P<text>(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<word>true|false|null))[ \t\n\r]*"
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_VALUE, _FIRST, _NAME, _FIRST_NAME, _COLON, _NEXT = (
    "value",
    "value or ]",
    "name",
    "name or }",
    ":",
    ", or end",
)


def document(body: bytes) -> object:
    """The value that `body` is; a BOM before it is let pass. Raises NotJsonError. Any depth is read."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotJsonError from None
    return _Reading().read(text)


class _Reading:
    """One text, token by token, with what is open on a stack."""

    def __init__(self) -> None:
        self._top: list[object] = []
        self._open = [_Open(self._top)]
        self._awaited = _VALUE

    def read(self, text: str) -> object:
        place = 0
        while place < len(text):
            token = _TOKEN.match(text, place)
            if token is None or (self._top and len(self._open) == 1):
                raise NotJsonError
            place = token.end()
            self._take(token)
        if len(self._open) > 1 or not self._top:
            raise NotJsonError
        return self._top[0]

    def _take(self, token: re.Match[str]) -> None:
        kind, written = token.lastgroup, token[token.lastgroup or 0]
        if kind == "mark":
            self._mark(written)
        elif kind == "text" and self._awaited in (_NAME, _FIRST_NAME):
            self._name(_unescaped(written))
        elif kind == "text":
            self._value(_unescaped(written))
        else:
            self._value(Number(written) if kind == "number" else _WORDS[written])

    def _mark(self, mark: str) -> None:
        here = self._open[-1]
        if mark in "[{":
            self._begin([] if mark == "[" else {})
        elif mark == ":" and self._awaited == _COLON:
            self._awaited = _VALUE
        elif mark == "," and self._awaited == _NEXT:
            self._awaited = _VALUE if isinstance(here.found, list) else _NAME
        elif mark == ("]" if isinstance(here.found, list) else "}"):
            self._end()
        else:
            raise NotJsonError

    def _begin(self, found: "list[object] | dict[str, object]") -> None:
        self._value(found)
        self._open.append(_Open(found))
        self._awaited = _FIRST if isinstance(found, list) else _FIRST_NAME

    def _end(self) -> None:
        if len(self._open) == 1 or self._awaited not in (_NEXT, _FIRST, _FIRST_NAME):
            raise NotJsonError
        self._open.pop()
        self._awaited = _NEXT

    def _name(self, name: str) -> None:
        here = self._open[-1]
        assert isinstance(here.found, dict)
        if name in here.found:
            raise NotJsonError
        here.name, self._awaited = name, _COLON

    def _value(self, value: object) -> None:
        if self._awaited not in (_VALUE, _FIRST):
            raise NotJsonError
        self._open[-1].add(value)
        self._awaited = _NEXT


def _unescaped(written: str) -> str:
    """Its characters; a half of a surrogate pair is none."""
    units = _ESCAPE.sub(lambda one: chr(int(one[1], 16)) if one[1] else _SHORT.get(one[2], one[2]), written)
    try:
        return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise NotJsonError from None
