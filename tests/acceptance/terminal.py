"""A person at a terminal: a command that runs under a pty, what it shows, and what is typed."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pyte
from command_line import PROGRAM, CommandLine

CTRL_C, CTRL_D = "\x03", "\x04"

#: The environment of one that can only scroll.
DUMB = {"TERM": "dumb", "COLUMNS": "160"}

#: That of one that has a size of its own: no program is told another one.
SMART = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "", "LINES": ""}

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One command with a terminal of its own as stdin, stdout and stderr."""

    def __init__(
        self,
        cli: CommandLine,
        argv: Sequence[object],
        program: Sequence[str] = PROGRAM,
        env: dict[str, str] = DUMB,
    ) -> None:
        self._reader, far_end = pty.openpty()
        self._prepare()
        self._process = subprocess.Popen(
            [*program, *map(str, argv)],
            stdin=far_end,
            stdout=far_end,
            stderr=far_end,
            cwd=cli.folder,
            env={name: value for name, value in (cli.env | env).items() if value},
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling one
        )
        os.close(far_end)
        self.shown = ""

    def _prepare(self) -> None:
        """What a terminal is before the command starts."""

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
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        self.shown += _COLOUR.sub("", data.decode(errors="replace")).replace("\r", "")


@contextmanager
def terminal(cli: CommandLine, *argv: object, program: Sequence[str] = PROGRAM) -> Iterator[Terminal]:
    """Run a command in front of a person until the context ends."""
    started = Terminal(cli, argv, program)
    try:
        yield started
    finally:
        started.close()


class Screen(Terminal):
    """One that can do what terminals do today; `rows` is what stands on it."""

    def __init__(
        self, cli: CommandLine, argv: Sequence[object], size: tuple[int, int], env: dict[str, str]
    ) -> None:
        columns, lines = size
        self.written = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        super().__init__(cli, argv, env=SMART | env)

    @property
    def rows(self) -> list[str]:
        """The lines of the screen, without blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def cursor_column(self) -> int:
        """Where the next letter would stand in its line, from 0."""
        return int(self._screen.cursor.x)

    def resize(self, columns: int, lines: int) -> None:
        """As when a person drags the corner of the window."""
        self._screen.resize(lines, columns)
        self._prepare()

    def until(self, holds: Callable[[list[str]], object], timeout_s: float = 30) -> list[str]:
        """Read until what stands on the screen is so; what stands there then."""
        deadline = time.monotonic() + timeout_s
        while not holds(self.rows):
            assert self._read(deadline - time.monotonic()), f"not seen: {self.rows}"
        return self.rows

    def _prepare(self) -> None:
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(self._reader, termios.TIOCSWINSZ, size)

    def _take(self, data: bytes) -> None:
        super()._take(data)
        self.written += data
        self._stream.feed(data)


@contextmanager
def screen(
    cli: CommandLine, *argv: object, size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None
) -> Iterator[Screen]:
    """Run a command before a screen of so many columns and lines until the context ends."""
    started = Screen(cli, argv, size, env or {})
    try:
        yield started
    finally:
        started.close()
