"""What stands behind uvicorn in the wire's tests: transfers, counted, and answered in three ways."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from byte_server import BODY

Message = MutableMapping[str, Any]

_total = [0]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/count":
        await _answer(send, str(_total[0]).encode(), [])
        return
    _total[0] += 1
    if scope["path"] == "/streamed":
        await _stream(send)
    else:
        await _answer(send, BODY, [(b"connection", b"close")] if scope["path"] == "/last" else [])


async def _answer(
    send: Callable[[Message], Awaitable[None]], body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Callable[[Message], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for byte in BODY:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
