"""What the reader is told: the profiles that rows may name, and what the command line says for the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.providers.base import Rules

#: What may stand between thousands. Not the point: 1.234 would have two meanings.
THOUSANDS = (",", "'", "_", " ", "\u00a0", "\u202f", "\u2019")


@dataclass(frozen=True)
class ProfileRules:
    """One configured profile, as far as it concerns a file.

    `account_key` gives the form in which two spellings of an account are equal; None means that each spelling
    is an account of its own. `lowers_ascii` promises that the key of a text in ASCII is its lower case: whole
    columns are then folded without a call per row. `columns` maps ours to theirs, as `--map` does.
    """

    name: str
    kind: str
    rules: Rules
    account_key: Callable[[str], str] | None = None
    lowers_ascii: bool = False
    currency: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    thousands: str = ""


@dataclass(frozen=True)
class ReadOptions:
    """What the command line says of the whole file. `columns` maps ours to theirs (`--map ours=theirs`);
    `sheet` is one of a spreadsheet, "" the only one that is visible and not empty. `content`: what is
    read, where the path is only what it is called, with the ending of its format."""

    provider: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    thousands: str = ""
    currency: str = ""
    sheet: str = ""
    content: Path | None = None


def check_options(options: ReadOptions, profiles: Mapping[str, ProfileRules]) -> None:
    """Refuses a flag or a profile's setting that could not be meant."""
    if options.provider is not None and options.provider not in profiles:
        raise RefusedError(
            f"--provider {options.provider}: no profile of that name is configured",
            reason="unknown_provider",
            cure=f"configured: {', '.join(sorted(profiles)) or 'none'}",
        )
    for where, sign in [
        ("--thousands", options.thousands),
        *((f"{p.name}: thousands", p.thousands) for p in profiles.values()),
    ]:
        if sign and sign not in THOUSANDS:
            raise RefusedError(
                f"{where} {sign!r}: this can not stand between thousands",
                reason="usage",
                cure="give one of , ' _ or a space; a point always begins the decimals",
            )
