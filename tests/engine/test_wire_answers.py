"""Any bytes, cut anywhere: an answer is read for certain or not at all. h11 is the reference."""

import itertools
from collections.abc import Iterable

import h11
import pytest
from answer_bytes import CHUNKED, CUTS, ENDLESS, SOUPS, Said, Told, answers, cut, damaged
from byte_server import BODY, OK
from hypothesis import example, given
from hypothesis import strategies as st
from wires import head, sized

from batchcredit.engine.wire.answer_reader import HEAD_MOST_BYTES, AnswerError, AnswerReader
from batchcredit.engine.wire.base import ANSWER_MOST_BYTES
from batchcredit.providers.base import Answer


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
    "interim_with_a_body": head("150 Wait", "Content-Length: 21")
    + BODY
    + head("200 OK", "Content-Length: 0"),
    "interim_in_chunks": head("199 Wait", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + OK,
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


@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_is_given_up(name: str) -> None:
    """Each part of an answer has a limit, so that no server fills the memory."""
    start, more, most = ENDLESS[name]
    _refusal(*[start] * bool(start), *itertools.repeat(more, most // len(more) + 1))
