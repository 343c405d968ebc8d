"""A batch at the level of money: what was asked for, what became of it, and whether own accounts agree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from batchcredit.ledger.base import BatchRecord, LedgerReader, Moved, OwnBalance, Share
from batchcredit.runner.outgoing.sending import TOLERANCE
from batchcredit.runner.summary import check_conserved
from batchcredit.transfer import STATUS, STATUSES, State, shortest

#: So many rows in doubt are tried against a difference, and so many of their sums.
_ROWS_MOST = 200
_SUMS_MOST = 50_000


@dataclass(frozen=True, slots=True)
class MoneyLine:
    """What became of the valid rows of one profile in one currency: rows and amounts by status."""

    profile: str
    currency: str
    rows: Mapping[str, int]
    amounts: Mapping[str, Decimal]

    @property
    def enrolled(self) -> Decimal:
        return sum(self.amounts.values(), Decimal(0))


class Doubtful(NamedTuple):
    """A row in doubt and its amount."""

    row: int
    amount: Decimal


class Meaning(NamedTuple):
    """What a difference means. `explained`: True where the ledger's rows explain it, False where they can't,
    None where that depends on rows in doubt or on what this ledger can't know."""

    explained: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """The own account behind one profile, before the first run of a batch and after the last.

    `sent` is what this batch credited in between, `others` what other batches of this ledger did;
    `difference` is what is there beside what is expected, None where the two can't be compared.
    """

    profile: str
    before: OwnBalance
    after: OwnBalance
    sent: Decimal
    others: Decimal
    difference: Decimal | None
    meaning: Meaning

    @property
    def expected(self) -> Decimal | None:
        return None if self.difference is None else self.before.amount - self.sent - self.others


@dataclass(frozen=True, slots=True)
class Money:
    """A batch in sums. `invalid` rows stand in no amount."""

    lines: Sequence[MoneyLine]
    accounts: Sequence[OwnAccount]
    invalid: int

    def as_json(self) -> dict[str, Any]:
        """Amounts as exact text."""
        return {
            "lines": [_line_as_json(line) for line in self.lines],
            "accounts": [_account_as_json(account) for account in self.accounts],
            "invalid_rows": self.invalid,
        }


def _line_as_json(line: MoneyLine) -> dict[str, Any]:
    amounts = {status: shortest(line.amounts.get(status, Decimal(0))) for status in STATUSES}
    amounts.pop("invalid")
    return {
        "provider": line.profile,
        "currency": line.currency,
        "enrolled": shortest(line.enrolled),
        "amounts": amounts,
        "rows": dict(line.rows),
    }


def _account_as_json(account: OwnAccount) -> dict[str, Any]:
    texts = {"expected": account.expected, "difference": account.difference}
    return {
        "provider": account.profile,
        "currency": account.after.currency,
        "before": shortest(account.before.amount),
        "after": shortest(account.after.amount),
        **{name: None if amount is None else shortest(amount) for name, amount in texts.items()},
        "explained": account.meaning.explained,
        "words": account.meaning.words,
    }


def money_of(ledger: LedgerReader, batch: BatchRecord) -> Money:
    """How a batch stands in money. Raises DefectError where a row or an amount is missing."""
    shares = ledger.shares(batch.id)
    check_conserved(batch, shares)
    invalid = sum(share.rows for share in shares if share.state is State.INVALID)
    return Money(lines_of(shares), own_accounts(ledger, batch), invalid)


def lines_of(shares: Iterable[Share]) -> list[MoneyLine]:
    """What became of the valid rows, by profile and currency."""
    lines: dict[tuple[str, str], MoneyLine] = {}
    for share in shares:
        if share.state is not State.INVALID:
            place = (share.profile, share.currency)
            line = lines.setdefault(place, MoneyLine(*place, {}, {}))
            lines[place] = _with(line, STATUS[share.state], share.rows, share.amount)
    return [*lines.values()]


def _with(line: MoneyLine, status: str, rows: int, amount: Decimal) -> MoneyLine:
    return MoneyLine(
        line.profile,
        line.currency,
        {**line.rows, status: line.rows.get(status, 0) + rows},
        {**line.amounts, status: line.amounts.get(status, Decimal(0)) + amount},
    )


def own_accounts(ledger: LedgerReader, batch: BatchRecord) -> list[OwnAccount]:
    """The own accounts that were read before the first run of a batch and after the last."""
    told = ledger.own_balances(batch.id)
    found = []
    for lane in ledger.batch_lanes(batch.id):
        mine = [balance for balance in told if balance.lane == lane.lane.id]
        before = next((balance for balance in mine if balance.moment == "before"), None)
        after = next((balance for balance in reversed(mine) if balance.moment == "after"), None)
        if before and after:
            found.append(_account(ledger, batch, lane.profile, before, after))
    return found


def _account(
    ledger: LedgerReader, batch: BatchRecord, profile: str, before: OwnBalance, after: OwnBalance
) -> OwnAccount:
    moved = ledger.moved(before.lane, before.at_ms, after.at_ms)
    currency = after.currency
    sent = _sum(one for one in moved if one.batch == batch.name and one.state is State.CREDITED)
    others = _sum(one for one in moved if one.batch != batch.name and one.state is State.CREDITED)
    obstacle = _obstacle(before, after, moved, ledger.archived_until(before.lane))
    if obstacle:
        return OwnAccount(profile, before, after, sent, others, None, Meaning(None, obstacle))
    difference = after.amount - (before.amount - sent - others)
    doubtful = [
        Doubtful(row.row, Decimal(row.amount))
        for row in ledger.rows_in(batch.id, (State.IN_DOUBT, State.SENDING), (), _ROWS_MOST + 1)
        if row.provider == profile and before.at_ms <= (row.sent_ms or 0) <= after.at_ms
    ]
    in_doubt = _sum(one for one in moved if one.state is not State.CREDITED)
    meaning = meaning_of(difference, currency, doubtful, in_doubt)
    return OwnAccount(profile, before, after, sent, others, difference, meaning)


def _sum(moved: Any) -> Decimal:
    return sum((one.amount for one in moved), Decimal(0))


def _obstacle(before: OwnBalance, after: OwnBalance, moved: Sequence[Moved], archived_ms: int | None) -> str:
    """Why balances and amounts can't be compared, or ""."""
    if archived_ms is not None and archived_ms >= before.at_ms:
        return "what was sent since the balance before is archived, as far as its batches are"
    if not after.currency:
        return "the account counts in units of its own, which can not be compared with amounts of money"
    if before.currency != after.currency:
        return f"the account counted in {before.currency} before and in {after.currency} after"
    foreign = sorted({one.currency for one in moved} - {after.currency})
    if foreign:
        return f"the account counts in {after.currency}, and {', '.join(foreign)} went out at an unknown rate"
    return ""


def meaning_of(
    difference: Decimal, currency: str, doubtful: Sequence[Doubtful], in_doubt: Decimal
) -> Meaning:
    """What it means that an account has `difference` more than it should, or less where that is negative.

    `doubtful` are the rows in doubt of the batch, `in_doubt` their sum with those of other batches. Balances
    move for other reasons too, so a row's verdict never follows from this.
    """
    amount = f"{shortest(abs(difference))} {currency}"
    if abs(difference) <= TOLERANCE:
        if in_doubt:
            return Meaning(None, "adds up if no row in doubt was credited")
        return Meaning(True, "adds up")
    if difference > 0:
        more = ", or of more, as far as rows in doubt were credited" if in_doubt else ""
        return Meaning(None, f"{amount} more than expected: a top-up of so much would explain it{more}")
    if -difference > in_doubt + TOLERANCE:
        even = ", even if every row in doubt was credited" if in_doubt else ""
        return Meaning(False, f"{amount} more is gone than this ledger explains{even}")
    if sum((row.amount for row in doubtful), Decimal(0)) != in_doubt or len(doubtful) > _ROWS_MOST:
        return Meaning(None, f"{amount} is gone that rows in doubt may explain, of this batch or of others")
    return _by_rows(amount, -difference, doubtful)


def _by_rows(amount: str, gone: Decimal, doubtful: Sequence[Doubtful]) -> Meaning:
    choices = choices_of(gone, doubtful)
    if choices is None:
        return Meaning(None, f"{amount} is gone that rows in doubt may explain")
    if not choices:
        return Meaning(False, f"{amount} more is gone, and no choice of rows in doubt makes just that")
    if len(choices) > 1:
        return Meaning(None, f"explained by rows in doubt, and {amount} fits more than one choice of them")
    if len(choices[0]) == len(doubtful):
        return Meaning(None, "explained if every row in doubt was credited")
    rows = ", ".join(map(str, choices[0]))
    return Meaning(None, f"explained if of the rows in doubt just these were credited: {rows}")


def choices_of(gone: Decimal, doubtful: Sequence[Doubtful]) -> list[tuple[int, ...]] | None:
    """The rows whose amounts make `gone`: every such choice, at most two of each sum. None where there are
    too many sums to try."""
    sums: dict[Decimal, list[tuple[int, ...]]] = {Decimal(0): [()]}
    for row, amount in doubtful:
        for total, choices in [(total, tuple(choices)) for total, choices in sums.items()]:
            if total + amount <= gone + TOLERANCE:
                known = sums.setdefault(total + amount, [])
                known += [(*choice, row) for choice in choices][: 2 - len(known)]
        if len(sums) > _SUMS_MOST:
            return None
    fitting = [choices for total, choices in sums.items() if abs(total - gone) <= TOLERANCE]
    return [choice for choices in fitting for choice in choices]
