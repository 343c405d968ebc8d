"""The door for transfers: a bare ASGI callable before everything else, since it is what benchmarks load."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from batchcredit.sandbox.answers import Answer, Cut, Dialect, Refusal, ended, retry_headers
from batchcredit.sandbox.book import Order
from batchcredit.sandbox.faults import EXECUTES, Fault
from batchcredit.sandbox.simulation import Grant, Simulation

BODY_BYTES = 65_536
WIRE = "sandbox.wire"
ARRIVED_AT = "sandbox.arrived_at"
"""Keys of an ASGI scope: the connection, and when its request was complete (`time.monotonic()`)."""

_TOO_LARGE = Answer(413, b"request entity too large", b"text/plain")
_BOOK_FULL = Answer(503, b"the sandbox's book is full", b"text/plain")
_PARTING_S = 5.0


class Front:
    """Transfers by (method, path); any other request goes on to `others`."""

    def __init__(
        self, simulation: Simulation, dialects: Mapping[tuple[str, str], Dialect], others: ASGIApp
    ) -> None:
        self._simulation = simulation
        self._dialects = dialects
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = self._dialects.get((scope["method"], scope["path"]))
        if dialect is None:
            await self._others(scope, receive, send)
            return
        body = await read_body(receive)
        if body is None:
            return
        if len(body) > BODY_BYTES:
            await reply(send, _TOO_LARGE)
            return
        await self._transfer(dialect, body, scope, receive, send)

    async def _transfer(
        self, dialect: Dialect, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        order, refusal = dialect.read(scope["headers"], body)
        arrived_at = scope.get(ARRIVED_AT) or time.monotonic()
        fault = self._simulation.arrive(order, arrived_at)
        grant = self._simulation.grant(order, arrived_at)
        if grant is not None and not grant.allowed:
            ending: Answer | Cut = self._throttled(dialect, order, grant)
        else:
            ending = await self._worked_off(dialect, order, refusal, arrived_at, fault, scope["path"])
        if grant is not None and isinstance(ending, Answer):
            ending = ending._replace(headers=ending.headers + dialect.rate_headers(grant))
        await _end(ending, scope, receive, send)

    async def _worked_off(
        self,
        dialect: Dialect,
        order: Order,
        refusal: Refusal | None,
        arrived_at: float,
        fault: Fault | None,
        path: str,
    ) -> Answer | Cut:
        if fault is Fault.LATE_BEFORE:
            await asyncio.sleep(self._simulation.settings.late_s)
        answer = self._outcome(dialect, order, refusal, arrived_at, fault)
        delay_s = self._simulation.delay_s(order)
        if fault is Fault.LATE:
            delay_s += self._simulation.settings.late_s
        if delay_s:
            await asyncio.sleep(delay_s)
        if fault is not None:
            return ended(fault, dialect, answer, path)
        assert answer is not None
        return answer

    def _outcome(
        self, dialect: Dialect, order: Order, refusal: Refusal | None, arrived_at: float, fault: Fault | None
    ) -> Answer | None:
        """The right answer; None under a fault that stops the order from being looked at."""
        if fault is not None and fault not in EXECUTES:
            return None
        if self._simulation.is_full():
            return _BOOK_FULL
        outcome = refusal or dialect.execute(order, arrived_at, fault or "")
        if isinstance(outcome, Refusal):
            self._simulation.book.reject(order.provider, outcome.code)
            return outcome.answer
        return outcome

    def _throttled(self, dialect: Dialect, order: Order, grant: Grant) -> Answer:
        self._simulation.book.reject(order.provider, "429")
        return dialect.throttled(retry_headers(self._simulation.settings.retry_after_form, grant.reset_s))


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or a little more than BODY_BYTES of it; None when the client left before its end."""
    message: Any = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request":
        if not message["more_body"] or len(body) > BODY_BYTES:
            return body
        message = await receive()
        body += message.get("body", b"")
    return None


async def reply(send: Send, answer: Answer) -> None:
    length = str(len(answer.body)).encode()
    headers = [(b"content-type", answer.content_type), (b"content-length", length), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _end(ending: Answer | Cut, scope: Scope, receive: Receive, send: Send) -> None:
    if isinstance(ending, Answer):
        await reply(send, ending)
        return
    scope[WIRE].cut(ending.sent, reset=ending.reset)
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait for the end of a connection that was cut, or uvicorn would answer in our place."""
    async with asyncio.timeout(_PARTING_S):
        while (await receive())["type"] != "http.disconnect":
            pass
