"""Who has how much: the clients, and each login's own wallet."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from batchcredit.sandbox.settings import AccountSettings, SandboxSettings

EXACT = Context(prec=60)
"""Wide enough that no sum of a sandbox is ever rounded."""

MICRO_DECIMALS = 6
"""Nothing that a client is given or has is finer than a millionth."""

_MICROS_OF_A_CENT = 10_000
_MARKS_REMEMBERED = 1024
_CLICKSEND_RULE = {"0404": "unknown", "0403": "closed"}
_BY_RULE = {
    "open": AccountSettings(),
    "unknown": AccountSettings(state="unknown"),
    "closed": AccountSettings(state="closed"),
}


@dataclass(slots=True, eq=False)
class Account:
    """One client of one login, and how often it was asked for and credited.

    There may be millions: money is in millionths, as whole numbers, which take a third of a Decimal's memory.
    """

    lane: "Lane"
    name: str
    opening_micros: int
    micros: int
    currency: str | None
    state: str
    arrivals: int = 0
    executions: int = 0

    @property
    def opening(self) -> Decimal:
        return from_micros(self.opening_micros)

    @property
    def balance(self) -> Decimal:
        return from_micros(self.micros)


@dataclass(slots=True)
class Wallet:
    opening: Decimal
    balance: Decimal


def to_micros(amount: Decimal) -> int:
    """Exact, since no amount here has more than MICRO_DECIMALS decimals."""
    return int(amount.scaleb(MICRO_DECIMALS, EXACT))


def from_micros(micros: int) -> Decimal:
    return Decimal(micros).scaleb(-MICRO_DECIMALS, EXACT)


def _rule(kind: str, account: str) -> str:
    if kind == "clicksend":
        return _CLICKSEND_RULE.get(account[-4:], "open")
    return next((state for state in ("unknown", "closed") if account.startswith(state)), "open")


class Lane(NamedTuple):
    """The clients of one login."""

    kind: str
    login: str
    accounts: dict[str, Account]


class Accounts:
    """Every client exists from the first time it is named, with an opening balance that its name decides."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._wallets: dict[tuple[str, str], Wallet] = {}
        self.named: list[Account] = []
        """Everyone, in the order in which they were first named."""
        self.repeated: list[Account] = []
        """Those that were asked for more than once."""

    def configure(self, settings: SandboxSettings, *, refill: bool) -> None:
        """Take over changed settings; what was credited stays. With `refill` every wallet is filled anew."""
        self._settings = settings
        for known in self.named:
            configured = self._configured(known.lane.kind, known.name)
            known.state = configured.state
            known.currency = configured.currency or settings.currency or known.currency
        if refill:
            self._wallets.clear()

    def account(self, kind: str, login: str, account: str) -> Account:
        """`account` in its canonical form."""
        lane = self._lanes.get((kind, login))
        if lane is None:
            lane = self._lanes[kind, login] = Lane(kind, login, {})
        return lane.accounts.get(account) or self._open(lane, account)

    def arrive(self, kind: str, login: str, account: str) -> int:
        """Count one more request for this client; returns how many there were."""
        known = self.account(kind, login, account)
        known.arrivals += 1
        if known.arrivals == 2:
            self.repeated.append(known)
        return known.arrivals

    def wallet(self, kind: str, login: str) -> Wallet:
        key = (kind, login)
        wallet = self._wallets.get(key)
        if wallet is None:
            wallet = self._wallets[key] = Wallet(self._settings.wallet, self._settings.wallet)
        return wallet

    def listed(self, kind: str, login: str) -> list[str]:
        """Every client of a login that a list would show, in numerical order."""
        names = set(self._settings.accounts or ()) | set(self._settings.listed)
        if (lane := self._lanes.get((kind, login))) is not None:
            names.update(lane.accounts)
        shown = (name for name in names if name.isascii() and name.isdecimal())
        return sorted((name for name in shown if self._configured(kind, name).state != "unknown"), key=int)

    def everyone(self) -> Iterator[tuple[tuple[str, str, str], Account]]:
        for account in self.named:
            yield (account.lane.kind, account.lane.login, account.name), account

    def wallets(self) -> Iterator[tuple[tuple[str, str], Wallet]]:
        yield from self._wallets.items()

    def _configured(self, kind: str, account: str) -> AccountSettings:
        if self._settings.accounts is None:
            return _BY_RULE[_rule(kind, account)]
        return self._settings.accounts.get(account) or _BY_RULE["unknown"]

    def _open(self, lane: Lane, name: str) -> Account:
        settings = self._settings
        configured = self._configured(lane.kind, name)
        if configured.opening is None:
            opening = _drawn_micros(
                lane.kind, int(mark_of(settings.seed, lane.kind, lane.login, name)[:12], 16)
            )
        else:
            opening = to_micros(configured.opening)
        account = Account(
            lane, name, opening, opening, configured.currency or settings.currency, configured.state
        )
        lane.accounts[name] = account
        self.named.append(account)
        return account


@lru_cache(_MARKS_REMEMBERED)
def mark_of(*parts: object) -> str:
    """32 hex digits that depend on `parts` alone: the source of the names and keys that an answer shows."""
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def _drawn_micros(kind: str, dice: int) -> int:
    if kind == "clicksend":
        return dice % 500_000_000
    return dice % 100_000 * _MICROS_OF_A_CENT
