"""Files as an export, a mail gateway or an attacker leaves them, and how reading them may end."""

import csv
import gzip
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

from batch_reading import PROFILES
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.reader import ReadOptions, Survey, Worksheet, examine, invalid_path, write_invalid

HEADER = ("provider", "account", "amount", "currency", "note")
#: A person reads no more of a message than this.
LONGEST_MESSAGE = 1500

PIECES = (
    *(
        b'"',
        b'""',
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"\xe9",
        b"'",
        b"=",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x1b]52;c;eA==\x07",
        "\u202e".encode(),
        "\u2028".encode(),
        b"\x1a",
        b"x" * 3000,
    ),
    *(b",,,,\n", b"clicksend,1,5,USD\n", b"clicksend,1,5,USD,a,b\n", b'clicksend,"1"2,5,USD,\n', b'"'),
)
CELLS = st.one_of(
    st.sampled_from(["clicksend", "kenya", "007", "12", "5", "0.10", "1e5", "-1", "USD", "", " ", "#REF!"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
)
ROWS = st.one_of(
    st.tuples(
        st.sampled_from(["clicksend", "kenya"]),
        st.integers(1, 10**19).map(str),
        st.decimals("0.01", 10**6, places=2).map(str),
        st.sampled_from(["USD", "KES"]),
        CELLS,
    ),
    st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS),
)
#: Where, how much goes, and what comes instead.
CUTS = st.tuples(
    st.floats(0, 1, exclude_max=True), st.sampled_from([0, 0, 1, 2, 40]), st.sampled_from(PIECES)
)


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """A file as csv.writer writes it in some dialect and encoding, with a few bytes of it replaced."""
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=draw(st.sampled_from(",,,;\t|")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerow(HEADER)
    writer.writerows(draw(st.lists(ROWS, max_size=8)))
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin-1"]))
    return cut(out.getvalue().encode(encoding, errors="replace"), draw(st.lists(CUTS, max_size=3)))


def cut(data: bytes, cuts: list[tuple[float, int, bytes]]) -> bytes:
    """`data` with the cuts made, one after the other."""
    for place, length, piece in cuts:
        at = int(place * (len(data) + 1))
        data = data[:at] + piece + data[at + length :]
    return data


@st.composite
def gzipped(draw: st.DrawFn, data: bytes) -> bytes:
    """In one member or two, whole, cut off, damaged, or with something behind it."""
    half = draw(st.integers(0, len(data)))
    packed = gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)
    tail = draw(st.sampled_from([b"", b"", b"\0\0\0", b"garbage", b"\x1f\x8b"]))
    return cut(packed, draw(st.lists(CUTS, max_size=1))) + tail


@dataclass(frozen=True)
class Rows:
    """What was read: the input's own cells, and for each row account, amount and problem."""

    survey: Survey
    columns: list[str]
    cells: list[tuple[object, ...]]
    read: list[tuple[str, str, str | None]]


def ending(data: bytes, name: str = "batch.csv") -> Rows | RefusedError:
    """Read these bytes, and write the list of bad rows, as `run` does. Any other error is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        found = _read_or_refused(path)
    if isinstance(found, RefusedError):
        assert str(found).startswith(f"{name}: "), found
        assert len(str(found)) < LONGEST_MESSAGE
        assert found.cure
    return found


def _read_or_refused(path: Path) -> Rows | RefusedError:
    try:
        return _read(path)
    except RefusedError as error:
        return error


def _read(path: Path) -> Rows:
    with Worksheet() as worksheet:
        survey = examine(path, ReadOptions(), PROFILES, worksheet)
        cells: list[tuple[object, ...]] = []
        read: list[tuple[str, str, str | None]] = []
        for chunk in worksheet.chunks():
            cells += chunk.cells.rows()
            read += chunk.rows.select("account", "amount", "problem").rows()
        assert survey.rows == len(cells)
        assert write_invalid(worksheet, invalid_path(path)) == survey.rows - survey.valid
        return Rows(survey, list(worksheet.schema), cells, read)
