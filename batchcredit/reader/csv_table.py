"""CSV as a table of text, in blocks of bounded size, each cell exactly as it stands."""

import codecs
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from batchcredit.errors import DefectError, RefusedError
from batchcredit.reader.records import (
    MAX_RECORD_BYTES,
    BrokenRecordError,
    Record,
    count_breaks,
    first_line,
    records,
)
from batchcredit.reader.regular import count_records, last_break
from batchcredit.reader.table import Block, Table, refused

_BLOCK_BYTES = 1 << 20
_SEPARATORS = (",", ";", "\t", "|")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SHOWN_NAMES = 10
_SAVE_AS_UTF8 = "save it again as 'CSV UTF-8'"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where reading stands: the next data row and its line."""

    row: int
    line: int


class CsvTable(Table):
    """A CSV file, plain or gzip. The separator is the one of `, ; tab |` that the header has most of."""

    def __init__(self, stored: Path, path: Path) -> None:
        self.path = path
        self._file = stored
        self._compressed = path.name.lower().endswith(".gz")
        with self._opened() as opened:
            head = self._read(opened, MAX_RECORD_BYTES)
        self._bom = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        self._check_encoding(head)
        header, self.separator, self._skipped, self._first_line = self._read_header(head)
        self._check_names(header)
        self.schema = pl.Schema(dict.fromkeys(header, pl.String()))

    def blocks(self) -> Iterator[Block]:
        """The data rows. Raises RefusedError at the first record that does not fit the header."""
        place = _Place(1, self._first_line)
        with self._opened() as file:
            self._read(file, self._bom + self._skipped)
            data, final = b"", False
            while data or not final:
                if not final:
                    more = self._read(file, _BLOCK_BYTES)
                    final = len(more) < _BLOCK_BYTES
                    data = _without_blank_end(data + more) if final else data + more
                block, end, place = self._take(data, place, final=final)
                data = data[end:]
                if block is not None:
                    yield block
                if len(data) > MAX_RECORD_BYTES and not final:
                    raise self._refuse_long(data, place)

    def _opened(self) -> BinaryIO:
        return cast(BinaryIO, gzip.open(self._file)) if self._compressed else self._file.open("rb")

    def _read(self, file: BinaryIO, size: int) -> bytes:
        """`size` bytes, less only at the end of the file."""
        pieces = []
        try:
            while size and (piece := file.read(size)):
                pieces.append(piece)
                size -= len(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise refused(
                self.path, f"the compressed file is damaged: {error}", "file_damaged", "copy it here again"
            ) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check_encoding(self, head: bytes) -> None:
        if not head.strip():
            raise refused(
                self.path, "the file is empty", "empty_file", "check that the export ended, and save it again"
            )
        if head.startswith(_UTF16) or b"\0" in head[:4]:
            raise refused(
                self.path, "line 1: the file is UTF-16, or no text at all", "encoding", _SAVE_AS_UTF8
            )

    def _read_header(self, head: bytes) -> tuple[list[str], str, int, int]:
        """Names, separator, bytes up to the first data row, its line."""
        start = len(head) - len(head[self._bom :].lstrip(b"\r\n"))
        line = 1 + count_breaks(head[self._bom : start].decode("ascii"))
        if len(head) == MAX_RECORD_BYTES:
            head = head[: _last_line_end(head)]
        text = self._text(head[start:], line)
        separator = max(_SEPARATORS, key=first_line(text).count)
        try:
            record = next(records(text, separator, line, final=True))
        except BrokenRecordError as error:
            raise self._refuse_broken(error, None) from error
        except StopIteration:
            raise self._refuse_long(head, _Place(0, line)) from None
        used = start - self._bom + len(text[: record.end].encode())
        return record.cells, separator, used, line + count_breaks(text[: record.end])

    def _check_names(self, header: list[str]) -> None:
        twice = sorted(name for name, times in Counter(header).items() if times > 1)
        if twice:
            shown = ", ".join(repr(name) for name in twice[:_SHOWN_NAMES])
            raise refused(
                self.path,
                f"line 1: the header names a column twice: {shown}",
                "duplicate_column",
                "rename or delete one of them",
            )

    def _take(self, data: bytes, place: _Place, *, final: bool) -> tuple[Block | None, int, _Place]:
        """A block of the whole records at the beginning of `data`, how many bytes they are, what is next."""
        end = last_break(data)
        whole = data[:end]
        self._check_text(whole, place)
        count = count_records(whole, self.separator.encode(), len(self.schema))
        if count:
            breaks = whole.count(b"\n") if b'"' in whole else count
            block = self._parse(whole, count, breaks, place)
            return block, end, _Place(place.row + count, place.line + breaks)
        return self._take_slowly(data, place, final=final)

    def _parse(self, whole: bytes, count: int, breaks: int, place: _Place) -> Block:
        cells = pl.read_csv(
            whole,
            has_header=False,
            schema=self.schema,
            infer_schema=False,
            separator=self.separator,
            empty_string_is_null=False,
        )
        if cells.height != count:
            raise DefectError(f"polars read {cells.height} records where there are {count}", reason="defect")
        lines = pl.int_range(place.line, place.line + count, dtype=pl.UInt32, eager=True)
        if breaks != count:
            lines = lines + _breaks_before(cells)
        return Block(place.row, lines.alias("line"), cells)

    def _take_slowly(self, data: bytes, place: _Place, *, final: bool) -> tuple[Block | None, int, _Place]:
        whole = data if final else data[: _last_line_end(data)]
        self._check_text(whole, place)
        text = whole.decode()
        found: list[Record] = []
        row, end = place.row, 0
        try:
            for record in records(text, self.separator, place.line, final=final):
                end = record.end
                if record.blank:
                    continue
                self._check_width(record, row)
                found.append(record)
                row += 1
        except BrokenRecordError as error:
            raise self._refuse_broken(error, row) from error
        line = place.line + count_breaks(text[:end])
        return self._block(found, place.row), len(text[:end].encode()), _Place(row, line)

    def _block(self, found: list[Record], first_row: int) -> Block | None:
        if not found:
            return None
        cells = pl.DataFrame([record.cells for record in found], schema=self.schema, orient="row")
        lines = pl.Series("line", [record.line for record in found], dtype=pl.UInt32)
        return Block(first_row, lines, cells)

    def _check_text(self, whole: bytes, place: _Place) -> None:
        if b"\0" in whole:
            at = place.line + whole.count(b"\n", 0, whole.index(b"\0"))
            raise refused(self.path, f"line {at}: a NUL byte, which no text has", "encoding", _SAVE_AS_UTF8)
        if not whole.isascii():
            self._text(whole, place.line)

    def _text(self, data: bytes, line: int) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            at = line + data.count(b"\n", 0, error.start)
            near = data[max(0, error.start - 20) : error.start + 10].decode("latin-1").splitlines()
            shown = max(near, key=len, default="")
            raise refused(
                self.path, f"line {at}: the text is not UTF-8, near {shown!r}", "encoding", _SAVE_AS_UTF8
            ) from error

    def _check_width(self, record: Record, row: int) -> None:
        found, named = len(record.cells), len(self.schema)
        if found != named:
            raise refused(
                self.path,
                f"row {row} (line {record.line}) has {found} cells, the header names {named}",
                "row_length",
                "mend the row: a missing separator, or one inside a cell that needs double quotes around it",
            )

    def _refuse_broken(self, error: BrokenRecordError, row: int | None) -> RefusedError:
        where = "the header" if row is None else f"row {row}"
        what = "a quote is opened and not closed" if error.unclosed else "text follows a closing quote"
        return refused(
            self.path,
            f"{where} (line {error.line}), column {error.column}: {what}: {error.text[:40]!r}",
            "quote",
            "close the quote, and double each quote that belongs to the text",
        )

    def _refuse_long(self, carry: bytes, place: _Place) -> RefusedError:
        where = f"{f'row {place.row}' if place.row else 'the header'} (line {place.line})"
        quoted = b'"' in carry[:MAX_RECORD_BYTES]
        hint = ": a quote is opened and not closed" if quoted else ""
        return refused(
            self.path,
            f"{where} does not end within {MAX_RECORD_BYTES >> 20} MiB{hint}",
            "quote" if quoted else "row_length",
            "mend the row",
        )


def _last_line_end(data: bytes) -> int:
    """The end of the last whole line; a CR at the very end may be half of a CRLF."""
    return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, -1) + 1


def _without_blank_end(data: bytes) -> bytes:
    """`data` with one line end at its end."""
    bare = data.rstrip(b"\r\n")
    return bare + b"\n" if bare else b""


def _breaks_before(cells: pl.DataFrame) -> pl.Series:
    """For each row, the line ends inside the cells of the rows before it."""
    inside = pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))
    return cells.select(inside.cum_sum().shift(1, fill_value=0).cast(pl.UInt32)).to_series()
