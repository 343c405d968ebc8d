"""Whether a batch or a file is named, and files through a pipe: `-` as the input, or for what is written."""

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from batchcredit.cli.flags import Common, Form, Reading
from batchcredit.cli.session import put
from batchcredit.errors import RefusedError, StorageError
from batchcredit.private_folder import PrivateFolder

if TYPE_CHECKING:
    from batchcredit.console import Console
    from batchcredit.runner.summary import Summary

PIPE = Path("-")

#: So long nothing may come on stdin, and nobody may take anything from stdout.
STALLED_S = 600.0

#: So much is taken from stdin. The disk may have less.
MOST_BYTES = 16 << 30

_PIECE_BYTES = 1 << 20
_WRITTEN_BYTES = 512  # a pipe that is ready takes so much at once (POSIX, PIPE_BUF)


@contextmanager
def incoming(path: Path, form: Form | None) -> Iterator[tuple[Path, Path | None]]:
    """What an input is called, with an ending that says its format, and what is read in its place: a private
    copy of stdin for `-`, the file itself where `form` corrects its ending, None where it is as it is called.

    Raises RefusedError (`usage`, `stdin_stalled`, `stdin_long`), StorageError.
    """
    if path != PIPE:
        yield (path, None) if form is None or _ends(path, form) else (Path(f"{path}.{form}"), path)
        return
    if form is None:
        raise _usage("the format of stdin is not known", "say it: --format csv")
    if not sys.stdin or sys.stdin.isatty():
        what = "a terminal" if sys.stdin else "closed"
        raise _usage(f"stdin is {what}, and no file comes through it", "name the file, or pipe it in")
    with PrivateFolder() as folder:
        copy = folder.path / "stdin"
        with copy.open("xb") as file:
            _spool(sys.stdin.fileno(), file)
        yield Path(f"stdin.{form}"), copy


def origin_of(path: Path) -> str:
    """What an input came from, where that is no file."""
    return "stdin" if path == PIPE else ""


def _ends(path: Path, form: Form) -> bool:
    return path.name.lower().endswith(f".{form}")


def _spool(stdin: int, file: IO[bytes]) -> None:
    """All that comes, until its end."""
    left, heard_s = MOST_BYTES, time.monotonic()
    while True:
        if not select.select([stdin], [], [], 0.2)[0]:  # so often a signal is noticed
            _refuse_stalled(time.monotonic() - heard_s)
            continue
        piece, heard_s = os.read(stdin, _PIECE_BYTES), time.monotonic()
        left -= len(piece)
        if left < 0:
            raise RefusedError(
                f"stdin: more than {MOST_BYTES >> 30} GiB came, and no end",
                reason="stdin_long",
                cure="check what writes it; a file of that size is read by its name",
            )
        try:
            file.write(piece)
        except OSError as error:
            raise _no_room(error) from error
        if not piece:
            return


def _refuse_stalled(waited_s: float) -> None:
    if waited_s > STALLED_S:
        raise RefusedError(
            f"stdin: nothing has come for {STALLED_S:g} s, and no end",
            reason="stdin_stalled",
            cure="check what writes it, then run it again",
        )


def _no_room(error: OSError) -> StorageError:
    return StorageError(
        f"could not copy stdin to the temporary folder: {error.strerror}",
        reason="storage",
        cure="free some space there, or set TMPDIR to a folder with more",
    )


@dataclass(frozen=True, slots=True)
class Way:
    """Where a command writes: a file that is named, or None for its usual place; and whether what is written
    there goes on to stdout once the command has done its work."""

    out: Path | None
    is_passed: bool = False

    def pass_on(self, console: "Console", again: str) -> None:
        """Give what was written to stdout. `again` is the command that has it again. Whoever stops reading
        has had what they wanted; raises StorageError where stdout is a file and its disk refuses."""
        if not self.is_passed or self.out is None or not self.out.exists():
            return
        from batchcredit.writer.target import disk_error

        try:
            with self.out.open("rb") as file:
                taken = _poured(file, sys.stdout.fileno())
        except BrokenPipeError:
            taken = False
        except OSError as error:
            refused = disk_error(Path("stdout"), error)
            cure = f"mend that, then have all of it again: {again}"
            raise StorageError(str(refused), reason=refused.reason, cure=cure) from error
        if not taken:
            console.warn(f"nobody reads stdout any more; all of it can be had again: {again}")


def _poured(file: IO[bytes], stdout: int) -> bool:
    """Whether all was taken."""
    while piece := file.read(_PIECE_BYTES):
        view = memoryview(piece)
        while view:
            if not select.select([], [stdout], [], STALLED_S)[1]:
                return False
            view = view[os.write(stdout, view[:_WRITTEN_BYTES]) :]
    return True


@contextmanager
def way_out(out: Path | None, form: str | None, common: Common) -> Iterator[Way]:
    """Where to write for `--out`: for `-` a private file of this format until it is passed on. Raises
    RefusedError (`usage`)."""
    if out != PIPE:
        yield Way(out)
        return
    if common.json:
        raise _usage("--out - and --json: stdout has room for one of them", "leave one of them out")
    if not sys.stdout or sys.stdout.isatty():
        what = "a terminal" if sys.stdout else "closed"
        raise _usage(f"--out -: stdout is {what}", "pipe it on, or name a file")
    with PrivateFolder() as folder:
        yield Way(folder.path / f"results.{form or 'csv'}", is_passed=True)


def give(summary: "Summary", way: Way, common: Common, console: "Console") -> None:
    """What stdout is for: where the results are, or the results."""
    if way.is_passed:
        try:
            way.pass_on(console, f"batchcredit results {summary.batch}")
        except StorageError:
            console.show_summary(summary)  # whatever was sent has to be told
            raise
    elif not common.json:
        put(summary.results)


def form_of(path: Path) -> str:
    """The format that results have by themselves: that of the input."""
    name = path.name.lower()
    if name.endswith(".xlsm"):
        return "xlsx"
    return next((form for form in ("csv.gz", "parquet", "xlsx") if name.endswith(f".{form}")), "csv")


def form_to(out: Path | None, form: Form | None) -> Form | None:
    """--format where nothing is read: it is for `--out -` alone, since a file's ending says its format."""
    if form is not None and out != PIPE:
        raise _usage("--format is for --out -: a file's ending says its format", "leave out --format")
    return form


def file_of(name: str) -> Path | None:
    """The file that is meant, where it is not the name of a batch."""
    path = Path(name)
    known = path == PIPE or name.lower().endswith((".csv", ".csv.gz", ".parquet", ".xlsx"))
    return path if name and (known or path.is_file()) else None


def refuse_reading(command: str, reading: Reading, *, adopt: bool = False) -> None:
    """Refuse flags that say how a file is understood, where a batch is named."""
    if adopt or replace(reading, format=None) != Reading():
        raise RefusedError(
            "these flags say how a file is understood, and none is given",
            reason="usage",
            cure=f"batchcredit {command} --help",
        )


def refuse_questions(path: Path, *, yes: bool) -> None:
    """Nobody can be asked through stdin where the file comes through it."""
    if path == PIPE and not yes:
        raise _usage("stdin is the file, so nobody can be asked", "agree beforehand with --yes")


def _usage(problem: str, cure: str) -> RefusedError:
    return RefusedError(problem, reason="usage", cure=cure)
