"""A path as a table: which format it is, whether it can be read at all, and whether it is a batch."""

import os
import stat
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import polars as pl

from batchcredit.errors import RefusedError
from batchcredit.reader.csv_table import CsvTable
from batchcredit.reader.header import Header, understand
from batchcredit.reader.mended import MendedTable, is_invalid_file
from batchcredit.reader.overlap import overlapped
from batchcredit.reader.parquet_table import ParquetTable
from batchcredit.reader.rules import ProfileRules, ReadOptions, check_options
from batchcredit.reader.table import Table, refused
from batchcredit.reader.validate import Chunk, Validator
from batchcredit.reader.xlsx_table import XlsxTable
from batchcredit.transfer import BATCH_NAME, HIDDEN, looks_like_results

#: So many names of a folder are compared with one that is not there.
_NAMES_MOST = 10_000

_SHEETS = (".xls", ".xlsb", ".ods", ".numbers")
_WORKBOOKS = (".xlsx", ".xlsm")


class Source:
    """An open batch file. `copy` is what is read, where a private copy stands for the file that is named;
    `table` is read instead of any file, where rows come from elsewhere."""

    def __init__(
        self,
        path: Path,
        options: ReadOptions,
        profiles: Mapping[str, ProfileRules],
        copy: Path | None = None,
        table: Table | None = None,
    ) -> None:
        check_options(options, profiles)
        self.path, self.profiles = path, profiles
        self.table = table or _open_table(path, copy or path, options.sheet)
        _refuse_results(self.table)
        self.header: Header = understand(path, self.table.schema, options, profiles)
        _check_dtypes(self.table, self.header)
        self._validator = Validator(self.header, options, profiles)

    def chunks(self) -> Iterator[Chunk]:
        """All rows, validated, in order; RefusedError where the file is broken."""
        return map(self._validator.chunk, overlapped(self.table.blocks()))


def check_readable(path: Path, content: Path | None = None) -> None:
    """Refuses what is no file of a format that can be read here. `content` is read in the place of `path`."""
    _check_name(path)
    content = content or path
    if content.is_dir():
        raise refused(path.absolute(), "this is a folder", "no_file", "name one file")
    _check_format(path)
    try:
        mode = content.stat().st_mode
    except FileNotFoundError as error:
        raise refused(path, "there is no such file", "no_file", _looked_in(path)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        raise refused(path, "this is no regular file", "no_file", "save what it gives to a file first")
    if not os.access(content, os.R_OK):
        raise _unreadable(path, PermissionError("permission denied"))


def _check_name(path: Path) -> None:
    """A name stands in messages, in the ledger and in the next command: nothing in it may hide or steer."""
    name = str(path.absolute())
    if HIDDEN.search(name):
        raise RefusedError(
            f"{name!a}: there are characters in this name that can not be seen, or are no text",
            reason="file_name",
            cure="rename the file or its folder",
        )


def _looked_in(path: Path) -> str:
    """The folder, and the file of it that was likely meant."""
    folder = path.absolute().parent
    names = [each.name for each in islice(folder.iterdir(), _NAMES_MOST)] if folder.is_dir() else []
    likely = get_close_matches(path.name, names, n=1)
    return f"looked in {folder}" + (f"; did you mean {likely[0]}?" if likely else "")


def _unreadable(path: Path, error: OSError) -> Exception:
    return refused(path, f"can not be read: {error.strerror or error}", "no_file", "check its permissions")


def _check_format(path: Path) -> None:
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz", ".parquet", *_WORKBOOKS)):
        return
    cure = "it reads .csv, .csv.gz, .parquet, .xlsx"
    if name.endswith(_SHEETS):
        cure = "save it as an Excel workbook (.xlsx), or as CSV (UTF-8)"
    raise refused(
        path, f"files of the kind {path.suffix or 'without ending'!r} are not read", "file_kind", cure
    )


def open_format(path: Path, copy: Path, sheet: str = "") -> Table:
    """What stands in `copy`, in the format that the name of `path` says; `sheet` of a spreadsheet."""
    check_readable(path, copy)
    name = path.name.lower()
    if name.endswith(_WORKBOOKS):
        return XlsxTable(copy, path, sheet)
    if sheet:
        raise refused(path, f"--sheet {sheet}: there are no sheets in it", "usage", "leave out --sheet")
    return ParquetTable(copy, path) if name.endswith(".parquet") else CsvTable(copy, path)


def _open_table(path: Path, copy: Path, sheet: str) -> Table:
    table = open_format(path, copy, sheet)
    return MendedTable(table) if is_invalid_file(table.schema) else table


def _check_dtypes(table: Table, header: Header) -> None:
    """A float has lost what the cell said; and a date, a truth value or a time is none of our columns."""
    for ours, theirs in header.ours.items():
        dtype = table.schema[theirs]
        if _takes(ours, dtype):
            continue
        cure = "save the column as text"
        if ours == "amount":
            cure = "save the column as decimal or as text; a float can not hold 0.1"
        raise refused(table.path, f"column {theirs!r} holds {dtype}, not {ours}s", "column_type", cure)


def _takes(ours: str, dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Decimal):
        return ours == "amount" or (ours in ("account", "reference") and dtype.scale == 0)
    if dtype.is_integer():
        return ours in ("account", "amount", "reference")
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null)


def _refuse_results(table: Table) -> None:
    if not looks_like_results(table.schema):
        return
    first = next(iter(table.blocks()), None)
    written = str(first.cells["batch"][0]).removeprefix("'") if first else ""
    batch = written if BATCH_NAME.fullmatch(written) else "BATCH"  # what can be typed may not be anything
    raise refused(
        table.path,
        f"this is the results file of batch {batch}",
        "results_file",
        f"to send what is left: batchcredit resume {batch}",
    )
