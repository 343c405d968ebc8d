"""What servers may say, as bytes: whole answers, damaged ones, soups, and what does not end."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from byte_server import OK
from hypothesis import strategies as st
from wires import head

from batchcredit.engine.wire.answer_reader import HEAD_MOST_BYTES, WHOLE_MOST_BYTES
from batchcredit.engine.wire.base import ANSWER_MOST_BYTES

CHUNKED = head("200 OK", "Transfer-Encoding: chunked")


class Told(NamedTuple):
    """What an answer says. Without the fields that h11 writes anew."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes


class Said(NamedTuple):
    """A whole answer, how far its head goes, and what is in it."""

    wire: bytes
    head_bytes: int
    told: Told
    to_the_end: bool


TOKENS = st.text("abcdefgh-XYZ_09!", min_size=1, max_size=8).map(lambda text: f"X{text}".encode())
VALUES = st.binary(max_size=20).map(
    lambda raw: bytes(byte for byte in raw if byte >= 32 and byte != 127).strip(b" \t")
)
FIELDS = st.lists(st.tuples(TOKENS, VALUES), max_size=4)
BLANKS = st.sampled_from([b"", b" ", b"\t", b" \t "])
BODIES = st.binary(max_size=80) | st.just(OK)
INTERIM = st.sampled_from([head("100 Continue"), head("103 Hints", "Link: </>")])
REASONS = st.sampled_from([b" OK", b" ", b"", b" Not \xe4 Word", b" 200 200"])


@st.composite
def framed(draw: st.DrawFn, status: int, body: bytes) -> tuple[bytes, bytes, bytes]:
    """The field that frames this body, the body as it is sent, and as it is meant."""
    if status in (204, 304):
        return b"", b"", b""
    how = draw(st.sampled_from(["sized", "chunked", "to the end"]))
    if how == "sized":
        return b"Content-Length:%b%d\r\n" % (draw(BLANKS), len(body)), body, body
    if how == "to the end":
        return b"", body, body
    name = draw(st.sampled_from([b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED"]))
    return name + b"\r\n", draw(chunked(body)), body


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    sent, rest = b"", body
    while rest:
        size = draw(st.integers(1, len(rest)))
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c";d=e']))
        sent += b"%x%b\r\n%b\r\n" % (size, extension, rest[:size])
        rest = rest[size:]
    trailers = draw(st.sampled_from([b"", b"X-After: 1\r\n", b"X-A: 1\r\nX-B: 2\r\n"]))
    return sent + draw(st.sampled_from([b"0", b"000", b"0;x=y"])) + b"\r\n" + trailers + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> Said:
    status = draw(st.sampled_from([200, 201, 204, 302, 304, 400, 429, 500, 599]))
    fields = draw(FIELDS)
    frame, sent, body = draw(framed(status, draw(BODIES)))
    interim = draw(st.lists(INTERIM, max_size=2))
    lines = b"".join(name + b":" + draw(BLANKS) + value + draw(BLANKS) + b"\r\n" for name, value in fields)
    version = draw(st.sampled_from([b"1.1", b"1.0"])) if not interim else b"1.1"
    top = b"HTTP/%b %d%b\r\n%b%b\r\n" % (version, status, draw(REASONS), lines, frame)
    wire = b"".join(interim) + top + sent
    meant = Told(status, [(name.lower(), value) for name, value in fields], body)
    to_the_end = not frame and status not in (204, 304)
    return Said(wire, len(wire) - len(sent), meant, to_the_end)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The same bytes in pieces, none of them empty."""
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=6)


PARTS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK",
            b"HTTP/1.0 200 OK",
            b"HTTP/1.1 100 Go",
            b"HTTP/1.1 101 Sw",
            b"HTTP/1.1 150 Go",
            b"HTTP/1.1 204 No",
        ),
        *(b"HTTP/1.1 304 Is", b"HTTP/2 200", b"HTTP/0.9 200 OK", b"RTSP/1.0 200 OK", b"ICY 200 OK"),
        *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b"\t", b" ", b",", b"\xff", b"2", b"ab", b"chunked"),
        *(b"Content-Length: 2", b"content-length:0", b"Content-Length: +2", b"Content-Length"),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
        *(
            b"Connection: close",
            b"Connection: keep-alive",
            b"Connection: Upgrade",
            b"Upgrade: h2c",
            b" folded",
        ),
        *(b"X: y", b"X : y", b": y", b"2\r\nab\r\n", b"2;a=b\r\nab\r\n", b"-1\r\n"),
        *(b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n"),
    ]
)
SOUPS = st.lists(PARTS | st.binary(max_size=3), max_size=14).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An answer with a few bytes written over, lost or added."""
    data = bytearray(draw(answers()).wire)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 3))] = draw(PARTS | st.binary(max_size=2))
    return bytes(data)


#: How each begins, goes on, and how many bytes of it may be read.
ENDLESS = {
    "interim": (b"", head("102 Processing"), HEAD_MOST_BYTES),
    "one_field": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 999, HEAD_MOST_BYTES),
    "reason": (b"HTTP/1.1 200 ", b"y" * 999, HEAD_MOST_BYTES),
    "body": (head("200 OK", f"Content-Length: {1 << 40}"), b"y" * 999, ANSWER_MOST_BYTES + HEAD_MOST_BYTES),
    "chunks": (CHUNKED, b"3e7\r\n" + b"y" * 999 + b"\r\n", ANSWER_MOST_BYTES * 2),
    "small_chunks": (CHUNKED, b"1;extended=much\r\ny\r\n" * 99, WHOLE_MOST_BYTES),
    "chunk_extension": (CHUNKED + b"1;", b"y" * 999, WHOLE_MOST_BYTES),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 99, WHOLE_MOST_BYTES),
    "one_trailer": (CHUNKED + b"0\r\nX: ", b"y" * 9999, WHOLE_MOST_BYTES),
    "to_the_end": (head("200 OK"), b"y" * 999, ANSWER_MOST_BYTES + HEAD_MOST_BYTES),
}
