"""Limits on money, checked in each claim. The sums run along with the claims and start from the ledger."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from batchcredit.ledger.base import Caps, Claim, NotClaimed
from batchcredit.transfer import Transfer

_ZERO = Decimal(0)


class Spending(Protocol):
    """What the ledger can sum: credited, sending and in doubt since a moment."""

    def spent(self, batch: int | None, currency: str, since_ms: int) -> Decimal: ...

    def spent_by_account(self, lane: int, account_key: str, currency: str, since_ms: int) -> Decimal: ...


class CapCheck:
    """The limits of one batch. A claim that stands is added, an attempt that moved nothing taken off."""

    def __init__(self, caps: Caps, batch: int, spending: Spending) -> None:
        self._day_start = caps.day_start
        self._batch = batch
        self._spending = spending
        self._batch_total: dict[str, Decimal] = {}
        self._day_total: dict[str, Decimal] = {}
        self._day_ms = 0
        self._now_ms = -1
        self._of_today: set[int] = set()  # transfers in flight that the day's total counts
        self._checks: tuple[tuple[str, Mapping[str, Decimal], Callable[[Claim], Decimal]], ...] = (
            ("max_amount", caps.transfer, lambda _: _ZERO),
            ("max_account", caps.account_day, self._spent_by_account),
            ("max_total", caps.batch, self._spent_of_batch),
            ("max_day", caps.day, self._spent_today),
        )

    def refusal(self, claim: Claim, now_ms: int) -> NotClaimed | None:
        """Why this claim would be more than a limit allows, or None."""
        self._turn_day(now_ms)
        currency, amount = claim.transfer.currency, Decimal(claim.transfer.amount)
        for name, caps, spent in self._checks:
            cap = caps.get(currency)
            if cap is not None and spent(claim) + amount > cap:
                return NotClaimed(f"limit_{name}", f"[limits] {name} of {cap} {currency} would be exceeded")
        return None

    def add(self, transfer: Transfer) -> None:
        """Count a claim that stands."""
        self._of_today.add(transfer.id)
        _change(self._batch_total, transfer.currency, Decimal(transfer.amount))
        _change(self._day_total, transfer.currency, Decimal(transfer.amount))

    def ended(self, transfer: Transfer, *, spent: bool) -> None:
        """An attempt has ended; give back what it did not spend. What was claimed before midnight is no part
        of the new day's total."""
        of_today = transfer.id in self._of_today
        self._of_today.discard(transfer.id)
        if spent:
            return
        _change(self._batch_total, transfer.currency, -Decimal(transfer.amount))
        if of_today:
            _change(self._day_total, transfer.currency, -Decimal(transfer.amount))

    def _turn_day(self, now_ms: int) -> None:
        if now_ms == self._now_ms:
            return  # the claims of one group come at one time
        self._now_ms = now_ms
        day_ms = self._day_start(now_ms)
        if day_ms != self._day_ms:
            self._day_ms = day_ms
            self._day_total.clear()
            self._of_today.clear()

    def _spent_by_account(self, claim: Claim) -> Decimal:
        transfer = claim.transfer
        of_account = (claim.lane, transfer.account_key, transfer.currency)
        return self._spending.spent_by_account(*of_account, self._day_ms)

    def _spent_of_batch(self, claim: Claim) -> Decimal:
        currency = claim.transfer.currency
        if currency not in self._batch_total:
            self._batch_total[currency] = self._spending.spent(self._batch, currency, 0)
        return self._batch_total[currency]

    def _spent_today(self, claim: Claim) -> Decimal:
        currency = claim.transfer.currency
        if currency not in self._day_total:
            self._day_total[currency] = self._spending.spent(None, currency, self._day_ms)
        return self._day_total[currency]


def _change(totals: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    """Keep a total that is known up to date; one that is not will be asked of the ledger."""
    if currency in totals:
        totals[currency] += amount
