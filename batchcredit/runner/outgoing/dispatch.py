"""A batch in front of the providers: lanes, preflight, plan, question, and then the sending."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger.base import BatchRecord, LaneRecord, Ledger, LedgerReader
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing import lanes, preflight
from batchcredit.runner.outgoing.desk import Desk, Keys, Needed, Probes, ledger_note, own_balances
from batchcredit.runner.outgoing.fleet import Rest
from batchcredit.runner.outgoing.lists import with_to_fix
from batchcredit.runner.outgoing.made_with import made_with
from batchcredit.runner.outgoing.sending import Sending, Stop, one_error
from batchcredit.runner.picked import Picked
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.writer import Vetted, claim_path, refuse_rows, release_path, write_results


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent. `waiting` are the profiles with rows that are open elsewhere: they are not sent
    now, but told why. `enrol` makes or changes the batch once a person has agreed. `only`: the rows that may
    go, where others stay. `vetted`: a file that was read before, whose place the results may take. `former`:
    the ledger from which the batch is adopted."""

    name: str
    batch: BatchRecord | None
    input_path: Path | None
    results: Path
    needed: Needed
    waiting: frozenset[str]
    warnings: tuple[str, ...]
    keys: Keys
    enrol: Callable[[Mapping[str, int]], BatchRecord]
    only: Picked | None = None
    vetted: Vetted | None = None
    former: str = ""

    def rows(self, profile: str) -> int:
        """How many rows are to be sent through a profile."""
        return sum(total.rows for total in self.needed[profile].values())


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One command's way through the providers, with the ledger held."""

    desk: Desk
    ledger: Ledger

    async def send(self, order: Order) -> Summary:
        """Ask, send what is left, and write the results. Refused or not agreed to: nothing is kept."""
        if self.desk.checked:
            self.desk.checked.refuse_more(order.needed)
        place = (order.results, order.input_path, order.name, order.batch, self.ledger)
        claim(self.desk.how, *place, vetted=order.vetted, former=order.former)
        async with AsyncExitStack() as stack:
            try:
                records = self._accepted(order)
                busy = {name: records[name] for name in records if order.rows(name) or name in order.waiting}
                opened = await self.desk.opened(busy, stack, self.ledger)
                probes = await self._agreed(order, opened)
            except BaseException:
                if not self.desk.how.is_passed:
                    release_path(order.results, self.ledger)
                raise
            stop = Stop(self.desk.attendant.warn, self.ledger.hurry)
            with self.desk.how.on_stop(stop):  # from here on the end is written down, whatever comes
                batch = order.enrol({name: record.id for name, record in records.items()})
                self.desk.how.watch(batch.name)
                summary = await self._send(batch, opened, probes, order, stop)
                return replace(summary, warnings=order.warnings)

    def _accepted(self, order: Order) -> dict[str, LaneRecord]:
        desk = self.desk
        kept = self.ledger.batch_lanes(order.batch.id) if order.batch else []
        ways = lanes.ways(list(order.needed), desk.known, self.ledger, kept, desk.how)
        if desk.live:
            lanes.confirm_new(ways, desk.how, desk.attendant, desk.settings)
        return {name: way.lane or self.ledger.accept_lane(way.profile.lane) for name, way in ways.items()}

    async def _agreed(self, order: Order, opened: Sequence[Lane]) -> Probes:
        probes = await self.desk.probed(opened, order.needed, order.keys)
        for lane in opened:
            lane.rows = order.rows(lane.profile)
            lane.amounts = {currency: total.amount for currency, total in order.needed[lane.profile].items()}
        note, resumed = ledger_note(self.ledger), order.batch is not None
        results = Path("stdout") if self.desk.how.is_passed else order.results
        plan = self.desk.plan(
            order.name, order.needed, probes.balances, note, results, order.warnings, resumed=resumed
        )
        self.desk.attendant.show_plan(plan)
        if plan.rows and not self.desk.how.yes and not self.desk.attendant.approve(plan):
            raise RefusedError("not agreed to: nothing was sent, and nothing is kept", reason="not_approved")
        return probes

    def _approval(self) -> str:
        """How a person agreed to this run."""
        how = self.desk.how.approval if self.desk.how.yes else "asked and agreed"
        return f"{how}; plan {self.desk.checked}" if self.desk.checked else how

    async def _send(
        self, batch: BatchRecord, opened: Sequence[Lane], probes: Probes, order: Order, stop: Stop
    ) -> Summary:
        how, settings, now_ms = self.desk.how, self.desk.settings, host.now_ms()
        approved_ms = now_ms if how.allow_repeat else 0
        skip_since_ms = now_ms - settings.repeat_window_ms if how.skip_repeats else None
        run = self.ledger.begin_run(
            *(batch.id, approved_ms, skip_since_ms),
            rejected=how.rejected,
            only=order.only,
            approval=self._approval(),
            settings=made_with(self.desk, opened).as_text(),
        )
        self.ledger.note_own_balances(batch.id, probes.own)
        self.ledger.note_snapshot(batch.id, probes.clients)
        self.ledger.away_most_s = settings.outage_wait_s
        self.ledger.guard(batch.id, settings.caps, settings.repeat_window_ms)
        rest = Rest(self.desk, self.ledger, batch, run, lambda: stop.asked)
        others = partial(how.fleet.send, rest) if how.fleet else None
        sending = Sending(self.ledger, batch, opened, how, self.desk.attendant, stop, others)
        with one_error():
            reason = await sending.run(live=self.desk.live)
        speed = Speed.of(opened, sending.seconds)
        self.ledger.end_run(run, batch.id, reason)
        await self._read_again(batch, [lane for lane in opened if lane.profile in probes.balances], stop)
        return finish(self.ledger, batch, order.results, speed, self.desk, order.vetted)

    async def _read_again(self, batch: BatchRecord, asked: Sequence[Lane], stop: Stop) -> None:
        """Keep what the own accounts have now. A second signal ends it, or was there before."""
        if stop.scope.cancel_called:
            return
        stop.scope = anyio.CancelScope()
        with stop.scope:
            balances = await preflight.read_again(asked, self.desk.attendant.warn)
            self.ledger.note_own_balances(batch.id, own_balances(asked, balances, "after"))


def claim(
    how: SendOptions,
    path: Path,
    input_path: Path | None,
    batch_name: str,
    batch: BatchRecord | None,
    ledger: LedgerReader,
    *,
    vetted: Vetted | None = None,
    former: str = "",
) -> None:
    """Make `path` the place of a batch's results (`claim_path`); what goes on to somebody else has none."""
    if not how.is_passed:
        claim_path(path, input_path, batch_name, batch, ledger, vetted=vetted, former=former)
    elif how.out and batch:
        refuse_rows(how.out, batch.rows)


def finish(
    ledger: LedgerReader,
    batch: BatchRecord,
    results: Path,
    speed: Speed,
    desk: Desk,
    vetted: Vetted | None = None,
) -> Summary:
    """Write the results file and sum up. From then on the outcome stands."""
    if desk.how.is_passed:
        summary = passed(ledger, batch, desk.how, speed)
    else:
        summary = _finished(ledger, batch, results, speed, desk, vetted)
    host.deafen()
    return summary


def passed(ledger: LedgerReader, batch: BatchRecord, how: SendOptions, speed: Speed) -> Summary:
    """Write the results where they go on to somebody else, and no list beside them."""
    assert how.out is not None
    write_results(ledger, batch, how.out)
    return summarise(ledger, batch, None, speed, how.again)


def _finished(
    ledger: LedgerReader,
    batch: BatchRecord,
    results: Path,
    speed: Speed,
    desk: Desk,
    vetted: Vetted | None,
) -> Summary:
    tell = partial(desk.attendant.step, f"writing {results.name}", of=batch.rows)
    written = write_results(ledger, batch, results, tell, vetted)
    desk.attendant.progress_ends()
    if written != results:
        desk.attendant.warn(f"{results} is held open by another program; the results are in {written}")
    summary = summarise(ledger, batch, written, speed, desk.how.again)
    try:
        return with_to_fix(ledger, batch, summary, desk.known, desk.how)
    except StorageError as error:
        desk.attendant.warn(f"the list of rows to fix could not be written: {error}")
        return summary
