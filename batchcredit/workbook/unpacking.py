"""A workbook's sheet becomes files of text that are read in pieces: the process in which that happens."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from shlex import quote

import polars as pl

from batchcredit.trial import limit_memory
from batchcredit.workbook.book import Book
from batchcredit.workbook.fault import WorkbookFaultError, damaged
from batchcredit.workbook.package import Package
from batchcredit.workbook.sheet import Row, Sheet

_PIECE_ROWS = 20_000
_PIECE_CHARS = 16 << 20
_MOST_CELL_CHARS = 1 << 20  # a spreadsheet's own limit is 32,767
_SHOWN = 10


@dataclass(slots=True)
class Unpacked:
    """What was found: the names in the header, its line, and how many rows there are; then what to tell."""

    names: list[str]
    header_line: int
    rows: int = 0
    pieces: int = 0
    notes: list[str] = field(default_factory=list)


def main(file: str, folder: str, sheet: str, most_rows: str) -> None:
    """Unpacks `file` into `folder`, and says on stdout in JSON what is there, or what is wrong with it."""
    limit_memory()
    try:
        said = asdict(_unpack(Path(file), Path(folder), sheet, int(most_rows)))
    except WorkbookFaultError as fault:
        said = {"problem": fault.problem, "reason": fault.reason, "cure": fault.cure}
    sys.stdout.write(json.dumps(said))


def _unpack(file: Path, folder: Path, wanted: str, most_rows: int) -> Unpacked:
    with closing(Package(file)) as package:
        return _unpack_book(Book(package), folder, wanted, most_rows)


def _unpack_book(book: Book, folder: Path, wanted: str, most_rows: int) -> Unpacked:
    texts = book.texts()
    sheet, rows = _chosen(book, texts, wanted)
    header = next(rows, None)
    if header is None:
        raise WorkbookFaultError(
            "the sheet is empty", "empty_file", "check that the export ended, and save it again"
        )
    work = _Unpacking(book, sheet, header, folder)
    work.take(rows, most_rows)
    return work.found


def _chosen(book: Book, texts: list[str], wanted: str) -> tuple[Sheet, Iterator[Row]]:
    """The sheet of that name, or else the only one that people see and that is not empty; and its rows."""
    seen = [each for each in book.sheets if (each.name == wanted if wanted else each.visible)]
    filled = []
    for each in seen:
        sheet = Sheet(book, each.part, texts)
        rows = sheet.rows()
        first = next(rows, None)
        if first is not None:
            filled.append((sheet, chain([first], rows)))
    if len(filled) > 1:
        raise _several(book, seen[0].name)
    if not seen:
        raise WorkbookFaultError(
            f"there is no sheet {wanted!r}" if wanted else "it has no visible sheet",
            "no_sheet",
            f"it has: {_names(book)}; name one: --sheet NAME",
        )
    return filled[0] if filled else (Sheet(book, seen[0].part, texts), iter(()))


def _several(book: Book, first: str) -> WorkbookFaultError:
    return WorkbookFaultError(
        f"there are several sheets: {_names(book)}",
        "several_sheets",
        f"say which one is meant, such as --sheet {quote(first)}",
    )


def _names(book: Book) -> str:
    names = [f"{each.name!r}{'' if each.visible else ' (hidden)'}" for each in book.sheets]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


class _Unpacking:
    """The rows of a sheet on their way to the folder."""

    def __init__(self, book: Book, sheet: Sheet, header: Row, folder: Path) -> None:
        self._book, self._sheet, self._folder = book, sheet, folder
        self._names = {column: text for column, text, _ in header.cells}
        self._order = sorted(self._names)
        self._place = {column: place for place, column in enumerate(self._order)}
        self._hidden: list[int] = []
        self._hidden_count = 0
        self._last_line = header.line
        self.found = Unpacked([self._names[column] for column in self._order], header.line)
        _refuse_twice(self.found)

    def take(self, rows: Iterator[Row], most_rows: int) -> None:
        """Writes all rows, or the first so many."""
        held: list[Row] = []
        room = _PIECE_CHARS
        for row in rows:
            room -= self._checked(row)
            held.append(row)
            self.found.rows += 1
            if len(held) == _PIECE_ROWS or room < 0 or self.found.rows == most_rows:
                self._write(held)
                held, room = [], _PIECE_CHARS
            if self.found.rows == most_rows:
                return
        if held:
            self._write(held)
        self._refuse_merged()
        self.found.notes = [*self._rounded(), *self._hidden_rows()]

    def _checked(self, row: Row) -> int:
        """The row's characters; each of its cells stands under a name."""
        size = 0
        for column, text, _ in row.cells:
            if column not in self._place:
                raise self._nameless(row, column)
            if len(text) > _MOST_CELL_CHARS:
                raise damaged(f"line {row.line} has a cell of {len(text)} characters")
            size += len(text)
        self._book.package.spend(size)
        self._last_line = row.line
        if row.hidden:
            self._hidden_count += 1
            if len(self._hidden) < _SHOWN:
                self._hidden.append(row.line)
        return size

    def _nameless(self, row: Row, column: int) -> WorkbookFaultError:
        return WorkbookFaultError(
            f"line {row.line} has a cell in column {letters(column)}, "
            f"which the header (line {self.found.header_line}) does not name",
            "header",
            "the first line that is not blank has to be the header: delete what stands above it, "
            "name the column there, or clear the cells that are not needed",
        )

    def _write(self, held: Sequence[Row]) -> None:
        texts = [[""] * len(held) for _ in self._order]
        kinds: dict[int, list[str | None]] = {}
        for number, row in enumerate(held):
            for column, text, kind in row.cells:
                place = self._place[column]
                texts[place][number] = text
                if kind:
                    kinds.setdefault(place, [None] * len(held))[number] = kind
        columns = [pl.Series("line", [row.line for row in held], pl.UInt32)]
        columns += [pl.Series(f"c{place}", each, pl.String) for place, each in enumerate(texts)]
        columns += [pl.Series(f"k{place}", each, pl.String) for place, each in kinds.items()]
        pl.DataFrame(columns).write_ipc(piece_file(self._folder, self.found.pieces), compression="zstd")
        self.found.pieces += 1

    def _refuse_merged(self) -> None:
        for place in self._sheet.merged:
            first = place.partition(":")[0]
            line = first.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            if line.isdigit() and self.found.header_line <= int(line) <= self._last_line:
                raise WorkbookFaultError(
                    f"the cells {place} are merged, and only the first of them has a value",
                    "merged_cells",
                    "unmerge them and fill in each cell",
                )

    def _rounded(self) -> Iterator[str]:
        for column, each in sorted(self._sheet.rounded.items()):
            yield (
                f"column {self._names[column]!r}: {each.count} numbers have more than the 15 digits that "
                f"spreadsheets show; 15 are read, such as {each.read} for {each.stored} (line {each.line})"
            )

    def _hidden_rows(self) -> Iterator[str]:
        if self._hidden:
            lines = ", ".join(map(str, self._hidden)) + (", ..." if self._hidden_count > _SHOWN else "")
            yield f"{self._hidden_count} rows are hidden in the sheet, and read like all others: line {lines}"


def _refuse_twice(found: Unpacked) -> None:
    twice = sorted(name for name, times in Counter(found.names).items() if times > 1)
    if twice:
        raise WorkbookFaultError(
            f"line {found.header_line}: the header names a column twice: "
            + ", ".join(map(repr, twice[:_SHOWN])),
            "duplicate_column",
            "rename or delete one of them",
        )


def letters(column: int) -> str:
    """A column's letters, as people see them: 0 is A."""
    found = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        found = chr(ord("A") + digit) + found
    return found


def piece_file(folder: Path, number: int) -> Path:
    """Where a piece stands, from 0."""
    return folder / f"piece-{number}.arrow"
