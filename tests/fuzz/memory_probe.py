"""A client in a process of its own: python memory_probe.py WIRE URL SECONDS EXCHANGES.

It asks so many times and prints one line for each exchange: how it ended, after how many seconds, and by how
many bytes the process has grown since the first answer.
"""

import asyncio
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from wires import TIMEOUT_S, WIRES, opened, request

from batchcredit.host import peak_memory_bytes


async def main(wire_name: str, url: str, deadline_s: float, exchanges: int) -> None:
    async with opened(WIRES[wire_name](url, 1)) as wire:
        warm = await wire.exchange(request(), TIMEOUT_S)
        assert warm.answer, warm
        at_first = peak_memory_bytes()
        for _ in range(exchanges):
            began = time.monotonic()
            exchange = await wire.exchange(request(), deadline_s)
            seconds = time.monotonic() - began
            print(exchange.problem or "answer", seconds, peak_memory_bytes() - at_first)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
