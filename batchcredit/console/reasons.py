"""Reasons for stdout: one in full, or all of them in groups."""

import textwrap
from collections.abc import Sequence
from itertools import groupby

from batchcredit.reasons import Reason

_WIDTH = 100


def explained(reason: Reason) -> str:
    """One reason in full."""
    lines = [f"{reason.word} ({reason.group[0].lower()}{reason.group[1:]})"]
    wide = max(map(len, reason.said))
    for name, text in reason.said.items():
        lines += _indented(text, f"  {name:{wide}}  ")
    for paragraph in (*reason.about.splitlines(), *reason.notes):
        lines += ["", *textwrap.wrap(paragraph, _WIDTH)]
    return "\n".join(lines)


def listed(reasons: Sequence[Reason]) -> str:
    """All of them, a line each, in their groups."""
    wide = max(len(reason.word) for reason in reasons)
    groups = []
    for group, members in groupby(reasons, lambda reason: reason.group):
        lines = [f"  {each.word:{wide}}  {_meaning(each)}" for each in members]
        groups.append("\n".join([group, *lines]))
    return "\n\n".join([*groups, "more of one: batchcredit explain REASON"])


def _meaning(reason: Reason) -> str:
    found = reason.said.get("meaning") or reason.said["what happened"]
    return textwrap.shorten(found, _WIDTH, placeholder=" ...")


def _indented(text: str, first: str) -> list[str]:
    return textwrap.wrap(text or "-", _WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
