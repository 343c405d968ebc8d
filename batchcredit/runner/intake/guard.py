"""What is refused before a cent moves: bad rows, duplicates, control totals, limits."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, Caps, LedgerReader, RowKey
from batchcredit.reader import Survey, Twin, Worksheet
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.transfer import shortest


class CapRow(NamedTuple):
    """A row as limits see it. `lane` is its id; one that the ledger has not seen is negative."""

    number: int
    where: str
    lane: int
    account_key: str
    amount: str
    currency: str


def refuse_bad_rows(given: InputOptions, survey: Survey, invalid: Path | None) -> None:
    """Invalid rows, unless they are skipped; rows that repeat each other."""
    if survey.valid < survey.rows and not given.skip_invalid:
        bad = survey.rows - survey.valid
        where = f"correct them ({invalid} has them all)" if invalid else "correct them"
        raise RefusedError(
            f"{given.path}: {bad} of {survey.rows} rows are invalid; nothing was sent",
            reason="invalid_rows",
            cure=f"{where}, or send the rest with --skip-invalid",
        )
    if not survey.valid:
        raise RefusedError(
            f"{given.path}: not one of {survey.rows} rows is valid; nothing was sent",
            reason="invalid_rows",
            cure="correct them",
        )
    refuse_twins(given, survey)


def refuse_twins(given: InputOptions, survey: Survey) -> None:
    """References used twice; equal rows that nothing tells apart, unless they are meant."""
    if survey.duplicate_references.count:
        raise _twins_refused(given.path, survey, "duplicate_reference")
    if survey.duplicates.count and not given.allow_duplicates:
        raise _twins_refused(given.path, survey, "duplicate_rows")


def _twins_refused(path: Path, survey: Survey, reason: str) -> RefusedError:
    by_reference = reason == "duplicate_reference"
    twins = survey.duplicate_references if by_reference else survey.duplicates
    what = "have a reference of an earlier row" if by_reference else "say the same as an earlier row"
    shown = "\n".join(_twin(twin, by_reference=by_reference) for twin in twins.examples)
    more = (
        f"\n  ... and {twins.count - len(twins.examples)} more" if twins.count > len(twins.examples) else ""
    )
    cure = (
        "a reference stands for one transfer: correct the column"
        if by_reference
        else "delete them, give each a reference of its own, or send them all with --allow-duplicates"
    )
    return RefusedError(f"{path}: {twins.count} rows {what}:\n{shown}{more}", reason=reason, cure=cure)


def _twin(twin: Twin, *, by_reference: bool) -> str:
    what = f"reference {twin.reference}" if by_reference else f"account {twin.account}, amount {twin.amount}"
    return f"  {at(twin.row, twin.line)} and {at(twin.first_row, twin.first_line)}: {what}"


def at(row: int, line: int | None) -> str:
    """`row 17 (line 18)`: people count lines in a spreadsheet."""
    return f"row {row} (line {line})" if line is not None else f"row {row}"


def refuse_other_totals(rows: int, totals: Mapping[str, Decimal], how: SendOptions) -> None:
    """Control totals that a person took from elsewhere have to be met exactly."""
    problems = []
    if how.expect_rows is not None and how.expect_rows != rows:
        problems.append(f"--expect-rows says {how.expect_rows}, the batch has {rows}")
    if how.expect_totals:
        for currency in sorted({*how.expect_totals, *totals}):
            expected, found = how.expect_totals.get(currency), totals.get(currency, Decimal(0))
            if expected is None:
                problems.append(
                    f"--expect-total does not name {currency}, of which there are {shortest(found)}"
                )
            elif expected != found:
                problems.append(
                    f"--expect-total says {currency}={shortest(expected)}, the batch has {shortest(found)}"
                )
    if problems:
        raise RefusedError(
            "; ".join(problems), reason="control_totals", cure="check that this is the right file"
        )


def refuse_over_caps(
    needed: Mapping[str, Decimal],
    rows: Iterable[CapRow],
    caps: Caps,
    ledger: LedgerReader | None,
    batch: BatchRecord | None,
) -> None:
    """Limits, as far as what is to be sent now can break them: `needed` by currency, and each of the `rows`.
    What `batch` and the day have spent already counts; each claim checks all of it again."""
    for currency, amount in needed.items():
        spent = ledger.spent(batch.id, currency, 0) if ledger and batch else Decimal(0)
        _refuse_over("max_total", currency, amount + spent, caps.batch, "the batch")
        if currency in caps.day:
            before = ledger.spent(None, currency, caps.day_start(host.now_ms())) if ledger else Decimal(0)
            _refuse_over("max_day", currency, amount + before, caps.day, "the day, with this batch,")
    if caps.transfer or caps.account_day:
        _refuse_rows_over(rows, caps, ledger)


def _refuse_over(name: str, currency: str, amount: Decimal, caps: Mapping[str, Decimal], what: str) -> None:
    cap = caps.get(currency)
    if cap is not None and amount > cap:
        raise RefusedError(
            f"{what} comes to {shortest(amount)} {currency}, over [limits] {name} of {shortest(cap)}",
            reason=f"limit_{name}",
            cure="check that this is the right file; a person who may can raise the limit in the settings",
        )


def _refuse_rows_over(rows: Iterable[CapRow], caps: Caps, ledger: LedgerReader | None) -> None:
    accounts: dict[tuple[int, str, str], Decimal] = {}
    today_ms = caps.day_start(host.now_ms())
    for row in rows:
        amount, currency = Decimal(row.amount), row.currency
        _refuse_over("max_amount", currency, amount, caps.transfer, row.where)
        if currency in caps.account_day:
            account = (row.lane, row.account_key, currency)
            if account not in accounts:
                accounts[account] = ledger.spent_by_account(*account, today_ms) if ledger else Decimal(0)
            accounts[account] += amount
            _refuse_over(
                "max_account",
                currency,
                accounts[account],
                caps.account_day,
                f"{row.where}: the client's day, with this batch,",
            )


def rows_of_file(worksheet: Worksheet, lanes: Mapping[str, int]) -> Iterator[CapRow]:
    """The valid rows of an examined file."""
    columns = ("row", "line", "provider", "account", "account_key", "amount", "currency", "problem")
    for chunk in worksheet.chunks():
        for row, line, provider, account, key, amount, currency, problem in chunk.rows.select(
            columns
        ).iter_rows():
            if problem is None:
                where = f"{at(row, line)}: account {account}"
                yield CapRow(row, where, lanes[provider], key, amount, currency)


def rows_left(keys: Iterable[RowKey]) -> Iterator[CapRow]:
    """Rows of a batch that the ledger has."""
    for key in keys:
        where = f"row {key.row}: account {key.account_key}"
        yield CapRow(key.row, where, key.lane, key.account_key, key.amount, key.currency)
