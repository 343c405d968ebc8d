"""Write docs/cli.md from the commands themselves: `make cli-docs`."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App, Group
from cyclopts.docs import generate_markdown_docs

from batchcredit.cli.app import app

CLI = Path(__file__).parent / "cli.md"

_HEAD = """# Commands and flags

Written by `make cli-docs` from the program itself: what `batchcredit COMMAND --help` says.
A test fails when it is stale.
"""


def reference() -> str:
    """All of docs/cli.md."""
    sections = [_section(path, apps) for path, apps in _walk((app,), ("batchcredit",)) if len(path) == 2]
    return "\n".join([_HEAD, _contents(), *sections])


def _walk(apps: tuple[App, ...], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[App, ...]]]:
    """Each command below the last of `apps` in the order of --help, with those that lead to it."""
    seen: list[App] = []
    for name, command in apps[-1].resolved_commands().items():
        if name.startswith("-") or any(command is known for known in seen):  # a flag, or an alias
            continue
        seen.append(command)
        yield (*path, name), (*apps, command)
        yield from _walk((*apps, command), (*path, name))


def _contents() -> str:
    """The commands under their headings, each with its line."""
    lines: list[str] = []
    heading = ""
    for path, apps in _walk((app,), ("batchcredit",)):
        group = apps[1].group[0] if isinstance(apps[1].group, tuple) else apps[1].group
        assert isinstance(group, Group), "every command stands under a heading"
        if group.name != heading:
            heading = group.name
            lines.append(f"\n**{heading}**\n")
        lines.append(f"- [`{' '.join(path[1:])}`](#{'-'.join(path)}): {apps[-1].help.partition(chr(10))[0]}")
    return "\n".join([*lines, ""])


def _section(path: tuple[str, ...], apps: tuple[App, ...]) -> str:
    """What --help says of one command, and of those below it."""
    with app.app_stack(apps):
        text = generate_markdown_docs(apps[-1], heading_level=2, generate_toc=False, command_chain=list(path))
    return "\n".join([text, *map(_block, _blocks(apps[-1].help_epilogue or ""))])


def _blocks(epilogue: str) -> list[str]:
    """The parts of what stands below the flags: a title, and lines that are indented."""
    return re.split(r"\n\n(?=\S)", epilogue) if epilogue else []


def _block(part: str) -> str:
    title, _, body = part.partition("\n\n")
    language = "sh" if title == "Examples:" else "text"
    return f"**{title.removesuffix(':')}**:\n\n```{language}\n{textwrap.dedent(body)}\n```\n"


if __name__ == "__main__":
    CLI.write_text(reference())
