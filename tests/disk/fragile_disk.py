"""Stands between a process and its files: remembers what changes the disk, and lets it fail.

SQLite is reached by a VFS of apsw's, which carries its write-ahead log and shared memory as ever; Python by
its own functions. Only files below one folder count.
"""

import builtins
import contextlib
import errno
import io
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import apsw

#: What a full disk refuses; a broken one refuses anything.
GROWTH = frozenset({"create", "write"})
CHANGES = GROWTH | {"open", "sync", "truncate", "replace", "unlink"}

_SAID_TO_SQLITE = {
    "create": apsw.SQLITE_CANTOPEN,
    "open": apsw.SQLITE_CANTOPEN,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "unlink": apsw.SQLITE_IOERR_DELETE,
}


class Trouble(NamedTuple):
    """The `at`th act of these `kinds`, on files of this `ending`, fails with an `errno`, and with `lasts` all
    behind it do."""

    at: int
    error: int
    lasts: bool
    kinds: frozenset[str]
    ending: str = ""


class Act(NamedTuple):
    """One change of the disk, or one that was refused; what SQLite wrote, and where."""

    kind: str
    name: str
    failed: bool
    ended_at: float
    offset: int = 0
    data: str = ""


class Doing(NamedTuple):
    """A change about to be made. Of a write that fails a part may be there: `torn`."""

    kind: str
    path: str
    do: Callable[[], Any]
    torn: Callable[[], Any] = lambda: None
    offset: int = 0
    data: str = ""


@dataclass
class Disk:
    """The files below `root`, as one process changes them. `sync_s`: a sync takes so long."""

    root: str
    trouble: Trouble | None = None
    sync_s: float = 0.0
    acts: list[Act] = field(default_factory=list)
    _met: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def holds(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(self.root)

    def change(self, doing: Doing) -> Any:
        """Do it, or fail with an OSError."""
        name = Path(doing.path).name
        fails = self._fails(doing.kind, name)
        if doing.kind == "sync":
            time.sleep(self.sync_s)
        done = doing.torn() if fails else doing.do()
        self.acts.append(Act(doing.kind, name, fails, time.monotonic(), doing.offset, doing.data))
        if fails:
            assert self.trouble is not None
            raise OSError(self.trouble.error, os.strerror(self.trouble.error), doing.path)
        return done

    def _fails(self, kind: str, name: str) -> bool:
        trouble = self.trouble
        if trouble is None or kind not in trouble.kinds or not name.endswith(trouble.ending):
            return False
        with self._lock:
            self._met += 1
            return self._met == trouble.at or (trouble.lasts and self._met > trouble.at)


def install(disk: Disk) -> apsw.VFS:
    """From now on this process changes files below the disk's root through it. Keep what is returned."""
    _Python(disk).install()
    apsw.Connection = _Connection  # type: ignore[misc]
    return _Vfs(disk)


def _for_sqlite(disk: Disk, doing: Doing) -> Any:
    try:
        return disk.change(doing)
    except OSError as error:
        full = error.errno == errno.ENOSPC and doing.kind == "write"
        said = apsw.exception_for(apsw.SQLITE_FULL if full else _SAID_TO_SQLITE[doing.kind])
        said.args = ("disk full" if full else "disk I/O error",)
        raise said from None


class _Connection(apsw.Connection):
    """SQLite swallows what fails while it closes a file; apsw would tell of it, since it came from Python."""

    def close(self, force: bool = False) -> None:
        with contextlib.suppress(apsw.Error):
            super().close(force)


class _Quiet:
    """The same where there is nobody to tell: apsw would print it."""

    def excepthook(self, *_: object) -> None:
        """Say nothing."""


class _Vfs(_Quiet, apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__("fragile", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's names
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not self._disk.holds(path):
            return apsw.VFSFile("unix", name, flags)
        make = Doing(_opening(path), path, lambda: _LedgerFile(self._disk, path, name, flags))
        return _for_sqlite(self._disk, make)

    def xDelete(self, path: str, sync_folder: bool) -> None:  # noqa: N802
        remove = super().xDelete
        _for_sqlite(self._disk, Doing("unlink", path, lambda: remove(path, sync_folder)))


class _LedgerFile(_Quiet, apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: Any, flags: list[int]) -> None:
        self._disk, self._path = disk, path
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        whole, write = bytes(data), super().xWrite
        _for_sqlite(
            self._disk,
            Doing(
                "write",
                self._path,
                lambda: write(whole, offset),
                lambda: write(whole[: len(whole) // 2], offset),
                offset,
                whole.hex(),
            ),
        )

    def xSync(self, flags: int) -> None:  # noqa: N802
        sync = super().xSync
        _for_sqlite(self._disk, Doing("sync", self._path, lambda: sync(flags)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        truncate = super().xTruncate
        _for_sqlite(self._disk, Doing("truncate", self._path, lambda: truncate(size), offset=size))


class _File(io.BufferedIOBase):
    """A file that is written. No real one, for polars would write past it to its descriptor."""

    def __init__(self, disk: Disk, path: str, raw: io.FileIO) -> None:
        self._disk, self._path, self._raw = disk, path, raw
        self.name = path

    def write(self, data: Any) -> int:
        whole = bytes(data)
        torn = whole[: len(whole) // 2]
        doing = Doing("write", self._path, lambda: self._raw.write(whole), lambda: self._raw.write(torn))
        return int(self._disk.change(doing))

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._raw.tell()

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        super().close()
        self._raw.close()


class _Python:
    """Python's own ways to change files: open for writing, sync, replace, remove, make a folder."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._os_open, self._io_open = os.open, io.open
        self._paths: dict[int, str] = {}  # of descriptors

    def install(self) -> None:
        os.open = self._open
        io.open = builtins.open = self._open_file
        os.fsync, os.sendfile = (
            self._by_descriptor("sync", os.fsync),
            self._by_descriptor("write", os.sendfile),
        )
        os.replace, os.unlink = self._by_path("replace", os.replace), self._by_path("unlink", os.unlink)
        os.link, os.mkdir = self._by_path("replace", os.link), self._by_path("create", os.mkdir)

    def _open(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY)  # a folder is opened to be synced
        if not changes or not self._disk.holds(path):
            return self._os_open(path, flags, *more, **named)
        doing = Doing(_opening(path), str(path), lambda: self._os_open(path, flags, *more, **named))
        descriptor = int(self._disk.change(doing))
        self._paths[descriptor] = str(path)
        return descriptor

    def _open_file(self, file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        path = self._paths.get(file) if isinstance(file, int) else file
        if "r" in mode or not self._disk.holds(path):
            return self._io_open(file, mode, *more, **named)
        plain = mode.replace("b", "")
        raw = io.FileIO(file, plain) if isinstance(file, int) else self._open_raw(file, plain)
        written = _File(self._disk, str(path), raw)
        return written if "b" in mode else io.TextIOWrapper(written)

    def _open_raw(self, path: Any, mode: str) -> io.FileIO:
        raw: io.FileIO = self._disk.change(Doing(_opening(path), str(path), lambda: io.FileIO(path, mode)))
        self._paths[raw.fileno()] = str(path)
        return raw

    def _by_path(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: Any, *more: Any, **named: Any) -> Any:
            if not self._disk.holds(path):
                return real(path, *more, **named)
            return self._disk.change(Doing(kind, str(path), lambda: real(path, *more, **named)))

        return watched

    def _by_descriptor(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(descriptor: int, *more: Any) -> Any:
            path = self._paths.get(descriptor)
            if path is None:
                return real(descriptor, *more)
            return self._disk.change(Doing(kind, path, lambda: real(descriptor, *more)))

        return watched


def _opening(path: Any) -> str:
    return "open" if os.path.lexists(path) else "create"
