"""Reading the documents: their tables, their code blocks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import batchcredit

ROOT = Path(batchcredit.__file__).parents[1]
DOCUMENTS = tuple(
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "samples").rglob("*.md")])
)


def table_behind(document: str, mark: str) -> list[list[str]]:
    """The cells of the first table behind `mark`, without its head."""
    return whole_table_behind(document, mark)[2:]


def whole_table_behind(document: str, mark: str) -> list[list[str]]:
    """The same with its head and the line below that."""
    lines = (ROOT / document).read_text().partition(mark)[2].splitlines()
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows


def quoted(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def commands(document: Path) -> Iterator[list[str]]:
    """The arguments of each `batchcredit ...` line in the shell blocks of a document."""
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if ">" in words:
                words = words[: words.index(">")]
            if words and words[0].rpartition("/")[2] == "batchcredit":
                yield words[1:]
