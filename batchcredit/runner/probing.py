"""providers: which adapters and profiles there are, and whether one of them answers."""

import random
from dataclasses import dataclass

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import LaneRecord
from batchcredit.providers.base import Balance, Refusal
from batchcredit.runner import lanes, preflight
from batchcredit.settings import Settings


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
    record = LaneRecord(0, profile.lane, proven=False, last_sent_ms=None, paused_until_ms=None)
    opened = lanes.opened({name: record}, settings.profiles, settings, random.SystemRandom())
    try:
        found = await preflight.read_own_balance(opened[0])
    finally:
        await lanes.close_all(opened)
    if isinstance(found, Refusal):
        raise RefusedError(
            f"{name}: {found.message}", reason=found.reason, cure=f"mend [providers.{name}] in the settings"
        )
    note = "" if found else "this provider can't be asked without moving money"
    return Tested(name, profile.login, profile.base_url, found, note)
