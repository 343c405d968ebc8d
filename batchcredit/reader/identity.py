"""Which batch a file is: a SHA-256 over its rows, whatever their order and the file's format.

The definition must never change: ledgers remember batches by it.

    identity = SHA-256("batchcredit batch 1\\n" and then the line of every row, sorted by bytes, each with LF)

All text is UTF-8; US is the byte 1F. The line of a valid row is

    provider US account US amount US currency US reference

where provider is the profile's name, account the cell as it stands, amount the shortest decimal text of its
value (12.10 gives 12.1), currency the code after defaults, reference "" if there is none. No part can hold a
US or LF. The line of an invalid row begins with "!" US, which no profile's name does, and goes on with the
same five parts as their cells stand in the file; in each of them backslash, US, LF and CR are written
\\\\ \\u \\n \\r. Equal rows enter as often as they stand there.
"""

import hashlib
from collections.abc import Iterable

import polars as pl

from batchcredit.reader.rules import OURS

_BEGIN = b"batchcredit batch 1\n"
_US = "\x1f"
_ESCAPES = {"\\": "\\\\", _US: "\\u", "\n": "\\n", "\r": "\\r"}


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """The canonical lines of a chunk's rows, as column `line`."""
    line = pl.concat_str(OURS, separator=_US)
    if rows["problem"].null_count() < rows.height:
        raw = pl.concat_str(pl.lit("!"), *(_escaped(name) for name in OURS), separator=_US)
        line = pl.when(pl.col("problem").is_null()).then(line).otherwise(raw)
    return rows.select(line=line)


def digest(sorted_lines: Iterable[pl.DataFrame]) -> bytes:
    """The identity, from all lines of a file in the order of their bytes."""
    sha = hashlib.sha256(_BEGIN)
    for piece in sorted_lines:
        for part in piece["line"].str.join("\n"):
            sha.update(part.encode())
            sha.update(b"\n")
    return sha.digest()


def _escaped(name: str) -> pl.Expr:
    text = pl.col(name)
    for sign, escape in _ESCAPES.items():
        text = text.str.replace_all(sign, escape, literal=True)
    return text
