"""The page's process: started beside a run, told of its batch, and ended with it."""

import asyncio
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.live.errand import HOST, Errand

_START_S = 30.0
_END_S = 10.0
_WORDS_MOST = 300


class LiveView:
    """A page that is served. `gone` is called once if it ends before the run does, which is no harm to it."""

    def __init__(self, child: subprocess.Popen[bytes], address: str, gone: Callable[[str], None]) -> None:
        self._child = child
        self.address = address
        self._gone = gone

    def show(self, batch: str) -> None:
        """From now on it is the page of this batch. Called in the event loop of the run."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(f"{batch}\n".encode())
            self._child.stdin.flush()
        except OSError:
            self._lost()
            return
        asyncio.get_running_loop().add_reader(self._child.stdout.fileno(), self._lost)

    def _lost(self) -> None:
        assert self._child.stdout is not None
        asyncio.get_running_loop().remove_reader(self._child.stdout.fileno())
        self._gone("the live view has ended; the run goes on")


@contextmanager
def served(errand: Errand, gone: Callable[[str], None]) -> Iterator[LiveView]:
    """A page on loopback in a child process, until this context ends and whoever watches has seen how the run
    ended. It ends also when this process is killed. Raises RefusedError (`serve`) where it does not start."""
    with tempfile.TemporaryFile() as complaints:
        child = _started(complaints)
        try:
            yield LiveView(child, _address(child, errand, complaints), gone)
        finally:
            _end(child)


def _started(complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P and PYTHONPATH: the package that runs here runs there too, whatever the working directory.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "batchcredit.live"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        start_new_session=True,
        env=host.environment_of_a_child(),
    )


def _address(child: subprocess.Popen[bytes], errand: Errand, complaints: IO[bytes]) -> str:
    said = _first_words(child, errand)
    port, _, token = said.partition(" ")
    if not port.isdecimal():
        child.kill()
        raise RefusedError(
            f"the live view does not start: {_why(said, complaints)}",
            reason="serve",
            cure="name a free port (--serve 8642), or leave --serve out",
        )
    return f"http://{HOST}:{port}/{token}/"


def _first_words(child: subprocess.Popen[bytes], errand: Errand) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        errand.write(child.stdin)
    except OSError:
        return ""
    ready, _, _ = select.select([child.stdout], [], [], _START_S)
    return child.stdout.readline().decode().strip() if ready else ""


def _why(said: str, complaints: IO[bytes]) -> str:
    if said.startswith("!"):
        return said[1:].strip()
    complaints.seek(0)
    lines = [line for line in complaints.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][-_WORDS_MOST:] if lines else f"no answer within {_START_S:.0f} s"


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()
