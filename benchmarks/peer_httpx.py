"""The peer: what one writes by hand with httpx, a semaphore and aiolimiter, without ledger and judgement.

python -m benchmarks.peer_httpx BATCH BASE_URL CONCURRENCY
"""

import asyncio
import csv
import json
import sys
import time

import httpx
from aiolimiter import AsyncLimiter


async def main(path: str, base_url: str, concurrency: int) -> None:
    """Send every row of a CSV file; print how long the sending took."""
    semaphore, limiter = asyncio.Semaphore(concurrency), AsyncLimiter(1_000_000, 1)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(auth=("bench", "bench"), limits=limits, timeout=60) as client:

        async def send(row: dict[str, str]) -> int:
            async with semaphore, limiter:
                body = {
                    "client_user_id": int(row["account"]),
                    "balance": float(row["amount"]),
                    "currency": row["currency"],
                }
                answer = await client.put(f"{base_url}/reseller/transfer-credit", json=body)
                return answer.status_code

        with open(path) as file:  # noqa: ASYNC230, PTH123  a script as people write it
            rows = list(csv.DictReader(file))
        started = time.perf_counter()
        statuses = await asyncio.gather(*(send(row) for row in rows))
    credited = sum(status == 200 for status in statuses)
    print(json.dumps({"rows": credited, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
