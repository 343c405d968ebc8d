"""CSV, record by record: exact, and slow. It reads what the fast way does not vouch for, and says why not.

What is accepted: any mix of LF, CRLF and CR between records; cells in double quotes, with quotes doubled
inside; quotes inside a cell that does not begin with one. What is not: text after a closing quote, and a
quote that is never closed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

#: A record must end within so many bytes: else a single quote, or a bomb, would take the whole memory.
MAX_RECORD_BYTES = 1 << 20

_BREAK = re.compile(r"\r\n|\n|\r")
_QUOTED = re.compile(r'"(?:[^"]++|"")*+"')


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one record, the line on which it begins, and where in the text it ends."""

    line: int
    cells: list[str]
    end: int

    @property
    def blank(self) -> bool:
        """Nothing stands on its line."""
        return self.cells == [""]


class BrokenRecordError(ValueError):
    """A quote is not closed, or text follows one that is. `column` counts from 1, `line` is the quote's."""

    def __init__(self, line: int, column: int, *, unclosed: bool, text: str) -> None:
        super().__init__(text)
        self.line, self.column, self.unclosed, self.text = line, column, unclosed, text


@cache
def _cell(separator: str) -> re.Pattern[str]:
    sign = re.escape(separator)
    return re.compile(rf'(?:"((?:[^"]++|"")*+)"|(?!")([^{sign}\r\n]*+))({sign}|\r\n|\n|\r|\Z)')


def count_breaks(text: str) -> int:
    """Line ends in `text`; CRLF is one."""
    if "\r" not in text:
        return text.count("\n")
    return len(_BREAK.findall(text))


def first_line(text: str) -> str:
    """`text` up to its first line end."""
    return _BREAK.split(text, maxsplit=1)[0]


def records(text: str, separator: str, line: int, *, final: bool) -> Iterator[Record]:
    """The records of `text`, whose first line is `line`. Unless `final`, an unfinished last one is left out.

    Raises BrokenRecordError; unless `final`, not for a quote that may be closed in what follows.
    """
    match = _cell(separator).match
    begin = position = 0
    cells: list[str] = []
    while position < len(text) or cells:
        found = match(text, position)
        if found is None:
            unclosed = _QUOTED.match(text, position) is None
            if unclosed and not final:
                return
            at = line + count_breaks(text[begin:position])
            raise BrokenRecordError(
                at, len(cells) + 1, unclosed=unclosed, text=text[position : position + 40]
            )
        quoted, bare, end = found.groups()
        cells.append(bare if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if end == separator:
            continue
        if not end and not final:
            return
        yield Record(line, cells, position)
        line += count_breaks(text[begin:position])
        begin, cells = position, []
