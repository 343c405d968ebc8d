"""One page on loopback, for whoever knows its address, read-only."""

import asyncio
import hmac
import secrets
import socket
import time
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchcredit.live.errand import HOST

#: So many connections at a time, each for one answer and no longer than that; bytes of a request's head.
CONNECTIONS_MOST, EXCHANGE_S, HEAD_MOST = 16, 20.0, 16_384

#: Nothing else may frame it, keep it, or learn its address from it. What it may load it says itself.
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Page:
    """The application: `draw` gives the page, `seen_s` is when somebody asked for it last."""

    def __init__(self, draw: Callable[[], Awaitable[bytes]], port: int) -> None:
        self.token = secrets.token_hex(16)
        self.seen_s = float("-inf")
        self._draw = draw
        self._hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope))
        response.headers.update(HEADERS)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        # a name that was bound to this address by somebody else's page leads nowhere
        knows = hmac.compare_digest(request.url.path.encode(), f"/{self.token}/".encode())
        if request.headers.get("host", "").encode() not in self._hosts or not knows:
            return Response(status_code=404)
        if request.method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        page = await self._draw()
        self.seen_s = time.monotonic()
        return Response(page, media_type="text/html")


class Exchange(H11Protocol):
    """One connection. Anybody on this machine can make one without knowing the address: whoever asks nothing
    makes room for whoever comes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        silent = [one for one in self.connections if isinstance(one, Exchange) and not one.cycle]
        if len(self.connections) >= CONNECTIONS_MOST - 1 and silent:
            oldest = min(silent, key=lambda one: one.limit.when())
            oldest.transport.abort()
            self.connections.discard(oldest)  # at once: many may come together
        super().connection_made(transport)
        self.limit = self.loop.call_later(EXCHANGE_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.limit.cancel()
        super().connection_lost(exc)


def bound(port: int) -> socket.socket:
    """A socket on loopback; port 0 takes any free one. Raises OSError where it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen()  # whoever is told the address now finds somebody there
    return listener


def server(app: ASGIApp) -> uvicorn.Server:
    """What serves it, telling nobody about it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Exchange,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MOST,
            h11_max_incomplete_event_size=HEAD_MOST,
            timeout_graceful_shutdown=1,
        )
    )
