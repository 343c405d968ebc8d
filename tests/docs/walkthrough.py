"""A page of docs/ as somebody follows it: its files are written, its commands typed, what it shows compared.

What a reader does not see stands in HTML comments right before a block:

    <!-- file: NAME -->           the block is this file
    <!-- exits with 3 -->         how its commands end; one number for all, or one for each: 0, 3
    <!-- types: 25.00, yes -->    its one command asks at a terminal, and this is typed
    <!-- not run: WHY -->         it needs what is not here

and by themselves:

    <!-- sandbox -->                       commands reach simulated providers through a settings file
    <!-- sandbox: ACCOUNT FAULT ... -->    what happens to the next requests of an account
    <!-- statement: NAME -->               what the provider would export so far
    <!-- wait: N -->                       so many seconds pass
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r"<!-- ([a-z ]+?)(?:: (.*?)| with (.*?))? -->")
_FENCE = re.compile(r"```(\w*)")

#: What is never the same twice, and what stands for it.
_CHANGING = (
    (r"\b\d{4}-\d\d-\d\dT? ?\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z|\+00:00)?", "TIME"),
    (r"\bt-[0-9a-f]{8}-", "t-ID-"),
    (r"\bs-[0-9a-f]{16}\b", "SEAL"),
    (r"\bid [0-9a-f]{8}\b", "id ID"),
    (r"\bin \d+(\.\d+)? s \(\d[\d,.]*/s\)", "in N s (N/s)"),
    (r"\b\d+(\.\d+)? ms\b", "N ms"),
)

#: Where the reader of a page works.
FOLDER = "/home/anna/topups"


@dataclass(slots=True)
class Command:
    """One line that is typed, how it has to end, and what the page says that it says."""

    line: str
    code: int = 0
    shown: list[str] = field(default_factory=list)
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader makes."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """What happens unseen: a word and what stands behind it."""

    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """A block that nobody tries."""

    why: str


Step = Command | File | Event | NotRun


def steps(page: Path) -> Iterator[Step]:
    """What a reader of the page does, in order. A shell block without any mark is run."""
    marks: dict[str, str] = {}
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if fence := _FENCE.match(line):
            yield from _block(fence[1], _until_fence(lines), marks)
            marks = {}
        elif comment := _COMMENT.fullmatch(line):
            name, rest = comment[1], comment[2] or comment[3] or ""
            if name in ("sandbox", "statement", "wait"):
                yield Event(name, rest)
            else:
                marks[name] = rest
        elif line:
            marks = {}


def _until_fence(lines: Iterator[str]) -> list[str]:
    block = []
    for line in lines:
        if line.startswith("```"):
            break
        block.append(line)
    return block


def _block(language: str, lines: list[str], marks: dict[str, str]) -> Iterator[Step]:
    if "not run" in marks:
        assert len(marks["not run"]) > 10, "say why it is not run"
        yield NotRun(marks["not run"])
    elif "file" in marks:
        yield File(marks["file"], "\n".join([*lines, ""]))
    elif language in ("sh", "console"):
        commands = list(_commands(lines, with_prompt=language == "console"))
        codes = [int(code) for code in marks.get("exits", "0").split(",")]
        codes *= len(commands) if len(codes) == 1 else 1
        for command, command.code in zip(commands, codes, strict=True):
            command.types = tuple(word.strip() for word in marks.get("types", "").split(",") if word)
            yield command
    else:
        assert not language, f"a block of {language} is run, or a file, or says why it is neither"


def _commands(lines: list[str], *, with_prompt: bool) -> Iterator[Command]:
    """The commands of a block, each with the lines that are shown behind it."""
    command: Command | None = None
    continued = False
    for line in lines:
        if continued and command:
            command.line += " " + line.strip().rstrip("\\")
        elif with_prompt and not line.startswith("$ "):
            assert command, "what is shown stands behind a command"
            command.shown.append(line)
        elif typed := (line.removeprefix("$ ") if with_prompt else line).strip():
            if command:
                yield command
            command = Command(typed.rstrip("\\"))
        continued = line.endswith("\\") and not (with_prompt and command and command.shown)
    if command:
        yield command


def words(line: str) -> list[str] | None:
    """The arguments of a command of ours; None where it takes a shell to understand the line."""
    found = shlex.split(line, comments=True)
    if not found or found[0] != "batchcredit" or {"|", "&&", ";", ">", ">>", "<"} & {*found}:
        return None
    return found[1:]


def plain(text: str, folder: Path) -> list[str]:
    """Its lines, without what is never the same twice, and with one blank wherever there are some."""
    text = text.replace(str(folder), FOLDER)
    for form, word in _CHANGING:
        text = re.sub(form, word, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def missing(shown: list[str], said: list[str]) -> str:
    """The first line of the page that was not said, where it stands; "..." leaves out any lines."""
    position, anywhere = 0, True
    for line in shown:
        if line == "...":
            anywhere = True
            continue
        rest = said[position:]
        found = rest.index(line) if anywhere and line in rest else 0 if rest[:1] == [line] else None
        if found is None:
            return line
        position, anywhere = position + found + 1, False
    return ""
