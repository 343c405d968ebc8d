"""Lines at the foot of a terminal that are written over, below whatever else is told."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text


class Board:
    """Draws in one write, and only what is new, so nothing flickers. The cursor is neither hidden nor left
    within the lines: whoever is killed leaves the terminal as it should be."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._widths: list[int] = []  # of the lines that stand there
        self._drawn = ""

    @property
    def width(self) -> int:
        """So long may a line be; the last column stays free, or some terminals would wrap."""
        return max(1, self._out.size.width - 1)

    @property
    def height(self) -> int:
        """So many lines there may be: the last line is the cursor's."""
        return max(1, self._out.size.height - 1)

    def show(self, lines: Sequence[Text]) -> None:
        """Have these lines stand there, each cut to the width."""
        for line in lines:
            line.truncate(self.width, overflow="ellipsis")
        with self._out.capture() as capture:
            for line in lines:
                self._out.print(line, end="\x1b[K\n", soft_wrap=True)
        drawn = capture.get()
        if drawn != self._drawn or self._is_narrower():
            self._write(f"{self._back()}{drawn}\x1b[J")
            self._drawn, self._widths = drawn, [line.cell_len for line in lines]

    def erase(self) -> None:
        """Take the lines away; the next thing stands in their place."""
        if self._widths:
            self._write(f"{self._back()}\x1b[J")
            self._drawn, self._widths = "", []

    def _back(self) -> str:
        """To the first line. A terminal that became narrower has wrapped them."""
        width = self._out.size.width
        lines = sum(max(1, -(-cells // width)) for cells in self._widths)
        up = min(lines, self._out.size.height - 1)
        return f"\x1b[{up}A\r" if up else "\r"

    def _is_narrower(self) -> bool:
        return any(cells > self.width for cells in self._widths)

    def _write(self, text: str) -> None:
        self._out.file.write(text)
        self._out.file.flush()
