"""Limits on money, checked in each claim. The sums run along with the claims and start from the ledger."""

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from batchcredit.ledger.base import Caps, Claim, NotClaimed

_ZERO = Decimal(0)


class Spending(Protocol):
    """What the ledger can sum: credited, sending and in doubt since a moment."""

    def spent(self, batch: int | None, currency: str, since_ms: int) -> Decimal: ...

    def spent_by_account(self, claim: Claim, since_ms: int) -> Decimal: ...


class CapCheck:
    """The limits of one batch. A claim that stands is added, an attempt that moved nothing taken off."""

    def __init__(self, caps: Caps, batch: int, spending: Spending) -> None:
        self._caps = caps
        self._batch = batch
        self._spending = spending
        self._batch_total: dict[str, Decimal] = {}
        self._day_total: dict[str, Decimal] = {}
        self._day_ms = 0

    def refusal(self, claim: Claim, now_ms: int) -> NotClaimed | None:
        """Why this claim would be more than a limit allows, or None."""
        self._turn_day(now_ms)
        currency, amount = claim.transfer.currency, Decimal(claim.transfer.amount)
        sums: tuple[tuple[str, Decimal | None, Callable[[], Decimal]], ...] = (
            ("max_amount", self._caps.transfer.get(currency), lambda: _ZERO),
            ("max_account", self._caps.account_day.get(currency), lambda: self._of_account(claim)),
            ("max_total", self._caps.batch.get(currency), lambda: self._of_batch(currency)),
            ("max_day", self._caps.day.get(currency), lambda: self._of_day(currency)),
        )
        for name, cap, spent in sums:
            if cap is not None and spent() + amount > cap:
                return NotClaimed(f"limit_{name}", f"[limits] {name} of {cap} {currency} would be exceeded")
        return None

    def add(self, currency: str, amount: str, sign: int = 1) -> None:
        """Count a claim, or with sign -1 an attempt that moved nothing."""
        change = Decimal(amount) * sign
        for totals in (self._batch_total, self._day_total):
            if currency in totals:
                totals[currency] += change

    def _turn_day(self, now_ms: int) -> None:
        day_ms = self._caps.day_start(now_ms)
        if day_ms != self._day_ms:
            self._day_ms = day_ms
            self._day_total.clear()

    def _of_account(self, claim: Claim) -> Decimal:
        return self._spending.spent_by_account(claim, self._day_ms)

    def _of_batch(self, currency: str) -> Decimal:
        if currency not in self._batch_total:
            self._batch_total[currency] = self._spending.spent(self._batch, currency, 0)
        return self._batch_total[currency]

    def _of_day(self, currency: str) -> Decimal:
        if currency not in self._day_total:
            self._day_total[currency] = self._spending.spent(None, currency, self._day_ms)
        return self._day_total[currency]
