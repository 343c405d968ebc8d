"""A results file appears whole or not at all, in the place of its predecessor and of nothing else.

It is written under a hidden name beside its place, forced to the disk, and renamed. Its permissions are those
of the file that it replaces; those of a new one follow the umask, as the input's beside it did.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from batchcredit import host
from batchcredit.errors import RefusedError, StorageError

ENDINGS = (".csv.gz", ".csv", ".parquet", ".xlsx")
#: Of the lines that a sheet has, one is the header.
_MOST_SHEET_ROWS = (1 << 20) - 1
_PART = ".part"
_OTHER_NAMES = 99
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HELD = (errno.EPERM, errno.EACCES, errno.EBUSY, errno.ETXTBSY)


def ending(path: Path) -> str:
    """`.csv`, `.csv.gz`, `.parquet` or `.xlsx`: the format. Raises RefusedError for any other."""
    found = next((known for known in ENDINGS if path.name.lower().endswith(known)), None)
    if found is None:
        raise RefusedError(
            f"{path}: the format of the results is not known by this ending",
            reason="out_format",
            cure=f"name a file that ends in {', '.join(sorted(ENDINGS))} with --out",
        )
    return found


def results_path(input_path: Path, batch_name: str, out: Path | None, *, sandbox: bool) -> Path:
    """Where the results of a batch go: `out`, or beside the input and in its format."""
    if out is not None:
        ending(out)
        return out.absolute()
    prefix = "sandbox-" if sandbox else ""
    of_input = ".xlsx" if input_path.suffix.lower() == ".xlsm" else ending(input_path)
    return input_path.absolute().parent / f"{prefix}{batch_name}.results{of_input}"


def refuse_rows(path: Path, rows: int) -> None:
    """Raises RefusedError where a file of this format can't hold so many rows."""
    if ending(path) == ".xlsx" and rows > _MOST_SHEET_ROWS:
        raise RefusedError(
            f"{path}: {rows:,} rows; a sheet holds {_MOST_SHEET_ROWS:,} and the header",
            reason="out_rows",
            cure="name a file that ends in .csv, .csv.gz or .parquet with --out",
        )


def disk_error(path: Path, error: OSError) -> StorageError:
    """What the disk's refusal means to the person who runs this."""
    if error.errno in _FULL:
        return StorageError(
            f"{path}: the results could not be written, because there is no room: {error.strerror}; "
            "what stood there before is untouched",
            reason="disk_full",
            cure="free some space, then rebuild the file: batchcredit results BATCH",
        )
    return StorageError(
        f"{path}: the results could not be written: {error.strerror or error}",
        reason="out_unwritable",
        cure="mend that, or write elsewhere: batchcredit results BATCH --out PATH",
    )


@contextlib.contextmanager
def part_of(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file beside `path`, gone afterwards unless it was renamed; what killed runs left goes first."""
    _sweep(path)
    descriptor, part = _locked_part(path)
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            yield file, part
    finally:
        part.unlink(missing_ok=True)


def _locked_part(path: Path) -> tuple[int, Path]:
    """The lock tells the sweep of another process that this one lives; what it took before is made anew."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PART}")
        descriptor = os.open(part, flags, 0o666)
        try:
            if host.lock(descriptor) and os.fstat(descriptor).st_nlink:
                return descriptor, part
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sweep(path: Path) -> None:
    prefix = f".{path.name}."
    with contextlib.suppress(OSError):  # a folder that can't be listed can still be written to
        for left in path.parent.iterdir():
            if left.name.startswith(prefix) and left.name.endswith(_PART):
                _remove_if_orphaned(left)


def _remove_if_orphaned(left: Path) -> None:
    descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if host.lock(descriptor):
            left.unlink()
    finally:
        os.close(descriptor)


def replace(
    path: Path,
    write: Callable[[BinaryIO], object],
    may_replace: Callable[[Path], bool],
    refusal: Callable[[Path, OSError], StorageError] | None = None,
) -> Path:
    """Put a file that `write` fills at `path`, or under a second name where that is held or foreign.

    `may_replace` is asked of each name that is taken. Returns the name that was written. Raises StorageError,
    with everything as it was, where the disk refuses: what `refusal` says of it, else `disk_error`.
    """
    try:
        with part_of(path) as (file, part):
            write(file)
            file.flush()
            os.fsync(file.fileno())
            written = _put(part, path, may_replace)
            host.sync_folder(path.parent)
    except OSError as error:
        raise (refusal or disk_error)(path, error) from error
    return written


def _put(part: Path, path: Path, may_replace: Callable[[Path], bool]) -> Path:
    for number in range(1, _OTHER_NAMES + 1):
        name = path if number == 1 else second_name(path, number)
        if linked(part, name):
            return name
        if is_taken(name) and not may_replace(name):
            continue
        try:
            _keep_mode(name, part)
            part.replace(name)
        except OSError as error:
            if error.errno not in _HELD:
                raise
        else:
            return name
    raise OSError(errno.EBUSY, "this name and all second names are taken or held open")


def linked(part: Path, name: Path) -> bool:
    """Whether `part` now stands at a free name. A rename would replace what came there at the last moment;
    a second link does not. Not every file system has those."""
    try:
        name.hardlink_to(part)
    except OSError:
        return False
    return True


def is_taken(path: Path) -> bool:
    """Whether something, be it a broken link, stands at `path`."""
    return os.path.lexists(path)


def _keep_mode(old: Path, part: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = old.lstat().st_mode
        if stat.S_ISREG(mode):
            part.chmod(stat.S_IMODE(mode) & 0o666)


def second_name(path: Path, number: int) -> Path:
    """`march.results (2).csv` for `march.results.csv`."""
    end = next((known for known in ENDINGS if path.name.lower().endswith(known)), path.suffix)
    whole = len(path.name) - len(end)
    return path.with_name(f"{path.name[:whole]} ({number}){path.name[whole:]}")
