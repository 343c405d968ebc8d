"""What is asked of the providers before anything is sent: credentials, own balance, and the clients."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from unicodedata import normalize

import anyio

from batchcredit import host
from batchcredit.engine.backoff import pause_s
from batchcredit.engine.lane import Lane
from batchcredit.engine.wire.base import Exchange
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import ClientBalance, RowKey
from batchcredit.providers.base import Answer, Balance, Client, Refusal, Request
from batchcredit.providers.cleaning import cleaned
from batchcredit.reader import Total
from batchcredit.transfer import shortest

T = TypeVar("T")

#: A probe that is told to slow down is repeated so often at the most: reading moves nothing.
PROBES_MOST = 10

#: So many pages of clients are read at the most.
PAGES_MOST = 10_000

#: So long the own balances may take that are read when all is sent.
AFTERWARDS_S = 5.0

#: So many clients are named in a message, and so much of each name.
SHOWN = 20
NAME_CHARS = 60


@dataclass(frozen=True, slots=True)
class Probed:
    """What one lane's own account said; `warning` is "" where all was well."""

    balance: Balance | None
    warning: str


async def own_balance(lane: Lane, needed: Mapping[str, Total]) -> Probed:
    """Probe credentials and own balance. Refused credentials, or too little in the same currency, refuse
    the batch; whatever else goes wrong is a warning, because the run can bear it."""
    found = await read_own_balance(lane)
    if found is None:
        return Probed(None, f"{lane.profile}: the provider can't tell credentials and own balance beforehand")
    if isinstance(found, Refusal):
        return Probed(None, _warning_or_refusal(lane, found))
    total = needed.get(found.currency)
    if not total or found.amount >= total.amount:
        return Probed(found, "")
    short = (
        f"{lane.profile}: the batch needs {shortest(total.amount)} {found.currency}, and there are only "
        f"{shortest(found.amount)}"
    )
    if lane.policy.wait_funds_s:
        return Probed(found, f"{short}; once they are spent it waits for a top-up")
    raise RefusedError(
        short,
        reason="wallet_empty",
        cure="top up the reseller's account, then run the same command again; or let it wait for that with "
        "--wait-funds 2h",
    )


async def read_own_balance(lane: Lane) -> Balance | Refusal | None:
    """The reseller's own balance; None where this provider can't be asked."""
    request = lane.provider.own_balance()
    return await asked(lane, request, lane.provider.read_own_balance) if request else None


def _warning_or_refusal(lane: Lane, refusal: Refusal, what: str = "own balance") -> str:
    if refusal.final:
        raise RefusedError(
            f"{lane.profile}: {refusal.message}",
            reason=refusal.reason,
            cure="correct the login and its secret in the settings: batchcredit providers test "
            + lane.profile,
        )
    return f"{lane.profile}: {what} could not be read: {refusal.message}"


async def asked(lane: Lane, request: Request, read: Callable[[Answer], T | Refusal]) -> T | Refusal:
    """What a provider answers to a request that moves nothing; it is asked until it no longer asks to slow
    down, within bounds."""
    for pauses in range(PROBES_MOST):
        await lane.pace.turn()
        await lane.pace.window()
        exchange = await lane.wire.exchange(request, lane.policy.timeout_s)
        if exchange.answer is None:
            return _not_answered(exchange, lane)
        if exchange.answer.status != 429:
            return read(exchange.answer)
        wait_s = pause_s(exchange.answer.headers, pauses, host.utc_now())
        if wait_s > lane.policy.max_pause_s:
            break
        await anyio.sleep(wait_s)
    return Refusal("rate_limited", "the provider asks to slow down for longer than max_pause")


def _not_answered(exchange: Exchange, lane: Lane) -> Refusal:
    detail = cleaned(exchange.detail, lane.provider.secrets)
    if exchange.untrusted:
        message = f"the server's certificate does not verify: {detail}"
        return Refusal("tls_untrusted", message, final=True)
    return Refusal(exchange.problem, detail)


async def all_clients(lane: Lane, pages_most: int = PAGES_MOST) -> list[Client] | Refusal:
    """The provider's whole list of clients, page by page. Asked only where there is one. A list of more pages
    than that is left after its first."""
    clients: list[Client] = []
    page, last = 1, 1
    while page <= last:
        request = lane.provider.clients(page)
        assert request is not None
        found = await asked(lane, request, lane.provider.read_clients)
        if isinstance(found, Refusal):
            return found
        if found.last_page > pages_most:
            return Refusal("not_readable", f"it has {found.last_page} pages, and that would take too long")
        clients += found.clients
        page, last = page + 1, found.last_page
    return clients


class ClientCheck:
    """Compares rows with what the provider knows of its clients: existence, ban, currency, name."""

    def __init__(self, lane: Lane, *, allow_currency_mismatch: bool) -> None:
        self._lane = lane
        self._allow_currency_mismatch = allow_currency_mismatch
        self._clients: dict[str, Client] = {}
        self._faults: list[str] = []
        self._count = 0

    @property
    def offered(self) -> bool:
        return self._lane.provider.clients(1) is not None

    async def read(self, pages_most: int = PAGES_MOST) -> str:
        """Read the whole list; a warning where it could not be read, or has more than `pages_most` pages,
        else ""."""
        found = await all_clients(self._lane, pages_most)
        if isinstance(found, Refusal):
            return _warning_or_refusal(self._lane, found, "the list of clients")
        self._clients = {self._lane.provider.account_key(client.account): client for client in found}
        return ""

    def balances(self, keys: Iterable[RowKey]) -> list[ClientBalance]:
        """What the clients of these rows have, as far as the list told."""
        now_ms, lane = host.now_ms(), self._lane.record.id
        found = ((key, self._clients.get(key)) for key in {key.account_key for key in keys})
        return [
            ClientBalance(lane, key, now_ms, client.balance, client.currency)
            for key, client in found
            if client and client.balance is not None
        ]

    def check(self, keys: Iterable[RowKey]) -> None:
        """Refuse the batch if a client of these rows is unknown, banned, or has another currency or name."""
        for key in keys:
            fault = self._fault(self._clients.get(key.account_key), key)
            if fault:
                self._count += 1
                if len(self._faults) < SHOWN:
                    self._faults.append(f"  row {key.row}: client {key.account_key} {fault}")
        if self._count:
            more = f"\n  ... and {self._count - SHOWN} more" if self._count > SHOWN else ""
            raise RefusedError(
                f"{self._lane.profile}: {self._count} rows would not be credited as they stand:\n"
                + "\n".join(self._faults)
                + more,
                reason="clients",
                cure="correct these rows: where names differ, look up whether account or account_name is "
                "wrong; currencies alone can be allowed with --allow-currency-mismatch",
            )

    def _fault(self, client: Client | None, key: RowKey) -> str:
        if client is None:
            return "is unknown to the provider"
        if client.banned:
            return "is banned"
        if client.currency and client.currency != key.currency and not self._allow_currency_mismatch:
            return f"has an account in {client.currency}, not {key.currency}"
        if client.name and key.account_name and not _is_same(client.name, key.account_name):
            theirs, ours = (repr(name[:NAME_CHARS]) for name in (self._told(client), key.account_name))
            return f"is {theirs} to the provider, and {ours} in the file"
        return ""

    def _told(self, client: Client) -> str:
        """Its name, unless a server plays our secrets back to us."""
        hidden = any(secret in client.name for secret in self._lane.provider.secrets)
        return "***" if hidden else client.name


def _is_same(theirs: str, ours: str) -> bool:
    """Whether this is one name, also where our own list kept a spreadsheet from computing it."""
    return _plain(ours) in (_plain(theirs), _plain(f"'{theirs}"))


def _plain(name: str) -> str:
    """Case, forms of letters and spaces do not count."""
    return " ".join(normalize("NFKC", name).casefold().split())


async def probe_all(
    lanes: Sequence[Lane], needed: Mapping[str, Mapping[str, Total]], warn: Callable[[str], None]
) -> dict[str, Balance]:
    """Own balances by profile, where they can be read."""
    balances = {}
    for lane in lanes:
        probed = await own_balance(lane, needed.get(lane.profile, {}))
        if probed.warning:
            warn(probed.warning)
        if probed.balance:
            balances[lane.profile] = probed.balance
    return balances


async def read_again(lanes: Sequence[Lane], warn: Callable[[str], None]) -> dict[str, Balance]:
    """Own balances by profile once all is sent, as far as the providers tell: that changes nothing."""
    balances: dict[str, Balance] = {}

    async def read(lane: Lane) -> None:
        found = await read_own_balance(lane)
        if isinstance(found, Balance):
            balances[lane.profile] = found

    with anyio.move_on_after(AFTERWARDS_S):
        async with anyio.create_task_group() as tasks:
            for lane in lanes:
                tasks.start_soon(read, lane)
    for lane in lanes:
        if lane.profile not in balances:
            warn(f"{lane.profile}: own balance after the run could not be read")
    return balances
