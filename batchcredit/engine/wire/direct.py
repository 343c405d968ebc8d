"""Our own wire: asyncio connections, the one that was used last first."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from aiohappyeyeballs import AddrInfoType

from batchcredit.engine.wire.base import CONNECT_MOST_S, Exchange, Line, Wire, trusted
from batchcredit.engine.wire.connection import Connection
from batchcredit.engine.wire.dial import dialled
from batchcredit.engine.wire.origin import Origin
from batchcredit.engine.wire.request_writer import RequestWriter

#: A name's addresses are used so long: hundreds of connections that are dialled at once ask once.
_ADDRESSES_S = 5.0


class DirectWire(Wire):
    """One connection for each exchange that goes on, kept for the next one. No proxies."""

    def __init__(self, base_url: str, ca_file: Path | None = None) -> None:
        """Raises RefusedError where `ca_file` holds no certificates."""
        self._origin = Origin.of(base_url)
        self._writer = RequestWriter(self._origin)
        self._idle: list[Connection] = []
        self._closed = False
        self._addresses: Sequence[AddrInfoType] = ()
        self._addresses_until = 0.0
        self._asking = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None
        if self._origin.scheme == "https":
            self._tls = trusted(ca_file)
            self._tls.set_alpn_protocols(["http/1.1"])

    def idle(self) -> Line | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.take():
                return connection
            connection.abort()
        return None

    async def line(self, timeout_s: float) -> Line | Exchange:
        return self.idle() or await self._dial(min(timeout_s, CONNECT_MOST_S))

    def _keep(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle.append(connection)

    async def _dial(self, timeout_s: float) -> Connection | Exchange:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._connect()
        except TimeoutError:
            return Exchange(sent=False, problem="timeout", detail=f"no connection within {timeout_s:g} s")
        except ssl.SSLCertVerificationError as error:
            return Exchange(sent=False, problem="unreachable", detail=str(error), untrusted=True)
        except (OSError, UnicodeError) as error:
            detail = str(error) or type(error).__name__
            return Exchange(sent=False, problem="unreachable", detail=detail)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        # dialled here, because uvloop's create_connection can't try addresses side by side
        sock = await dialled(await self._resolved())
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(sock, self._writer, self._keep),
                sock=sock,
                ssl=self._tls,
                server_hostname=self._origin.host if self._tls else None,
            )
        except ConnectionError as error:
            sock.close()
            raise ConnectionError("the server closed the connection in the TLS handshake") from error
        except BaseException:
            sock.close()
            raise
        return connection

    async def _resolved(self) -> Sequence[AddrInfoType]:
        loop = asyncio.get_running_loop()
        async with self._asking:
            if loop.time() > self._addresses_until:
                host, port = self._origin.host, self._origin.port
                self._addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._addresses_until = loop.time() + _ADDRESSES_S
        return self._addresses

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().abort()
