"""A bare aiohttp loop: one session, so many workers."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp

from benchmarks.peers.script import HEADERS, Row, Script, asked, body


async def main(script: Script) -> None:
    """Send every row of a CSV file."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        rows = iter(script.rows())
        started = time.perf_counter()
        await asyncio.gather(*(_work(session, script, rows) for _ in range(script.concurrency)))
    script.tell(time.perf_counter() - started)


async def _work(session: aiohttp.ClientSession, script: Script, rows: Iterator[Row]) -> None:
    for row in rows:
        try:
            async with session.put(script.url, data=body(row)) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            script.lost()
        else:
            script.ended(row, answer.status)


if __name__ == "__main__":
    asyncio.run(main(asked()))
