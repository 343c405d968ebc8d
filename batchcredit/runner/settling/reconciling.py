"""reconcile: evidence for the rows in doubt of a batch, a verdict for each, and the ledger told if asked."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LaneRecord, Ledger, LedgerReader, SentRow, refuse_pruned
from batchcredit.ledger.base import Verdict as Decision
from batchcredit.providers import registry
from batchcredit.providers.base import Provider, Refusal
from batchcredit.reader import Worksheet, text_table
from batchcredit.reconcile.balances import Account, weigh
from batchcredit.reconcile.chain import Look
from batchcredit.reconcile.finding import Certainty, Clock, Finding, Verdict, together, undecided
from batchcredit.reconcile.statement import Period, Statement, compare
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.batch import find_batch, holding_known, refuse_unagreed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.runner.settling.looking import look
from batchcredit.runner.settling.money import Money, money_of
from batchcredit.runner.settling.records import reading
from batchcredit.runner.settling.statements import StatementOptions, statements
from batchcredit.runner.settling.verdicts import decide
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.settings import Settings
from batchcredit.transfer import BATCH_NAME, looks_like_results
from batchcredit.writer import Finding as Listed
from batchcredit.writer import list_path, write_in_doubt

#: Rows around the batch's time belong to the picture: their lines must not be taken for its rows'.
AROUND_MS = 86_400_000

_SNAPSHOT = "the client's balance, read before a run"

_ARCHIVED = "batches of about its time are archived, and without them evidence would be mistaken for its own"

_NO_TIMES = "the statement has no times, and its lines may be those of batches that are archived"

_DECISIONS = {Verdict.CREDITED: "credited", Verdict.NOT_CREDITED: "not-credited"}


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """What is reconciled, by which evidence, and what becomes of it. `batch` is a name or a results file;
    `flags` name the same evidence in the next command."""

    batch: str
    statement: StatementOptions | None = None
    offline: bool = False
    apply: bool = False
    accept_likely: bool = False
    flags: tuple[str, ...] = ()

    def accepts(self, finding: Finding) -> bool:
        """Whether this finding becomes a verdict of the ledger, where `apply` is set."""
        return finding.decides and (self.accept_likely or finding.certainty is Certainty.CERTAIN)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was found of each row that was in doubt, and how the batch stands now. `applied`: the numbers of
    rows whose finding the ledger has taken; `in_doubt` lists those that are left; `money` has the sums."""

    findings: Sequence[Finding]
    applied: frozenset[int]
    in_doubt: Path | None
    summary: Summary
    money: Money


async def reconcile(
    asked: ReconcileOptions,
    how: SendOptions,
    settings: Settings,
    attendant: Attendant,
    confirm: Callable[[Sequence[Finding]], bool],
) -> Reconciled:
    """Gather evidence for each row in doubt; with `apply`, write the verdicts that it makes certain.

    `confirm` shows what would be written and asks. Raises RefusedError where the statement is not clear or
    nobody agrees, StorageError where ledger or list fail.
    """
    name = _batch_of(asked.batch)
    with holding_known(how, settings) if asked.apply else reading(how, settings) as ledger:
        batch = find_batch(ledger, name)
        refuse_pruned(batch)
        evidence = _Evidence(
            ledger, batch, asked, Desk(settings, how, attendant, settings.profiles, live=True)
        )
        findings = await evidence.findings()
        applied: frozenset[int] = frozenset()
        if isinstance(ledger, Ledger):
            applied = _applied(ledger, batch, list(filter(asked.accepts, findings)), how, settings, confirm)
        in_doubt = _listed(ledger, batch, findings, evidence.adapters, how, settings)
        summary = summarise(ledger, batch, None, Speed(), how.again)
        left = [finding for finding in findings if finding.row.row not in applied]
        command = _next(batch.name, left, in_doubt, asked, how) or summary.next
        summary = replace(summary, next=command)
        return Reconciled(findings, applied, in_doubt, summary, money_of(ledger, batch))


def _batch_of(named: str) -> str:
    """The batch that a person named, by its name or by its results file."""
    if not Path(named).suffix or not Path(named).exists():
        return named
    path = Path(named)
    with Worksheet() as worksheet:
        table = text_table(path, worksheet)
        first = next(iter(table.blocks()), None) if looks_like_results(table.schema) else None
        batch = first.cells["batch"][0] if first is not None else ""
    if not BATCH_NAME.fullmatch(batch):
        raise RefusedError(
            f"{path.name}: this is no results file, which names its batch",
            reason="no_batch",
            cure="name the batch: batchcredit show lists them; a statement goes with --statement FILE",
        )
    return str(batch)


class _Evidence:
    """What can be known of the rows in doubt of one batch."""

    def __init__(self, ledger: LedgerReader, batch: BatchRecord, asked: ReconcileOptions, desk: Desk) -> None:
        self._ledger, self._batch, self._asked, self._desk = ledger, batch, asked, desk
        self._quiet_ms = desk.settings.quiet_ms
        self._doubtful = ledger.rows_in_doubt(batch.id)
        self._lanes = {lane.lane.id: lane for lane in ledger.batch_lanes(batch.id)}
        self.adapters = self._installed()

    def _installed(self) -> dict[str, type[Provider]]:
        """The adapter of each profile with rows in doubt, as far as it is still installed."""
        found = {}
        for number in self._doubtful:
            if number in self._lanes:
                lane = self._lanes[number]
                try:
                    found[lane.profile] = registry.load(lane.lane.identity.kind)
                except RefusedError as error:
                    self._desk.attendant.warn(f"{lane.profile}: {error}; its rows can't be decided")
        return found

    async def findings(self) -> list[Finding]:
        """One for each row in doubt, in the order of the file."""
        given = self._statements()
        looks = await self._looks()
        found = [
            finding
            for lane, rows in self._doubtful.items()
            for finding in self._of_lane(lane, rows, looks.get(lane, {}), given.get(rows[0].provider))
        ]
        return sorted(found, key=lambda finding: finding.row.row)

    def _statements(self) -> Mapping[str, Statement]:
        if self._asked.statement is None or not self.adapters:
            return {}
        return statements(self._asked.statement, self.adapters)

    def _of_lane(
        self, lane: int, rows: Sequence[SentRow], looks: Mapping[str, Look], statement: Statement | None
    ) -> Iterator[Finding]:
        if self._is_archived_about(lane):
            yield from (undecided(row, _ARCHIVED) for row in rows)
            return
        adapter = self.adapters.get(rows[0].provider)
        by_account: dict[str, list[SentRow]] = {}
        for row in rows:
            by_account.setdefault(row.account_key, []).append(row)
        by_balance = [
            finding
            for same in by_account.values()
            for finding in self._weighed(lane, same, looks.get(same[0].account_key), adapter)
        ]
        if statement is None:
            yield from by_balance
            return
        by_statement = self._compared(
            lane, rows, statement, counts_units=bool(adapter and adapter.counts_units)
        )
        for finding in by_balance:
            yield together(finding, by_statement[finding.row.id])

    def _is_archived_about(self, lane: int) -> bool:
        """Whether rows of the time in question are missing in the ledger."""
        archived_ms = self._ledger.archived_until(lane)
        span = self._ledger.sent_span(self._batch.id, lane)
        return archived_ms is not None and (span is None or span[0] - AROUND_MS <= archived_ms)

    def _weighed(
        self, lane: int, rows: Sequence[SentRow], look: Look | None, adapter: type[Provider] | None
    ) -> Iterator[Finding]:
        """What balances say of the rows of one client."""
        key, currency = rows[0].account_key, rows[0].currency
        whole_ms = self._ledger.archived_until(lane) or 0  # since then, every row is there
        seen = [
            Look(known.at_ms, known.at_ms, known.amount, known.currency, _SNAPSHOT)
            for known in self._ledger.snapshots(lane, key)
            if known.at_ms > whole_ms
        ]
        if look is not None:
            seen.append(look)
        account = Account(
            [
                row
                for row in self._ledger.sent_rows(lane, account_key=key)
                if row.sent_ms is None or row.sent_ms > whole_ms
            ],
            seen,
            counts_units=bool(adapter and adapter.counts_units),
            floats=bool(adapter and adapter.balances_kept_in not in ("", currency)),
        )
        return weigh(rows, account, self._quiet_ms, self._clock)

    def _compared(
        self, lane: int, rows: Sequence[SentRow], statement: Statement, *, counts_units: bool
    ) -> dict[int, Finding]:
        if not statement.has_times and self._ledger.archived_until(lane) is not None:
            return {row.id: undecided(row, _NO_TIMES) for row in rows}
        first, last = self._ledger.sent_span(self._batch.id, lane) or (0, host.now_ms())
        period = Period(first, last, self._quiet_ms)
        keys = {row.account_key for row in rows}
        around = self._around(lane, period, keys) if statement.has_times else self._ledger.sent_rows(lane)
        ids = frozenset(row.id for row in rows)
        return compare(statement, around, ids, period, self._clock, counts_units=counts_units)

    def _around(self, lane: int, period: Period, keys: set[str]) -> Iterator[SentRow]:
        """The rows of the batch's time, and all that the accounts in doubt ever got."""
        since, until = period.first_ms - AROUND_MS, period.last_ms + AROUND_MS
        in_time = self._ledger.sent_rows(lane, since_ms=since, until_ms=until)
        for key, rows in groupby(in_time, lambda row: row.account_key):
            yield from self._ledger.sent_rows(lane, account_key=key) if key in keys else rows

    @property
    def _clock(self) -> Clock:
        zone = self._desk.settings.timezone
        return lambda ms: host.local_time(ms, zone)

    async def _looks(self) -> dict[int, dict[str, Look]]:
        """The balances of the clients in doubt, read now, by lane; what can't be read is told, and left."""
        found: dict[int, dict[str, Look]] = {}
        if self._asked.offline or self._desk.how.sandbox:
            return found
        for number, rows in self._doubtful.items():
            async with AsyncExitStack() as stack:
                lane = await self._opened(number, rows[0].provider, stack)
                seen = await look(lane, rows) if lane else None
            if isinstance(seen, Refusal):
                self._warn(rows[0].provider, f"the provider can't be asked ({seen.message})")
            elif seen is not None:
                found[number] = seen
        return found

    async def _opened(self, number: int, name: str, stack: AsyncExitStack) -> Lane | None:
        record = self._lanes[number].lane if number in self._lanes else None
        problem = self._not_configured(name, record)
        if problem or record is None:
            self._warn(name, problem)
            return None
        try:
            opened = await self._desk.opened({name: record}, stack)
        except RefusedError as error:
            self._warn(name, str(error))
            return None
        return opened[0]

    def _not_configured(self, name: str, record: LaneRecord | None) -> str:
        profile = self._desk.known.get(name)
        if profile is None:
            return "the profile is no longer configured"
        if record is None or profile.lane != record.identity:
            return "the profile has another login or address than when the rows were sent"
        return ""

    def _warn(self, name: str, problem: str) -> None:
        self._desk.attendant.warn(f"{name}: {problem}: the evidence is from the ledger alone")


def _applied(
    ledger: Ledger,
    batch: BatchRecord,
    chosen: Sequence[Finding],
    how: SendOptions,
    settings: Settings,
    confirm: Callable[[Sequence[Finding]], bool],
) -> frozenset[int]:
    """Write these findings as verdicts, all or none."""
    if not chosen:
        return frozenset()
    refuse_unagreed(how, lambda: confirm(chosen))
    decide(ledger, batch, [_decision(finding) for finding in chosen], settings)
    return frozenset(finding.row.row for finding in chosen)


def _decision(finding: Finding) -> Decision:
    known = json.dumps({"certainty": finding.certainty, **finding.known})
    return Decision(finding.row.row, _DECISIONS[finding.verdict], finding.reason, finding.settled_by, known)


def _listed(
    ledger: LedgerReader,
    batch: BatchRecord,
    findings: Sequence[Finding],
    adapters: Mapping[str, type[Provider]],
    how: SendOptions,
    settings: Settings,
) -> Path | None:
    """Write the list of what is in doubt, for a person to fill in."""
    path = list_path(Path(batch.results), batch, "in-doubt", how.out, sandbox=how.sandbox)
    return write_in_doubt(
        ledger,
        batch,
        path,
        where_to_look=lambda profile: adapters.get(profile, Provider).where_to_look,
        zone=settings.timezone,
        findings={finding.row.row: _listing(finding) for finding in findings},
    )


def _listing(finding: Finding) -> Listed:
    credited, not_credited = finding.expected or (None, None)
    certainty = f"{finding.certainty}: " if finding.decides else ""
    return Listed(_DECISIONS.get(finding.verdict, ""), certainty + finding.reason, credited, not_credited)


def _next(
    name: str, left: Sequence[Finding], in_doubt: Path | None, asked: ReconcileOptions, how: SendOptions
) -> tuple[str, ...] | None:
    """The command that settles what is left; None where nothing is."""
    if any(map(asked.accepts, left)):
        likely = ("--accept-likely",) if asked.accept_likely else ()
        return ("batchcredit", "reconcile", name, *asked.flags, "--apply", *likely, *how.again)
    if left and in_doubt:
        return ("batchcredit", "resolve", name, "--from", str(in_doubt), *how.again)
    return None
