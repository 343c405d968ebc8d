"""Any bytes, cut anywhere: an answer is read for certain or not at all. h11 is the reference."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import h11
import pytest
from byte_server import BODY, OK
from hypothesis import example, given
from hypothesis import strategies as st
from wires import head, sized

from batchcredit.engine.wire.answer_reader import (
    HEAD_MOST_BYTES,
    WHOLE_MOST_BYTES,
    AnswerError,
    AnswerReader,
)
from batchcredit.engine.wire.base import ANSWER_MOST_BYTES
from batchcredit.providers.base import Answer

CHUNKED = head("200 OK", "Transfer-Encoding: chunked")


class Told(NamedTuple):
    """What an answer says. Without the fields that h11 writes anew."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes


def fed(reader: AnswerReader, pieces: Iterable[bytes]) -> Answer | None:
    """What a connection makes of these pieces: after an answer it feeds nothing more."""
    for piece in pieces:
        if answer := reader.feed(piece):
            return answer
    return None


def told(answer: Answer | None) -> Told | None:
    return answer and Told(answer.status, _compared(answer.headers.raw), answer.body)  # type: ignore[attr-defined]


def _compared(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    rewritten = (b"content-length", b"transfer-encoding")
    return [(name, value) for name, value in fields if name not in rewritten]


def read(*pieces: bytes, ends: bool = False) -> Told | None:
    """What comes of it; None where it is no whole answer, or none at all."""
    reader = AnswerReader()
    try:
        answer = fed(reader, pieces)
        return told(answer or (reader.end() if ends else None))
    except AnswerError:
        return None


class NotReadError(Exception):
    """h11 calls it no HTTP."""


def reference(data: bytes, *, ends: bool) -> Told | None:
    """What h11 reads; None where it waits for more. Raises NotReadError."""
    connection = h11.Connection(h11.CLIENT)
    for event in (h11.Request(method="PUT", target="/", headers=[("Host", "x")]), h11.EndOfMessage()):
        connection.send(event)
    connection.receive_data(data)
    if ends:
        connection.receive_data(b"")
    try:
        return _last(connection)
    except h11.RemoteProtocolError as error:
        raise NotReadError from error


def _last(connection: h11.Connection) -> Told | None:
    body, response = b"", None
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert response
            return Told(response.status_code, _compared(response.headers), body)
        elif not isinstance(event, h11.InformationalResponse):
            return None


# What servers may say


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


@given(answers(), CUTS)
def test_an_answer_is_the_same_wherever_it_is_cut(said: Said, places: list[int]) -> None:
    """Whole, in pieces and byte by byte it says what the server meant."""
    assert read(said.wire, ends=said.to_the_end) == said.told
    assert read(*cut(said.wire, places), ends=said.to_the_end) == said.told
    assert read(*cut(said.wire, range(len(said.wire))), ends=said.to_the_end) == said.told


@given(answers(), st.integers(0, 10_000), st.booleans())
def test_a_part_of_an_answer_is_none(said: Said, place: int, ends: bool) -> None:
    """Nothing is answered before the last byte; an end in between suffices only where no length was told."""
    size = place % len(said.wire)
    part = read(said.wire[:size], ends=ends)
    if said.to_the_end and ends and size >= said.head_bytes:
        assert part == said.told._replace(body=said.told.body[: size - said.head_bytes])
    else:
        assert part is None


@given(answers(), answers(), CUTS)
def test_answers_one_after_another(first: Said, second: Said, places: list[int]) -> None:
    """A connection that may be used again reads the next answer as if it were the first."""
    reader = AnswerReader()
    assert told(fed(reader, cut(first.wire, places)) or reader.end()) == first.told
    if reader.reusable:
        reader.expect()
        assert told(fed(reader, cut(second.wire, places)) or reader.end()) == second.told


PARTS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 100 Go", b"HTTP/1.1 101 Sw", b"HTTP/1.1 204 No"),
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


@given(st.binary(max_size=60) | SOUPS | damaged(), st.booleans(), CUTS)
@example(b"\r\n\r\n" + OK, False, [])
@example(head("200 OK", "Content-Length: 2 \t") + b"ab", False, [])
@example(b"HTTP/1.0" + CHUNKED[8:] + b"2\r\nab\r\n0\r\n\r\n", False, [])
def test_no_bytes_are_read_otherwise_than_the_reference_does(
    data: bytes, ends: bool, places: list[int]
) -> None:
    """They end as an answer, as none yet or as AnswerError; an answer is what h11 reads, where it reads."""
    for pieces in ([data], cut(data, places) if data else []):
        ours = read(*pieces, ends=ends)
        try:
            theirs = reference(data, ends=ends)
        except NotReadError:
            continue
        assert ours in (None, theirs)


# What is refused, and what is not


REFUSED = {
    "rtsp": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "ice": b"ICE/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http_2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http_09": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status_99": head("99 Low", "Content-Length: 0"),
    "status_000": head("000 None", "Content-Length: 0"),
    "blank_line_first": b"\r\n" + OK,
    "switching": head("101 Switching", "Connection: upgrade", "Upgrade: x") + OK,
    "switching_silently": head("101 Switching") + OK,
    "both_lengths": head("200 OK", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "both_lengths_turned": head("200 OK", "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
    "same_length_twice": head("200 OK", "Content-Length: 2", "Content-Length: 2") + b"ab",
    "list_of_lengths": head("200 OK", "Content-Length: 2, 2") + b"ab",
    "empty_length": head("200 OK", "Content-Length:") + b"ab",
    "signed_length": head("200 OK", "Content-Length: +2") + b"ab",
    "endless_length": head("200 OK", f"Content-Length: {2**64}"),
    "packed_transfer": head("200 OK", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "unpacked_transfer": head("200 OK", "Transfer-Encoding: identity") + b"ab",
    "chunked_twice": head("200 OK", *["Transfer-Encoding: chunked"] * 2) + b"0\r\n\r\n",
    "chunked_and_tab": head("200 OK", "Transfer-Encoding: chunked\t") + b"0\r\n\r\n",
    "blank_before_colon": head("200 OK", "Content-Length : 2") + b"ab",
    "folded": head("200 OK", "X: a\r\n b", "Content-Length: 2") + b"ab",
    "folded_length": head("200 OK", "Content-Length:\r\n 2") + b"ab",
    "bare_line_feed": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
    "nul_in_a_value": head("200 OK", "X: \0", "Content-Length: 2") + b"ab",
    "chunk_overflow": CHUNKED + b"10000000000000002\r\nab\r\n0\r\n\r\n",
    "chunk_with_0x": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "chunk_too_long": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Other protocols, other framings, and what is no HTTP to the letter: an error, whole or byte by byte."""
    data = REFUSED[name]
    for pieces in ([data], cut(data, range(len(data)))):
        with pytest.raises(AnswerError) as refusal:
            fed(AnswerReader(), pieces)
        assert refusal.value.problem == "lost_answer"


@pytest.mark.parametrize(
    ("data", "reusable"),
    [
        (OK, True),
        (CHUNKED + b"0\r\n\r\n", True),
        (head("100 Continue") + OK, True),
        (sized(BODY, "Connection: close"), False),
        (sized(BODY, "Connection: keep-alive, close"), False),
        (OK + b"HTTP/1.1", False),
        (OK + OK, False),
        (OK + b"\x00", False),
        (b"HTTP/1.0" + sized(BODY)[8:], False),
        (b"HTTP/1.0" + sized(BODY, "Connection: keep-alive")[8:], False),
        (
            b"HTTP/1.0"
            + head("200 OK", "Connection: keep-alive", "Transfer-Encoding: chunked")[8:]
            + b"0\r\n\r\n",
            False,
        ),
        (head("204 No Content"), False),
        (head("304 Same", "Content-Length: 9"), False),
    ],
)
def test_whether_the_connection_may_be_used_again(data: bytes, reusable: bool) -> None:
    """Only where nothing came behind the answer, and server and client agree on where it ended."""
    reader = AnswerReader()
    assert reader.feed(data)
    assert reader.reusable == reusable


def test_an_answer_to_head_has_no_body() -> None:
    """What its length promises does not come, and the connection is left."""
    reader = AnswerReader()
    reader.expect(bodiless=True)
    answer = reader.feed(head("200 OK", "Content-Length: 99"))
    assert answer is not None
    assert (answer.body, answer.headers["content-length"], reader.reusable) == (b"", "99", False)


def test_fields_of_an_answer_are_its_own() -> None:
    """Neither interim fields nor trailers are taken for them; blanks around a value are not in it."""
    interim = head("103 Early", "Retry-After: 99", "Content-Length: 7")
    trailers = b"0\r\nRetry-After: 98\r\n\r\n"
    answer = AnswerReader().feed(
        interim + head("200 OK", "Transfer-Encoding: chunked", "X: \t7 \t") + trailers
    )
    assert answer is not None
    assert dict(answer.headers) == {"transfer-encoding": "chunked", "x": "7"}


def test_how_long_a_server_keeps_a_connection() -> None:
    """It is read from the answer's own Keep-Alive, in seconds."""
    reader = AnswerReader()
    reader.feed(sized(BODY, "Keep-Alive: timeout=7, max=100"))
    assert reader.kept_s == 7


# Limits


def _refusal(*pieces: bytes) -> AnswerError:
    with pytest.raises(AnswerError) as refusal:
        fed(AnswerReader(), pieces)
    return refusal.value


LONG_LINE = b"X-Long: " + b"y" * HEAD_MOST_BYTES + b"\r\n"


def test_a_head_is_limited_in_one_piece_and_in_many() -> None:
    """A head at the limit is read; one beyond it is refused, however it comes."""
    largest = head("200 OK", f"X: {'y' * (HEAD_MOST_BYTES - 60)}", "Content-Length: 2") + b"ab"
    assert read(largest) == read(*cut(largest, range(0, len(largest), 999)))
    assert read(largest) is not None
    larger = b"HTTP/1.1 200 OK\r\n" + LONG_LINE + b"Content-Length: 0\r\n\r\n"
    for pieces in ([larger], cut(larger, range(0, len(larger), 999))):
        assert "head" in str(_refusal(*pieces))


def test_a_body_is_limited_in_one_piece_and_in_many() -> None:
    """A body at the limit is read; one byte more is refused, however it comes."""
    for many, is_read in ((ANSWER_MOST_BYTES, True), (ANSWER_MOST_BYTES + 1, False)):
        data = sized(b"y" * many)
        for pieces in ([data], cut(data, [len(data) - 9]), cut(data, range(0, len(data), 99_999))):
            assert (read(*pieces) is not None) == is_read


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


@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_is_given_up(name: str) -> None:
    """Each part of an answer has a limit, so that no server fills the memory."""
    start, more, most = ENDLESS[name]
    _refusal(*[start] * bool(start), *itertools.repeat(more, most // len(more) + 1))
