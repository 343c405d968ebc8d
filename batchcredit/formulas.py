"""Text that a spreadsheet would compute: one `'` before it keeps it text, for files that people open.

Whoever reads such a file takes exactly one off.
"""

import re

import polars as pl

_FORMULA = r"^['=+\-@\t\r]"
_PLAIN_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_FORMULA_RE, _PLAIN_NUMBER_RE = re.compile(_FORMULA), re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def escaped(frame: pl.DataFrame) -> pl.DataFrame:
    """Put one `'` before each text cell and column name that a spreadsheet would compute or alter."""
    cells = frame.with_columns(_escaped(column) for column in frame if column.dtype == pl.String)
    return cells.rename({name: f"'{name}" for name in frame.columns if _is_formula(name)})


def _escaped(column: pl.Series) -> pl.Series:
    text = column.alias("text")  # polars would read a user's column name as a pattern
    alive = (text.str.contains(_FORMULA) & ~text.str.contains(_PLAIN_NUMBER)).fill_null(value=False)
    return ("'" + text).zip_with(alive, text).alias(column.name) if alive.any() else column


def unescaped(frame: pl.DataFrame) -> pl.DataFrame:
    """The inverse of `escaped`: exactly one `'` off each text that has one."""
    cells = frame.with_columns(pl.col(pl.String).str.replace(r"^'", ""))
    return cells.rename({name: name[1:] for name in frame.columns if name.startswith("'")})


def _is_formula(text: str) -> bool:
    return bool(_FORMULA_RE.match(text)) and not _PLAIN_NUMBER_RE.fullmatch(text)
