"""The balances of some clients, read now: with as few requests as it takes, at the lane's own pace."""

from collections.abc import Sequence
from itertools import count

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.ledger.base import SentRow
from batchcredit.providers.base import Client, Refusal
from batchcredit.reconcile.chain import Look
from batchcredit.runner.outgoing.preflight import PAGES_MOST, asked

#: So few clients are asked one by one, without a look at how long the list is.
_FEW = 2

_SOURCE = "the client's balance, read now"


async def look(lane: Lane, rows: Sequence[SentRow]) -> dict[str, Look] | Refusal | None:
    """The balances of the clients of these rows by account key, as far as the provider tells; a Refusal where
    it does not answer at all, None where it can't be asked."""
    accounts = {row.account_key: row.account for row in rows}
    if len(accounts) > _FEW and lane.provider.clients(1):
        found = await _listed(lane, set(accounts))
        if found is not None:
            return found
    if lane.provider.client(next(iter(accounts.values()))) is None:
        return None
    return await _one_by_one(lane, accounts)


async def _listed(lane: Lane, keys: set[str]) -> dict[str, Look] | Refusal | None:
    """Page by page; None where the list is longer than it takes to ask for each."""
    found: dict[str, Look] = {}
    for number in count(1):
        request = lane.provider.clients(number)
        assert request is not None
        asked_ms = host.now_ms()
        page = await asked(lane, request, lane.provider.read_clients)
        if isinstance(page, Refusal):
            return page
        found |= _looks(lane, page.clients, asked_ms, keys)
        if number >= min(page.last_page, PAGES_MOST) or len(found) == len(keys):
            return found
        if page.last_page - 1 > len(keys) and lane.provider.client(""):
            return None
    raise AssertionError("pages end")


async def _one_by_one(lane: Lane, accounts: dict[str, str]) -> dict[str, Look] | Refusal:
    found: dict[str, Look] = {}
    for account in accounts.values():
        request = lane.provider.client(account)
        assert request is not None
        asked_ms = host.now_ms()
        client = await asked(lane, request, lane.provider.read_client)
        if isinstance(client, Client):
            found |= _looks(lane, [client], asked_ms, set(accounts))
        elif client.reason != "unknown_account":
            return client
    return found


def _looks(lane: Lane, clients: Sequence[Client], asked_ms: int, keys: set[str]) -> dict[str, Look]:
    looks = {}
    for client in clients:
        key = lane.provider.account_key(client.account)
        if key in keys and client.balance is not None:
            looks[key] = Look(asked_ms, host.now_ms(), client.balance, client.currency, _SOURCE)
    return looks
