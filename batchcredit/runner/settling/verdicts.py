"""A person's verdicts on rows in doubt: named by number, or filled in in the list of them."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, Ledger, LedgerReader, ResultRow, Verdict, refuse_pruned
from batchcredit.reader import FilledIn, filled_in
from batchcredit.runner.batch import find_batch, holding_known, refuse_unagreed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.records import row_of
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.settings import Settings
from batchcredit.transfer import State
from batchcredit.writer import by_value

#: So many problems are named; the others are counted.
_NAMED = 20

#: What people write, without spaces, dashes and capitals.
_SPELLINGS = {
    **dict.fromkeys(("credited", "paid", "executed"), "credited"),
    **dict.fromkeys(("notcredited", "notpaid", "notexecuted"), "not-credited"),
    **dict.fromkeys(("indoubt", "undecided", "unknown"), "in-doubt"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says of rows of a batch: one verdict on those in `rows` (3,8-12), or a file's.

    `note` is for rows that have none of their own. `account` and `reference` name a single row once more.
    """

    batch: str
    rows: str = ""
    verdict: str = ""
    note: str = ""
    path: Path | None = None
    account: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A row as the ledger knows it, and the verdict on it."""

    row: ResultRow
    verdict: Verdict


def totals(decided: Iterable[Decided]) -> dict[str, Decimal]:
    """The amount of these rows by currency."""
    sums: dict[str, Decimal] = {}
    for row in (each.row for each in decided):
        sums[row.currency] = sums.get(row.currency, Decimal(0)) + Decimal(row.amount)
    return sums


def resolve(
    said: Said, how: SendOptions, settings: Settings, confirm: Callable[[Sequence[Decided]], bool]
) -> tuple[int, Summary]:
    """Write verdicts, all of them or none; how many rows. `confirm` shows the rows and asks."""
    with holding_known(how, settings) as ledger:
        batch = find_batch(ledger, said.batch)
        refuse_pruned(batch)
        decided = _from_file(said, said.path, ledger, batch) if said.path else _by_number(said, ledger, batch)
        _refuse_unnamed(decided, said, how)
        _refuse_other_totals(totals(decided), how.expect_totals)
        refuse_unagreed(how, lambda: confirm(decided))
        decide(ledger, batch, [each.verdict for each in decided], settings)
        return len(decided), summarise(ledger, batch, None, Speed(), how.again)


def decide(ledger: Ledger, batch: BatchRecord, verdicts: Sequence[Verdict], settings: Settings) -> None:
    """Write these verdicts, all of them or none. Raises RefusedError (`verdict`) naming the rows that
    can't take theirs."""
    problems = ledger.resolve(batch.id, verdicts, settings.quiet_ms)
    _refuse(batch, [f"row {row} of {batch.name}: {why}" for row, why in problems])


def _refuse(batch: BatchRecord, problems: Sequence[str]) -> None:
    if problems:
        more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise RefusedError(
            f"{'; '.join(problems[:_NAMED])}{more}. Nothing was changed",
            reason="verdict",
            cure=f"batchcredit show {batch.name}",
        )


def _by_number(said: Said, ledger: LedgerReader, batch: BatchRecord) -> list[Decided]:
    return [
        Decided(row_of(ledger, batch, number), Verdict(number, said.verdict, said.note))
        for number in _numbers(said.rows, ledger, batch)
    ]


def _numbers(text: str, ledger: LedgerReader, batch: BatchRecord) -> list[int]:
    """'3,8-12' as the rows that it names, each once and in order."""
    found: set[int] = set()
    for part in text.split(","):
        form = re.fullmatch(r"\s*([0-9]{1,18})(?:\s*-\s*([0-9]{1,18}))?\s*", part, re.ASCII)
        first, last = (int(form[1]), int(form[2] or form[1])) if form else (1, 0)
        if first > last:
            raise RefusedError(
                f"--rows {text}: {part.strip()!r} is no row and no range of rows",
                reason="usage",
                cure="write it as --rows 3,8-12",
            )
        found.update(range(first, row_of(ledger, batch, last).row + 1))
    return sorted(found)


def _refuse_unnamed(decided: Sequence[Decided], said: Said, how: SendOptions) -> None:
    """A row number is easily mistyped: where nobody is asked, the account, the reference or the amount says
    it again. A file has said so in each line."""
    if said.path is not None:
        return
    if how.yes and said.account is None and said.reference is None and not how.expect_totals:
        raise RefusedError(
            "with --yes the rows have to be named twice",
            reason="usage",
            cure="add --account or --reference of the row, or --expect-total CUR=AMOUNT of all of them",
        )
    for row in (each.row for each in decided):
        for name, given, is_ in (
            ("account", said.account, row.account),
            ("reference", said.reference, row.reference or ""),
        ):
            if given is not None and given != is_:
                raise RefusedError(
                    f"row {row.row} has the {name} {is_!r}, not {given!r}",
                    reason="other_row",
                    cure="check the row number",
                )


def _refuse_other_totals(is_: Mapping[str, Decimal], expected: Mapping[str, Decimal]) -> None:
    if expected and dict(expected) != dict(is_):
        named = " and ".join(f"{amount} {currency}" for currency, amount in sorted(is_.items()))
        raise RefusedError(
            f"these rows are {named}, which is not what --expect-total says",
            reason="control_totals",
            cure="check the row numbers",
        )


def _from_file(said: Said, path: Path, ledger: LedgerReader, batch: BatchRecord) -> list[Decided]:
    """The verdicts of a list. Every line has to be of this batch as the ledger has it, filled in or not: one
    that is not shows that lines were shifted or edited."""
    decided: dict[int, Decided] = {}
    problems: list[str] = []
    for line, given in enumerate(filled_in(path), 2):
        try:
            each = _line(given, said, ledger, batch, path)
        except _LineError as error:
            problems.append(f"line {line} (row {given.row}): {error}")
            continue
        if each is not None and decided.setdefault(each.row.row, each) is not each:
            problems.append(f"line {line} (row {given.row}): the same row stands there twice")
    _refuse(batch, problems)
    if not decided:
        raise RefusedError(
            f"{path.name}: no verdict is filled in",
            reason="not_verdicts",
            cure="write credited or not credited in the column verdict, and how you know in the column note",
        )
    return list(decided.values())


class _LineError(Exception):
    """What is wrong with one line of a list."""


def _line(
    given: FilledIn, said: Said, ledger: LedgerReader, batch: BatchRecord, path: Path
) -> Decided | None:
    """The verdict of a line, or None where there is none."""
    row = _known(given, ledger, batch)
    verdict = _SPELLINGS.get(re.sub(r"[\s_-]", "", given.verdict.casefold()))
    if not given.verdict or (verdict == "in-doubt" and row.state is State.IN_DOUBT):
        return None
    if verdict is None:
        raise _LineError(f"{given.verdict!r} is no verdict: credited, not credited, or left empty")
    note = given.note or said.note
    if not note:
        raise _LineError("the column note has to say how you know")
    known = {"file": path.name, "proposal": given.proposal, "why": given.why}
    told = json.dumps({name: text for name, text in known.items() if text}, ensure_ascii=False)
    return Decided(row, Verdict(row.row, verdict, note, known=told))


def _known(given: FilledIn, ledger: LedgerReader, batch: BatchRecord) -> ResultRow:
    if given.batch != batch.name:
        raise _LineError(f"it is of batch {given.batch}, not of {batch.name}")
    number = int(given.row) if re.fullmatch(r"[0-9]{1,18}", given.row, re.ASCII) else 0
    found = ledger.rows(batch.id, number, number)
    if not found:
        raise _LineError("the batch has no such row")
    row = found[0]
    differing = [
        f"{name} is {is_}, not {text}"
        for name, text, is_ in (
            ("account", given.account, row.account),
            ("amount", by_value(given.amount), by_value(row.amount)),
            ("currency", given.currency, row.currency),
            ("transfer_id", given.transfer_id, row.transfer_id),
        )
        if text != is_
    ]
    if differing:
        raise _LineError(f"it was edited or shifted: {', '.join(differing)}")
    return row
