"""What can be asked of one profile without moving money: whether it answers, and who its clients are."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from batchcredit.engine.lane import Lane
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import LaneRecord
from batchcredit.providers.base import Balance, Refusal
from batchcredit.runner.outgoing import lanes, preflight
from batchcredit.settings import Settings
from batchcredit.writer import write_clients


@dataclass(frozen=True, slots=True)
class Tested:
    """What a probe found: `balance` where it can be read, else `note` says why not."""

    profile: str
    login: str
    base_url: str
    balance: Balance | None
    note: str


async def test(name: str, settings: Settings) -> Tested:
    """Probe one profile's credentials and own balance; moves no money."""
    profile = settings.profile(name)
    async with _opened(name, settings) as lane:
        found = await preflight.read_own_balance(lane)
    if isinstance(found, Refusal):
        raise _refused(name, found)
    note = "" if found else "this provider can't be asked without moving money"
    return Tested(name, profile.login, profile.base_url, found, note)


@dataclass(frozen=True, slots=True)
class Listed:
    """Where a list of clients was written, how many are in it, and how many banned ones are not."""

    path: Path
    clients: int
    banned: int


async def clients(name: str, path: Path, settings: Settings) -> Listed:
    """Write the provider's clients to a file that is a batch once amounts are filled in; moves no money."""
    async with _opened(name, settings) as lane:
        if lane.provider.clients(1) is None:
            raise RefusedError(
                f"{name}: this provider has no list of clients",
                reason="no_client_list",
                cure="write the file by hand: provider, account, amount, currency",
            )
        found = await preflight.all_clients(lane)
    if isinstance(found, Refusal):
        raise _refused(name, found)
    good = [client for client in found if not client.banned]
    return Listed(write_clients(name, good, path), len(good), len(found) - len(good))


@asynccontextmanager
async def _opened(name: str, settings: Settings) -> AsyncIterator[Lane]:
    record = LaneRecord(0, settings.profile(name).lane, proven=False, last_sent_ms=None, paused_until_ms=None)
    opened = lanes.opened({name: record}, settings.profiles, settings, random.SystemRandom())
    try:
        yield opened[0]
    finally:
        await lanes.close_all(opened)


def _refused(name: str, found: Refusal) -> RefusedError:
    return RefusedError(
        f"{name}: {found.message}", reason=found.reason, cure=f"mend [providers.{name}] in the settings"
    )
