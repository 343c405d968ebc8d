"""The bare aiohttp loop on uvloop, for those who know of it."""

import asyncio

import uvloop

from benchmarks.peers.aiohttp_loop import main
from benchmarks.peers.script import asked

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(asked()))
