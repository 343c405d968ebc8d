"""What is in memory stays there."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, wait_for

_NOBODY = 65534

#: As an ordinary user, whose programs may look at each other: what the switch of users has taken from it.
_ORDINARY = f"""
import ctypes, os, sys
if os.getuid() == 0:
    os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
"""
_HOLDER = (
    "from batchcredit import host\n" + _ORDINARY + "{call}\nprint(os.getpid(), flush=True)\nsys.stdin.read()"
)
_LOOKER = (
    _ORDINARY
    + """
for name in ("environ", "mem", "maps"):
    try:
        with open(f"/proc/{pid}/{{name}}", "rb"):
            print(name)
    except PermissionError:
        pass
"""
)


@contextmanager
def cores_allowed() -> Iterator[None]:
    """Children may leave core dumps as large as they like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def core_of(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith("core")]


def test_no_core_dump(shop: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    """A run that dies with requests in flight leaves no image of its memory, where another program does."""
    with cores_allowed():
        code = "import os; os.abort()"
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, stderr=subprocess.DEVNULL)
        if not core_of(tmp_path):
            pytest.skip("core dumps do not go to the working directory here")
        sandbox.control.set(latency_s=5)
        running = shop.start("run", shop.write("batch.csv", [("clicksend", 1, 5, "USD")]), "--yes")
        wait_for(lambda: running.has_ended or sandbox.arrivals())
    running.signal(signal.SIGABRT)
    assert running.end().code == -signal.SIGABRT
    assert core_of(shop.folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such switch")
@pytest.mark.parametrize("call", ["", "host.keep_secrets_in()"])
def test_another_program_of_the_same_user_sees_nothing(call: str) -> None:
    """Neither memory nor environment, which it sees of a program without that call."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER.format(call=call)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        pid = holder.stdout.readline().strip()
        assert pid
        looker = [sys.executable, "-c", _LOOKER.format(pid=pid)]
        seen = subprocess.run(looker, capture_output=True, text=True, check=True, timeout=20).stdout.split()
        holder.communicate()
    assert seen == ([] if call else ["environ", "mem", "maps"])
