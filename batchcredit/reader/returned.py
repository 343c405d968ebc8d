"""A results or to-fix file that comes back: the input's own cells, and what we had written behind them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from batchcredit.reader.header import Header, understand
from batchcredit.reader.rules import ProfileRules, ReadOptions, check_options
from batchcredit.reader.table import Block, Table, refused
from batchcredit.reader.text_table import text_table
from batchcredit.reader.validate import Validator
from batchcredit.reader.worksheet import Worksheet
from batchcredit.transfer import RESULT_COLUMNS, looks_like_results

#: What stands in a to-fix file behind the input's own columns; `problem` and `cure` may have a `_` behind
#: them there, where the input has columns of these names.
_TO_FIX = ("row", "batch", "seal")


Frames = Callable[[], Iterator[tuple[int, pl.DataFrame]]]


class Cells(NamedTuple):
    """The five cells of a row that mean something to us, in the order of `INPUT_COLUMNS`."""

    provider: str
    account: str
    amount: str
    currency: str
    reference: str


class ReturnedRow(NamedTuple):
    """One row of a file that comes back. `line` is None where the format has no lines.

    `raw`: its cells as they stand; `meant`: with what flags and profiles fill in. `own`: all cells of the
    input's own columns, as `Returned.own` names them. `told`: what we had written, "" where the file has no
    such column.
    """

    line: int | None
    raw: Cells
    meant: Cells
    own: tuple[str, ...]
    told: Mapping[str, str]


class Returned:
    """An open results or to-fix file, read from a private copy.

    `is_whole`: a results file, which has every row of its batch. Raises RefusedError where the file is
    neither, can't be read, or lacks a needed column.
    """

    def __init__(
        self, path: Path, options: ReadOptions, profiles: Mapping[str, ProfileRules], worksheet: Worksheet
    ) -> None:
        check_options(options, profiles)
        self.path = path
        self._table = text_table(path, worksheet, options.sheet, options.content)
        names = list(self._table.schema)
        self.is_whole = looks_like_results(names)
        if not self.is_whole and not set(_TO_FIX) <= set(names):
            raise refused(
                path,
                "this is neither a results file nor a to-fix file: it lacks the columns row, batch and seal",
                "not_returned",
                f"a new batch is sent with: batchcredit run {path.name}",
            )
        ours = set(RESULT_COLUMNS) if self.is_whole else _to_fix_columns(names)
        self._told = [name for name in names if name in ours]
        self.own = [name for name in names if name not in ours]
        self.header: Header = understand(path, self.own, options, profiles)
        self._validator = Validator(self.header, options, profiles)

    def rows(self) -> Iterator[Sequence[ReturnedRow]]:
        """All rows in the order of the file, in bounded pieces."""
        for block in self._table.blocks():
            yield self._rows(block)

    def input(self) -> Table:
        """The file's own columns alone: the batch as it was before we wrote behind it."""
        return _OwnColumns(self._table, self.own)

    def _rows(self, block: Block) -> list[ReturnedRow]:
        cells = block.cells
        meant = self._validator.meant(replace(block, cells=_only(cells, self.own)))
        lines = [None] * cells.height if block.lines is None else block.lines.to_list()
        told = _only(cells, self._told).rows()
        own = _only(cells, self.own).rows()
        return [
            ReturnedRow(
                line,
                Cells(*row[:5]),
                Cells(row[5], row[1], row[6], row[7], row[4]),
                texts,
                dict(zip(self._told, said, strict=True)),
            )
            for line, row, texts, said in zip(lines, meant.iter_rows(), own, told, strict=True)
        ]


def _to_fix_columns(names: Sequence[str]) -> set[str]:
    told = {f"{name}_" if f"{name}_" in names else name for name in ("problem", "cure")}
    return {*_TO_FIX, *told}


def _only(cells: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame([cells[name] for name in names])


class _OwnColumns(Table):
    """`table` with some of its columns."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self.path, self._table, self._names = table.path, table, names
        self.schema = pl.Schema({name: table.schema[name] for name in names})

    def blocks(self) -> Iterator[Block]:
        for block in self._table.blocks():
            yield replace(block, cells=_only(block.cells, self._names))


class EditedTable(Table):
    """A batch as it was enrolled, with some cells overwritten.

    `frames` gives the first row of each block of cells and the block; `edits` maps rows to the new texts of
    their columns. A column that holds no texts becomes one of texts where one of ours is overwritten in it;
    any other keeps what it has, since a text could lose what it holds.
    """

    def __init__(
        self,
        path: Path,
        frames: Frames,
        edits: Mapping[int, Mapping[str, str]],
        ours: Collection[str],
    ) -> None:
        self.path, self._frames, self._edits = path, frames, edits
        self.schema = next((cells.schema for _, cells in frames()), pl.Schema())
        touched = {name for row in edits.values() for name in row if name in ours}
        self.schema = pl.Schema(
            {name: pl.String() if name in touched else kind for name, kind in self.schema.items()}
        )

    def blocks(self) -> Iterator[Block]:
        for first, cells in self._frames():
            texts = pl.DataFrame([cells[name].cast(kind) for name, kind in self.schema.items()])
            yield Block(first, None, self._edited(first, texts))

    def _edited(self, first: int, cells: pl.DataFrame) -> pl.DataFrame:
        here = {row: self._edits[row] for row in range(first, first + cells.height) if row in self._edits}
        if not here:
            return cells
        return pl.DataFrame([self._column(column, first, here) for column in cells])

    def _column(self, column: pl.Series, first: int, here: Mapping[int, Mapping[str, str]]) -> pl.Series:
        if column.dtype != pl.String:
            return column
        places = [row - first for row in here if column.name in here[row]]
        return column.scatter(places, [here[first + place][column.name] for place in places])
