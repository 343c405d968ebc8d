"""--on-finish: a program of the user's own that is told how a run has ended."""

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from batchcredit.console import Console

#: So long it may take; then its process group is ended, and killed if that does not help.
MOST_S = 60.0
_GRACE_S = 2.0

#: Of what it says, so much is shown.
_SHOWN_BYTES = 4000

#: What may hold a secret of ours: each setting, the ledger's password, what a collector is shown.
_PRIVATE = re.compile(r"BATCHCREDIT_(?!CONFIG$).*|PGPASSWORD|OTEL_.*_(HEADERS|ENDPOINT)", re.IGNORECASE)


def words_of(text: str) -> tuple[str, ...]:
    """A program and its arguments; no shell reads them. Refused where there is no such program."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise _refused(f"--on-finish {text}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise _refused(f"--on-finish {text}: there is no such program")
    return words


def _refused(problem: str) -> RefusedError:
    return RefusedError(
        problem,
        reason="usage",
        cure="name a program and its arguments; for what a shell understands: --on-finish \"sh -c '...'\"",
    )


def finish(words: tuple[str, ...], said: Mapping[str, Any], console: "Console") -> None:
    """Run the program with the object of --json on its stdin. What it says and how it ends is told on stderr,
    and changes nothing."""
    try:
        process = _started(words)
    except OSError as error:
        console.warn(f"--on-finish: {words[0]} could not be started: {error.strerror}")
        return
    telling = Thread(target=_tell, args=(process.stdin, json.dumps(said)), daemon=True)
    assert process.stdout is not None
    telling.start()  # not by a file: the disk may be full, and that is what is to be told
    heard, in_time = _heard_out(process)
    process.stdout.close()
    for line in heard.decode(errors="replace").splitlines():
        console.note(f"on-finish: {line}")
    if not in_time:
        console.warn(f"--on-finish: {words[0]} took longer than {MOST_S:g} s and was ended")
    elif process.returncode:
        console.warn(f"--on-finish: {words[0]} ended with exit code {process.returncode}")


def _started(words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  whoever runs us has named it
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_without_secrets(os.environ),
        start_new_session=True,  # the group can be ended as a whole, and a Ctrl-C at the terminal is ours
    )


def _tell(stdin: IO[bytes], text: str) -> None:
    with suppress(BrokenPipeError), stdin:
        stdin.write(f"{text}\n".encode())


def _without_secrets(env: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if not _PRIVATE.fullmatch(name)}


def _heard_out(process: subprocess.Popen[bytes]) -> tuple[bytes, bool]:
    """The beginning of what it says, and whether it has ended by itself in time."""
    assert process.stdout is not None
    deadline, heard = time.monotonic() + MOST_S, b""
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.1)[0]:
            piece = os.read(process.stdout.fileno(), 65536)
            heard = (heard + piece)[:_SHOWN_BYTES]
            if piece:
                continue
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            break
        if process.poll() is not None:  # what it has left running holds the pipe
            break
    in_time = process.poll() is not None
    if not in_time:
        _end(process)
    return heard, in_time


def _end(process: subprocess.Popen[bytes]) -> None:
    """First asked, then killed, with all that it has left running; what is another user's (sudo) stays."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
