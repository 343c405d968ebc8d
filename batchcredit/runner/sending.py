"""The rows of one batch on their way: first rows, the rest, signals, and what is written down at the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import anyio

from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget, Job
from batchcredit.errors import BatchcreditError
from batchcredit.ledger.base import BatchRecord, Ledger
from batchcredit.ledger.journal import open_journal
from batchcredit.providers.base import Client
from batchcredit.runner.attendant import Attendant, Trial
from batchcredit.runner.options import SendOptions
from batchcredit.transfer import MOVES, STATUS, State

#: A person sees progress so often.
TICK_S = 0.25

#: Balances are shown with more decimals than they are kept with, so a sum may be off by this much.
TOLERANCE = Decimal("0.01")


@dataclass(slots=True)
class Stop:
    """Signals: the first ends the taking of rows, the second ends everything at once."""

    say: Callable[[str], None]
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
        self.asked = True
        if self.pipeline:
            self.pipeline.stop()


class Sending:
    """Sends what is left of a batch through open lanes, and says why rows were held back, if they were."""

    def __init__(
        self,
        ledger: Ledger,
        batch: BatchRecord,
        lanes: Sequence[Lane],
        how: SendOptions,
        attendant: Attendant,
        stop: Stop,
    ) -> None:
        self._ledger = ledger
        self._batch = batch
        self._lanes = lanes
        self._how = how
        self._attendant = attendant
        self._stop = stop
        self.seconds = 0.0  # spent sending, without the time in which somebody was asked

    async def run(self, *, live: bool) -> str:
        """Send; the reason why rows were left, `stopped`, `limit`, `canary`, or ""."""
        trial_rows = [self._trial_rows(lane, live=live) for lane in self._lanes]
        left = self._how.limit
        if any(trial_rows):
            budgets = self._within_limit(trial_rows)
            trials = await self._send_trials(budgets)
            if self._stop.asked:
                return "stopped"
            if not self._may_go_on(trials, live=live):
                return "canary"
            left = None if left is None else left - len(trials)
        shared = Budget(left)
        await self._send(
            [shared] * len(self._lanes), self._attendant.hear if self._attendant.listens else None
        )
        if self._stop.asked:
            return "stopped"
        return "limit" if self._how.limit is not None else ""

    def _trial_rows(self, lane: Lane, *, live: bool) -> int:
        """The first batch through a lane sends one row and waits."""
        return self._how.canary or int(live and not lane.record.proven)

    def _within_limit(self, rows: Sequence[int]) -> list[Budget]:
        left, budgets = self._how.limit, []
        for wanted in rows:
            granted = wanted if left is None else min(wanted, left)
            left = None if left is None else left - granted
            budgets.append(Budget(granted))
        return budgets

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
        first = self._ledger.candidates(self._batch.id, lane.record.id, 0, 1)
        request = lane.provider.client(first[0][0].account) if first else None
        if request is None:
            return None
        await lane.pace.turn()
        exchange = await lane.wire.exchange(request, lane.policy.timeout_s)
        found = lane.provider.read_client(exchange.answer) if exchange.answer else None
        return found if isinstance(found, Client) else None

    def _may_go_on(self, trials: Sequence[Trial], *, live: bool) -> bool:
        if not trials:
            return True
        credited = all(trial.status == "credited" for trial in trials)
        unproven = [lane for lane in self._lanes if live and not lane.record.proven]
        if self._how.yes:
            names = {lane.profile for lane in unproven}
            agreed = credited and all(trial.adds_up for trial in trials if trial.profile in names)
        else:
            agreed = self._asked_to_go_on(trials)
        if agreed:
            for lane in unproven:
                if any(trial.profile == lane.profile and trial.status == "credited" for trial in trials):
                    self._ledger.prove_lane(lane.record.id)
        return agreed

    def _asked_to_go_on(self, trials: Sequence[Trial]) -> bool:
        try:
            return self._attendant.go_on(trials)
        except KeyboardInterrupt:
            return False

    async def _send(
        self, budgets: Sequence[Budget], listener: Callable[[Lane, Job, Judged, int], None] | None
    ) -> None:
        self._stop.scope = anyio.CancelScope()
        started = time.monotonic()
        with self._stop.scope:
            async with open_journal(self._ledger) as journal, anyio.create_task_group() as tasks:
                pipeline = Pipeline(self._batch.id, self._lanes, journal, listener)
                self._stop.pipeline = pipeline
                if self._stop.asked:
                    pipeline.stop()
                tasks.start_soon(self._show_progress)
                await pipeline.run(budgets)
                tasks.cancel_scope.cancel()
        self._attendant.progress(self._lanes)  # the last rows ended since the last tick
        self.seconds += time.monotonic() - started
        self._attendant.progress_ends()

    async def _show_progress(self) -> None:
        while True:
            self._attendant.progress(self._lanes)
            await anyio.sleep(TICK_S)


def _trial(lane: Lane, job: Job, judged: Judged, before: Client | None) -> Trial:
    outcome, transfer = judged.outcome, job.transfer
    was = outcome.balance_before
    if was is None and before and before.currency == transfer.currency:
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


def _adds_up(before: Decimal | None, after: Decimal | None, moved: Decimal) -> bool | None:
    if before is None or after is None:
        return None
    return abs(after - before - moved) <= TOLERANCE


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
