"""A person at a terminal: a command that runs under a pty, what it shows, and what is typed."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from command_line import PROGRAM, CommandLine

CTRL_C, CTRL_D = "\x03", "\x04"

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One command with a terminal of its own as stdin, stdout and stderr."""

    def __init__(self, cli: CommandLine, argv: Sequence[object], program: Sequence[str] = PROGRAM) -> None:
        self._reader, far_end = pty.openpty()
        self._process = subprocess.Popen(
            [*program, *map(str, argv)],
            stdin=far_end,
            stdout=far_end,
            stderr=far_end,
            cwd=cli.folder,
            env=cli.env | {"TERM": "dumb", "COLUMNS": "160"},
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling one
        )
        os.close(far_end)
        self.shown = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def echoes(self) -> bool:
        """Whether the screen shows what is typed."""
        return bool(termios.tcgetattr(self._reader)[3] & termios.ECHO)

    def wait_for(self, text: str, timeout_s: float = 30) -> None:
        """Read until `text` has been shown."""
        deadline = time.monotonic() + timeout_s
        while text not in self.shown:
            assert self._read(deadline - time.monotonic()), f"{text!r} was not shown: {self.shown}"

    def type(self, text: str) -> None:
        os.write(self._reader, text.encode())

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, timeout_s: float = 30) -> int:
        """Read until it ends; its exit code."""
        deadline = time.monotonic() + timeout_s
        while self._read(deadline - time.monotonic()):
            pass
        try:
            return self._process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.shown}") from None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._reader)

    def _read(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._reader], [], [], max(timeout_s, 0))
        try:
            data = os.read(self._reader, 65_536) if ready else b""
        except OSError:  # the other end is gone
            data = b""
        self.shown += _COLOUR.sub("", data.decode(errors="replace")).replace("\r", "")
        return bool(data)


@contextmanager
def terminal(cli: CommandLine, *argv: object, program: Sequence[str] = PROGRAM) -> Iterator[Terminal]:
    """Run a command in front of a person until the context ends."""
    started = Terminal(cli, argv, program)
    try:
        yield started
    finally:
        started.close()
