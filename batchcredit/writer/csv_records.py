"""CSV that may not be ours, a record at a time: one may be damaged, of somebody else, or endless."""

import csv
import zlib
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

_RECORD_BYTES = 1 << 22
csv.field_size_limit(_RECORD_BYTES)  # a user's own cell may be longer than the 128 KiB it has by default

#: What a file raises, packed or not, that can't be read as CSV.
UNREADABLE = (OSError, EOFError, zlib.error, csv.Error, ValueError)


def is_regular(path: Path) -> bool:
    """Whether a file stands there: no link, no pipe."""
    return S_ISREG(path.lstat().st_mode)


def records(raw: BinaryIO) -> Iterator[list[str]]:
    """The records of a file in UTF-8. Raises one of `UNREADABLE`, so for a record of more than 4 MiB."""
    room = _RECORD_BYTES

    def lines() -> Iterator[str]:
        nonlocal room
        while line := raw.readline(room):
            room -= len(line)
            if not room:
                raise ValueError("a record of more than 4 MiB")
            yield line.decode("utf-8")

    for cells in csv.reader(lines(), strict=True):
        yield cells
        room = _RECORD_BYTES
