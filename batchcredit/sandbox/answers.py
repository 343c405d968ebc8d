"""What can be sent back: a whole answer, or a connection that ends; and what a fault makes of it."""

import json
from email.utils import formatdate
from time import time
from typing import Any, NamedTuple, Protocol

from batchcredit.sandbox.book import Order
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.simulation import Grant

Headers = tuple[tuple[bytes, bytes], ...]

HTML = b"text/html; charset=utf-8"
HUGE_BYTES = 1_200_000


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: Headers = ()


class Cut(NamedTuple):
    """Some bytes, perhaps none, and then the end of the connection: closed, or reset."""

    sent: bytes = b""
    reset: bool = False


class Refusal(NamedTuple):
    """An order that is not carried out, with the code that the totals count it under."""

    code: str
    answer: Answer


class Dialect(Protocol):
    """One provider's way of taking a transfer, and where."""

    method: str
    path: str

    def read(self, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[Order, Refusal | None]:
        """The order as far as it can be read, and why it is refused whatever the balances are."""

    def execute(self, order: Order, arrived_at: float, fault: str) -> Answer | Refusal:
        """Carry it out now, or refuse it now."""

    def failing(self, fault: Fault) -> Answer:
        """The answer to a fault that is a status."""

    def throttled(self, headers: Headers) -> Answer: ...

    def rate_headers(self, grant: Grant) -> Headers:
        """What every answer says about the limit."""

    def mangled(self, fault: Fault, answer: Answer) -> Answer:
        """`answer` as WRONG_USER, WRONG_SUM or INNER_ERROR would have it."""


def json_answer(status: int, content: Any) -> Answer:
    return Answer(status, json.dumps(content, separators=(",", ":")).encode())


def html_answer(status: int, title: str) -> Answer:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>sandbox</body></html>\n"
    return Answer(status, page.encode(), HTML)


def retry_headers(form: str, seconds: int) -> Headers:
    """How a 429 asks for patience, in the `form` that the settings name."""
    if form == "none":
        return ()
    if form == "date":
        return ((b"retry-after", formatdate(time() + seconds, usegmt=True).encode()),)
    text = str(seconds).encode()
    return ((b"retry-after", text), (b"ratelimit-reset", text))


_CUTS = {
    Fault.CLOSE_BEFORE: Cut(),
    Fault.CLOSE_AFTER: Cut(),
    Fault.RESET_BEFORE: Cut(reset=True),
    Fault.RESET_AFTER: Cut(reset=True),
    Fault.HALF_HEAD: Cut(b"HTTP/1.1 200 OK\r\ncontent-type: applicat"),
    Fault.GARBAGE: Cut(b"\x15\x03\x01\x00\x02\x02\x28 no protocol that you know\r\n\r\n"),
}
_PAGES = {
    Fault.HTML_200: html_answer(200, "Welcome"),
    Fault.HTML_403: html_answer(403, "Request blocked"),
    Fault.NOT_JSON: Answer(200, b"OK"),
    Fault.EMPTY: Answer(200, b""),
}
_REDIRECTS = {Fault.REDIRECT_302: 302, Fault.REDIRECT_307: 307}
_MANGLED = frozenset({Fault.WRONG_USER, Fault.WRONG_SUM, Fault.INNER_ERROR})
_ON_TIME = frozenset({Fault.LATE, Fault.LATE_BEFORE})


def ended(fault: Fault, dialect: Dialect, answer: Answer | None) -> Answer | Cut:
    """How a request ends under `fault`; `answer` is the right one, if the order was executed."""
    if (cut := _CUTS.get(fault)) is not None:
        return cut
    if fault in _REDIRECTS:
        return Answer(_REDIRECTS[fault], b"", HTML, ((b"location", dialect.path.encode()),))
    if answer is None or fault is Fault.STATUS_500_AFTER:
        return dialect.failing(fault)
    return _PAGES.get(fault) or _distorted(fault, dialect, answer)


def _distorted(fault: Fault, dialect: Dialect, answer: Answer) -> Answer | Cut:
    if fault in _ON_TIME:
        return answer
    if fault in _MANGLED:
        return dialect.mangled(fault, answer)
    if fault is Fault.HUGE:
        return answer._replace(body=answer.body[:-1] + b',"padding":"' + b"x" * HUGE_BYTES + b'"}')
    return _halved(answer)


def _halved(answer: Answer) -> Cut:
    head = b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    whole = answer.body
    return Cut(head % (answer.status, answer.content_type, len(whole)) + whole[: len(whole) // 2])
