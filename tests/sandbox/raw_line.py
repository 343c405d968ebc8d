"""A connection that sends exactly these bytes, in these pieces, and hears whole answers byte by byte."""

import base64
import re
import socket
import time
from collections.abc import Sequence
from typing import Self

from sandbox_client import TRANSFER

from batchcredit.sandbox import SandboxAddress

BASIC = b"Basic " + base64.b64encode(b"shop:key")
CLOSED = b"<closed>"
RESET = b"<reset>"
_TIMEOUT_S = 10.0
_PAUSE_S = 0.002


def request(
    body: bytes,
    *,
    method: str = "PUT",
    path: str = TRANSFER,
    version: str = "1.1",
    headers: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """A request with the length of its body."""
    lines = [f"{method} {path} HTTP/{version}".encode(), b"host: sandbox"]
    lines += [name.encode() + b": " + value for name, value in headers]
    lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def transfer(
    account: str, *, path: str = TRANSFER, version: str = "1.1", extra: Sequence[tuple[str, bytes]] = ()
) -> bytes:
    """A good order of 1 USD for a ClickSend client."""
    body = f'{{"balance":1,"client_user_id":{account},"currency":"USD"}}'.encode()
    headers = [("content-type", b"application/json"), ("authorization", BASIC), *extra]
    return request(body, path=path, version=version, headers=headers)


class RawLine:
    """What arrives behind an answer is the next answer's beginning."""

    def __init__(self, address: SandboxAddress) -> None:
        self._socket = socket.create_connection((address.host, address.port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *pieces: bytes) -> None:
        """Each piece for itself, so that the server reads it for itself."""
        for piece in pieces[:-1]:
            self._socket.sendall(piece)
            time.sleep(_PAUSE_S)
        self._socket.sendall(pieces[-1])

    def answer(self) -> bytes:
        """The next whole answer, without its date; or what there was until the connection ended."""
        while not (length := _whole(self._heard)):
            try:
                piece = self._socket.recv(65_536)
            except ConnectionResetError:
                return self._taken(len(self._heard)) + RESET
            if not piece:
                return self._taken(len(self._heard)) + CLOSED
            self._heard += piece
        return self._taken(length)

    def ask(self, *pieces: bytes) -> bytes:
        self.send(*pieces)
        return self.answer()

    def _taken(self, length: int) -> bytes:
        taken, self._heard = self._heard[:length], self._heard[length:]
        return re.sub(rb"\r\ndate: [^\r]*", b"", taken)


def _whole(heard: bytes) -> int:
    """How long the first answer is; 0 while it is not all there, or is no HTTP."""
    head, blank, body = heard.partition(b"\r\n\r\n")
    found = re.search(rb"\r\ncontent-length: (\d+)", head)
    length = int(found[1]) if found else 0
    return (
        len(head) + len(blank) + length if blank and len(body) >= length and head.startswith(b"HTTP/") else 0
    )
