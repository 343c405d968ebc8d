"""Requests to bytes. What stays the same from row to row is written once."""

import re
from functools import lru_cache

from batchcredit.engine.wire.base import USER_AGENT
from batchcredit.engine.wire.origin import Origin
from batchcredit.providers.base import Request

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_TARGET = re.compile(r"[!-~]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?")  # RFC 9110 5.5

#: Heads that differ, of one wire: transfers share one, each page of a list has its own.
_HEADS = 16


class UnwritableError(Exception):
    """The request is no HTTP. The text does not quote it: it may hold secrets."""


class RequestWriter:
    """Writes requests to one origin, below one path."""

    def __init__(self, origin: Origin) -> None:
        self._fixed = f"Host: {origin.authority}\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: identity\r\n"
        self._path = origin.path
        self._head = lru_cache(_HEADS)(self._written_head)

    def write(self, request: Request) -> bytes:
        """The whole request. Raises UnwritableError."""
        head = self._head(request.method, request.path, request.headers)
        return b"%b%d\r\n\r\n%b" % (head, len(request.body), request.body)

    def _written_head(self, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        target = self._path + path
        if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
            raise UnwritableError("the request's method or path is no HTTP")
        for name, value in headers:
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise UnwritableError("a header of the request is no HTTP")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{method} {target} HTTP/1.1\r\n{self._fixed}{lines}Content-Length: ".encode("latin-1")
