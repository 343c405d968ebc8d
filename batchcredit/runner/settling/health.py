"""Whether a ledger needs somebody: rows in doubt, rows left, a run that did not come. Only it is asked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batchcredit import host
from batchcredit.ledger.base import BatchRecord, LedgerReader, RunRecord
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling.records import reading
from batchcredit.settings import Settings
from batchcredit.transfer import OVERPAID, STATUS, State

#: So many batches are looked at, newest first.
BATCHES_MOST = 100


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last time that rows of a batch were sent, and how that ended in a word: `running`, `done`,
    `interrupted` by a kill, or the reason for which rows were left."""

    batch: str
    run: RunRecord
    how: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A batch that needs somebody, since it was sent last."""

    batch: str
    in_doubt: int
    overpaid: int
    left: int
    to_correct: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Health:
    """How a ledger stands. `late`: no run has ended well within the time that was asked about. `again`: the
    flags that name the same ledger in the next command. `older`: batches that were not looked at."""

    troubles: Sequence[Trouble]
    last: LastRun | None
    late: bool
    again: tuple[str, ...]
    older: int = 0

    @property
    def exit_code(self) -> int:
        """The contract's code for the worst of it."""
        if any(trouble.in_doubt or trouble.overpaid for trouble in self.troubles):
            return 3
        if any(trouble.left for trouble in self.troubles):
            return 4
        return 1 if self.late or self.troubles else 0

    @property
    def next(self) -> tuple[str, ...] | None:
        """The command for the worst of it."""
        commands = (
            ("in_doubt", "reconcile"),
            ("overpaid", "audit"),
            ("left", "resume"),
            ("to_correct", "show"),
        )
        for count, command in commands:
            for trouble in self.troubles:
                if getattr(trouble, count):
                    return ("batchcredit", command, trouble.batch, *self.again)
        return None


def health(within_s: int, how: SendOptions, settings: Settings) -> Health:
    """How the ledger stands now, also while another process sends. `within_s`: so long ago at the most a run
    has to have ended well; 0 asks for none. Raises RefusedError where there is no ledger."""
    with reading(how, settings) as ledger:
        running = {sender.batch for sender in ledger.senders() if sender.run is not None}
        kept = [batch for batch in ledger.batches() if batch.pruned_ms is None]
        batches = kept[:BATCHES_MOST]
        runs = {batch.id: _last_run(ledger, batch, running) for batch in batches}
        lasts = [run for run in runs.values() if run]
        last = max(lasts, key=lambda each: each.run.started_ms, default=None)
        since_ms = host.now_ms() - within_s * 1000 if within_s else last.run.started_ms if last else 0
        troubles = [
            _trouble(ledger, batch, runs[batch.id], since_ms) for batch in batches if batch.closed_ms is None
        ]
        late = bool(within_s) and not any(_went_well(run, since_ms) for run in lasts)
        return Health([each for each in troubles if each], last, late, how.again, len(kept) - len(batches))


def _last_run(ledger: LedgerReader, batch: BatchRecord, running: set[str]) -> LastRun | None:
    found = ledger.runs(batch.id)
    if not found:
        return None
    run = found[-1]
    if run.ended_ms is not None:
        return LastRun(batch.name, run, run.reason or "done")
    return LastRun(batch.name, run, "running" if batch.name in running else "interrupted")


def _went_well(last: LastRun, since_ms: int) -> bool:
    ended_ms = last.run.ended_ms
    return last.how == "running" or (last.how == "done" and ended_ms is not None and ended_ms >= since_ms)


def _trouble(ledger: LedgerReader, batch: BatchRecord, last: LastRun | None, since_ms: int) -> Trouble | None:
    """None where nobody is needed. What a run that goes on has left or in flight is its own affair, and rows
    to correct are told for as long as their run is of the time that is looked at."""
    goes_on = last is not None and last.how == "running"
    rows: Counter[str] = Counter()
    overpaid = 0
    for tally in ledger.tallies(batch.id):
        overpaid += tally.rows if tally.reason == OVERPAID else 0
        if not (goes_on and tally.state in (State.PENDING, State.SENDING, State.UNSENT)):
            rows[STATUS[tally.state]] += tally.rows
    ended_ms = (last.run.ended_ms or last.run.started_ms) if last else batch.created_ms
    to_correct = rows["rejected"] + rows["invalid"] if ended_ms >= since_ms and not goes_on else 0
    found = Trouble(batch.name, rows["in_doubt"], overpaid, rows["not_sent"], to_correct, ended_ms)
    return found if found.in_doubt or found.overpaid or found.left or found.to_correct else None
