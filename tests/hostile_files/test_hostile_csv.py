"""Any bytes as CSV end in the rows that another reader finds, or in a refusal."""

import csv
import gzip
import io
import time
import zlib
from decimal import Decimal

import pytest
from hostile_bytes import Rows, csv_files, ending, gzipped
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError

HEAD = "provider,account,amount,currency"

#: Refusals of a file that another reader takes for a table may have no other reasons than these.
OURS_ALONE = {
    *("missing_column", "nearly_column", "duplicate_column", "results_column", "no_rows", "total_line"),
    *("results_file", "too_many_columns"),
}
csv.field_size_limit(1 << 24)
FUZZ = settings(deadline=None)


def table(data: bytes) -> list[list[str]] | None:
    """The records that Python's own strict reader finds, or None where this is no table of text."""
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text or not data.strip():
            return None
        bare = text.lstrip("\r\n")
        first = bare.replace("\r", "\n").partition("\n")[0]
        separator = max(",;\t|", key=first.count)
        found = [
            row for row in csv.reader(io.StringIO(bare, newline=""), delimiter=separator, strict=True) if row
        ]
    except (UnicodeDecodeError, csv.Error):
        return None
    return found if found and all(len(row) == len(found[0]) for row in found) else None


def check(data: bytes, found: Rows | RefusedError) -> None:
    """The property: every cell as it stands, amounts by value, or a refusal that has a reason."""
    expected = table(data)
    if not isinstance(found, Rows):
        assert expected is None or found.reason in OURS_ALONE, found
        return
    assert expected is not None, "read what is no table"
    header, *rows = expected
    assert found.columns == header
    assert found.cells == [tuple(row) for row in rows]
    ours = {name.strip().casefold(): place for place, name in enumerate(header)}
    for row, (account, amount, problem) in zip(rows, found.read, strict=True):
        assert account == row[ours["account"]]
        written = row[ours["amount"]]
        assert Decimal(amount) == Decimal(written) if problem is None else amount == written


@FUZZ
@given(data=csv_files())
def test_a_file_that_was_tampered_with(data: bytes) -> None:
    """Quotes, separators, line ends, NULs, marks and half rows anywhere in it."""
    check(data, ending(data))


@FUZZ
@given(data=st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Nearly always no table at all."""
    check(data, ending(data))


@FUZZ
@given(packed=csv_files().flatmap(gzipped))
def test_any_bytes_compressed(packed: bytes) -> None:
    """Several members are one file; what is cut off or followed by something else is no file."""
    found = ending(packed, "batch.csv.gz")
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        assert isinstance(found, RefusedError)
        assert found.reason == "file_damaged"
    else:
        check(data, found)


LARGE = {
    "a million commas": f"{HEAD}{',' * 1_000_000}\n".encode(),
    "140,000 names": f"{HEAD},{','.join(map(str, range(140_000)))}\n".encode(),
    "as many cells as fit": (
        f"{HEAD},{','.join(map(str, range(990)))}\n" + f"clicksend,1,5,USD{',' * 990}\n" * 900
    ).encode(),
    "a long name": f"{HEAD},amount{' ' * 700_000},{'x' * 100_000},{'x' * 100_000}\n".encode(),
    "a long cell": f"{HEAD},note\nclicksend,1,5,USD,{'x' * 1_000_000}\nclicksend,2,6,USD,\n".encode(),
    "quotes alone": HEAD.encode() + b"\n" + b'"' * 900_001,
    "carriage returns alone": HEAD.encode() + b"\r" * 1_000_000,
    "half a character at the end of each block": (
        HEAD + ",note\n" + "clicksend,1,5,USD,\u00e9\n" * 50_000
    ).encode(),
}


def test_a_header_without_end_is_refused() -> None:
    """Each column takes its time in each block."""
    found = ending(LARGE["140,000 names"])
    assert isinstance(found, RefusedError)
    assert found.reason == "too_many_columns"


@pytest.mark.parametrize("name", LARGE)
def test_size_costs_no_more_than_time_to_read_it(name: str) -> None:
    """What is large in one direction is read or refused in seconds, with a message of a few lines."""
    began = time.process_time()
    check(LARGE[name], ending(LARGE[name]))
    assert time.process_time() - began < 10
