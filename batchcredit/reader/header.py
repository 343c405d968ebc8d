"""Which column of the file is which of ours: decided here, by name alone, and never guessed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.reader.table import refused
from batchcredit.transfer import KNOWN_COLUMNS, RESULT_COLUMNS

#: More columns than any batch has; each takes its time in each block.
MAX_COLUMNS = 1000


@dataclass(frozen=True)
class Header:
    """`ours` maps our names to the file's; `carried` maps the file's to those of the cells handed on.

    `notes` says what was understood that does not stand there literally.
    """

    ours: Mapping[str, str]
    carried: Mapping[str, str]
    notes: tuple[str, ...]


def understand(
    path: Path, names: Iterable[str], options: ReadOptions, profiles: Mapping[str, ProfileRules]
) -> Header:
    """The columns of `names`. Raises RefusedError where a needed one is missing or a meaning is in doubt."""
    present = list(names)
    _check_number(path, present)
    reading = _Reading(path, present, options, profiles)
    ours = reading.ours()
    reading.check_nearly(ours)
    reading.check_needed(ours)
    carried = reading.carried()
    return Header(ours, carried, tuple(reading.notes))


def _check_number(path: Path, names: list[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise refused(
            path,
            f"there are {len(names)} columns, and at most {MAX_COLUMNS} are read",
            "too_many_columns",
            "leave out those that are not needed; some programs write empty ones behind the last",
        )


class _Reading:
    def __init__(
        self,
        path: Path,
        names: list[str],
        options: ReadOptions,
        profiles: Mapping[str, ProfileRules],
    ) -> None:
        self.path, self.names, self.options = path, names, options
        named = [profiles[options.provider]] if options.provider else list(profiles.values())
        self.theirs = _understood(named)
        self.where = "" if path.suffix == ".parquet" else "line 1: "
        self.notes: list[str] = []

    def ours(self) -> dict[str, str]:
        """Our name -> the file's, for every column that is one of ours."""
        mapped = {theirs: ours for ours, theirs in self.options.columns.items()}
        self._check_mapped(mapped)
        found: dict[str, str] = {}
        for name in self.names:
            ours = mapped.get(name) or self._meaning(name)
            if ours not in KNOWN_COLUMNS:
                continue
            if ours in found:
                raise self._refuse_two(ours, found[ours], name)
            found[ours] = name
            if name != ours:
                self.notes.append(f"column {name!r} is read as {ours}")
            if ours == "account_name":
                self.notes.append("--online compares account_name with the provider's own names")
        return found

    def _meaning(self, name: str) -> str:
        return name if name in KNOWN_COLUMNS else self.theirs.get(_plain(name), "")

    def _check_mapped(self, mapped: Mapping[str, str]) -> None:
        for theirs, ours in mapped.items():
            if theirs not in self.names:
                raise refused(
                    self.path,
                    f"--map {ours}={theirs}: the file has no column {theirs!r}",
                    "missing_column",
                    f"it has: {self._shown()}",
                )

    def _refuse_two(self, ours: str, one: str, other: str) -> Exception:
        return refused(
            self.path,
            f"{self.where}columns {one!r} and {other!r} could both be {ours}",
            "duplicate_column",
            "rename the one that is not meant, or delete it",
        )

    def check_needed(self, ours: Mapping[str, str]) -> None:
        for name in ("provider", "account", "amount"):
            if name in ours or (name == "provider" and self.options.provider):
                continue
            flag = ", or give --provider NAME for the whole file" if name == "provider" else ""
            raise refused(
                self.path,
                f"{self.where}there is no column {name}; the columns are {self._shown()}",
                "missing_column",
                f"rename the column, or say which it is: --map {name}=THEIR_NAME{flag}",
            )

    def check_nearly(self, ours: Mapping[str, str]) -> None:
        """A column that is nearly ours would else be carried through, and its meaning lost."""
        for name in self.names:
            if name in ours.values() or name in self.options.columns.values():
                continue
            for meant in KNOWN_COLUMNS:
                if meant not in ours and _nearly(_plain(name), meant):
                    raise refused(
                        self.path,
                        f"{self.where}column {name!r}: did you mean {meant}?",
                        "nearly_column",
                        f"rename it to {meant}; if it is something else, say so: --map my_{meant}={name}",
                    )

    def carried(self) -> dict[str, str]:
        """The file's names -> the names handed on; `--map` may rename what is not ours, too."""
        renamed = {theirs: mine for mine, theirs in self.options.columns.items() if mine not in KNOWN_COLUMNS}
        carried = {name: renamed.get(name, name) for name in self.names}
        for name, times in Counter(carried.values()).items():
            if name in RESULT_COLUMNS:
                raise refused(
                    self.path,
                    f"{self.where}column {name!r} has the name of a column of the results",
                    "results_column",
                    f"rename it, or give --map my_{name}={name}",
                )
            if times > 1:
                raise refused(
                    self.path,
                    f"{self.where}two columns would be named {name!r}",
                    "duplicate_column",
                    "give another name in --map",
                )
        return carried

    def _shown(self) -> str:
        shown = [repr(name[:40]) for name in self.names[:30]]
        return ", ".join(shown) + (f" and {len(self.names) - 30} more" if len(self.names) > 30 else "")


def _understood(profiles: list[ProfileRules]) -> dict[str, str]:
    """Plain names -> ours: our own, the providers', and what the profiles map."""
    known = {name: name for name in KNOWN_COLUMNS}
    for profile in profiles:
        known |= {_plain(theirs): ours for theirs, ours in profile.rules.columns.items()}
        known |= {_plain(theirs): ours for ours, theirs in profile.columns.items()}
    return known


def _plain(name: str) -> str:
    return name.strip().casefold()


def _nearly(name: str, ours: str) -> bool:
    """One typing slip away from `ours`, or two in a long word that begins alike."""
    if abs(len(name) - len(ours)) > 2 or name[:1] != ours[:1]:
        return False
    return _distance(name, ours) <= (2 if len(ours) > 7 else 1)


def _distance(one: str, other: str) -> int:
    """Edits from one word to the other; a swap of neighbours is one edit."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and (a, one[i - 2]) == (other[j - 2], b):
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
