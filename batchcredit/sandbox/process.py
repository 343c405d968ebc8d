"""Start the sandbox: beside the caller as a child process, or in its place until a signal comes."""

import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.sandbox.control import Control
from batchcredit.sandbox.settings import SandboxSettings

HOST = "127.0.0.1"
SIMULATED_KINDS = ("clicksend", "fastmessage")

_PATHS = {"clicksend": "/clicksend/v3", "fastmessage": "/fastmessage"}
_START_S = 30.0
_END_S = 5.0
_SHOWN_CHARACTERS = 500


class SandboxError(RefusedError):
    """The sandbox does not start, or does not know what it is asked to simulate."""

    def __init__(self, problem: str, *, reason: str = "sandbox", cure: str = "") -> None:
        super().__init__(problem, reason=reason, cure=cure)


@dataclass(frozen=True)
class SandboxAddress:
    """Where a running sandbox listens."""

    host: str
    port: int

    @property
    def clicksend_url(self) -> str:
        return self.base_url("clicksend")

    @property
    def fastmessage_url(self) -> str:
        return self.base_url("fastmessage")

    @property
    def control_url(self) -> str:
        return f"http://{self.host}:{self.port}/_sandbox"

    def base_url(self, kind: str) -> str:
        """The `base_url` of a profile of this kind. Raises SandboxError for a kind nobody plays here."""
        if kind not in _PATHS:
            raise SandboxError(
                f"the sandbox does not simulate the provider kind {kind!r}",
                reason="not_simulated",
                cure=f"It plays {' and '.join(SIMULATED_KINDS)}; leave the other rows out of a rehearsal.",
            )
        return f"http://{self.host}:{self.port}{_PATHS[kind]}"

    def control(self) -> Control:
        return Control(self.host, self.port)


def serve(settings: SandboxSettings, port: int, on_ready: Callable[[SandboxAddress], None]) -> None:
    """Run the sandbox here until SIGINT or SIGTERM. Raises SandboxError when the port is taken."""
    from batchcredit.sandbox.server import run

    try:
        run(settings, port, lambda bound: on_ready(SandboxAddress(HOST, bound)))
    except OSError as error:
        raise SandboxError(f"the sandbox cannot listen on port {port}: {error.strerror}") from error


@contextmanager
def sandbox_process(settings: SandboxSettings | None = None, *, port: int = 0) -> Iterator[SandboxAddress]:
    """A sandbox in a child process of its own session; port 0 takes any free one.

    It ends with this context, and also when this process is killed. Raises SandboxError when it does not
    answer within 30 s.
    """
    with tempfile.TemporaryFile() as complaints:
        child = _started(port, complaints)
        try:
            yield _answering(child, settings or SandboxSettings(), complaints)
        finally:
            _end(child)


def _started(port: int, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P and PYTHONPATH: the package that runs here runs there too, whatever the working directory.
    return subprocess.Popen(  # noqa: S603  a fixed program with a number as its only argument
        [sys.executable, "-P", "-m", "batchcredit.sandbox", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        start_new_session=True,
        env=host.environment_of_a_child(),
    )


def _answering(
    child: subprocess.Popen[bytes], settings: SandboxSettings, complaints: IO[bytes]
) -> SandboxAddress:
    deadline = time.monotonic() + _START_S
    try:
        _hand_over(child, settings)
        address = SandboxAddress(HOST, int(_first_line(child, deadline)))
        address.control().totals()
    except (OSError, ValueError) as error:
        child.kill()
        child.wait()
        raise SandboxError(f"the sandbox did not start: {_last_words(complaints)}") from error
    return address


def _hand_over(child: subprocess.Popen[bytes], settings: SandboxSettings) -> None:
    assert child.stdin is not None
    child.stdin.write(settings.model_dump_json().encode() + b"\n")
    child.stdin.flush()


def _first_line(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], max(deadline - time.monotonic(), 0))
    return child.stdout.readline() if ready else b""


def _last_words(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").split("\n")
    said = [line for line in lines if line.strip()]
    return said[-1][-_SHOWN_CHARACTERS:] if said else f"no answer within {_START_S:.0f} s"


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.close()
    try:
        child.stdin.close()
        child.wait(_END_S)
    except (OSError, subprocess.TimeoutExpired):
        child.kill()
        child.wait()
