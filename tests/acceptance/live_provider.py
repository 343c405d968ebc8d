"""Real-looking providers on this machine: a CONNECT proxy that leads chosen hosts to a sandbox behind TLS."""

import contextlib
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from command_line import CommandLine, Sandbox

CLICKSEND_URL = "https://rest.example.test/v3"
FASTMESSAGE_URL = "https://sms.example.test"

#: What stands before the path on the sandbox, by host.
_PREFIXES = {"rest.example.test": b"/clicksend", "sms.example.test": b"/fastmessage"}
_WAIT_S = 20.0


@dataclass
class LiveProviders:
    """`lines` are the request lines that arrived; while `redirect` is set, that is the answer to each."""

    port: int
    ca_file: Path
    lines: list[str] = field(default_factory=list)
    redirect: str = ""

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configure(
        self,
        cli: CommandLine,
        sandbox: Sandbox,
        *,
        tables: str = "",
        top: str = "",
        login: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Settings whose two profiles lead here."""
        common: dict[str, object] = {
            "proxy": self.proxy,
            "ca_file": str(ca_file or self.ca_file),
            "rate": "1000/s",
            "concurrency": 4,
        }
        cli.configure(
            sandbox.address,
            login or sandbox.login,
            clicksend={**common, "base_url": CLICKSEND_URL},
            fastmessage={**common, "base_url": FASTMESSAGE_URL},
            top=top,
            tables=tables,
        )


@contextmanager
def live_providers(sandbox: Sandbox, folder: Path) -> Iterator[LiveProviders]:
    """Both providers over TLS, with a certificate of an authority whose file is `ca_file`."""
    authority = trustme.CA()
    ca_file = folder / "authority.pem"
    authority.cert_pem.write_to_path(ca_file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*_PREFIXES).configure_cert(tls)
    with _Proxy(("127.0.0.1", 0), _Tunnel) as proxy:
        proxy.live = LiveProviders(proxy.server_address[1], ca_file)
        proxy.tls, proxy.target = tls, (sandbox.address.host, sandbox.address.port)
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy.live
        finally:
            proxy.shutdown()
            thread.join()


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    live: LiveProviders
    tls: ssl.SSLContext
    target: tuple[str, int]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error of a proxy."""


class _Tunnel(socketserver.BaseRequestHandler):
    """One connection: CONNECT, TLS, and then request after request to the sandbox, under its own path."""

    server: _Proxy

    def handle(self) -> None:
        self.request.settimeout(_WAIT_S)
        head = _until(self.request, b"\r\n\r\n")
        host = head.split()[1].decode().rpartition(":")[0]
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(OSError, ConnectionError), contextlib.ExitStack() as stack:
            inside = stack.enter_context(self.server.tls.wrap_socket(self.request, server_side=True))
            outside = stack.enter_context(socket.create_connection(self.server.target, _WAIT_S))
            self._pass_on(inside, outside, _PREFIXES[host])

    def _pass_on(self, inside: ssl.SSLSocket, outside: socket.socket, prefix: bytes) -> None:
        while True:
            ready = [inside] if inside.pending() else select.select([inside, outside], [], [], _WAIT_S)[0]
            if not ready:
                return
            for end in ready:
                data = end.recv(65_536)
                if not data:
                    return
                if end is outside:
                    inside.sendall(data)
                elif self._is_redirected(inside, data):
                    return
                else:
                    outside.sendall(data.replace(b" /", b" " + prefix + b"/", 1) if _begins(data) else data)

    def _is_redirected(self, inside: ssl.SSLSocket, data: bytes) -> bool:
        live = self.server.live
        if _begins(data):
            live.lines.append(data.split(b"\r\n", 1)[0].decode())
        if live.redirect:
            answer = f"HTTP/1.1 307 Moved\r\nlocation: {live.redirect}\r\ncontent-length: 0\r\n\r\n"
            inside.sendall(answer.encode())
        return bool(live.redirect)


def _begins(data: bytes) -> bool:
    """Whether these bytes begin a request; a body may come in a piece of its own."""
    return data.split(b" ", 1)[0] in (b"GET", b"PUT", b"POST")


def _until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError
        data += piece
    return data
