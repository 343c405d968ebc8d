"""The file of all bad rows, for the person who mends them."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from batchcredit.errors import RefusedError
from batchcredit.formulas import escaped
from batchcredit.reader.cures import cure_of
from batchcredit.reader.mended import INVALID_COLUMNS
from batchcredit.reader.rules import ProfileRules
from batchcredit.reader.validate import Chunk
from batchcredit.reader.worksheet import Worksheet, storing

#: So many names are tried beside files of others.
_NAMES = 100
#: What is left of a long name, so that ours may be longer.
_STEM_BYTES = 200


def invalid_path(path: Path) -> Path:
    """Where the bad rows of the input at `path` are listed: `<stem>.invalid.csv`, or with a number behind it
    where that is a file of somebody else's."""
    stem = path.name
    for ending in (".gz", ".csv", ".parquet", ".xlsx", ".xlsm"):
        stem = stem.removesuffix(ending)
    stem = stem.encode()[:_STEM_BYTES].decode(errors="ignore")
    names = (f"{stem}.invalid.csv", *(f"{stem}.invalid-{number}.csv" for number in range(2, _NAMES)))
    return next((path.with_name(name) for name in names if _is_free(path.with_name(name))), path)


def _is_free(path: Path) -> bool:
    """Whether nothing stands there, or an earlier list of bad rows."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # waits for no pipe
            return file.readline(1 << 20).rstrip().endswith(",".join(INVALID_COLUMNS).encode())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def write_invalid(worksheet: Worksheet, path: Path) -> int:
    """Writes every invalid row to `path`: the input's columns, then row, line, problem, column, cure.

    Returns how many. The file is written whole or not at all, replaces an earlier one, and can be mended and
    given to `run`: the five columns are then left out. What a spreadsheet would compute, and a column that is
    called like one of the five, gets one `'`, which is then taken off. Raises StorageError, or RefusedError
    if `path` is the input.
    """
    source = worksheet.source.path  # no file where the rows came through a pipe
    if path.exists() and source.exists() and path.samefile(source):
        raise RefusedError(f"{path.name} is the input itself", reason="usage", cure="name another file")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with storing(f"write {path.name}"):
        try:
            count = _write(worksheet, draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return count


def _write(worksheet: Worksheet, draft: Path) -> int:
    count = 0
    with draft.open("xb") as file:
        for chunk in worksheet.chunks():
            bad = _bad_rows(chunk, worksheet.source.profiles)
            bad.write_csv(file, include_header=not count and not file.tell())
            count += bad.height
        file.flush()
        os.fsync(file.fileno())
    return count


def _bad_rows(chunk: Chunk, profiles: Mapping[str, ProfileRules]) -> pl.DataFrame:
    rows = chunk.rows.filter(pl.col("problem").is_not_null())
    cells = chunk.cells.filter(chunk.rows["problem"].is_not_null())
    pairs = rows.select("problem", "provider").unique()
    cures = [cure_of(problem, provider, profiles) for problem, provider in pairs.iter_rows()]
    pairs = pairs.with_columns(cure=pl.Series(cures, dtype=pl.String))
    told = rows.join(pairs, on=["problem", "provider"], how="left", maintain_order="left")
    guarded = escaped(cells)
    clashing = {name: f"'{name}" for name in INVALID_COLUMNS if name in guarded.columns}
    return guarded.rename(clashing).hstack(told.select(INVALID_COLUMNS))
