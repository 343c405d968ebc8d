"""A plan on file: what one person checked, so that another runs that and nothing else.

Its hash shows a change by hand. It is no signature: who may write the file decides who may approve.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.reader import Survey, Total
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.settings import Profile
from batchcredit.transfer import shortest
from batchcredit.writer.target import is_taken, replace

#: A plan with a hundred lanes has a twentieth of it.
BYTES_MOST = 1 << 20

#: So many differences are named, and so much of each value.
SHOWN = 5
VALUE_CHARS = 60


Word = Annotated[str, Field(max_length=200)]


class Sum(BaseModel):
    """Rows, and their amount, which is text in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    amount: Decimal


#: What is to be sent, by profile and currency.
Needed = Mapping[str, Mapping[str, Total]]

#: The same as it stands in the file.
Sums = Mapping[str, Mapping[str, Sum]]


class Subject(BaseModel):
    """What was checked: the file as it was understood, the lanes that it names, and the flags that change
    what it means. `content` is the identity of its rows in hex; `totals` are those of its valid rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: str
    content: str
    rows: int
    valid: int
    totals: Sums
    lanes: Mapping[str, Mapping[str, str]]
    flags: Mapping[str, str]


class PlanFile(BaseModel):
    """A plan as it stands in a file. `to_send` is what was left to send when it was made. `batch` is told
    to people: a batch is its content, and `--batch` is among the flags."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batchcredit_plan: Literal[1] = 1
    batch: Word
    subject: Subject
    to_send: Sums
    checked_by: Word
    checked_on: Word
    checked_at: AwareDatetime
    version: Word

    def __str__(self) -> str:
        return f"checked by {self.checked_by} on {self.checked_on} at {self.checked_at:%Y-%m-%d %H:%M} UTC"

    def refuse_other(self, subject: Subject, repeat_window_ms: int) -> None:
        """Refuse a file that is not the one that was checked, and a plan that is too old to be meant."""
        differences = list(_differences(self.subject.model_dump(), subject.model_dump()))
        if differences:
            raise _other_plan("; ".join(differences[:SHOWN]))
        if host.utc_now() - self.checked_at > timedelta(milliseconds=repeat_window_ms):
            raise RefusedError(
                f"this plan was {self}, longer ago than repeat_window",
                reason="plan_old",
                cure="check the file once more: batchcredit check INPUT --plan FILE",
            )

    def refuse_more(self, needed: Needed) -> None:
        """Refuse whatever would be sent beyond what was left to send at the check."""
        for profile, totals in needed.items():
            for currency, total in totals.items():
                checked = self.to_send.get(profile, {}).get(currency, Sum(rows=0, amount=Decimal(0)))
                if total.rows > checked.rows or total.amount > checked.amount:
                    was, is_ = (f"{s.rows} rows, {shortest(s.amount)} {currency}" for s in (checked, total))
                    raise _other_plan(f"to send through {profile}: {was} were checked, now there are {is_}")


def subject_of(
    given: InputOptions, survey: Survey, how: SendOptions, known: Mapping[str, Profile], mode: str
) -> Subject:
    """What these flags and settings make of this file."""
    return Subject(
        mode=mode,
        content=survey.content.hex(),
        rows=survey.rows,
        valid=survey.valid,
        totals=_by_profile(survey.totals),
        lanes={name: asdict(known[name].lane) for name in survey.provider_rows},
        flags=_flags(given, how),
    )


def _by_profile(totals: Mapping[tuple[str, str], Total]) -> Sums:
    found: dict[str, dict[str, Sum]] = {}
    for (profile, currency), total in totals.items():
        found.setdefault(profile, {})[currency] = _sum(total)
    return found


def _sum(total: Total) -> Sum:
    return Sum(rows=total.rows, amount=Decimal(shortest(total.amount)))


def _flags(given: InputOptions, how: SendOptions) -> dict[str, str]:
    """The flags that were given, of those with which the same file means something else."""
    meaning = asdict(given.read) | {
        "batch": given.batch,
        "skip_invalid": given.skip_invalid,
        "allow_duplicates": given.allow_duplicates,
        "allow_repeat": how.allow_repeat,
        "skip_repeats": how.skip_repeats,
        "allow_currency_mismatch": how.allow_currency_mismatch,
    }
    return {name: str(value) for name, value in meaning.items() if value}


def write_plan(path: Path, input_path: Path, subject: Subject, batch: str, needed: Needed) -> PlanFile:
    """Write what was checked to `path`, whole or not at all; only another plan is replaced.

    Raises RefusedError (`out_is_input`, `out_exists`), StorageError where the disk refuses.
    """
    _refuse_taken(path, input_path)
    plan = PlanFile(
        batch=batch,
        subject=subject,
        to_send={
            profile: {currency: _sum(total) for currency, total in totals.items()}
            for profile, totals in needed.items()
        },
        checked_by=host.user(),
        checked_on=host.name(),
        checked_at=host.utc_now(),
        version=version("batchcredit"),
    )
    said = plan.model_dump(mode="json")
    text = json.dumps(said | {"hash": _hash(said)}, indent=2)

    def fill(file: BinaryIO) -> None:
        file.write(f"{text}\n".encode())

    replace(path, fill, _is_plan)
    return plan


def _refuse_taken(path: Path, input_path: Path) -> None:
    if path.resolve() == input_path.resolve():
        raise RefusedError(
            f"{path}: the plan would overwrite the input",
            reason="out_is_input",
            cure="name another file with --plan",
        )
    if is_taken(path) and not _is_plan(path):
        raise RefusedError(
            f"{path}: another file stands there", reason="out_exists", cure="name another file with --plan"
        )


def _is_plan(path: Path) -> bool:
    """Whether what stands there is a plan, edited or not."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(BYTES_MOST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "batchcredit_plan" in said


def read_plan(path: Path) -> PlanFile:
    """The plan in this file. Raises RefusedError: `no_file`, or `plan_edited` where it is not as it was
    written."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(BYTES_MOST))
        if said.pop("hash") != _hash(said):
            raise ValueError("its hash is not that of its content")  # noqa: TRY301  one way out
        return PlanFile.model_validate(said)
    except OSError as error:
        raise RefusedError(
            f"{path}: the plan can't be read: {error.strerror}",
            reason="no_file",
            cure="write it with batchcredit check INPUT --plan FILE",
        ) from None
    except (ValueError, ValidationError, RecursionError, AttributeError, KeyError, TypeError):
        raise RefusedError(
            f"{path}: this is no plan, or it was changed after it was written",
            reason="plan_edited",
            cure="write it anew with batchcredit check INPUT --plan FILE",
        ) from None


def _hash(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _differences(checked: object, now: object, where: str = "") -> Iterator[str]:
    """What differs, place by place, in words."""
    if isinstance(checked, dict) and isinstance(now, dict):
        for key in sorted({*checked, *now}):
            yield from _differences(checked.get(key), now.get(key), f"{where} {key}".strip())
    elif checked != now:
        was, is_ = ("nothing" if value is None else f"{value}"[:VALUE_CHARS] for value in (checked, now))
        yield f"{where}: {was} was checked, now it is {is_}"


def _other_plan(differences: str) -> RefusedError:
    return RefusedError(
        f"this is not what was checked: {differences}",
        reason="plan_differs",
        cure="run the file that was checked with the same flags and settings, or check this one: "
        "batchcredit check INPUT --plan FILE",
    )
