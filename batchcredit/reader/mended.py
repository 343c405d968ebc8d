"""An .invalid.csv that a person has mended, read as the file that it was written from."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from batchcredit.formulas import unescaped
from batchcredit.reader.table import Block, Table, refused

#: What we put behind the user's columns in an .invalid.csv.
INVALID_COLUMNS = ("row", "line", "problem", "column", "cure")


def is_invalid_file(names: Iterable[str]) -> bool:
    """Whether these are the columns of an .invalid.csv."""
    return tuple(names)[-len(INVALID_COLUMNS) :] == INVALID_COLUMNS


def bare_names(path: Path, names: Iterable[str]) -> list[str]:
    """The names of a file of ours, less the `'` that kept them text. Raises RefusedError if two are equal."""
    bare = [name.removeprefix("'") for name in names]
    if len(set(bare)) < len(bare):
        raise refused(
            path,
            "line 1: two columns differ by nothing but a ' at the beginning",
            "duplicate_column",
            "rename or delete one of them",
        )
    return bare


class MendedTable(Table):
    """`table` without our columns, and with one `'` less before the names and cells that have one."""

    notes = (f"columns {', '.join(INVALID_COLUMNS)} of an .invalid.csv file are left out",)

    def __init__(self, table: Table) -> None:
        self.path = table.path
        self._table = table
        kept = {name: table.schema[name] for name in [*table.schema][: -len(INVALID_COLUMNS)]}
        self.schema = pl.Schema(zip(bare_names(self.path, kept), kept.values(), strict=True))

    def blocks(self) -> Iterator[Block]:
        for block in self._table.blocks():
            yield replace(block, cells=unescaped(block.cells[:, : len(self.schema)]))
