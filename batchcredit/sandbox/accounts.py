"""Who has how much: the clients, and each login's own wallet."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from hashlib import blake2b

from batchcredit.sandbox.settings import AccountSettings, SandboxSettings

EXACT = Context(prec=60)
"""Wide enough that no sum of a sandbox is ever rounded."""

_CENTS = Decimal("0.01")
_MICROS = Decimal("0.000001")


@dataclass(slots=True)
class Account:
    """One client of one login, and how often it was asked for and credited."""

    opening: Decimal
    balance: Decimal
    currency: str | None
    state: str
    mark: str  # 32 hex digits: the source of the names, numbers and keys that an answer shows
    arrivals: int = 0
    executions: int = 0


@dataclass(slots=True)
class Wallet:
    opening: Decimal
    balance: Decimal


def _rule(kind: str, account: str) -> str:
    if kind == "clicksend":
        return {"0404": "unknown", "0403": "closed"}.get(account[-4:], "open")
    return next((state for state in ("unknown", "closed") if account.startswith(state)), "open")


class Accounts:
    """Every client exists from the first time it is named, with an opening balance that its name decides."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._accounts: dict[tuple[str, str, str], Account] = {}
        self._wallets: dict[tuple[str, str], Wallet] = {}

    def configure(self, settings: SandboxSettings, *, refill: bool) -> None:
        """Take over changed settings; what was credited stays. With `refill` every wallet is filled anew."""
        self._settings = settings
        for (kind, _, account), known in self._accounts.items():
            configured = self._configured(kind, account)
            known.state = configured.state
            known.currency = configured.currency or settings.currency or known.currency
        if refill:
            self._wallets.clear()

    def account(self, kind: str, login: str, account: str) -> Account:
        """`account` in its canonical form."""
        key = (kind, login, account)
        known = self._accounts.get(key)
        if known is None:
            known = self._accounts[key] = self._open(kind, login, account)
        return known

    def wallet(self, kind: str, login: str) -> Wallet:
        key = (kind, login)
        wallet = self._wallets.get(key)
        if wallet is None:
            wallet = self._wallets[key] = Wallet(self._settings.wallet, self._settings.wallet)
        return wallet

    def listed(self, kind: str, login: str) -> list[str]:
        """Every client of a login that a list would show, in numerical order."""
        names = set(self._settings.accounts or ()) | set(self._settings.listed)
        names.update(
            name
            for known_kind, known_login, name in self._accounts
            if (known_kind, known_login) == (kind, login)
        )
        shown = (name for name in names if name.isascii() and name.isdecimal())
        return sorted((name for name in shown if self._configured(kind, name).state != "unknown"), key=int)

    def everyone(self) -> Iterator[tuple[tuple[str, str, str], Account]]:
        yield from self._accounts.items()

    def wallets(self) -> Iterator[tuple[tuple[str, str], Wallet]]:
        yield from self._wallets.items()

    def _configured(self, kind: str, account: str) -> AccountSettings:
        if self._settings.accounts is None:
            return AccountSettings.model_construct(state=_rule(kind, account))
        return self._settings.accounts.get(account) or AccountSettings(state="unknown")

    def _open(self, kind: str, login: str, account: str) -> Account:
        configured = self._configured(kind, account)
        mark = mark_of(self._settings.seed, kind, login, account)
        opening = configured.opening
        if opening is None:
            opening = _drawn_balance(kind, int(mark[:12], 16))
        return Account(
            opening, opening, configured.currency or self._settings.currency, configured.state, mark
        )


def mark_of(*parts: object) -> str:
    """32 hex digits that depend on `parts` alone."""
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def _drawn_balance(kind: str, dice: int) -> Decimal:
    if kind == "clicksend":
        return Decimal(dice % 500_000_000) * _MICROS
    return Decimal(dice % 100_000) * _CENTS
