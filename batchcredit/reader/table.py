"""A file as a table: a header, and blocks of cells as they stand. Each format has one implementation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from batchcredit.errors import RefusedError

#: So much is told of what is wrong with a file: a name in it may be as long as the file.
_LONGEST = 1000


@dataclass(frozen=True)
class Block:
    """Some rows in a row. `lines` has the line of each in the file, None where the format has no lines.

    `kinds` has, for columns of a spreadsheet, what each cell is beside a text or a plain whole number: a
    `workbook.Kind`, or null.
    """

    first_row: int
    lines: pl.Series | None
    cells: pl.DataFrame
    kinds: Mapping[str, pl.Series] = field(default_factory=dict)


class Table(ABC):
    """An open input. `schema` names the columns as the file does, each with the dtype of its cells."""

    path: Path  # as the user named it: for messages
    schema: pl.Schema
    notes: tuple[str, ...] = ()  # what was understood that does not stand there literally

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """The data rows, in order, in blocks of bounded size. May be asked for again."""


def refused(path: Path, problem: str, reason: str, cure: str) -> RefusedError:
    """The refusal of a whole file, named, and not longer than a person reads."""
    cut = problem if len(problem) <= _LONGEST else f"{problem[:_LONGEST]}\u2026"
    return RefusedError(f"{path.name}: {cut}", reason=reason, cure=cure)
