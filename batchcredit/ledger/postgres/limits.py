"""Limits on money where several senders spend: sums that each claim and each ending keeps."""

from collections.abc import Sequence
from decimal import Decimal

from batchcredit.ledger.base import Caps, Claim, NotClaimed
from batchcredit.ledger.caps import CapCheck, Spending
from batchcredit.ledger.postgres.database import PostgresDatabase

#: All of them are locked, in one order: so whoever spends within limits spends one after the other.
LOCK_SPENDING = (
    "SELECT batch, since, currency, amount FROM spending ORDER BY batch, since, currency FOR UPDATE"
)

_SUM = """INSERT INTO spending (batch, since, currency, amount) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (batch, since, currency) DO UPDATE SET amount = excluded.amount"""


class UnsummedError(Exception):
    """A sum is not kept yet, or was cleared by a decision: `Limits.sum` makes it anew."""


class Limits:
    """The limits of one batch. `spending`: what the ledger can sum."""

    def __init__(self, caps: Caps, batch: int, spending: Spending, database: PostgresDatabase) -> None:
        self._caps, self._batch, self._spending, self._database = caps, batch, spending, database
        self._sums: dict[tuple[int, int, str], Decimal] = {}

    def refused(self, claims: Sequence[Claim], now_ms: int) -> dict[int, NotClaimed]:
        """The claims that would be more than a limit allows, each with the limit; within a transaction, from
        which on nobody else spends until it ends. Raises UnsummedError."""
        found = self._database.all(LOCK_SPENDING)
        self._sums = {(batch, since, currency): amount for batch, since, currency, amount in found}
        if any(key not in self._sums for key in self._needed(now_ms)):
            raise UnsummedError
        check, refused = CapCheck(self._caps, self._batch, self), dict[int, NotClaimed]()
        for claim in claims:
            why = check.refusal(claim, now_ms)
            if why:
                refused[claim.transfer.id] = why
            else:
                check.add(claim.transfer)
        return refused

    def sum(self, now_ms: int) -> None:
        """Sum anew, while nobody spends."""
        with self._database.transaction():
            for batch, since_ms, currency in self._needed(now_ms):
                amount = self._spending.spent(batch or None, currency, since_ms)
                self._database.change(_SUM, batch, since_ms, currency, amount)

    def _needed(self, now_ms: int) -> list[tuple[int, int, str]]:
        today = self._caps.day_start(now_ms)
        return [
            *((self._batch, 0, currency) for currency in self._caps.batch),
            *((0, today, currency) for currency in self._caps.day),
        ]

    # what CapCheck asks

    def spent(self, batch: int | None, currency: str, since_ms: int) -> Decimal:
        return self._sums[batch or 0, since_ms, currency]

    def spent_by_account(self, lane: int, account_key: str, currency: str, since_ms: int) -> Decimal:
        return self._spending.spent_by_account(lane, account_key, currency, since_ms)
