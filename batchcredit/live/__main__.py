"""The child process that serves the page: told what by stdin, and gone soon after stdin closes."""

import os
import sys
import threading
import time
from collections.abc import Callable

import anyio
from anyio.from_thread import BlockingPortal
from uvicorn import Server

from batchcredit import host
from batchcredit.live.errand import Errand
from batchcredit.live.renewal import Renewal
from batchcredit.live.server import Page, bound, server
from batchcredit.report import renderer
from batchcredit.runner.batch import find_batch
from batchcredit.runner.settling.records import reading
from batchcredit.runner.settling.reporting import report_of

#: A page asks every five seconds. Where one was open lately, it is given the end before all is gone.
OPEN_S, LINGER_S = 15.0, 7.0

_LOOK_S = 0.1

_WAITING = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>batchcredit</title><main><p>Nothing is sent yet. This page renews itself.</p></main></html>
"""


class Served:
    """The batch whose page it is, once there is one."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self.batch = ""

    def draw(self) -> str:
        """Its page as things stand."""
        if not self.batch:
            return _WAITING
        how, settings = self._errand.how, self._errand.settings
        with reading(how, settings) as ledger:
            found = report_of(ledger, find_batch(ledger, self.batch), how, settings)
        return renderer()(found, live=True)


def _listen(pipe: int, named: Callable[[str], None]) -> None:
    """Until whoever started us has closed the pipe, or is dead; it says which batch it is."""
    text = b""
    while piece := os.read(pipe, 4096):
        text += piece
        if text.endswith(b"\n"):
            named(text.decode().strip())
            text = b""


async def _end(page: Page, renewal: Renewal, web: Server) -> None:
    """The run has ended: whoever watches sees how, and then nothing is served any more."""
    renewal.expire()
    ended_s = time.monotonic()
    if ended_s - page.seen_s < OPEN_S:
        with anyio.move_on_after(LINGER_S):
            while not page.seen_s > renewal.drawn_s > ended_s:  # noqa: ASYNC110  two clocks tell it
                await anyio.sleep(_LOOK_S)
    web.should_exit = True


async def main() -> None:
    """Serve until the run has ended."""
    host.keep_secrets_in()
    os.nice(10)  # the sender comes first
    errand = Errand.read(sys.stdin.buffer)
    try:
        listener = bound(errand.port)
    except OSError as error:
        sys.stdout.write(f"! {error.strerror}\n")
        return
    port = listener.getsockname()[1]
    served = Served(errand)
    renewal = Renewal(served.draw, _WAITING)
    page = Page(renewal.page, port)
    web = server(page)

    def named(batch: str) -> None:
        served.batch = batch
        renewal.expire()

    def listen(portal: BlockingPortal) -> None:
        _listen(sys.stdin.fileno(), lambda batch: portal.call(named, batch))
        portal.call(_end, page, renewal, web)

    async with BlockingPortal() as portal:
        threading.Thread(target=listen, args=[portal], daemon=True).start()
        sys.stdout.write(f"{port} {page.token}\n")
        sys.stdout.flush()
        await web.serve(sockets=[listener])
        os._exit(0)  # whatever is being drawn is for nobody


if __name__ == "__main__":
    anyio.run(main)
