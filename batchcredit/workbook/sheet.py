"""The rows of one sheet, as its XML goes by."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from batchcredit.workbook.book import TRUE, Book, unescaped
from batchcredit.workbook.fault import damaged
from batchcredit.workbook.formats import PLAIN, Format, Kind
from batchcredit.workbook.numbers import moment, plain
from batchcredit.workbook.package import Attributes, parsed, xml_parser

MOST_LINES = 1 << 20
MOST_COLUMNS = 1 << 14
_PLACE = re.compile("([A-Z]{1,3})([0-9]{1,7})")
_LINE = re.compile("[0-9]{1,8}")
_SHORT = re.compile("0|[1-9][0-9]{0,14}")


@dataclass(slots=True)
class Row:
    """A row that is not blank: its line as people see it, and (column, text, kind) of its cells, from 0."""

    line: int
    hidden: bool
    cells: list[tuple[int, str, str | None]] = field(default_factory=list)


@dataclass(slots=True)
class Rounded:
    """How many numbers of a column had more digits than spreadsheets keep, and the first of them."""

    line: int
    stored: str
    read: str
    count: int = 0


class Sheet:
    """One sheet. `merged` is complete when its rows are over, and so is `rounded`, by column."""

    def __init__(self, book: Book, part: str, texts: list[str]) -> None:
        self._book, self._part, self._texts = book, part, texts
        self._formats = {str(number): each for number, each in enumerate(book.formats)}
        self._columns: dict[str, int] = {}
        self._done: list[Row] = []
        self.merged: list[str] = []
        self.rounded: dict[int, Rounded] = {}

        self._row = Row(0, hidden=False)
        self._line, self._column = 0, -1
        self._form = self._style = ""
        self._is_formula, self._hushed = False, 0
        self._stored: list[str] = []
        self._begins: dict[str, Callable[[Attributes], None]] = {
            "c": self._begin_cell,
            "v": self._begin_stored,
            "t": self._begin_stored,
            "f": self._begin_formula,
            "row": self._begin_row,
            "rPh": self._begin_hushed,
            "mergeCell": self._note_merged,
        }
        self._ends = {"c": self._end_cell, "row": self._end_row, "rPh": self._end_hushed}

    def rows(self) -> Iterator[Row]:
        """The rows that are not blank, in order; to be asked for once."""
        self._parser = xml_parser(self._begin, self._end)
        for _ in parsed(self._parser, self._book.package.chunks(self._part), self._part):
            yield from self._done
            self._done.clear()

    def _begin(self, name: str, given: Attributes) -> None:
        begin = self._begins.get(name) or self._begins.get(name.rpartition(":")[2])
        if begin is not None:
            begin(given)

    def _end(self, name: str) -> None:
        self._parser.CharacterDataHandler = None
        end = self._ends.get(name) or self._ends.get(name.rpartition(":")[2])
        if end is not None:
            end()

    def _begin_row(self, given: Attributes) -> None:
        self._line, self._column = _line(given.get("r"), self._line), -1
        self._row = Row(self._line, given.get("hidden") in TRUE)

    def _end_row(self) -> None:
        if self._row.cells:
            self._done.append(self._row)

    def _begin_cell(self, given: Attributes) -> None:
        place = given.get("r")
        self._column = self._column_of(place) if place else self._column + 1
        self._form, self._style = given.get("t", "n"), given.get("s", "0")
        self._is_formula = False
        self._stored.clear()

    def _end_cell(self) -> None:
        if self._stored or self._is_formula:
            self._add("".join(self._stored))

    def _begin_stored(self, _: Attributes) -> None:
        if not self._hushed:
            self._parser.CharacterDataHandler = self._stored.append

    def _begin_formula(self, _: Attributes) -> None:
        self._is_formula = True

    def _begin_hushed(self, _: Attributes) -> None:
        """How a text is pronounced is no part of it."""
        self._hushed += 1

    def _end_hushed(self) -> None:
        self._hushed -= 1

    def _note_merged(self, given: Attributes) -> None:
        self.merged.append(given.get("ref", ""))

    def _add(self, stored: str) -> None:
        """Adds what a cell holds to its row, unless that is nothing."""
        text, kind = self._read(stored)
        if not text and self._is_formula and self._form != "str":
            kind = Kind.FORMULA
        if text or kind:
            self._row.cells.append((self._column, text, kind))

    def _read(self, stored: str) -> tuple[str, str | None]:
        match self._form:
            case "s":
                return self._shared(stored), None
            case "n":
                return self._number(stored) if stored else ("", None)
            case "b":
                return ("TRUE" if stored in TRUE else "FALSE"), Kind.LOGIC
            case "e":
                return stored, Kind.ERROR
            case "d":
                return stored, Kind.DATE
            case _:
                return unescaped(stored), None

    def _shared(self, stored: str) -> str:
        try:
            return self._texts[int(stored)]
        except (ValueError, IndexError):
            raise damaged(f"a cell has text number {stored[:20]!r}, and there is none") from None

    def _number(self, stored: str) -> tuple[str, str | None]:
        how = self._formats.get(self._style, PLAIN)
        if how == PLAIN and _SHORT.fullmatch(stored):
            return stored, None
        read = plain(stored.strip())
        if read is None:
            raise damaged(f"line {self._line} has the number {stored[:20]!r}")
        text, is_longer = read
        if how.is_date:
            shown = moment(text, since_1904=self._book.since_1904)
            return shown or text, Kind.DATE
        if is_longer:
            self.rounded.setdefault(self._column, Rounded(self._line, stored, text)).count += 1
        return text, _kind(text, how, is_longer=is_longer)

    def _column_of(self, place: str) -> int:
        letters = place.rstrip("0123456789")
        found = self._columns.get(letters)
        if found is None:
            if not _PLACE.fullmatch(place):
                raise damaged(f"a cell stands at {place[:20]!r}")
            found = -1
            for letter in letters:
                found = (found + 1) * 26 + ord(letter) - ord("A")
            if found >= MOST_COLUMNS:
                raise damaged(f"a cell stands at {place!r}, and no sheet is so wide")
            self._columns[letters] = found
        return found


def _line(given: str | None, before: int) -> int:
    line = int(given) if given and _LINE.fullmatch(given) else before + 1
    if not before < line <= MOST_LINES:
        raise damaged(f"line {line} stands behind line {before}")
    return line


def _kind(text: str, how: Format, *, is_longer: bool) -> Kind | None:
    if how.is_percent:
        return Kind.PERCENT
    if is_longer:
        return Kind.DIGITS
    if how.shows_more(text):
        return Kind.FORMAT
    return None if text.isdigit() else Kind.FRACTION
