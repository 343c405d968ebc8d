"""A disk that loses what was not synced, and fails or ends when it is told to.

SQLite writes through it to real files, which are what the operating system would show. Beside them it keeps
what would be there after a power cut: what was synced, and any part of the rest, in any order, torn at any
sector.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from simulated_world import World

SECTOR = 512

#: What one write asks of a disk: its place and bytes, or a length to cut the file to.
Write = tuple[int, bytes] | int


@dataclass
class _File:
    """What is certain to be there after a power cut, and what was written since."""

    synced: bytearray = field(default_factory=bytearray)
    written: list[Write] = field(default_factory=list)


@dataclass
class SimulatedDisk:
    """The files of one machine, in `folder`."""

    world: World
    folder: Path
    operations: int = 0
    at_operation: dict[int, Callable[[], object]] = field(default_factory=dict)
    is_gone: bool = False
    _files: dict[str, _File] = field(default_factory=dict)

    def takes(self, path: str) -> bool:
        """Whether a file is one of those that matter: the shared memory beside a log is made anew."""
        return Path(path).parent == self.folder and not path.endswith("-shm")

    def adopt(self, folder: Path) -> None:
        """Go on with what a crash left, in a folder of its own."""
        self.folder = folder
        self.is_gone = False
        self._files = {str(path): _File(bytearray(path.read_bytes())) for path in folder.iterdir()}

    def operate(self, path: str, write: Write | None) -> None:
        """Count a write, or a sync where `write` is None, and let happen what is to happen with it."""
        if self.is_gone:
            return
        self.operations += 1
        if call := self.at_operation.pop(self.operations, None):
            call()
        file = self._files.setdefault(path, _File())
        if write is not None:
            file.written.append(write)
            return
        for one in file.written:
            _apply(file.synced, one)
        file.written.clear()

    def remove(self, path: str) -> None:
        if not self.is_gone:
            self._files.pop(path, None)

    def leave(self, folder: Path, *, powerless: bool) -> None:
        """Lay down in `folder` what the next start finds: all that was written, or after a power cut some."""
        self.is_gone = True
        folder.mkdir()
        for path, file in self._files.items():
            content = bytearray(file.synced)
            kept = self._survivors(file.written) if powerless else file.written
            for write in kept:
                _apply(content, write)
            (folder / Path(path).name).write_bytes(content)

    def _survivors(self, written: list[Write]) -> Iterator[Write]:
        """Nothing, all of it, a part in order, or any of it; the last one perhaps in part."""
        how = int(self.world.dice("power cut") * 4)
        if how == 0:
            return
        for number, write in enumerate(written):
            dice = self.world.dice("a write survives")
            if how == 2 and dice < 2 / (len(written) + 1):
                yield from _torn(write, self.world.dice("torn"))
                return
            if how != 3 or dice < 0.5:
                yield from _torn(write, self.world.dice("torn")) if number == len(written) - 1 else (write,)


def _torn(write: Write, dice: float) -> Iterator[Write]:
    """A write that was under way: its first sectors."""
    if isinstance(write, int):
        yield write
        return
    offset, data = write
    sectors = len(data) // SECTOR + 1
    yield offset, data[: int(dice * (sectors + 1)) * SECTOR]


def _apply(content: bytearray, write: Write) -> None:
    if isinstance(write, int):
        del content[write:]
        return
    offset, data = write
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class _ShimFile(apsw.VFSFile):
    def __init__(self, disk: SimulatedDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._path = str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self._counts = disk.takes(self._path)
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._counts:
            self._disk.operate(self._path, (offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        if self._counts:
            self._disk.operate(self._path, size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._counts:
            self._disk.operate(self._path, None)  # the real files need no sync: they are thrown away


class _Shim(apsw.VFS):
    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk
        super().__init__("simulated", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        # SQLite ignores that it can't lock a file that it may only read when it closes it; apsw does not
        flags[0] = flags[0] & ~apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_READWRITE
        return _ShimFile(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if self._disk.takes(filename):
            self._disk.remove(filename)
        super().xDelete(filename, syncdir)


@contextmanager
def mounted(disk: SimulatedDisk) -> Iterator[None]:
    """Whatever SQLite opens meanwhile lies on this disk."""
    shim = _Shim(disk)
    try:
        yield
    finally:
        shim.unregister()
