"""A batch in front of the providers: lanes, preflight, plan, question, and then the sending."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LaneRecord, Ledger, LedgerReader, RowKey
from batchcredit.providers.base import Balance
from batchcredit.reader import Total
from batchcredit.runner import lanes, preflight
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.comparison import Needed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.plan import LanePlan, LedgerNote, Plan, seconds_needed
from batchcredit.runner.sending import Sending, one_error
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.sandbox.process import sandbox_process
from batchcredit.settings import Profile, Settings, with_sandbox
from batchcredit.writer import claim_path, release_path, write_results


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent. `enrol` makes or changes the batch once a person has agreed; `keys` are its rows."""

    name: str
    batch: BatchRecord | None
    input_path: Path | None
    results: Path
    needed: Needed
    warnings: tuple[str, ...]
    keys: Callable[[Mapping[str, int]], Iterator[RowKey]]
    enrol: Callable[[Mapping[str, int]], BatchRecord]


@dataclass(slots=True)
class Dispatch:
    """One command's way through the providers. `known` are the configured profiles by name."""

    ledger: Ledger
    settings: Settings
    how: SendOptions
    attendant: Attendant
    known: Mapping[str, Profile]
    live: bool

    async def send(self, order: Order) -> Summary:
        """Ask, send what is left, and write the results. Refused or not agreed to: nothing is kept."""
        claim_path(order.results, order.input_path, order.name, order.batch, self.ledger)
        async with AsyncExitStack() as stack:
            try:
                records = self._accepted(order)
                opened = await self._opened(records, stack)
                await self._agreed(order, records, opened)
            except BaseException:
                release_path(order.results, self.ledger)
                raise
            batch = order.enrol({name: record.id for name, record in records.items()})
            return await self._send(batch, opened, order.results)

    def _accepted(self, order: Order) -> dict[str, LaneRecord]:
        kept = self.ledger.batch_lanes(order.batch.id) if order.batch else []
        ways = lanes.ways(list(order.needed), self.known, self.ledger, kept, self.how)
        return lanes.accepted(ways, self.ledger, self.how, self.attendant, self.settings, live=self.live)

    async def _opened(self, records: Mapping[str, LaneRecord], stack: AsyncExitStack) -> list[Lane]:
        known = self.known
        if self.how.sandbox:
            address = stack.enter_context(sandbox_process())
            known = {name: with_sandbox(known[name], address.base_url(known[name].kind)) for name in records}
        opened = lanes.opened(records, known, self.settings, random.SystemRandom())
        stack.push_async_callback(lanes.close_all, opened)
        return opened

    async def _agreed(self, order: Order, records: Mapping[str, LaneRecord], opened: Sequence[Lane]) -> None:
        balances = await self._preflight(order, records, opened)
        plan = self._plan(order, records, balances)
        for lane in opened:
            lane.rows = sum(total.rows for total in order.needed[lane.profile].values())
        self.attendant.show_plan(plan)
        if not self.how.yes and not self.attendant.approve(plan):
            raise RefusedError("not agreed to: nothing was sent, and nothing is kept", reason="not_approved")

    async def _preflight(
        self, order: Order, records: Mapping[str, LaneRecord], opened: Sequence[Lane]
    ) -> dict[str, Balance]:
        if self.how.skip_preflight:
            return {}
        balances = await preflight.probe_all(opened, order.needed, self.attendant.warn)
        if self.how.online:
            ids = {name: record.id for name, record in records.items()}
            for lane in opened:
                await self._check_clients(lane, order, ids)
        return balances

    async def _check_clients(self, lane: Lane, order: Order, ids: Mapping[str, int]) -> None:
        check = preflight.ClientCheck(lane, allow_currency_mismatch=self.how.allow_currency_mismatch)
        if not check.offered:
            self.attendant.warn(f"{lane.profile}: the provider has no list of clients to check against")
            return
        self.attendant.note(f"{lane.profile}: reading the list of clients ...")
        warning = await check.read()
        if warning:
            self.attendant.warn(warning)
            return
        check.check(key for key in order.keys(ids) if key.lane == lane.record.id)

    def _plan(self, order: Order, records: Mapping[str, LaneRecord], balances: Mapping[str, Balance]) -> Plan:
        return Plan(
            mode="SANDBOX" if self.how.sandbox else "LIVE" if self.live else "TEST",
            batch=order.name,
            resumed=order.batch is not None,
            lanes=tuple(
                lane_plan(self.known[name], totals, balances.get(name))
                for name, totals in order.needed.items()
            ),
            ledger=ledger_note(self.ledger),
            settings=self.settings.source,
            results=order.results,
            warnings=order.warnings,
        )

    async def _send(self, batch: BatchRecord, opened: Sequence[Lane], results: Path) -> Summary:
        now_ms = host.now_ms()
        approved_ms = now_ms if self.how.allow_repeat else 0
        skip_since_ms = now_ms - self.settings.repeat_window_ms if self.how.skip_repeats else None
        run = self.ledger.begin_run(batch.id, approved_ms, skip_since_ms, rejected=self.how.rejected)
        self.ledger.guard(batch.id, self.settings.caps, self.settings.repeat_window_ms)
        started = time.monotonic()
        with one_error():
            reason = await Sending(self.ledger, batch, opened, self.how, self.attendant).run(live=self.live)
        speed = Speed.of(opened, time.monotonic() - started)
        self.ledger.end_run(run, batch.id, reason)
        return finish(self.ledger, batch, results, speed, self.how)


def finish(
    ledger: LedgerReader, batch: BatchRecord, results: Path, speed: Speed, how: SendOptions
) -> Summary:
    """Write the results file and sum up."""
    written = write_results(ledger, batch, results)
    return summarise(ledger, batch, written, speed, how.again)


def lane_plan(profile: Profile, totals: Mapping[str, Total], balance: Balance | None) -> LanePlan:
    """What goes through one profile, and how long it takes there."""
    rows = sum(total.rows for total in totals.values())
    return LanePlan(profile.name, profile.lane, totals, balance, seconds_needed(rows, profile))


def ledger_note(ledger: LedgerReader) -> LedgerNote:
    """Which ledger this is, for a person to recognise."""
    batches = ledger.batches()
    return LedgerNote(ledger.url, ledger.id, len(batches), batches[0].name if batches else "")
