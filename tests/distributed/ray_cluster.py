"""A real Ray cluster on this machine, closed to everybody else, and gone without a trace."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

#: Ray takes 127.0.0.1 for the machine's name on its network, and this for what it is.
HOST = "127.0.0.2"

#: The senders that find a place on it.
PLACES = 2

_START_S = 60.0

#: However a test ends, its end of the pipe closes: so ends the cluster.
_WITH_STDIN = '"$@" </dev/null & read _; kill -KILL 0'


class Cluster:
    """One node. `environment` is what a driver needs to find it and to be let in."""

    def __init__(self, home: Path, guard: subprocess.Popen[bytes], environment: Mapping[str, str]) -> None:
        self.home = home
        self.address = (home / "ray_current_cluster").read_text()
        self.environment = environment
        self._guard = guard

    def processes(self) -> list[int]:
        """All that it runs, senders included."""
        return [pid for pid in _all_processes() if _session(pid) == self._guard.pid]

    def senders(self) -> list[int]:
        """The processes of actors: those of ours, as there are no others."""
        idle = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
        actors = ((pid, _command(pid)) for pid in self.processes())
        return [pid for pid, name in actors if name.startswith("ray::") and not name.startswith(idle)]

    def close(self) -> None:
        """End whatever it started, and what it wrote."""
        while found := self.processes():
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._guard.poll()
            time.sleep(0.02)
        with self._guard:
            shutil.rmtree(self.home)


@contextmanager
def ray_cluster(places: int = PLACES) -> Iterator[Cluster]:
    """A cluster with room for so many senders, until the context ends. Whoever has no token of it can't use
    it: it listens on every address of the machine."""
    home = Path(tempfile.mkdtemp(prefix="ray-"))  # short: paths of sockets are
    environment = {"RAY_TMPDIR": str(home), **admission()}
    here = Path(__file__).resolve()
    installed = {
        "PYTHONPATH": f"{here.parents[2]}{os.pathsep}{here.parent}"
    }  # and the senders that tests play
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0"]
    command += [f"--node-ip-address={HOST}", "--include-dashboard=false", "--include-log-monitor=false"]
    command += [f"--num-cpus={places}", "--object-store-memory=80000000", f"--temp-dir={home}"]
    with (home / "start.log").open("wb") as log:
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_STDIN, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**_plain(), **environment, **installed},
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_S
    while b"Ray runtime started" not in (home / "start.log").read_bytes():
        assert guard.poll() is None, (home / "start.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster = Cluster(home, guard, environment)
    try:
        yield cluster
    finally:
        cluster.close()


def admission() -> dict[str, str]:
    """What lets a process into clusters of this test process, and nobody else."""
    token = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"}


def _plain() -> dict[str, str]:
    """Our environment, without what is somebody's setting of Ray or of ours."""
    foreign = ("RAY_", "BATCHCREDIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _session(pid: int) -> int:
    """The session of a process, proc_pid_stat(5); it survives whatever a process calls itself."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError):
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
