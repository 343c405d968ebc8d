"""The promise of a provider adapter.

An adapter translates and does no I/O: a transfer to a request, an answer to a judgement. Its request and
answer types are ours, so that neither an adapter nor its tests depend on an HTTP library.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, NamedTuple

from pydantic import BaseModel

from batchcredit.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out. `path` is appended to the profile's base_url. It holds secrets: its repr does not."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case. The body may hold secrets: its repr does not."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Ruling(StrEnum):
    """What an answer says about one transfer."""

    CREDITED = "credited"
    REJECTED = "rejected"  # not executed; concerns this row
    LANE_REFUSED = "lane_refused"  # not executed; concerns every row of the lane, which halts
    DOUBTFUL = "doubtful"  # may have been executed


class Judgement(NamedTuple):
    """An adapter's reading of an answer. `halts`: no answer of this lane can be trusted any more."""

    ruling: Ruling
    reason: str = ""
    provider_code: str = ""
    message: str = ""
    units: Decimal | None = None
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None
    halts: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What a row must fulfil before it is sent, declared so that a reader can check whole columns."""

    account: str  # a regular expression that matches the whole cell (Rust syntax, as polars reads it)
    account_cure: str  # what a right account looks like, for the person who mends the file
    decimals: int  # digits after the point that the provider takes
    currencies: frozenset[str] | None = None  # None: any ISO 4217 code
    default_currency: str = ""  # taken where the cell is empty; "": the cell is needed
    columns: Mapping[str, str] = field(default_factory=dict)  # the provider's own column names -> ours


@dataclass(frozen=True, slots=True)
class Balance:
    """An exact balance; `currency` is empty where the provider counts in units of its own."""

    amount: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """What a provider tells of one client account. `name` is a person's or a firm's: it is compared and
    shown, and kept nowhere."""

    account: str
    balance: Decimal | None = None
    currency: str = ""
    banned: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class ClientPage:
    """One page of the reseller's clients; pages count from 1."""

    clients: tuple[Client, ...]
    last_page: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A probe was refused, or its answer can not be read. `final`: credentials or account are refused."""

    reason: str
    message: str
    final: bool = False


class Provider(ABC):
    """One login at one provider. Built from a profile's settings; holds no connection and no state.

    A subclass sets the class variables, takes `(base_url, settings)`, and is found by the entry point group
    `batchcredit.providers`. Every method is pure and must not raise on any bytes that a server may send.
    """

    kind: ClassVar[str]
    settings: ClassVar[type[BaseModel]]  # the profile's own keys; secrets as SecretStr
    rules: ClassVar[Rules]
    default_base_url: ClassVar[str] = ""
    default_rate: ClassVar[str] = "5/s"
    default_concurrency: ClassVar[int] = 8
    where_to_look: ClassVar[str] = "the provider's own records"  # where a person sees what was executed
    taking_back: ClassVar[str] = (
        "ask the provider's support"  # who takes credit back from a client, and where
    )
    counts_units: ClassVar[bool] = False  # clients' balances are in units, of which money buys some at a rate
    balances_kept_in: ClassVar[str] = ""  # clients' balances in other currencies move with exchange rates
    lowers_ascii: ClassVar[bool] = False  # an account in ASCII has its lower case as key: columns fold whole

    @abstractmethod
    def __init__(self, base_url: str, settings: BaseModel) -> None:
        """Raises RefusedError with reason "settings" where a setting, such as its secret, is missing."""

    @property
    @abstractmethod
    def login(self) -> str:
        """The username or partner id: with kind and base_url it identifies the lane. Not a secret."""

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """Every secret text of this profile, in each form in which it goes over the wire."""

    @abstractmethod
    def transfer(self, transfer: Transfer) -> Request:
        """The request that credits this transfer once."""

    @abstractmethod
    def judge(self, transfer: Transfer, answer: Answer) -> Judgement:
        """What a whole answer says, status neither 429 nor 3xx, 408, 5xx: those are ruled by the engine."""

    @classmethod
    def account_key(cls, account: str) -> str:
        """The form in which two spellings of one account are equal. What is sent is the cell as it stands."""
        return account

    def own_balance(self) -> Request | None:
        """A request that reads the reseller's own balance and moves nothing, or None if there is none."""
        return None

    def read_own_balance(self, answer: Answer) -> Balance | Refusal:
        """The reseller's balance from that answer."""
        raise NotImplementedError(f"{self.kind} has no own_balance")

    def client(self, account: str) -> Request | None:
        """A request that reads one client, or None if there is none."""
        return None

    def read_client(self, answer: Answer) -> Client | Refusal:
        """The client from that answer."""
        raise NotImplementedError(f"{self.kind} has no client")

    def clients(self, page: int) -> Request | None:
        """A request that lists the clients of page 1, 2, ..., or None if there is none."""
        return None

    def read_clients(self, answer: Answer) -> ClientPage | Refusal:
        """One page of clients from that answer."""
        raise NotImplementedError(f"{self.kind} has no clients")
