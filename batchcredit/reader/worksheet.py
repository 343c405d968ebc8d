"""A private folder that holds a batch while it is examined: left of the ledger it can still be refused."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from batchcredit.errors import StorageError
from batchcredit.private_folder import PrivateFolder
from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.reader.source import Source, check_readable
from batchcredit.reader.table import Block, Table, refused
from batchcredit.reader.validate import Chunk


class Worksheet:
    """A temporary folder, for the owner's eyes only, that removes itself.

    It holds a copy of the input, so that what is enrolled and written later is what was examined, whatever
    happens to the file meanwhile; and what is sorted on disk because it should not be held in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        with storing("make the temporary folder"):
            self._private = PrivateFolder(folder)
        self.folder = self._private.path
        self._source: Source | None = None
        self._copies = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Removes the folder and all that is in it."""
        self._source = None
        self._private.remove()

    def open(self, path: Path, options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> Source:
        """Copies `path` here and opens the copy. Raises RefusedError for what is no batch file."""
        self._source = Source(path, options, profiles, self.copy(path, options.content))
        return self._source

    def take(self, table: Table, options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> Source:
        """Copies rows that come from elsewhere than a batch file, and opens the copy."""
        with storing("copy the rows to the temporary folder"):
            kept = _KeptTable(table, self.folder)
        self._source = Source(table.path, options, profiles, table=kept)
        return self._source

    def copy(self, path: Path, content: Path | None = None) -> Path:
        """A private copy of `path`, or of the `content` that is read in its place. Raises RefusedError for
        what can't be read, or changes meanwhile."""
        check_readable(path, content)
        content = content or path
        self._copies += 1
        copy = self.folder / f"input-{self._copies}{''.join(path.suffixes[-2:]).lower()}"
        with storing("copy the input to the temporary folder"):
            before = _version(content)
            shutil.copyfile(content, copy)
            changed = _version(content) != before
        if changed:
            raise refused(
                path, "the file changed while it was read", "file_changed", "wait until all of it is written"
            )
        return copy

    @property
    def source(self) -> Source:
        """The batch that was opened here."""
        assert self._source is not None
        return self._source

    @property
    def schema(self) -> pl.Schema:
        """Names and dtypes of `Chunk.cells`: the columns with which the results begin."""
        table = self.source.table.schema
        return pl.Schema({name: table[was] for was, name in self.source.header.carried.items()})

    def chunks(self) -> Iterator[Chunk]:
        """The examined rows again, in order."""
        return self.source.chunks()


class _KeptTable(Table):
    """`table` as it is now, block by block in `folder`."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.path, self.schema, self.notes = table.path, table.schema, table.notes
        self._blocks: list[tuple[Path, Block]] = []
        for number, block in enumerate(table.blocks()):
            place = folder / f"block-{number}.arrow"
            block.cells.write_ipc(place)
            self._blocks.append((place, replace(block, cells=block.cells.clear())))

    def blocks(self) -> Iterator[Block]:
        for place, block in self._blocks:
            yield replace(block, cells=pl.read_ipc(place))


def _version(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Turns a full or unwritable disk into a StorageError that says what was being done."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"could not {what}: {error.strerror or error}",
            reason="storage",
            cure="free some space there, or set TMPDIR to a folder with more",
        ) from error
