"""A ledger's SQLite file: opened, locked, brought to our version, or refused with the reason.

The lock is the operating system's, on the database's inode, so that a second name for the same file is the
same lock and it dies with its holder. Closing any descriptor of the file would drop SQLite's own locks
(sqlite.org/howtocorrupt.html, 2.2), so ours is opened before SQLite and closed after it.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from urllib.parse import quote

import apsw

from batchcredit import host
from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger.sql.database import OlderTablesError
from batchcredit.ledger.sqlite.copy import write_copy
from batchcredit.ledger.sqlite.schema import is_foreign, migrations, needed, take, version_of

#: What stands in `meta` of a ledger that is not to be sent with: since when it is a copy (ms), where it went,
#: where it comes from.
COPIED, MOVED, ARRIVING = "copied_at", "moved_to", "arriving_from"

_MAGIC = b"SQLite format 3\0"

#: How long a reader or the writer waits for the other's short SQLite lock.
BUSY_MS = 10_000

#: 32 MiB for the index of a large ledger, into which accounts fall at random.
_CACHE = "PRAGMA cache_size=-32768"

#: macOS needs a sync of its own to reach the disk; elsewhere fullfsync says nothing.
_WRITING = f"""PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=ON;
    PRAGMA checkpoint_fullfsync=ON; PRAGMA foreign_keys=ON;
    PRAGMA temp_store=MEMORY; {_CACHE}"""


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Errors of SQLite and the disk become ours, with the file's name and what to do."""
    try:
        yield
    except apsw.FullError as error:
        raise StorageError(
            f"the disk of the ledger {path} is full",
            reason="disk_full",
            cure="Free some space, then run the same command again.",
        ) from error
    except (apsw.NotADBError, apsw.CorruptError, apsw.FormatError) as error:
        raise StorageError(
            f"{path} is no readable ledger: {error}",
            reason="ledger_damaged",
            cure="Name another file with --ledger, or restore this one from a backup.",
        ) from error
    except (
        apsw.ReadOnlyError,
        apsw.CantOpenError,
        apsw.IOError,
        apsw.BusyError,
        apsw.LockedError,
        apsw.ProtocolError,
        apsw.NoLFSError,
        apsw.PermissionsError,
    ) as error:
        raise _unusable(path, str(error)) from error
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _unusable(path: Path, why: str) -> StorageError:
    return StorageError(
        f"the ledger {path} could not be read or written: {why}",
        reason="ledger_unusable",
        cure="Check the disk, the file, its folder and their permissions, then run the same command again.",
    )


@contextlib.contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All or nothing. A full disk or a failed write has ended the transaction already: the error that is told
    then is that one, and not that there is nothing to roll back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def refuse_network(path: Path) -> None:
    """A lock and a write-ahead log are not to be trusted over a network."""
    if host.is_network_file_system(path):
        raise RefusedError(
            f"the ledger {path} lies on a network file system, where SQLite can lose what it wrote",
            reason="ledger_on_network",
            cure="Name a file on a local disk: --ledger sqlite:///path/ledger.db",
        )


def refuse_linked(path: Path) -> None:
    """SQLite names the write-ahead log after the path: under a second hard link the newest rows would be
    missing, and would be sent again."""
    if _links(path) > 1:
        raise RefusedError(
            f"the ledger {path} has other names (hard links), under one of which its newest rows may stand",
            reason="ledger_linked",
            cure="keep the name under which it was used last, remove the others; a backup is a copy, no link",
        )


def _links(path: Path) -> int:
    with storage_errors(path):
        return path.stat().st_nlink


def open_locked(
    path: Path, note: Callable[[str], None], *, retired: bool = False
) -> tuple[apsw.Connection, int]:
    """The connection that may write, and the descriptor that holds the lock: `release` the latter last.

    A copy or a ledger that was moved is refused unless `retired`. `note` hears of new tables."""
    with storage_errors(path):
        _make_folder(path.parent)
        descriptor = _locked(path)
    try:
        refuse_linked(path)
        _refuse_other_file(descriptor, path)
        return _open_for_writing(path, note, retired=retired), descriptor
    except BaseException:
        release(descriptor)
        raise


def _locked(path: Path) -> int:
    """A descriptor that has the lock. Another thread opens none meanwhile, whose closing would harm."""
    with _taking:
        if path.exists() and _inode(path.stat()) in _held_here:
            raise _held(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


class LockLook:
    """Sees whether a process has the lock. To be closed after SQLite has closed the file, see above."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def is_locked(self) -> bool:
        """Whether this process or another one has the lock now."""
        with storage_errors(self._path), _taking:
            if _inode(self._path.stat()) in _held_here:
                return True
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            if not host.lock(self._descriptor):
                return True
            host.unlock(self._descriptor)
        return False

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def release(descriptor: int) -> None:
    """Give the lock back."""
    _held_here.discard(_inode(os.fstat(descriptor)))
    os.close(descriptor)


#: The files whose lock this process has: a second descriptor of one must not even be opened, see above.
_held_here: set[tuple[int, int]] = set()
_taking = Lock()


def _inode(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _make_folder(folder: Path) -> None:
    """A folder that is new is on disk before anything in it is relied on."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        host.sync_folder(folder.parent)


def _lock(descriptor: int, path: Path) -> None:
    with storage_errors(path):
        if not host.lock(descriptor):
            raise _held(path)
    _held_here.add(_inode(os.fstat(descriptor)))


def _refuse_other_file(descriptor: int, path: Path) -> None:
    """SQLite takes a file that is shorter than a page for an empty database, and would write over it."""
    begin = os.pread(descriptor, len(_MAGIC), 0)
    if begin and begin != _MAGIC:
        raise StorageError(
            f"{path} is no ledger: it does not begin like a database",
            reason="ledger_damaged",
            cure="Name another file with --ledger, or restore this one from a backup.",
        )


def _held(path: Path) -> RefusedError:
    with contextlib.suppress(StorageError, RefusedError, OlderTablesError, apsw.Error):
        connection = _open_own_file(path) if _links(path) > 1 else open_reading(path)
        try:
            row = connection.execute("SELECT pid, user, host, command, started_at FROM holder").fetchone()
        finally:
            connection.close()
        if row:
            return _held_by(path, *row)
    return RefusedError(
        f"another process has the ledger {path} open for sending",
        reason="ledger_held",
        cure="Wait until it has ended, then run the same command again.",
    )


def _open_own_file(path: Path) -> apsw.Connection:
    """The database file alone, without a log beside it: enough to read who holds it under another name."""
    url = f"file:{quote(str(path))}?immutable=1"
    return apsw.Connection(url, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _held_by(path: Path, pid: int, user: str, machine: str, command: str, started_ms: int) -> RefusedError:
    return RefusedError(
        f"process {pid} ({command}, by {user} on {machine}, since {host.iso(started_ms)}) has the ledger "
        f"{path} open for sending",
        reason="ledger_held",
        cure="Wait until it has ended, then run the same command again; `batchcredit show` works meanwhile.",
    )


def _open_for_writing(path: Path, note: Callable[[str], None], *, retired: bool) -> apsw.Connection:
    with storage_errors(path):
        connection = _connection(path, apsw.SQLITE_OPEN_READWRITE)
        try:
            _check_ours(connection, path)
            if not retired:
                refuse_retired(connection, path)
            connection.execute(_WRITING).fetchall()  # or it would stop at the first one that answers
            _bring_up(connection, path, note)
        except BaseException:
            connection.close()
            raise
    return connection


def _connection(path: Path, access: int) -> apsw.Connection:
    """With SQLite's own mutex, so that use by two threads at once is an error and no damage; and with plans
    that do not look at bound values, or each binding would plan the query anew."""
    connection = apsw.Connection(str(path), flags=access | apsw.SQLITE_OPEN_FULLMUTEX)
    connection.set_busy_timeout(BUSY_MS)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def open_reading(path: Path) -> apsw.Connection:
    """A connection that can't write; works while another process sends."""
    refuse_linked(path)
    with storage_errors(path):
        connection = _connection(path, apsw.SQLITE_OPEN_READONLY)
        try:
            _check_ours(connection, path)
            _refuse_unmade(connection, path)
            _stop_at_older(connection)
            connection.execute(_CACHE)
        except BaseException:
            connection.close()
            raise
    return connection


def _refuse_unmade(connection: apsw.Connection, path: Path) -> None:
    """The first holder is about to make the tables, or was killed before."""
    if version_of(connection) == 0:
        raise RefusedError(
            f"there is no ledger at {path} yet",
            reason="no_ledger",
            cure="run a batch first, or name the ledger with --ledger sqlite:///path/ledger.db",
        )


def _stop_at_older(connection: apsw.Connection) -> None:
    if version_of(connection) < len(migrations()):
        raise OlderTablesError


def _check_ours(connection: apsw.Connection, path: Path) -> None:
    if is_foreign(connection):
        raise RefusedError(
            f"{path} is a database, but no ledger of batchcredit",
            reason="ledger_foreign",
            cure="Name another file: --ledger sqlite:///path/ledger.db",
        )
    if version_of(connection) > len(migrations()):
        needs = needed(connection)
        raise RefusedError(
            f"the ledger {path} was written by batchcredit {needs or 'of a later version'} (version "
            f"{version_of(connection)} of its tables; this one knows {len(migrations())})",
            reason="ledger_newer",
            cure=f"Install that one or a later: pip install 'batchcredit{f'>={needs}' if needs else ''}'",
        )


def refuse_retired(connection: apsw.Connection, path: Path) -> None:
    """A ledger that was moved, or is a copy, may be read, and decides nothing."""
    if version_of(connection) == 0:
        return
    found = connection.execute("SELECT key, value FROM meta").fetchall()
    marks = {str(key): str(value) for key, value in found}
    if MOVED in marks:
        raise RefusedError(
            f"the ledger {path} is closed for ever: it was moved to {marks[MOVED]}",
            reason="ledger_moved",
            cure=f"Use --ledger sqlite:///{marks[MOVED]}; if it is not there, finish the move: batchcredit "
            f"ledger move {marks[MOVED]}",
        )
    if ARRIVING in marks:
        raise RefusedError(
            f"the move of the ledger {marks[ARRIVING]} to {path} was not finished",
            reason="ledger_arriving",
            cure=f"Finish it: batchcredit ledger move {path} --ledger sqlite:///{marks[ARRIVING]}",
        )
    if COPIED in marks:
        raise RefusedError(
            f"the ledger {path} is a copy of {host.iso(int(marks[COPIED]))}, and knows nothing of what was "
            "sent since",
            reason="ledger_copy",
            cure="Use the one that it was copied from. Only if that is lost: batchcredit ledger accept",
        )


def _bring_up(connection: apsw.Connection, path: Path, note: Callable[[str], None]) -> None:
    """Take the steps that are missing. What other programs can read is kept beside it, and named."""
    steps, taken = migrations(), version_of(connection)
    if 0 < taken < len(steps):
        stamp = host.iso(host.now_ms()).replace("-", "").replace(":", "").partition(".")[0]
        kept = path.with_name(f"{path.name}.before-{taken + 1:04}-{stamp}Z")
        with contextlib.suppress(RefusedError):  # of a second that has seen this before
            write_copy(connection, kept, {COPIED: str(host.now_ms())})
        note(f"this version of batchcredit needs new tables in {path}; as it was, it is kept as {kept}")
    for number in range(taken, len(steps)):
        with transaction(connection):
            take(connection, number + 1, steps[number])
