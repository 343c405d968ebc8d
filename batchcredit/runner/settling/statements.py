"""A provider's exported statement, from a file to the lines of each lane."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.providers.base import Provider
from batchcredit.reader import Worksheet, text_table
from batchcredit.reader.table import Table
from batchcredit.reconcile.lines import Form, columns_of
from batchcredit.reconcile.moments import UnclearTimeError, moment
from batchcredit.reconcile.statement import Line, Statement

#: A longer statement is refused: its lines are held in memory.
LINES_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class StatementOptions:
    """Which file, and how it is understood. `since` and `until`: between which times it is complete."""

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None
    sheet: str = ""
    zone: tzinfo | None = None
    thousands: str = ""
    since: str = ""
    until: str = ""


def statements(how: StatementOptions, adapters: Mapping[str, type[Provider]]) -> dict[str, Statement]:
    """The statement of each profile that it speaks of. `adapters` are those of the profiles in question.

    Raises RefusedError where it can't be read, a line of it is not clear, or nothing says whose it is.
    """
    since, until = (_said(flag, text, how) for flag, text in (("from", how.since), ("until", how.until)))
    lines: dict[str, list[Line]] = {}
    with Worksheet() as worksheet:
        table = text_table(how.path, worksheet, how.sheet)
        columns = columns_of(table.path.name, list(table.schema), how.columns, _their_names(adapters))
        only = _only_profile(how, adapters, columns)
        if only:
            lines[only] = []
        forms = {name: _form(how, adapter) for name, adapter in adapters.items()}
        for number, (at, cells) in enumerate(_cells(table, columns)):
            _refuse_long(how, number)
            name = only or _profile(cells.pop("provider"), forms)
            line = forms[name].line(at, cells) if name else None
            if line is not None:
                lines.setdefault(name, []).append(line)
    if not lines:
        raise RefusedError(
            f"{how.path.name}: no line of it names one of {', '.join(sorted(adapters))} as its provider",
            reason="statement_provider",
            cure="say whose statement it is: --provider NAME",
        )
    return {name: Statement(how.path.name, found, since, until) for name, found in lines.items()}


def _form(how: StatementOptions, adapter: type[Provider]) -> Form:
    return Form(how.path.name, adapter.account_key, how.zone, how.thousands, host.now_ms())


def _cells(table: Table, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line of the file as people count, with the cells of our columns."""
    names = list(columns.values())
    for block in table.blocks():
        first = block.first_row + 1
        numbers = range(first, first + block.cells.height) if block.lines is None else block.lines
        for number, cells in zip(numbers, block.cells.select(names).iter_rows(), strict=True):
            yield number, dict(zip(columns, cells, strict=True))


def _refuse_long(how: StatementOptions, number: int) -> None:
    if number >= LINES_MOST:
        raise RefusedError(
            f"{how.path.name}: it has more than {LINES_MOST} lines",
            reason="statement_line",
            cure="export a shorter time: from the day of the batch to now",
        )


def _their_names(adapters: Mapping[str, type[Provider]]) -> dict[str, str]:
    """The providers' own names of columns, in small letters -> ours."""
    columns = (pair for adapter in adapters.values() for pair in adapter.rules.columns.items())
    # what is a transfer's amount to ClickSend's API is the client's balance to a person
    return {theirs.casefold(): ours for theirs, ours in columns if theirs != "balance"}


def _only_profile(
    how: StatementOptions, adapters: Mapping[str, type[Provider]], columns: Mapping[str, str]
) -> str:
    """The one profile that all lines are of, or "" where each line says it."""
    if how.provider is not None:
        if how.provider not in adapters:
            raise _not_in_doubt(how.provider, adapters)
        return how.provider
    if "provider" in columns:
        return ""
    if len(adapters) > 1:
        raise RefusedError(
            f"{how.path.name}: rows of {', '.join(sorted(adapters))} are in doubt, and nothing says whose "
            "statement it is",
            reason="statement_provider",
            cure="say it with --provider NAME",
        )
    return next(iter(adapters))


def _not_in_doubt(name: str, adapters: Iterable[str]) -> RefusedError:
    return RefusedError(
        f"--provider {name}: no row of that profile is in doubt in this batch",
        reason="statement_provider",
        cure=f"in doubt are rows of: {', '.join(sorted(adapters))}",
    )


def _profile(cell: str, known: Mapping[str, Form]) -> str:
    """The profile that a line names, "" where it is of another one."""
    plain = cell.strip().casefold()
    return plain if plain in known else ""


def _said(flag: str, text: str, how: StatementOptions) -> int | None:
    if not text:
        return None
    try:
        found = moment(text, how.zone)
    except UnclearTimeError as error:
        raise RefusedError(f"--statement-{flag} {error}", reason="usage", cure=error.cure) from None
    if found.to_ms - found.from_ms > 60_000:
        problem, cure = "it is a whole day", "say the time, too: 2026-03-31T14:05:00+03:00"
    elif found.from_ms > host.now_ms():
        problem, cure = "it is still to come", "nobody knows yet what will happen until then"
    else:
        return found.from_ms
    raise RefusedError(f"--statement-{flag} {text}: {problem}", reason="usage", cure=cure)
