"""What must hold between an input, its results and the providers' own book, whatever was killed when."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from command_line import HEADER

Row = Mapping[str, str]

#: Statuses of rows that were never executed by us.
_UNTOUCHED = ("not_sent", "rejected", "invalid", "already_credited", "cancelled")


class Payment(NamedTuple):
    """A row's request for money; tests that use `assert_truthful` give no two rows the same."""

    provider: str
    account: str
    amount: Decimal
    currency: str


def batch_rows(number: int, accounts: int, refused_every: int = 0) -> list[tuple[str, str, str, str, str]]:
    """Rows for both providers in turn, over so many accounts at each, no two of them the same payment.

    Every `refused_every`th row names a client that the sandbox does not know.
    """
    return [_batch_row(row, accounts, refused_every) for row in range(1, number + 1)]


def _batch_row(row: int, accounts: int, refused_every: int) -> tuple[str, str, str, str, str]:
    refused = bool(refused_every) and row % refused_every == 0
    number, amount = row % accounts, f"{row}.{row % 100:02d}"
    if row % 2:
        account = f"{number + 1}0404" if refused else f"{number + 1}0001"
        return "clicksend", account, amount, "USD", f"r{row}"
    return "fastmessage", f"unknown{number}" if refused else f"shop{number}", amount, "KES", f"r{row}"


def payment(row: Row) -> Payment:
    """The payment that a row of an input, of results or of the book stands for."""
    return Payment(row["provider"], row["account"], Decimal(row["amount"]), row["currency"])


def sums(rows: Sequence[Row]) -> dict[str, Decimal]:
    """Amounts by currency."""
    found: dict[str, Decimal] = {}
    for row in rows:
        found[row["currency"]] = found.get(row["currency"], Decimal(0)) + Decimal(row["amount"])
    return found


def assert_truthful(
    given: Sequence[Sequence[object]], results: Sequence[Row], book: Sequence[dict[str, Any]]
) -> Counter[str]:
    """Results have each row of the input once and in order, and say of none what the book contradicts.

    Returns how many rows have each status.
    """
    rows = [dict(zip(HEADER, map(str, row), strict=False)) for row in given]
    assert [int(row["row"]) for row in results] == list(range(1, len(rows) + 1))
    assert [payment(row) for row in results] == [payment(row) for row in rows]
    assert sums(results) == sums(rows)
    executed = Counter(map(payment, book))
    twice = [row for row, times in executed.items() if times > 1]
    assert not twice, f"{len(twice)} paid twice: {twice[:3]}"
    assert executed.keys() <= set(map(payment, rows))
    credited = [row for row in results if row["status"] == "credited"]
    unpaid = [row for row in credited if executed[payment(row)] != 1]
    assert not unpaid, f"credited, and never executed: {unpaid[:3]}"
    paid = [row for row in results if row["status"] in _UNTOUCHED and executed[payment(row)]]
    assert not paid, f"executed all the same: {paid[:3]}"
    doubtful = {payment(row) for row in results if row["status"] == "in_doubt"}
    assert sums([entry for entry in book if payment(entry) not in doubtful]) == sums(credited)
    return Counter(row["status"] for row in results)
