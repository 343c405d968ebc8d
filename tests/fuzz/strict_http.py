"""An HTTP/1.1 answer read to the letter of RFC 9112, without llhttp and h11: a second opinion.

It is as lenient as the RFC lets a recipient be: bare line feeds, folded fields, one length said twice; and
about blank lines behind an interim answer. What both wires call an answer has to be one here.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Told(NamedTuple):
    status: int
    body: bytes


class _NotWholeError(Exception):
    """The bytes end too early, or are no HTTP/1.1."""


_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: [^\r\n]*)?")  # a client ignores the reason
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,20})[ \t]*(?:;[^\x00\r\n]*)?")


def whole_answer(data: bytes, *, ended: bool) -> Told | None:
    """The first answer in `data`, if it is whole; `ended`: the server closed the connection behind it."""
    try:
        return _Bytes(data).answer(ended=ended)
    except _NotWholeError:
        return None


class _Bytes:
    """What is left of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def answer(self, *, ended: bool) -> Told:
        while (status := int(self._matched(_STATUS_LINE)[1])) < 200:
            if status == 101:
                raise _NotWholeError
            list(self._fields())
            self._skip_blank_lines()
        return Told(status, self._body(status, list(self._fields()), ended=ended))

    def _body(self, status: int, fields: list[tuple[bytes, bytes]], *, ended: bool) -> bytes:
        if status in (204, 304):
            return b""
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        lengths = {
            one.strip() for name, value in fields if name == b"content-length" for one in value.split(b",")
        }
        if codings:
            return self._chunked(codings)
        if lengths:
            return self._sized(lengths)
        if not ended:
            raise _NotWholeError
        return self._take(len(self._data) - self._place)

    def _sized(self, lengths: set[bytes]) -> bytes:
        length = lengths.pop()
        if lengths or not re.fullmatch(rb"[0-9]{1,20}", length):
            raise _NotWholeError
        return self._take(int(length))

    def _chunked(self, codings: list[bytes]) -> bytes:
        if codings != [b"chunked"]:
            raise _NotWholeError
        body = b""
        while size := int(self._matched(_CHUNK)[1], 16):
            body += self._take(size)
            if self._line():
                raise _NotWholeError
        list(self._fields())
        return body

    def _fields(self) -> Iterator[tuple[bytes, bytes]]:
        while line := self._line():
            while self._data[self._place : self._place + 1] in (b" ", b"\t"):  # a folded field goes on
                line += b" " + self._line().strip(b" \t")
            field = _FIELD.fullmatch(line)
            if not field:
                raise _NotWholeError
            yield field[1].lower(), field[2].strip(b" \t")

    def _skip_blank_lines(self) -> None:
        rest = self._data[self._place :]
        self._place += len(rest) - len(rest.lstrip(b"\r\n"))

    def _matched(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = pattern.fullmatch(self._line())
        if not found:
            raise _NotWholeError
        return found

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._place)
        if end < 0:
            raise _NotWholeError
        line = self._data[self._place : end]
        self._place = end + 1
        return line.removesuffix(b"\r")

    def _take(self, size: int) -> bytes:
        end = self._place + size
        if end > len(self._data):
            raise _NotWholeError
        taken = self._data[self._place : end]
        self._place = end
        return taken
