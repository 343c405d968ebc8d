"""The state behind both providers, and the few moves that change it."""

from collections.abc import Mapping
from decimal import Decimal
from math import ceil
from typing import Any, NamedTuple

from batchcredit.sandbox.accounts import EXACT, Account, Accounts, to_micros
from batchcredit.sandbox.book import Book, Order
from batchcredit.sandbox.faults import Fault, Script, drawn, share
from batchcredit.sandbox.settings import SandboxSettings


class Grant(NamedTuple):
    """What a rate window says to one request; `reset_s` is when the window ends."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


class Windows:
    """Fixed windows, each begun by the first request after the last one ended."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, ...], tuple[float, int]] = {}

    def take(self, key: tuple[str, ...], limit: int, window_s: float, now: float) -> Grant:
        began, used = self._windows.get(key, (now, 0))
        if now - began >= window_s:
            began, used = now, 0
        allowed = used < limit
        used += allowed
        self._windows[key] = began, used
        return Grant(allowed, limit, max(limit - used, 0), ceil(began + window_s - now))

    def clear(self) -> None:
        self._windows.clear()


class Simulation:
    """One asyncio loop owns it; no method waits, so each is one step that nothing can interrupt."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.accounts = Accounts(settings)
        self.book = Book()
        self.script = Script()
        self.windows = Windows()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set some settings anew; the rest stays. Raises ValidationError, and then nothing has changed."""
        known = {name: getattr(self.settings, name) for name in SandboxSettings.model_fields}
        self.settings = SandboxSettings.model_validate(known | dict(changes))
        self.accounts.configure(self.settings, refill="wallet" in changes)
        if {"rate_limit", "rate_window_s", "account_rate_limit"} & changes.keys():
            self.windows.clear()

    def arrive(self, order: Order, arrived_at: float) -> Fault | None:
        """Enter an arrival; returns the fault that this request meets."""
        arrivals = self.accounts.arrive(order.provider, order.login, order.key)
        fault = self._fault(order, arrivals)
        self.book.arrive(order, arrived_at, fault or "", keep=self._keeps())
        return fault

    def is_full(self) -> bool:
        return len(self.book.arrivals) > self.settings.book_rows

    def grant(self, order: Order, now: float) -> Grant | None:
        """What the transfer limit says to this request; None without a limit."""
        if not self.settings.rate_limit:
            return None
        key = (order.provider, order.login)
        return self.windows.take(key, self.settings.rate_limit, self.settings.rate_window_s, now)

    def delay_s(self, order: Order) -> float:
        settings = self.settings
        if not settings.jitter_s:
            return settings.latency_s
        arrivals = self.accounts.account(order.provider, order.login, order.key).arrivals
        dice = share(settings.seed, "jitter", order.provider, order.login, order.key, arrivals)
        return settings.latency_s + settings.jitter_s * dice

    def move(
        self, order: Order, account: Account, cost: Decimal, credited: Decimal, arrived_at: float, fault: str
    ) -> None:
        """Execute: `cost` leaves the login's wallet, `credited` reaches the client, the book has it."""
        wallet = self.accounts.wallet(order.provider, order.login)
        wallet.balance = EXACT.subtract(wallet.balance, cost)
        account.micros += to_micros(credited)
        account.executions += 1
        self.book.execute(order, credited, arrived_at, fault, keep=self._keeps())

    def _keeps(self) -> bool:
        return self.settings.keep_book == "full" and not self.is_full()

    def _fault(self, order: Order, arrival: int) -> Fault | None:
        if self.script.waiting:
            scripted, fault = self.script.take(order.key)
            if scripted:
                return fault
        rates = self.settings.fault_rates
        if not rates:
            return None
        return drawn(
            rates, share(self.settings.seed, "fault", order.provider, order.login, order.key, arrival)
        )
