"""By hand with httpx, a semaphore and aiolimiter."""

import asyncio
import time

import httpx
from aiolimiter import AsyncLimiter

from benchmarks.peers.script import HEADERS, Row, Script, asked, body

UNLIMITED = (1_000_000, 1)


async def main(script: Script) -> None:
    """Send every row of a CSV file."""
    semaphore = asyncio.Semaphore(script.concurrency)
    limiter = AsyncLimiter(*script.rate or UNLIMITED)
    async with client_of(script) as client:

        async def send_in_turn(row: Row) -> None:
            async with semaphore, limiter:
                await send(client, script, row)

        rows = script.rows()
        started = time.perf_counter()
        await asyncio.gather(*map(send_in_turn, rows))
    script.tell(time.perf_counter() - started)


def client_of(script: Script) -> httpx.AsyncClient:
    """As many connections as requests at a time."""
    most = script.concurrency
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
    return httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=60)


async def send(client: httpx.AsyncClient, script: Script, row: Row) -> None:
    """Send one row."""
    try:
        answer = await client.put(script.url, content=body(row))
    except httpx.TransportError:
        script.lost()
    else:
        script.ended(row, answer.status_code)


if __name__ == "__main__":
    asyncio.run(main(asked()))
