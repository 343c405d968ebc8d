"""Where a profile's secret comes from: its settings, or a file that only its owner can read."""

import os
import stat
from pathlib import Path

from pydantic import SecretStr

from batchcredit.errors import RefusedError

_SECRET_FILE_BYTES = 4096


def secret_of(key: str, given: SecretStr | None, file: Path | None) -> str:
    """The secret that the setting `key`, or the file that `<key>_file` names, holds.

    Raises RefusedError, which never quotes it, unless exactly one of them gives a secret that can be read.
    """
    if given is not None and file is not None:
        raise _refused(f"both {key} and {key}_file are set", f"keep one of {key} and {key}_file")
    if file is not None:
        return _read(key, file.expanduser())
    secret = given.get_secret_value() if given is not None else ""
    if not secret:
        raise _refused(f"{key} is missing", f"set {key} in the environment, or {key}_file = PATH")
    if not secret.isprintable():
        raise _refused(f"{key} holds characters that can not be printed", "copy it anew")
    return secret


def readable_by_others(mode: int) -> bool:
    """Whether group or world may read a file of this `st_mode`, on systems that have such modes."""
    return os.name == "posix" and bool(mode & (stat.S_IRGRP | stat.S_IROTH))


def _read(key: str, file: Path) -> str:
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would wait for ever
            raise _refused(f"{key}_file {file} is not a regular file", "name a file")
        if readable_by_others(mode):
            raise _refused(f"{key}_file {file} can be read by other users", f"chmod 600 {file}")
        with file.open("rb") as opened:
            content = opened.read(_SECRET_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(f"{key}_file {file} can not be read: {error.strerror}", "mend the path") from None
    return _one_line(key, file, content)


def _one_line(key: str, file: Path, content: bytes) -> str:
    try:
        secret = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        secret = ""
    if not secret.isprintable() or not secret or len(content) > _SECRET_FILE_BYTES:
        raise _refused(f"{key}_file {file} does not hold one line of text", "put the secret alone into it")
    return secret


def _refused(problem: str, cure: str) -> RefusedError:
    return RefusedError(problem, reason="settings", cure=cure)
