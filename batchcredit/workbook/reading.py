"""A sheet as a person sees it: unpacked once, apart, then read in pieces of bounded size."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from batchcredit.trial import tried
from batchcredit.workbook.fault import WorkbookFaultError, damaged
from batchcredit.workbook.unpacking import Unpacked, piece_file

#: So long a workbook may take to unpack: a sound one takes a tenth of it on a busy machine.
_PATIENCE_S = 60.0
_SLOWEST_BYTES_PER_S = 1 << 17


@dataclass(frozen=True)
class Piece:
    """Some rows in a row: the line of each, its cells as text ("" where there is none), and, for columns that
    have any, the `Kind` of each cell that is neither a text nor a plain whole number."""

    lines: pl.Series
    cells: pl.DataFrame
    kinds: Mapping[str, pl.Series]


class Workbook:
    """One sheet of `file`, unpacked into a folder of its own within `folder`.

    `sheet` names it; "" is the only one that is visible and not empty. `most_rows` is where to stop, 0 is
    never. Numbers are their shortest exact text, of at most 15 digits; dates are ISO 8601. Blank rows are
    left out. `notes` says what was understood that does not stand there so. Raises WorkbookFaultError.
    """

    def __init__(self, file: Path, folder: Path, sheet: str = "", most_rows: int = 0) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sheet-", dir=folder))
        found = _unpacked(file, self._folder, sheet, most_rows)
        self.names, self.notes = found.names, tuple(found.notes)
        self._pieces = found.pieces

    def pieces(self) -> Iterator[Piece]:
        """The rows behind the header."""
        for number in range(self._pieces):
            frame = pl.read_ipc(piece_file(self._folder, number))
            cells = frame.select(f"c{place}" for place in range(len(self.names)))
            cells.columns = self.names
            kinds = {
                name: frame[f"k{place}"]
                for place, name in enumerate(self.names)
                if f"k{place}" in frame.columns
            }
            yield Piece(frame["line"], cells, kinds)


def _unpacked(file: Path, folder: Path, sheet: str, most_rows: int) -> Unpacked:
    patience_s = _PATIENCE_S + file.stat().st_size / _SLOWEST_BYTES_PER_S
    is_done, said = tried(
        "batchcredit.workbook.unpacking",
        *(str(file), str(folder), sheet, str(most_rows)),
        patience_s=patience_s,
    )
    if not is_done:
        raise damaged(said)
    found = json.loads(said)
    if "problem" in found:
        raise WorkbookFaultError(found["problem"], found["reason"], found["cure"])
    return Unpacked(**found)
