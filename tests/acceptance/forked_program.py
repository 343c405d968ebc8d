"""The program as forks of one process that has imported it: a command then costs its own work, and no start.

A fork is a process like any other: it has its pid, its signals, its end, and the program from its first line
on; nothing of one command is left for the next. What the interpreter reads before that line can't be given to
it, nor does it inherit the limits and the mask of the test that starts it.
"""

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_ORDER_BYTES = 100_000

#: What is read once, before the program's first line or by the C library.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC")

#: Where that is.
_IMPORTED = (
    "cli",
    "console",
    "engine",
    "ledger",
    "reader",
    "reconcile",
    "report",
    "runner",
    "settings",
    "writer",
)


class Fork:
    """A command under way, asked like a `subprocess.Popen`."""

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report, "rb", buffering=0)
        self._code: int | None = None
        self._said = b""
        while b"\n" not in self._said:
            self._hear()
        self.pid = int(self._said.split(b"\n")[0])

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; subprocess.TimeoutExpired if it does not end."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, which: int) -> None:
        """To the command, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, which)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, most_s: float | None) -> int | None:
        deadline = None if most_s is None else time.monotonic() + most_s
        while self._code is None:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([self._report], [], [], left)[0]:
                return None
            self._hear()
            lines = self._said.split(b"\n")
            if len(lines) == 3:  # the pid, the code, and nothing behind its line feed
                self._code = int(lines[1])
                self._report.close()
        return self._code

    def _hear(self) -> None:
        piece = self._report.read(64)
        assert piece, f"the process that starts commands is gone: {self._said!r}"
        self._said += piece


class ForkedProgram:
    """Starts commands of batchcredit in any folder, with any environment that `can_have`."""

    def __init__(self, orders: socket.socket, env: Mapping[str, str]) -> None:
        self._orders = orders
        self._start_env = _read_at_start(env)

    def can_have(self, env: Mapping[str, str]) -> bool:
        """Whether a fork is, in this environment, what a process of its own would be."""
        return _read_at_start(env) == self._start_env

    def __call__(
        self, argv: Sequence[str], folder: Path, env: Mapping[str, str], out: IO[bytes], err: IO[bytes]
    ) -> Fork:
        """Start a command whose output goes to two open files."""
        told = json.dumps({"argv": list(argv), "folder": str(folder), "env": dict(env)}).encode()
        assert len(told) < _ORDER_BYTES
        report, reporting = os.pipe()
        try:
            socket.send_fds(self._orders, [told], [out.fileno(), err.fileno(), reporting])
        finally:
            os.close(reporting)
        return Fork(report)


@contextmanager
def forked_program(env: Mapping[str, str]) -> Iterator[ForkedProgram]:
    """The program, imported in this environment, until the context ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], env=dict(env), pass_fds=[theirs.fileno()]
        )
        theirs.close()
        yield ForkedProgram(ours, env)
        ours.close()
        assert process.wait(30) == 0


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _take_orders(orders: socket.socket) -> bool:
    """Fork for each order until there are no more; True in the fork of a command, which has become it."""
    while True:
        told, files, _, _ = socket.recv_fds(orders, _ORDER_BYTES, 3)
        if not told:
            return False
        if not os.fork():
            orders.close()
            return _watch(json.loads(told), *files)
        for file in files:
            os.close(file)
        _part_with_those_that_ended()


def _part_with_those_that_ended() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watch(order: dict[str, Any], out: int, err: int, report: int) -> bool:
    """Be the parent of a command: say its pid and its exit code. True in the command itself."""
    child = os.fork()
    if not child:
        become(order, out, err)
        os.close(report)
        return True
    os.close(out)
    os.close(err)
    os.write(report, b"%d\n" % child)
    _, status = os.waitpid(child, 0)
    os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(order: dict[str, Any], out: int, err: int) -> None:
    """Stand where a process of the command's own would stand before its first line."""
    for file, number in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path[0] = order["folder"]
    sys.argv[1:] = order["argv"]


def import_all() -> None:
    """Import what commands import as they need it."""
    for name in _IMPORTED:
        folder = f"batchcredit.{name}"
        module = importlib.import_module(folder)
        for each in pkgutil.walk_packages(module.__path__, f"{folder}."):
            importlib.import_module(each.name)
    importlib.import_module("uvloop")
    assert threading.active_count() == 1, "a fork has no other threads"
    gc.freeze()  # what is here stays, and its pages stay shared


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        import_all()
        is_command = _take_orders(orders)
    if is_command:
        from batchcredit.__main__ import main as program

        program()


if __name__ == "__main__":
    main()
