"""A ledger's copy: consistent while another process sends, whole or not at all, and in nobody's place.

A copy lags behind from the moment on that it is taken, so it is marked inside, and whoever wants to send with
it is refused. It is written beside its place, forced to the disk, and linked to its name.
"""

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import apsw

from batchcredit import host
from batchcredit.errors import RefusedError

_PRIVATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_copy(connection: apsw.Connection, path: Path, marks: Mapping[str, str | None]) -> None:
    """Copy what `connection` sees to `path`, with these marks set in its `meta`, or (None) taken off.

    Raises RefusedError (`out_exists`) where something stands there; whatever fails, nothing new does.
    """
    refuse_occupied(path)
    part = part_of(path)
    part.unlink(missing_ok=True)
    os.close(os.open(part, _PRIVATE, 0o600))  # SQLite would let others read it
    try:
        connection.execute("VACUUM INTO ?", (str(part),))
        _mark(part, marks)
        _sync(part)
        _place(part, path)
    finally:
        part.unlink(missing_ok=True)
    host.sync_folder(path.parent)


def part_of(path: Path) -> Path:
    """Where a copy is written before it stands at `path`; a kill leaves it there."""
    return path.with_name(f".{path.name}.part")


def _mark(part: Path, marks: Mapping[str, str | None]) -> None:
    with closing(apsw.Connection(str(part))) as copy:
        copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; DELETE FROM holder").fetchall()
        for key, value in marks.items():
            copy.execute("DELETE FROM meta WHERE key = ?", (key,))
            if value is not None:
                copy.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))


def _sync(part: Path) -> None:
    descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(part: Path, path: Path) -> None:
    """A rename would replace what came to `path` at the last moment; a link does not. Not every file system
    has links."""
    try:
        path.hardlink_to(part)
    except OSError:
        if os.path.lexists(path):
            raise occupied(path) from None
        part.rename(path)


def refuse_occupied(path: Path) -> None:
    """Nothing may stand there; no log either that a database left there once, since SQLite would write that
    into the copy as it opens it."""
    for name in ("", "-wal", "-journal"):
        place = path.with_name(path.name + name)
        if os.path.lexists(place):
            raise occupied(place)


def occupied(path: Path) -> RefusedError:
    """Why nothing is written there."""
    return RefusedError(
        f"{path}: another file stands there, and is not replaced",
        reason="out_exists",
        cure="name another file",
    )
