"""A TLS server on loopback that only keeps what it is told inside TLS."""

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TlsTrap(socketserver.ThreadingTCPServer):
    """`dials` counts connections; `told` is every decrypted byte, to which nothing is answered."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Ear)
        self.context = context
        self.dials = 0
        self.told = b""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """A client that lets go is what is hoped for."""


class _Ear(socketserver.BaseRequestHandler):
    server: TlsTrap

    def handle(self) -> None:
        self.server.dials += 1
        self.request.settimeout(5)
        with (
            contextlib.suppress(OSError),
            self.server.context.wrap_socket(self.request, server_side=True) as tls,
        ):
            while piece := tls.recv(65_536):
                self.server.told += piece


@contextmanager
def tls_trap(context: ssl.SSLContext) -> Iterator[TlsTrap]:
    """A trap until the context ends."""
    with TlsTrap(context) as trap:
        thread = threading.Thread(target=trap.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield trap
        finally:
            trap.shutdown()
            thread.join()
