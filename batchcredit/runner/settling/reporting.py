"""report: what a ledger knows of a batch, gathered into the values that the page is drawn from.

Sums and counts are made by the database, and of the rows only a bounded number is read: so a report of a
million rows takes no more memory than one of a thousand.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from itertools import groupby, pairwise
from pathlib import Path

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import (
    Activity,
    BatchLane,
    BatchRecord,
    CrewRecord,
    LedgerReader,
    PauseRecord,
    ResultRow,
    RunRecord,
    Share,
    Span,
    Tally,
)
from batchcredit.report.model import (
    FROM_LEDGER,
    LIVE,
    ROWS,
    TEST,
    ControlTotal,
    Enrolled,
    LaneFigures,
    Latency,
    MoneyFigures,
    NeedsSomeone,
    OwnAccount,
    PauseFigures,
    Report,
    RequestSeries,
    RunFigures,
    SenderFigures,
    Standing,
    Sum,
)
from batchcredit.runner import figures
from batchcredit.runner.advice import NextSteps
from batchcredit.runner.batch import find_batch
from batchcredit.runner.figures import Part, moment
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.made_with import MadeWith
from batchcredit.runner.settling.money import OwnAccount as Account
from batchcredit.runner.settling.money import own_accounts
from batchcredit.runner.settling.records import reading
from batchcredit.runner.summary import Summary, summed_up
from batchcredit.settings import Settings, rate
from batchcredit.transfer import OVERPAID, STATUS, State
from batchcredit.writer import list_path

#: So many pauses are told one by one; the rest is counted.
PAUSES_MOST = 500

#: So many runs are told, the newest ones.
_RUNS_MOST = 20

_CLOSED = "It goes on where it was handed over to."

#: While a run goes on, what it is sending, and has yet to send, is nobody's business.
_UNDER_WAY = (State.SENDING, State.PENDING, State.UNSENT)


def report_of_batch(name: str, how: SendOptions, settings: Settings) -> Report:
    """The report of the batch whose name begins so."""
    with reading(how, settings) as ledger:
        return report_of(ledger, find_batch(ledger, name), how, settings)


def refuse_unconserved(report: Report, page: Path) -> None:
    """Raise DefectError where rows or money do not add up; the page says it, too."""
    broken = [balance for balance in report.conservation if not balance.holds]
    if broken:
        told = ", ".join(f"{one.what}: {one.found} of {one.enrolled}" for one in broken)
        raise DefectError(
            f"batch {report.batch} does not add up: {told}; {page} shows it",
            reason="conservation",
            cure="send nothing more, keep the ledger, and report this",
        )


def report_of(ledger: LedgerReader, batch: BatchRecord, how: SendOptions, settings: Settings) -> Report:
    """All that a ledger knows of a batch. Whether rows and money add up is told, not demanded."""
    running = any(sender.batch == batch.name for sender in ledger.senders())
    return _Gathering(ledger, batch, how, settings, running).report()


@dataclass(frozen=True)
class _Gathering:
    ledger: LedgerReader
    batch: BatchRecord
    how: SendOptions
    settings: Settings
    running: bool

    def report(self) -> Report:
        batch, parts = self.batch, self.parts
        counts = figures.by_status((STATUS[share.state], share.rows) for share in self.shares)
        totals = tuple(figures.by_currency(parts))
        pauses, pauses_total = self.ledger.pauses(batch.id, PAUSES_MOST)
        tried = self.activity.tried
        return Report(
            batch=batch.name,
            mode=LIVE if self.ledger.is_live() else TEST,
            made_at=moment(host.now_ms()),
            made_by=version("batchcredit"),
            source=FROM_LEDGER,
            where=self.ledger.url,
            zone=self.settings.timezone.key,
            enrolled=Enrolled(batch.source, batch.content.hex(), moment(batch.created_ms)),
            results=batch.archive or batch.results,
            rows=batch.rows,
            invalid=counts.get("invalid", 0),
            standing=self._standing(),
            lanes=tuple(_lane(lane, figures.by_provider(parts)) for lane in self.lanes),
            counts=counts,
            totals=totals,
            conservation=(
                figures.balance_of_rows(batch.rows, counts),
                *figures.balances_of_money(batch.totals, totals),
            ),
            controls=tuple(self._controls()),
            own_accounts=tuple(map(_own_account, own_accounts(self.ledger, batch))),
            needs=tuple(self._needs()),
            needs_total=self._needing,
            reasons=tuple(figures.by_reason(filter(self._is_told, self.tallies))),
            overpaid=self.summary.overpaid,
            decisions=sum(1 for _ in self.ledger.audit(batch.name)),
            runs=tuple(self._runs()),
            series=tuple(self._series()),
            latencies=tuple(self._latencies()),
            pauses=tuple(map(self._pause, pauses)),
            pauses_total=pauses_total,
            attempts={each.attempts: each.rows for each in tried},
            requests=sum(each.attempts * each.rows for each in tried),
            dated=sum(each.dated for each in tried),
            absent=tuple(self._absent()),
        )

    @cached_property
    def shares(self) -> Sequence[Share]:
        return self.ledger.shares(self.batch.id)

    @cached_property
    def parts(self) -> Sequence[Part]:
        return [
            Part(share.profile, share.currency, STATUS[share.state], Sum(share.rows, share.amount))
            for share in self.shares
            if share.state is not State.INVALID
        ]

    @cached_property
    def tallies(self) -> Sequence[Tally]:
        return self.ledger.tallies(self.batch.id)

    @cached_property
    def summary(self) -> Summary:
        batch = self.batch
        is_over = batch.closed_ms is not None or batch.pruned_ms is not None
        return summed_up(batch.name, batch.rows, self.tallies, self.how.again, is_over=is_over)

    @cached_property
    def lanes(self) -> Sequence[BatchLane]:
        return self.ledger.batch_lanes(self.batch.id)

    @cached_property
    def profiles(self) -> Mapping[int, str]:
        return {lane.lane.id: lane.profile for lane in self.lanes}

    @cached_property
    def runs(self) -> Sequence[RunRecord]:
        return self.ledger.runs(self.batch.id)

    @cached_property
    def made(self) -> Mapping[int, MadeWith]:
        return {run.id: MadeWith.of(run.settings) for run in self.runs}

    @property
    def told(self) -> list[tuple[int, RunRecord]]:
        """The newest runs, each with its number among all of them."""
        return [*enumerate(self.runs, 1)][-_RUNS_MOST:]

    @cached_property
    def activity(self) -> Activity:
        """A run that was killed is found to have ended when the next one begins; its requests tell sooner."""
        starts = [run.started_ms for _, run in self.told]
        spans = [Span(*pair) for pair in pairwise([*starts, host.now_ms() + 1])] if starts else []
        return self.ledger.activity(self.batch.id, spans, figures.PIECES_MOST)

    def _standing(self) -> Standing:
        batch, summary = self.batch, self.summary
        return Standing(
            exit_code=summary.exit_code,
            next="" if self.running else shlex.join(summary.next or ()),
            running=self.running,
            finished_at=_maybe(batch.finished_ms),
            stop_reason=batch.stop_reason if summary.counts.get("not_sent") and not self.running else "",
            closed=batch.closed_why,
            archive=batch.archive,
        )

    @cached_property
    def _urgency(self) -> Sequence[tuple[State, ...]]:
        """The states of rows that need somebody, the most urgent first."""
        needy = [state for state in State if not (self.running and state in _UNDER_WAY)]
        return [tuple(one for one in needy if STATUS[one] == status) for status in figures.URGENCY]

    def _is_told(self, tally: Tally) -> bool:
        """A row that waits for its turn has the reason it would have if the run were killed now."""
        waits = tally.state is State.SENDING or tally.reason == self.batch.stop_reason
        return not (self.running and waits and tally.state in _UNDER_WAY)

    def _controls(self) -> Iterator[ControlTotal]:
        for number, run in self.told:
            made = self.made[run.id]
            if made.expected_rows is not None:
                yield ControlTotal(ROWS, Decimal(made.expected_rows), Decimal(self.batch.rows), number)
            for currency, text in made.expected_totals.items():
                had = self.batch.totals.get(currency, Decimal(0))
                yield ControlTotal(currency, Decimal(text), had, number)

    @property
    def _needing(self) -> int:
        needy = {state for states in self._urgency for state in states}
        return sum(tally.rows for tally in self.tallies if tally.state in needy or tally.reason == OVERPAID)

    @cached_property
    def _steps(self) -> NextSteps:
        to_fix = list_path(Path(self.batch.results), self.batch, "to-fix", sandbox=self.how.sandbox)
        name = self.batch.name
        return NextSteps(name, name, to_fix, lanes.rules(self.settings.profiles), self.how.again)

    def _needs(self) -> Iterator[NeedsSomeone]:
        is_closed = self.batch.closed_ms is not None
        for row in self._needy_rows():
            sentence, command = (_CLOSED, "") if is_closed else self._steps.of(row)
            yield figures.needy(row, sentence, "" if self.running else command)

    def _needy_rows(self) -> Iterator[ResultRow]:
        """The first rows that need somebody, in the order of their urgency."""
        left, there = figures.NEEDS_MOST, {tally.state for tally in self.tallies}
        if self.summary.overpaid:
            found = self.ledger.rows_in(self.batch.id, (), (OVERPAID,), left)
            left -= len(found)
            yield from found
        for states in self._urgency:
            if left and there.intersection(states):
                rows = self.ledger.rows_in(self.batch.id, states, (), left)
                found = [row for row in rows if row.reason != OVERPAID]
                left -= len(found)
                yield from found

    def _runs(self) -> Iterator[RunFigures]:
        crews = {run: [*crew] for run, crew in groupby(self.ledger.crews(self.batch.id), lambda one: one.run)}
        for number, run in self.told:
            made = self.made[run.id]
            yield RunFigures(
                number=number,
                began=moment(run.started_ms),
                ended=_maybe(run.ended_ms),
                user=run.user,
                host=run.host,
                approval=run.approval,
                stop_reason=run.reason,
                command=made.command,
                version=made.version,
                python=made.python,
                platform=made.platform,
                settings=made.settings,
                senders=tuple(map(_sender, crews.get(run.id, ()))),
            )

    def _pause(self, pause: PauseRecord) -> PauseFigures:
        profile = self.profiles.get(pause.lane, "")
        return PauseFigures(profile, moment(pause.began_ms), moment(pause.until_ms), pause.why)

    def _latencies(self) -> Iterator[Latency]:
        for profile, durations in groupby(self.activity.took, lambda one: one.profile):
            yield figures.latency(profile, Counter({one.duration_ms: one.requests for one in durations}))

    def _series(self) -> Iterator[RequestSeries]:
        activity = self.activity
        for (span, profile), pieces in groupby(activity.began, lambda piece: (piece.span, piece.profile)):
            number, run = self.told[span]
            counts = {piece.piece: piece.requests for piece in pieces}
            yield RequestSeries(
                run=number,
                provider=profile,
                began=moment(run.started_ms),
                width_ms=activity.widths_ms[span],
                counts=tuple(counts.get(piece, 0) for piece in range(max(counts) + 1)),
                limit_per_s=_limit_per_s(self.made[run.id].rate(profile)),
            )

    def _absent(self) -> Iterator[str]:
        tried = self.activity.tried
        earlier = sum(each.attempts * each.rows - each.dated for each in tried)
        if earlier:
            ones = "one began" if earlier == 1 else "ones began"
            yield f"The last request of each row is dated; when {earlier} earlier {ones} is not known."
        unseen = sum(each.dated for each in tried) - sum(piece.requests for piece in self.activity.began)
        if unseen:
            yield f"{unseen} requests began in none of the runs that are shown here."
        if len(self.runs) > _RUNS_MOST:
            yield f"Only the newest {_RUNS_MOST} of {len(self.runs)} runs are shown."
        old = [number for number, run in self.told if not self.made[run.id].version]
        if old:
            yield (
                f"Settings, control totals and pauses of run {', '.join(map(str, old))} were not kept by the "
                "batchcredit of that time."
            )
        if self.batch.archive:
            yield f"The rows were archived in {self.batch.archive}: here are their sums alone."


def _lane(lane: BatchLane, money: Sequence[MoneyFigures]) -> LaneFigures:
    identity = lane.lane.identity
    return LaneFigures(
        lane.profile,
        identity.kind,
        identity.login,
        identity.base_url,
        lane.halt_reason,
        lane.halt_message,
        tuple(one for one in money if one.provider == lane.profile),
    )


def _sender(one: CrewRecord) -> SenderFigures:
    return SenderFigures(one.user, one.host, one.pid, moment(one.started_ms), _maybe(one.ended_ms), one.why)


def _own_account(account: Account) -> OwnAccount:
    return OwnAccount(
        account.profile,
        account.after.currency,
        account.before.amount,
        account.after.amount,
        account.expected,
        account.difference,
        account.meaning.explained,
        account.meaning.words,
    )


def _limit_per_s(text: str) -> Decimal | None:
    limit = rate(text) if text else None
    return limit.count / limit.period_s if limit else None


def _maybe(ms: int | None) -> datetime | None:
    return None if ms is None else moment(ms)
