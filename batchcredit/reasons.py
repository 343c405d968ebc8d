"""What each reason means, read from the page of the reference: docs/reasons.md, which the wheel carries."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: In the wheel the page lies beside us, in the repository among the documents.
_PLACES = (Path(__file__).with_name("reasons.md"), Path(__file__).parents[1] / "docs" / "reasons.md")

_WORD = re.compile(r"`([a-z_]+)`")
_ASIDE = re.compile(r"\s\(\[[^]]*\]\([^)]*\)\)")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_SECTION = re.compile(r"^## ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reason:
    """One word. `group` is the heading above it, `about` what holds for all words there: whose fault it is
    and whether anything was paid. `said` has what is the word's own, under the headings of its table."""

    word: str
    group: str
    about: str
    said: Mapping[str, str]
    notes: tuple[str, ...] = ()


def reasons() -> dict[str, Reason]:
    """Every word, in the order of the page."""
    page = next(place for place in _PLACES if place.exists()).read_text(encoding="utf-8")
    sections = _SECTION.split(page)[1:]
    return {reason.word: reason for section in sections for reason in _of_section(section)}


def _of_section(text: str) -> Iterator[Reason]:
    title, _, body = text.partition("\n")
    paragraphs = [part.strip() for part in body.strip().split("\n\n")]
    number = next((n for n, part in enumerate(paragraphs) if part.startswith("|")), None)
    if number is None:
        return
    about = "\n".join(map(_plain, paragraphs[:number]))
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in paragraphs[number].splitlines()]
    for cells in rows[2:]:
        word = cells[0].strip("`")
        said = {name: _plain(cell) for name, cell in zip(rows[0][1:], cells[1:], strict=True)}
        notes = (part for part in paragraphs[number + 1 :] if word in _WORD.findall(part))
        yield Reason(word, title, about, said, tuple(map(_plain, notes)))


def _plain(text: str) -> str:
    """A paragraph without marks, links and line ends."""
    return " ".join(_LINK.sub(r"\1", _ASIDE.sub("", text)).replace("`", "").replace("**", "").split())
