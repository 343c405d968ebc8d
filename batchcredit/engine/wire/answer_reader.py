"""Bytes of a connection to answers, strictly. No I/O.

What RFC 9112 leaves to a client's goodwill is refused here: an answer to a request that moves money is read
for certain or not at all. llhttp, the parser, does most of that by itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import inf

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from batchcredit.engine.wire.base import ANSWER_MOST_BYTES, BODILESS, TOO_LARGE
from batchcredit.providers.base import Answer

#: Status line and headers of one answer, the 1xx answers before it included.
HEAD_MOST_BYTES = 64 << 10

#: All bytes of one answer: what chunks and trailers take beside the body has a limit too.
WHOLE_MOST_BYTES = HEAD_MOST_BYTES + 4 * ANSWER_MOST_BYTES

#: What may stand around a field's value and is no part of it (RFC 9110 5.5); llhttp leaves what is behind it.
_AROUND = b" \t"

#: RFC 2068 19.7.1.1 names the header, and servers still send it.
_KEPT_S = re.compile(rb"\btimeout=([0-9]{1,9})\b", re.IGNORECASE)


class AnswerError(Exception):
    """What came is no answer that can be trusted. `problem` is a word; the text quotes nothing that came."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem


class Fields(Mapping[str, str]):
    """Header fields by name in lower case, those of one name joined. Made when asked for: most never are."""

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """Each field by itself, as it came."""
        return [(name, value.rstrip(_AROUND)) for name, value in self._raw]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for raw_name, raw_value in self.raw:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    def __getitem__(self, name: str) -> str:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


class AnswerReader:
    """Reads the answers of one connection, one after another."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._answers: list[Answer] = []
        #: Whether nothing came behind the last answer, and the server keeps the connection open.
        self.reusable = True
        #: How long the server says that it keeps an idle connection, in seconds.
        self.kept_s = inf
        self.expect()

    def expect(self, *, bodiless: bool = False) -> None:
        """The next bytes belong to the answer to a new request. `bodiless`: the request was HEAD."""
        self._bodiless = bodiless
        self._read = 0
        self._head_ended = False
        self._to_the_end = False
        self._plain_end = False
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._answers.clear()

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once it is whole. Raises AnswerError."""
        if not self._read and data[:1] != b"H":  # llhttp would skip blank lines, and read RTSP and ICE too
            raise AnswerError("lost_answer", "the answer is no HTTP/1.1: it does not begin with HTTP/")
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._answers:  # else it began another, and that has been noted
                raise _unreadable(error) from None
        if not self._answers:
            self._check_limits()
            return None
        return self._answers[0]

    def end(self) -> Answer | None:
        """The answer, if the end of the connection completes one: it has no length, as in HTTP/1.0."""
        self.reusable = False
        return self._answer() if self._head_ended and self._to_the_end else None

    def _check_limits(self) -> None:
        if not self._head_ended and self._read > HEAD_MOST_BYTES:
            raise _large_head()
        if self._body_bytes > ANSWER_MOST_BYTES or self._read > WHOLE_MOST_BYTES:
            raise AnswerError(TOO_LARGE.problem, TOO_LARGE.detail)

    # What the parser calls; an AnswerError raised here comes out as the context of an HttpParserError.

    def on_message_begin(self) -> None:
        if self._answers:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_ended:  # else it is a trailer, which means nothing here
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._answers:
            return
        self._status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0") or self._status < 100:
            raise AnswerError("lost_answer", "the answer is no HTTP/1.1")
        if self._status < 200:
            if self._status > 103 and self._has_length():  # llhttp would read it as the answer's
                raise AnswerError("lost_answer", "an interim answer says that it has a body")
            return
        if self._read > HEAD_MOST_BYTES and self._head_bytes() > HEAD_MOST_BYTES:
            raise _large_head()  # it came in one piece
        self._head_ended = True
        has_body = self._status not in BODILESS
        self._to_the_end = not self._has_length() and has_body
        # some send a body with 204, or chunks as HTTP/1.0: then not all agree on where the answer ends
        self._plain_end = has_body and version == "1.1"
        if self._bodiless:
            self.reusable = False
            self._answers.append(self._answer())

    def _head_bytes(self) -> int:
        return sum(len(name) + len(value) for name, value in self._fields)

    def _has_length(self) -> bool:
        """Whether the body has a length or is chunked. Raises AnswerError for any other coding of it."""
        sized, codings = False, []
        for name, value in self._fields:
            if name == b"content-length":
                sized = True
            elif name == b"transfer-encoding":
                codings.append(value.rstrip(b" ").lower())  # with a tab llhttp does not know it
            elif name == b"keep-alive" and (told := _KEPT_S.search(value)):
                self.kept_s = float(told[1])
        if codings and codings != [b"chunked"]:
            raise AnswerError("lost_answer", "the answer comes in a transfer coding that was not asked for")
        return sized or bool(codings)

    def on_body(self, body: bytes) -> None:
        if not self._answers:
            self._body_bytes += len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answers:
            return
        if not self._head_ended:
            self._fields.clear()  # of a 1xx: the answer itself is still to come
        elif self._body_bytes <= ANSWER_MOST_BYTES:
            self.reusable = self._plain_end and self._parser.should_keep_alive()
            self._answers.append(self._answer())

    def _answer(self) -> Answer:
        return Answer(self._status, Fields(self._fields), b"".join(self._body))


def _large_head() -> AnswerError:
    return AnswerError("lost_answer", f"the answer's head exceeds {HEAD_MOST_BYTES} bytes")


def _unreadable(error: Exception) -> AnswerError:
    if isinstance(error.__context__, AnswerError):
        return error.__context__
    if isinstance(error, HttpParserUpgrade):
        return AnswerError("lost_answer", "the server changes to another protocol, which was not asked for")
    return AnswerError("lost_answer", f"the answer is no HTTP/1.1: {error}")
