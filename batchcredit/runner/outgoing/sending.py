"""The rows of one batch on their way: first rows, the rest, signals, and what is written down at the end."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

import anyio
from anyio.abc import TaskGroup

from batchcredit import host
from batchcredit.engine.delivery import Listener
from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import now
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget, Job
from batchcredit.errors import BatchcreditError
from batchcredit.ledger.base import BatchRecord, Ledger, RowKey
from batchcredit.ledger.journal import Journal, open_journal
from batchcredit.providers.base import Client
from batchcredit.runner.attendant import Attendant, Trial
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing.funds import FundsWatch
from batchcredit.runner.outgoing.lanes import through
from batchcredit.runner.outgoing.tidings import TidingsWatch
from batchcredit.transfer import MOVES, STATUS, State, Transfer

#: A person sees progress so often.
TICK_S = 0.25

#: Balances are shown with more decimals than they are kept with, so a sum may be off by this much.
TOLERANCE = Decimal("0.01")

#: So many rows are looked at for one that nothing holds up.
LOOKED_AT = 100


@dataclass(slots=True)
class Stop:
    """Signals: the first ends the taking of rows, the second ends everything at once.

    `hurry` tells the ledger that somebody waits.
    """

    say: Callable[[str], None]
    hurry: Callable[[], None]
    asked: bool = False
    pipeline: Pipeline | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def __call__(self) -> None:
        if self.asked:
            self.say("stopped at once: what was in flight is in doubt")
            self.scope.cancel()
        else:
            self.say(
                "stopping: what is in flight is heard out; once more stops at once and leaves it in doubt"
            )
        self.hurry()
        self._end()

    def because(self, why: str) -> None:
        """Take no more rows, without a signal."""
        self.say(f"{why}: what is in flight is heard out")
        self._end()

    def _end(self) -> None:
        self.asked = True
        if self.pipeline:
            self.pipeline.stop()


class Sending:
    """Sends what is left of a batch through open lanes, and says why rows were held back, if they were.

    `others` send the rest, after the first rows, where it is not this process."""

    def __init__(
        self,
        ledger: Ledger,
        batch: BatchRecord,
        lanes: Sequence[Lane],
        how: SendOptions,
        attendant: Attendant,
        stop: Stop,
        others: Callable[[Sequence[Lane]], Awaitable[str]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._batch = batch
        self._lanes = lanes
        self._how = how
        self._attendant = attendant
        self._stop = stop
        self._others = others
        self.seconds = 0.0  # spent sending, without the time in which somebody was asked

    async def run(self, *, live: bool) -> str:
        """Send; the reason why rows were left, `stopped`, `limit`, `canary`, or ""."""
        unproven = {lane.profile for lane in self._lanes if live and not lane.record.proven}
        left, held_back = self._how.limit, set[str]()
        for rows, proving in self._rounds(unproven):
            trials = await self._send_trials(_within(left, rows))
            if self._stop.asked:
                return "stopped"
            if not self._may_go_on(trials, unproven if proving else set()):
                return "canary"
            left = None if left is None else left - len(trials)
            held_back |= {*unproven} - {trial.profile for trial in trials} if proving else set()
        reason = await self._send_rest(left, held_back)
        if self._stop.asked:
            return "stopped"
        if self._how.limit is not None:
            return "limit"
        return reason or ("canary" if held_back else "")

    async def _send_rest(self, left: int | None, held_back: set[str]) -> str:
        """Send all other rows; the reason why some were left though nobody stopped it, or ""."""
        reason = ""
        if self._others:
            async with self._on_the_way():
                reason = await self._others([lane for lane in self._lanes if lane.profile not in held_back])
        else:
            shared, nothing = Budget(left), Budget(0)
            budgets = [nothing if lane.profile in held_back else shared for lane in self._lanes]
            await self._send(budgets, self._attendant.hear if self._attendant.listens else None)
        return reason

    def _rounds(self, unproven: set[str]) -> Iterator[tuple[list[int], bool]]:
        """How many rows each lane sends before it is asked whether the rest follows, and whether that is to
        prove a new lane: its first row goes alone."""
        canary = self._how.canary or 0
        if unproven:
            yield [int(lane.profile in unproven) for lane in self._lanes], True
        rows = [max(0, canary - int(lane.profile in unproven)) for lane in self._lanes]
        if any(rows):
            yield rows, False

    async def _send_trials(self, budgets: Sequence[Budget]) -> list[Trial]:
        before = {
            lane.profile: await self._client_before(lane)
            for lane, budget in zip(self._lanes, budgets, strict=True)
            if budget.rows == 1
        }
        trials: dict[tuple[str, int], Trial] = {}

        def hear(lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
            self._attendant.hear(lane, job, judged, duration_ms)
            trials[lane.profile, job.transfer.row] = _trial(lane, job, judged, before.get(lane.profile))

        await self._send(budgets, hear)
        return [trials[key] for key in sorted(trials)]

    async def _client_before(self, lane: Lane) -> Client | None:
        """What the client of the first row has, where the provider can be asked."""
        first = self._first_free(lane)
        request = lane.provider.client(first.account) if first else None
        if request is None:
            return None
        await lane.pace.turn()
        await lane.pace.window()
        exchange = await lane.wire.exchange(request, lane.policy.timeout_s)
        found = lane.provider.read_client(exchange.answer) if exchange.answer else None
        return found if isinstance(found, Client) else None

    def _first_free(self, lane: Lane) -> Transfer | None:
        """The row that will go first: nothing elsewhere holds it up, and it waits for no second try, or not
        as long as others."""
        now_ms = host.now_ms()
        found = self._ledger.candidates(self._batch.id, lane.record.id, 0, LOOKED_AT)
        for transfer, _ in sorted(found, key=lambda row: max(0, row[1] - now_ms)):
            content = (transfer.account_key, transfer.amount, transfer.currency, transfer.reference or None)
            key = RowKey(transfer.row, lane.record.id, *content, lane.profile)
            if not any(self._ledger.matches([key], self._batch.id)):
                return transfer
        return None

    def _may_go_on(self, trials: Sequence[Trial], unproven: set[str]) -> bool:
        if not trials:
            return True
        agreed = self._goes_on_alone(trials, unproven) if self._how.yes else self._asked_to_go_on(trials)
        if agreed:
            proven = {trial.profile for trial in trials if trial.status == "credited"} & unproven
            for lane in self._lanes:
                if lane.profile in proven:
                    self._ledger.prove_lane(lane.record.id)
        return agreed

    def _goes_on_alone(self, trials: Sequence[Trial], unproven: set[str]) -> bool:
        """Where nobody is asked, every first row has to be credited, and on a new lane to add up."""
        doubts = [trial for trial in trials if not _is_good(trial, proving=trial.profile in unproven)]
        for trial in trials:
            if trial in doubts:
                self._attendant.warn(f"{trial}: nothing more is sent")
            elif trial.profile in unproven:
                self._attendant.note(str(trial))
        return not doubts

    def _asked_to_go_on(self, trials: Sequence[Trial]) -> bool:
        try:
            return self._attendant.go_on(trials)
        except KeyboardInterrupt:
            return False

    async def _send(self, budgets: Sequence[Budget], listener: Listener | None) -> None:
        async with self._on_the_way(listener) as pipeline:
            await pipeline.run(budgets)

    @asynccontextmanager
    async def _on_the_way(self, listener: Listener | None = None) -> AsyncIterator[Pipeline]:
        """While rows are on their way: a second signal ends it, and what others do is watched."""
        self._stop.scope = anyio.CancelScope()
        started = now()
        with self._stop.scope:
            async with open_journal(self._ledger) as journal, anyio.create_task_group() as tasks:
                pipeline = Pipeline(self._batch.id, self._lanes, journal, listener)
                self._stop.pipeline = pipeline
                if self._stop.asked:
                    pipeline.stop()
                self._watch(tasks, journal, pipeline)
                with through(journal, self._lanes):
                    yield pipeline
                tasks.cancel_scope.cancel()
        self._attendant.progress(self._lanes)  # the last rows ended since the last tick
        self.seconds += now() - started
        self._attendant.progress_ends()

    def _watch(self, tasks: TaskGroup, journal: Journal, pipeline: Pipeline) -> None:
        tasks.start_soon(self._show_progress)
        if self._ledger.is_shared:
            others = TidingsWatch(self._batch.id, self._lanes, journal, pipeline, self._stop.because)
            tasks.start_soon(others.run)
        for lane in self._lanes:
            if lane.policy.wait_funds_s:
                watch = FundsWatch(lane, self._attendant.warn, partial(self._halted, journal))
                tasks.start_soon(watch.run)

    async def _halted(self, journal: Journal, lane: Lane) -> None:
        assert lane.halted is not None
        await journal.halt(self._batch.id, lane.record.id, lane.halted.reason, lane.halted.message)

    async def _show_progress(self) -> None:
        while True:
            self._attendant.progress(self._lanes)
            await anyio.sleep(TICK_S)


def _within(limit: int | None, rows: Sequence[int]) -> list[Budget]:
    budgets = []
    for wanted in rows:
        granted = wanted if limit is None else min(wanted, limit)
        limit = None if limit is None else limit - granted
        budgets.append(Budget(granted))
    return budgets


def _is_good(trial: Trial, *, proving: bool) -> bool:
    return trial.status == "credited" and bool(trial.adds_up or not proving)


def _trial(lane: Lane, job: Job, judged: Judged, before: Client | None) -> Trial:
    outcome, transfer = judged.outcome, job.transfer
    was = outcome.balance_before
    if was is None and before and _is_theirs(before, lane, transfer):
        was = before.balance
    return Trial(
        profile=lane.profile,
        row=transfer.row,
        account=transfer.account,
        amount=Decimal(transfer.amount),
        currency=transfer.currency,
        status=STATUS[MOVES[State.SENDING, outcome.event]],
        message=outcome.message,
        balance_before=was,
        balance_after=outcome.balance_after,
        adds_up=_adds_up(was, outcome.balance_after, outcome.units or Decimal(transfer.amount)),
    )


def _is_theirs(client: Client, lane: Lane, transfer: Transfer) -> bool:
    """Whether this balance is of the transfer's client, in the transfer's currency: else it tells nothing."""
    same = lane.provider.account_key(client.account) == transfer.account_key
    return same and client.currency == transfer.currency


def _adds_up(before: Decimal | None, after: Decimal | None, moved: Decimal) -> bool | None:
    if before is None or after is None:
        return None
    return abs(after - before - moved) <= min(TOLERANCE, moved / 4)  # a tiny amount has to show, and once


@contextmanager
def one_error() -> Iterator[None]:
    """Task groups gather what went wrong; a person is told the one thing that stopped the batch."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found = [error for error in _leaves(group) if isinstance(error, BatchcreditError)]
    return max(found, key=lambda error: error.exit_code) if found else next(_leaves(group))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
