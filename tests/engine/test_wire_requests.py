"""Requests to bytes: what goes out is one request, whatever an adapter puts into it. h11 is the reference."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.engine.wire.origin import Origin
from batchcredit.engine.wire.request_writer import RequestWriter, UnwritableError
from batchcredit.providers.base import Request

WRITER = RequestWriter(Origin.of("https://api.example/v3"))

#: What would end a line, a field or a head, beside everything else.
NASTY = st.text(
    st.sampled_from("\r\n\0 \t:/?#%aZ\x7f\x85\xff\u2028\N{SNOWMAN}") | st.characters(), max_size=12
)
PLAIN = st.sampled_from(["PUT", "/credit", "/a?page=2", "X-Key", "Basic dTpr", "a b", ""])
TEXTS = NASTY | PLAIN
FIELDS = st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple)


def heard(data: bytes) -> tuple[h11.Request, bytes]:
    """The one request that a server reads from these bytes, and its body; nothing is left behind it."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := server.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert server.trailing_data == (b"", False)
    return request, body


@given(TEXTS, TEXTS, FIELDS, st.binary(max_size=50))
def test_a_request_is_one_request_or_is_not_written(
    method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    """No method, path, name, value or body makes a second request, another field or another length."""
    try:
        written = WRITER.write(Request(method, path, headers, body))
    except UnwritableError:
        return
    request, arrived = heard(written)
    assert (request.method.decode(), request.target.decode(), arrived) == (method, f"/v3{path}", body)
    names = [name for name, _ in request.headers]
    assert names[:3] == [b"host", b"user-agent", b"accept-encoding"]
    assert names[3:] == [*(name.lower().encode() for name, _ in headers), b"content-length"]
    assert [value for _, value in request.headers][3:-1] == [value.encode("latin-1") for _, value in headers]


INJECTIONS = ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\0", "a\r\n\r\nPUT /credit HTTP/1.1", " a", "a \t", "\x7f"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_nothing_is_smuggled(text: str) -> None:
    """What would end a line stands nowhere in a request."""
    for request in (
        Request(text, "/", (), b""),
        Request("PUT", text, (), b""),
        Request("PUT", "/", ((text, "y"),), b""),
        Request("PUT", "/", (("X", text),), b""),
    ):
        with pytest.raises(UnwritableError) as refusal:
            WRITER.write(request)
        assert text not in str(refusal.value)
