"""The sandbox as a process: how it starts, and that it never outlives its owner."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox_client import Line

import batchcredit
from batchcredit.sandbox import SandboxAddress, SandboxError, SandboxSettings, sandbox_process

OWNER = """
import os, time
from batchcredit.sandbox import sandbox_process
with sandbox_process() as address:
    print(address.port, flush=True)
    time.sleep(60)
"""
FOREGROUND = """
from batchcredit.sandbox import SandboxSettings, serve
serve(SandboxSettings(late_s=30, fault_rates={"late": 1}), 0, lambda address: print(address.port, flush=True))
print("ended", flush=True)
"""


def _answers(port: int) -> bool:
    try:
        SandboxAddress("127.0.0.1", port).control().totals()
    except OSError:
        return False
    return True


def _gone_within(port: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _answers(port):
            return True
        time.sleep(0.05)
    return False


def _python(program: str) -> subprocess.Popen[bytes]:
    root = str(Path(batchcredit.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": root},
    )


def test_child_ends_with_its_context() -> None:
    """When the context is left, nobody listens any more."""
    with sandbox_process() as address:
        assert _answers(address.port)
    assert not _answers(address.port)


def test_child_ends_when_its_parent_is_killed() -> None:
    """kill -9 gives the parent no chance to clean up; the child notices all the same."""
    with _python(OWNER) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        assert _answers(port)
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
        assert _gone_within(port, 10)


def test_child_is_out_of_reach_of_the_terminal() -> None:
    """The child has a session of its own: Ctrl-C, sent to our process group, is not sent to it."""
    with sandbox_process() as address:
        children = _children_of(os.getpid())
        sessions = {os.getsid(child) for child in children if _is_sandbox(child)}
        assert sessions
        assert os.getsid(0) not in sessions
        assert _answers(address.port)


def _children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True, text=True)
    pairs = (map(int, line.split()) for line in listed.stdout.splitlines())
    return [child for child, parent in pairs if parent == pid]


def _is_sandbox(pid: int) -> bool:
    shown = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, check=False, text=True)
    return "batchcredit.sandbox" in shown.stdout


def test_secrets_are_not_in_the_process_list() -> None:
    """Settings travel through a pipe: no argument of any process shows a login's secret."""
    with sandbox_process(SandboxSettings(logins={"shop": "s3cret-argument"})) as address:
        shown = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, check=True, text=True)
        with Line(address) as line:
            assert line.clicksend("1", login=("shop", "s3cret-argument")).status == 200
    assert "batchcredit.sandbox" in shown.stdout
    assert "s3cret-argument" not in shown.stdout


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_foreground_ends_in_order_on_a_signal(ending: signal.Signals) -> None:
    """`serve` returns on SIGINT and SIGTERM without a word, even while an answer is being held back."""
    with _python(FOREGROUND) as server:
        assert server.stdout is not None
        address = SandboxAddress("127.0.0.1", int(server.stdout.readline()))
        with Line(address, timeout_s=0.2) as line, pytest.raises(TimeoutError):
            line.clicksend("1")
        server.send_signal(ending)
        assert server.stdout.read() == b"ended\n"
        assert server.wait(10) == 0


def test_a_taken_port_is_said() -> None:
    """The second sandbox on one port is refused with what the system said."""
    with sandbox_process() as address:
        with pytest.raises(SandboxError, match="in use"), sandbox_process(port=address.port):
            pass
        assert _answers(address.port)


def test_addresses_of_a_profile() -> None:
    """Each simulated kind has its base_url; any other kind is refused by name."""
    address = SandboxAddress("127.0.0.1", 8001)
    assert address.base_url("clicksend") == address.clicksend_url == "http://127.0.0.1:8001/clicksend/v3"
    assert address.base_url("fastmessage") == address.fastmessage_url == "http://127.0.0.1:8001/fastmessage"
    with pytest.raises(SandboxError, match="'carrierpigeon'"):
        address.base_url("carrierpigeon")


def test_importing_is_cheap() -> None:
    """Whoever imports the sandbox to start it loads no web server."""
    program = (
        "import batchcredit.sandbox, sys; print([m for m in sys.modules if m in ('starlette', 'uvicorn')])"
    )
    with _python(program) as imported:
        assert imported.stdout is not None
        assert imported.stdout.read() == b"[]\n"
