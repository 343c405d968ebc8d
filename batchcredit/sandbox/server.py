"""The process behind the port: uvicorn, on a port that stays ours."""

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from batchcredit.sandbox.clicksend import ClickSend
from batchcredit.sandbox.control_app import ControlDesk
from batchcredit.sandbox.fastmessage import FastMessage
from batchcredit.sandbox.front import Front
from batchcredit.sandbox.protocol import SandboxProtocol
from batchcredit.sandbox.reads import ClickSendReads, FastMessageReads
from batchcredit.sandbox.settings import SandboxSettings
from batchcredit.sandbox.simulation import Simulation
from batchcredit.sandbox.transfers import Transfers

HOST = "127.0.0.1"
_BACKLOG = 4096


class SandboxServer(uvicorn.Server):
    """Listens on one port of loopback, and can stop listening for a while without losing the port."""

    def __init__(self, simulation: Simulation, port: int, on_ready: Callable[[int], None]) -> None:
        self._claim = _bound(port)
        self.port: int = self._claim.getsockname()[1]
        self._on_ready = on_ready
        self._simulation = simulation
        self._reopening: asyncio.Task[None] | None = None
        super().__init__(_config(simulation, self))

    async def run_until_stopped(self) -> None:
        with self._claim:
            await self.serve(sockets=[_bound(self.port)])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready(self.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._reopening is not None:
            self._reopening.cancel()  # or a door could open behind the one who closes them all
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        self.config.timeout_keep_alive = self._simulation.settings.keep_alive_s  # type: ignore[assignment]
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """A signal ends the server, and nothing else: uvicorn would raise it a second time afterwards."""
        logging.getLogger("uvicorn.error").disabled = True  # answers held back are dropped: no error
        self.should_exit = True
        self.force_exit = True

    def refuse(self, seconds: float) -> None:
        self._close_door()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = asyncio.create_task(self._open_door_after(seconds))

    def _close_door(self) -> None:
        for server in self.servers:
            server.close()
        self.servers = []
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def _open_door_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await super().startup([_bound(self.port)])


def _config(simulation: Simulation, server: SandboxServer) -> uvicorn.Config:
    send, sell = ClickSend(simulation), FastMessage(simulation)
    reads = [*ClickSendReads(simulation, send).routes(), *FastMessageReads(sell).routes()]
    control = Mount("/_sandbox", ControlDesk(simulation, server).app())
    others = Starlette(routes=[control, *reads])
    return uvicorn.Config(
        Front(Transfers(simulation, [send, sell]), others),
        http=SandboxProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=simulation.settings.keep_alive_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=1,
    )


def _bound(port: int) -> socket.socket:
    """A socket of this port, so far without listening.

    Two of them hold the port: while nobody listens, the other one keeps it from being given away.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform != "linux":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def run(settings: SandboxSettings, port: int, on_ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` gets the port as soon as it answers. Raises OSError."""
    server = SandboxServer(Simulation(settings), port, on_ready)
    # Book and accounts only grow and have no cycles: what outlived one look is not worth another, which
    # takes 0.6 s with 5 million accounts.
    gc.set_threshold(100_000, 1000, 50)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.run_until_stopped())
