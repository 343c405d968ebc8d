"""Which batch a file is: a SHA-256 over its rows, whatever their order and the file's format.

The definition must never change: ledgers remember batches by it.

    identity = SHA-256("batchcredit batch 1\\n" and then the line of every row, sorted by bytes, each with LF)

All text is UTF-8; US is the byte 1F. The line of a valid row has five parts,

    reference US provider US account US amount US currency

where reference is "" if there is none, provider the profile's name, account the cell as it stands, amount the
shortest decimal text of its value (12.10 gives 12.1), currency the code after defaults. None of them can hold
a control character. The line of an invalid row has six,

    reference US ! US provider US account US amount US currency

the cells as they stand in the file, in each of which ESC, US, LF and CR are written ESC e, ESC u, ESC n and
ESC r (ESC is the byte 1B). Equal rows enter as often as they stand there.

The reference comes first so that the same sorting shows two rows with one reference side by side.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from batchcredit.reader.overlap import overlapped
from batchcredit.reader.sorting import SpillSort

_BEGIN = b"batchcredit batch 1\n"
_US = "\x1f"
_ESCAPES = {"\x1b": "\x1be", _US: "\x1bu", "\n": "\x1bn", "\r": "\x1br"}
_PARTS = ("provider", "account", "amount", "currency")


class Identity:
    """Takes the canonical lines chunk by chunk, and gives the identity at the end.

    `bare` and `named` say whether rows without and with a reference were met.
    """

    def __init__(self, folder: Path) -> None:
        self._lines = SpillSort(folder / "lines", "line")
        self._last_mark: int | None = None
        self.bare = self.named = False
        self.repeats = False

    def add(self, lines: pl.DataFrame) -> None:
        """Takes what `canonical` made of a chunk."""
        named = lines["named"].any()
        self.named |= named
        self.bare |= not named or not lines["named"].all()
        self._lines.add(lines.select("line", "mark"))

    def digest(self) -> bytes:
        """The identity, 32 bytes.

        `repeats` then says whether two rows may have one reference, or no reference and one content.
        """
        sha = hashlib.sha256(_BEGIN)
        for text in overlapped(self._sorted_text()):
            sha.update(text)
            sha.update(b"\n")
        return sha.digest()

    def _sorted_text(self) -> Iterator[bytes]:
        """The lines, as many at a time as are sorted at a time, without the last LF."""
        for piece in self._lines.pieces():
            self._compare(piece["mark"])
            yield from (text.encode() for text in piece["line"].str.join("\n"))

    def _compare(self, marks: pl.Series) -> None:
        again = marks == marks.shift(1, fill_value=self._last_mark)
        self.repeats |= bool(again.any())
        self._last_mark = marks[-1]


def canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """line, mark and named of a chunk's rows: a mark is the hash of what no other row should have."""
    line = pl.concat_str("reference", *_PARTS, separator=_US)
    if rows["problem"].null_count() < rows.height:
        raw = pl.concat_str(_escaped("reference"), pl.lit("!"), *map(_escaped, _PARTS), separator=_US)
        line = pl.when(pl.col("problem").is_null()).then(line).otherwise(raw)
    named = pl.col("reference") != ""
    unique = pl.when(named).then(pl.col("reference").hash()).otherwise(pl.col("line").hash())
    return rows.lazy().with_columns(line=line).select("line", mark=unique, named=named).collect()


def _escaped(name: str) -> pl.Expr:
    text = pl.col(name)
    for sign, escape in _ESCAPES.items():
        text = text.str.replace_all(sign, escape, literal=True)
    return text
