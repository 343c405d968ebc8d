"""The faults of one settings file, gathered and told at once, without a value that could be a secret."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from batchcredit.errors import RefusedError
from batchcredit.settings.sources import Place, Sources
from batchcredit.settings.values import nearest

_SHOWN = 50

#: Words with a short number behind each: `kenya_2`, `max_total`, USD.
_WORDS = re.compile(r"[A-Za-z]{1,24}[0-9]{0,4}([_-]([A-Za-z]{1,24}[0-9]{0,4}|[0-9]{1,4})){0,5}|[0-9]{1,4}")


@dataclass(slots=True)
class Faults:
    """What is wrong, by the key that it is about."""

    sources: Sources
    lines: list[str] = field(default_factory=list)

    def add(self, place: Place, what: str) -> None:
        """One fault; `what` ends in its cure."""
        self.lines.append(f"{self.sources.origin(place)}: {'.'.join(map(_shown, place))}: {what}")

    def add_unknown(self, place: Place, known: Iterable[str]) -> None:
        """A key that nothing reads, with the one that was likely meant."""
        names = sorted(known)
        likely = nearest(place[-1], names)
        self.add(
            place, f"unknown key; {f'did you mean {likely}?' if likely else 'known are ' + ', '.join(names)}"
        )

    def add_invalid(self, place: Place, error: ValidationError, known: Mapping[Place, Sequence[str]]) -> None:
        """All that pydantic found below `place`; `known` has the keys of each table in it."""
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            below = tuple(str(part) for part in found["loc"] if part != "[key]")
            if found["type"] == "extra_forbidden":
                self.add_unknown((*place, *below), known.get(below[:-1], ()))
            else:
                self.add((*place, *below), sentence(found["type"], found["msg"]))

    def refuse(self) -> None:
        """Raise RefusedError if anything was found."""
        if not self.lines:
            return
        lines = list(dict.fromkeys(self.lines))
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        shown = "".join(f"\n  {line}" for line in [*lines[:_SHOWN], *more])
        raise RefusedError(
            f"the settings have {len(lines)} fault{'s' if len(lines) > 1 else ''}:{shown}",
            reason="settings",
            cure="mend what is named above, then run the same command again",
        )


def _shown(key: str) -> str:
    """A key that looks like words; any other may be a secret that slipped into the place of a key."""
    return key if _WORDS.fullmatch(key) else "***"


def sentence(kind: str, message: str) -> str:
    """A fault in pydantic's words, or in ours where we have better ones."""
    if kind == "missing":
        return "it is needed here: add it"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "it has to be a table"
    return message.removeprefix("Value error, ").replace("Input should", "it should", 1)
