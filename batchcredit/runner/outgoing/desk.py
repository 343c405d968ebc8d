"""What a command that faces providers has at hand: settings, profiles, a person, a way to open lanes."""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.ledger.base import ClientBalance, LaneRecord, Ledger, LedgerReader, OwnBalance, RowKey
from batchcredit.providers.base import Balance
from batchcredit.reader import Total
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing import lanes, preflight
from batchcredit.runner.plan import LanePlan, LedgerNote, Plan, seconds_needed
from batchcredit.runner.plan_file import PlanFile
from batchcredit.sandbox.process import sandbox_process
from batchcredit.settings import Profile, Settings, with_sandbox

#: Where other programs find a proxy; here one is set by the profile that needs it, or not at all.
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")

#: Rows and amount by profile and currency.
Needed = Mapping[str, Mapping[str, Total]]

#: The rows at hand, given the lane of each profile.
Keys = Callable[[Mapping[str, int]], Iterator[RowKey]]


class Probes(NamedTuple):
    """What the providers told before anything was sent: own balances by profile, the same to be kept, and
    with --snapshot those of the batch's clients."""

    balances: Mapping[str, Balance]
    own: list[OwnBalance]
    clients: list[ClientBalance]


@dataclass(frozen=True, slots=True)
class Desk:
    """What every command has at hand. `known` are the profiles by name, `live` whether they move money,
    `checked` the plan that the run has to keep to."""

    settings: Settings
    how: SendOptions
    attendant: Attendant
    known: Mapping[str, Profile]
    live: bool
    checked: PlanFile | None = None

    @property
    def mode(self) -> str:
        """SANDBOX, LIVE or TEST."""
        return "SANDBOX" if self.how.sandbox else "LIVE" if self.live else "TEST"

    async def opened(
        self, records: Mapping[str, LaneRecord], stack: AsyncExitStack, ledger: Ledger | None = None
    ) -> list[Lane]:
        """Lanes ready to send until `stack` closes, with the pace that `ledger` shares if it does; in a
        rehearsal they lead to a sandbox started for it."""
        known = self.known
        if self.how.sandbox:
            address = stack.enter_context(sandbox_process())
            known = {name: with_sandbox(known[name], address.base_url(known[name].kind)) for name in records}
        self._tell_of_proxies()
        dice, wait_s = random.SystemRandom(), self.how.wait_funds_s
        opened = lanes.opened(records, known, self.settings, dice, wait_s, ledger)
        stack.push_async_callback(lanes.close_all, opened)
        return opened

    def _tell_of_proxies(self) -> None:
        ignored = [name for name in PROXY_VARIABLES if os.environ.get(name)]
        if ignored and self.live:
            self.attendant.note(
                f"{', '.join(ignored)} of the environment is not used; a profile can set proxy"
            )

    async def probed(self, opened: Sequence[Lane], needed: Needed, keys: Keys) -> Probes:
        """Own balances by profile; a lane or client that can't be right refuses the batch."""
        if self.how.skip_preflight:
            return Probes({}, [], [])
        self.attendant.step("asking the providers for the own balance")
        balances = await preflight.probe_all(opened, needed, self.attendant.warn)
        ids = {lane.profile: lane.record.id for lane in opened}
        clients: list[ClientBalance] = []
        for lane in opened if self.how.online or self.how.snapshot else ():
            check = preflight.ClientCheck(lane, allow_currency_mismatch=self.how.allow_currency_mismatch)
            mine = partial(self._keys_of, lane, keys, ids)
            if await self._read_clients(check, lane, needed.get(lane.profile, {}), mine()):
                if self.how.online:
                    check.check(mine())
                if self.how.snapshot:
                    clients += check.balances(mine())
        return Probes(balances, own_balances(opened, balances, "before"), clients)

    def _keys_of(self, lane: Lane, keys: Keys, ids: Mapping[str, int]) -> Iterator[RowKey]:
        return (key for key in keys(ids) if key.lane == lane.record.id)

    async def _read_clients(
        self,
        check: preflight.ClientCheck,
        lane: Lane,
        needed: Mapping[str, Total],
        keys: Iterator[RowKey],
    ) -> bool:
        """Whether the list of clients was read. For a snapshot alone it may take a tenth of the run."""
        if not check.offered:
            named = any(key.account_name for key in keys)
            names = "; account_name could not be compared" if named else ""
            self.attendant.warn(f"{lane.profile}: the provider has no list of clients to look at{names}")
            return False
        self.attendant.note(f"{lane.profile}: reading the list of clients ...")
        rows = sum(total.rows for total in needed.values())
        warning = await check.read(preflight.PAGES_MOST if self.how.online else max(1, rows // 10))
        if warning:
            self.attendant.warn(warning)
        return not warning

    def plan(
        self,
        name: str,
        needed: Needed,
        balances: Mapping[str, Balance],
        ledger: LedgerNote,
        results: Path,
        warnings: tuple[str, ...],
        *,
        resumed: bool,
    ) -> Plan:
        """What would happen now."""
        return Plan(
            mode=self.mode,
            batch=name,
            resumed=resumed,
            lanes=tuple(self._lane_plan(profile, needed, balances) for profile in needed),
            ledger=ledger,
            settings=self.settings.source,
            results=results,
            warnings=warnings,
            checked=str(self.checked) if self.checked else "",
        )

    def _lane_plan(self, name: str, needed: Needed, balances: Mapping[str, Balance]) -> LanePlan:
        rows = sum(total.rows for total in needed[name].values())
        profile = self.known[name]
        return LanePlan(name, profile.lane, needed[name], balances.get(name), seconds_needed(rows, profile))


def ledger_note(ledger: LedgerReader) -> LedgerNote:
    """Which ledger this is, for a person to recognise."""
    batches = ledger.batches()
    return LedgerNote(ledger.url, ledger.id, len(batches), batches[0].name if batches else "")


def own_balances(opened: Sequence[Lane], balances: Mapping[str, Balance], moment: str) -> list[OwnBalance]:
    """What the own accounts have now, as a ledger keeps it."""
    now_ms = host.now_ms()
    told = [(lane.record.id, balances[lane.profile]) for lane in opened if lane.profile in balances]
    return [OwnBalance(lane, moment, now_ms, own.amount, own.currency) for lane, own in told]
