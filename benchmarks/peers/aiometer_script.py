"""aiometer bounds the concurrency, httpx sends."""

import asyncio
import time
from functools import partial

import aiometer

from benchmarks.peers.httpx_script import client_of, send
from benchmarks.peers.script import Script, asked


async def main(script: Script) -> None:
    """Send every row of a CSV file."""
    async with client_of(script) as client:
        rows = script.rows()
        started = time.perf_counter()
        sending = [partial(send, client, script, row) for row in rows]
        await aiometer.run_all(sending, max_at_once=script.concurrency)
    script.tell(time.perf_counter() - started)


if __name__ == "__main__":
    asyncio.run(main(asked()))
