"""The wide door for transfers: an ASGI callable before everything else, for all that waits or breaks off."""

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from batchcredit.sandbox.answers import Answer, Cut
from batchcredit.sandbox.transfers import BODY_BYTES, Case, Transfers

WIRE = "sandbox.wire"
ARRIVED_AT = "sandbox.arrived_at"
CASE = "sandbox.case"
"""Keys of an ASGI scope: the connection; when its request was complete (`time.monotonic()`); and the case, if
the quick door has opened it already."""

_TOO_LARGE = Answer(413, b"request entity too large", b"text/plain")
_PARTING_S = 5.0


class Front:
    """Transfers are worked off here; any other request goes on to `others`."""

    def __init__(self, transfers: Transfers, others: ASGIApp) -> None:
        self.transfers = transfers
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened: Case | None = scope.get(CASE)
        if opened is not None:
            await self._work_off(opened, scope, receive, send)
            return
        dialect = self.transfers.dialect(scope["method"], scope["path"])
        if dialect is None:
            await self._others(scope, receive, send)
            return
        body = await read_body(receive)
        if body is None:
            return
        if len(body) > BODY_BYTES:
            await reply(send, _TOO_LARGE)
            return
        arrived_at = scope.get(ARRIVED_AT) or time.monotonic()
        case = self.transfers.arrive(dialect, scope["headers"], body, arrived_at)
        await self._work_off(case, scope, receive, send)

    async def _work_off(self, case: Case, scope: Scope, receive: Receive, send: Send) -> None:
        if wait_s := self.transfers.wait_before_s(case):
            await asyncio.sleep(wait_s)
        ending = self.transfers.end(case)
        if wait_s := self.transfers.wait_after_s(case):
            await asyncio.sleep(wait_s)
        if isinstance(ending, Cut):
            scope[WIRE].cut(ending.sent, reset=ending.reset)
            await _gone(receive)
            return
        await reply(send, ending)


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


async def _gone(receive: Receive) -> None:
    """Wait for the end of a connection that was cut, or uvicorn would answer in our place."""
    async with asyncio.timeout(_PARTING_S):
        while (await receive())["type"] != "http.disconnect":
            pass
