"""A folder for this process alone: what it holds of clients does not stay, not even after a kill."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from batchcredit import host

_PREFIX = "batchcredit-"

#: The file whose lock says that the folder's process lives. It gets its name once it is locked.
_HELD = ".held"

#: So many folders are looked at for those that killed processes left.
_LOOKED_AT = 1_000


class PrivateFolder:
    """A temporary folder in `parent`, or where temporary files go, for the owner's eyes only.

    It removes itself; one whose process was killed is removed by the next that is made there. Raises OSError.
    """

    def __init__(self, parent: Path | None = None) -> None:
        place = parent or Path(tempfile.gettempdir())
        _sweep(place)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self._lock = _held(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _held(folder: Path) -> int | None:
    """A lock that ends with this process; None where files can't be locked: nobody sweeps there then."""
    descriptor = os.open(folder / "held", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        host.lock(descriptor)
        (folder / "held").rename(folder / _HELD)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(place: Path) -> None:
    """Remove what killed processes of ours left here."""
    for folder in islice(place.glob(f"{_PREFIX}*"), _LOOKED_AT):
        with contextlib.suppress(OSError), _left(folder) as is_left:
            if is_left:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _left(folder: Path) -> Iterator[bool]:
    """Whether it is such a folder of this user whose process has ended. Raises OSError where it is none."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(place).st_uid != os.geteuid():
            yield False
            return
        descriptor = os.open(_HELD, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        try:
            yield host.lock(descriptor)
        finally:
            os.close(descriptor)
    finally:
        os.close(place)
