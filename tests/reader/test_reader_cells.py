"""Every cell comes in as it stands, whatever the dialect, wherever a block ends."""

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchcredit.reader import csv_table
from batchcredit.reader.csv_table import CsvTable
from batchcredit.reader.records import BrokenRecordError, records
from batchcredit.reader.regular import count_records

CELL = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("\",;\t|\n\r '=a1.é€")),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=8,
)
QUIET = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_csv(rows: list[list[str]], **dialect: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows(rows)
    return out.getvalue()


def read_table(content: bytes) -> tuple[list[tuple[str, ...]], list[int], list[int]]:
    """Cells, lines and row numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(content)
        blocks = list(CsvTable(path, path).blocks())
    cells = [row for block in blocks for row in block.cells.rows()]
    lines = [line for block in blocks if block.lines is not None for line in block.lines]
    firsts = [block.first_row + i for block in blocks for i in range(block.cells.height)]
    return cells, lines, firsts


@QUIET
@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=12),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    bom=st.booleans(),
    block=st.integers(1, 64),
)
def test_any_table_comes_back_cell_by_cell(
    rows: list[list[str]],
    separator: str,
    end: str,
    quoting: Any,
    bom: bool,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What csv.writer wrote in a dialect that is accepted is read back identical, in blocks of any size."""
    monkeypatch.setattr(csv_table, "_BLOCK_BYTES", block)
    if any(sign in cell for row in rows for cell in row for sign in {"\r", "\n"} - set(end)):
        quoting = csv.QUOTE_ALL  # csv.writer itself quotes a line end only where it is its own
    text = write_csv([["a", "b", "c"], *rows], delimiter=separator, lineterminator=end, quoting=quoting)
    cells, lines, numbers = read_table(("\ufeff" * bom + text).encode())
    assert cells == [tuple(row) for row in rows]
    assert numbers == list(range(1, len(rows) + 1))
    assert lines == expected_lines(rows)


def expected_lines(rows: list[list[str]]) -> list[int]:
    """Where each row begins, counting the line ends inside the cells before it."""
    line, lines = 2, []
    for row in rows:
        lines.append(line)
        inside = sum(cell.replace("\r\n", "\n").replace("\r", "\n").count("\n") for cell in row)
        line += 1 + inside
    return lines


@QUIET
@given(text=st.text(alphabet='ab,"\n\r', max_size=40))
def test_the_exact_way_agrees_with_the_csv_module(text: str) -> None:
    """Any text is read as Python's strict csv module reads it, or refused where that refuses it."""
    try:
        expected = [row or [""] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error:
        expected = None
    try:
        found = [record.cells for record in records(text, ",", 1, final=True)]
    except BrokenRecordError:
        found = None
    assert found == expected


@QUIET
@given(text=st.text(alphabet='ab,"\n\r', max_size=30), width=st.integers(1, 4))
def test_the_fast_way_never_vouches_for_what_it_would_read_otherwise(text: str, width: int) -> None:
    """Where the fast way counts records, the csv module and polars read so many, with the same cells."""
    block = (text + "\n").encode()
    count = count_records(block, b",", width)
    if not count:
        return
    expected = list(csv.reader(io.StringIO(block.decode(), newline=""), strict=True))
    schema = {str(i): pl.String for i in range(width)}
    found = pl.read_csv(
        block, has_header=False, schema=schema, infer_schema=False, empty_string_is_null=False
    )
    if width > 1:  # a line of one empty cell is blank, and none of our files has one column
        assert len(expected) == count
        assert [tuple(row) for row in expected] == found.rows()


def test_the_fast_way_is_taken_for_ordinary_files() -> None:
    """LF or CRLF, with quoted cells or without: the exact way is for accidents only."""
    assert count_records(b"1,2\n3,4\n", b",", 2) == 2
    assert count_records(b'1,"2, ""two"""\r\n"3\n",4\r\n', b",", 2) == 2


@pytest.mark.parametrize(
    "block", [b"1,2\n3\n", b"1,2,3\n", b"1,2\n\n3,4\n", b'1,5" pipe\n', b'"1"x,2\n', b"1,2\r3,4\n", b'1,"2\n']
)
def test_the_fast_way_gives_up_on_surprises(block: bytes) -> None:
    """Short, long and blank lines, stray quotes and lone CRs are left to the exact way."""
    assert count_records(block, b",", 2) is None
