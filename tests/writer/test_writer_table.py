"""Cells, blocks, and seals."""

import io
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.formulas import escaped, unescaped
from batchcredit.writer import by_value, pack, seal, unpack

CELLS = st.text(st.characters(codec="utf-8"), max_size=8) | st.text("=+-@'\t\r0.9 \n,\"", max_size=6)
NAMES = st.lists(
    CELLS.filter(bool) | st.sampled_from(["*", "^a$", "a", "literal", "=a"]),
    min_size=1,
    max_size=4,
    unique=True,
)
FIELDS = (
    "batch",
    "rows",
    "row",
    "provider",
    "account",
    "amount",
    "currency",
    "reference",
    "status",
    "transfer_id",
)
SEALED = ("march", 1000, 17, "clicksend", "0042", "12.5", "USD", "INV-1", "credited", "t-one-17")


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """A table of text with any names and cells."""
    names, height = draw(NAMES), draw(st.integers(0, 4))
    columns = st.lists(st.none() | CELLS, min_size=height, max_size=height)
    return pl.DataFrame([pl.Series(name, draw(columns), pl.String) for name in names])


@given(frame=frames())
def test_what_is_escaped_comes_back_as_it_was(frame: pl.DataFrame) -> None:
    """Taking one quote off undoes what putting one on did, for every cell and every column's name."""
    assert unescaped(escaped(frame)).equals(frame, null_equal=True)
    assert unescaped(escaped(frame)).columns == frame.columns


@given(frame=frames())
def test_no_text_is_left_that_a_spreadsheet_would_compute(frame: pl.DataFrame) -> None:
    """What begins like a formula is a plain number, and what is one stays as it is."""
    shown = escaped(frame)
    for text in [*shown.columns, *(cell for row in shown.iter_rows() for cell in row if cell)]:
        if text[0] in "=+-@\t\r":
            Decimal(text)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "-5"),
        ("+254700123456", "+254700123456"),
        ("-1.50", "-1.50"),
        ("-1.50 ", "'-1.50 "),
        ("+1e5", "'+1e5"),
        ("@a", "'@a"),
        ("\tx", "'\tx"),
        ("'x", "''x"),
        ("x'", "x'"),
        ("007", "007"),
        ("-5\n", "'-5\n"),
    ],
)
def test_a_cell_gets_a_quote_only_where_it_needs_one(cell: str, expected: str) -> None:
    """Numbers with a sign, and phone numbers, are left alone."""
    assert escaped(pl.DataFrame({"a": [cell]}))["a"].to_list() == [expected]


@given(frame=frames())
def test_a_block_gives_back_its_cells(frame: pl.DataFrame) -> None:
    """Packing keeps names, types, nulls and empty texts apart."""
    again = unpack(pack(frame))
    assert again.equals(frame, null_equal=True)
    assert again.schema == frame.schema


@given(
    place=st.integers(0, len(SEALED) - 1),
    text=st.text(st.characters(codec="utf-8"), max_size=5) | st.text("\x1f1", max_size=4),
    number=st.integers(1, 10**9),
)
def test_a_changed_part_changes_the_seal(place: int, text: str, number: int) -> None:
    """Each of the ten parts is sealed."""
    parts = list(SEALED)
    parts[place] = number if isinstance(parts[place], int) else text
    unchanged = parts[place] == SEALED[place] or (FIELDS[place] == "amount" and by_value(text) == "12.5")
    assert (seal(*parts) == seal(*SEALED)) is unchanged  # type: ignore[arg-type]


@given(
    parts=st.lists(st.text("\x1fa", max_size=3), min_size=4, max_size=4),
    other=st.lists(st.text("\x1fa", max_size=3), min_size=4, max_size=4),
)
def test_parts_can_not_run_into_each_other(parts: list[str], other: list[str]) -> None:
    """Moving a character, even the separator, from one cell to the next is noticed."""

    def sealed(cells: list[str]) -> str:
        provider, account, currency, reference = cells
        return seal("b", 1, 1, provider, account, "1", currency, reference, "invalid", "t-a-1")

    assert (sealed(parts) == sealed(other)) is (parts == other)


@given(amount=st.decimals(min_value=0, max_value=10**11, places=4), zeros=st.integers(0, 3))
def test_an_amount_written_otherwise_has_the_same_seal(amount: Decimal, zeros: int) -> None:
    """Padding on either side is no edit; and equal values are the only ones that seal alike."""
    text = f"{'0' * zeros}{amount:f}{'0' * zeros}"
    assert by_value(text) == by_value(f"{amount:f}")
    assert Decimal(by_value(text)) == amount


@pytest.mark.parametrize("text", ["", "1.", ".5", "-1", "1e3", "1,0", "\u0661", "1.5.5", " 1"])
def test_what_is_no_amount_is_sealed_as_it_stands(text: str) -> None:
    """An invalid row's cell has no value: its text counts."""
    assert by_value(text) == text


def test_a_seal_has_its_documented_form() -> None:
    """The form, and one value, are fixed: older files have to verify with newer programs."""
    assert seal(*SEALED) == "s-8135dba916ad608b"
    assert seal(*SEALED[:7], None, *SEALED[8:]) == seal(*SEALED[:7], "", *SEALED[8:])


def test_a_block_is_small() -> None:
    """Repeating cells are compressed."""
    assert len(pack(pl.DataFrame({"a": ["clicksend"] * 10_000}))) < 5_000
    assert pl.read_ipc_stream(io.BytesIO(pack(pl.DataFrame({"a": ["x"]})))).height == 1
