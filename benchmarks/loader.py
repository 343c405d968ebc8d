"""A raw load: prebuilt requests over kept connections; of an answer only status and end are looked at.

python -m benchmarks.loader HOST PORT CONNECTIONS SECONDS
"""

import asyncio
import json
import sys
import time
from typing import cast

import httptools
import uvloop

from benchmarks.peers.script import HEADERS

BODY = b'{"client_user_id":%d,"balance":1.5,"currency":"USD"}'
FIRST_CLIENT = 500_000_001
HEAD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
REQUEST = (
    b"PUT /clicksend/v3/reseller/transfer-credit HTTP/1.1\r\nHost: bench\r\n" + HEAD + b"Content-Length: "
)


class Load:
    """What all connections share."""

    def __init__(self, ended: "asyncio.Future[None]") -> None:
        self.answers = 0
        self.asked = 0
        self._ended = ended

    def next(self) -> bytes:
        """Each request is for another client."""
        self.asked += 1
        body = BODY % (FIRST_CLIENT + 10 * self.asked)
        return REQUEST + b"%d\r\n\r\n" % len(body) + body

    def fail(self, problem: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(RuntimeError(problem))


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._load.next())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200:
            self._load.fail(f"HTTP {status}")
            return
        self._load.answers += 1
        self._transport.write(self._load.next())

    def connection_lost(self, error: Exception | None) -> None:
        self._load.fail("a connection was lost")


async def main(host: str, port: int, connections: int, seconds: float) -> None:
    """Load for so long; print how many requests were answered."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    load = Load(ended)
    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(load), host, port)
    await asyncio.wait([ended], timeout=seconds)
    if ended.done():
        ended.result()
    print(json.dumps({"rows": load.answers, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
