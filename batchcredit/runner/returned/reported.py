"""report FILE: what a results file tells of its batch, where no ledger is asked.

Only a file that is whole and as it was written is reported of: each seal is checked, each row is there once.
It is read in pieces, and of its rows no more are kept than a page tells of.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import ResultRow, Tally
from batchcredit.reader import Cells, ProfileRules, Returned, ReturnedRow, Worksheet
from batchcredit.report.model import FROM_RESULTS, TEST, UNKNOWN, LaneFigures, Report, Standing, Sum
from batchcredit.runner import figures
from batchcredit.runner.advice import NextSteps
from batchcredit.runner.figures import NEEDS_MOST, PIECES_MOST, Part, Pieces, Urgent
from batchcredit.runner.intake import guard
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.picked import Picked
from batchcredit.runner.returned.told import STATES, moment_ms, whole, word
from batchcredit.runner.returned.told import number as number_of
from batchcredit.runner.summary import summed_up
from batchcredit.settings import Settings
from batchcredit.transfer import BATCH_NAME, STATUS, State
from batchcredit.writer import by_value, ledger_of, seal

#: So many rows that are not as they were written are named.
_NAMED = 20

_ABSENT = (
    "The file does not say whether money moved: the results of a rehearsal look the same.",
    "This is drawn from a results file. Who ran and approved the batch and with which settings, its pauses, "
    "own balances and decisions stand in its ledger.",
    "The file does not say what was enrolled in each currency: whether amounts are conserved, the ledger "
    "tells.",
    "Its seals vouch for providers, accounts, amounts, currencies, references and statuses. Reasons, "
    "messages, times and attempts are as the file has them.",
)


def report_of_file(given: InputOptions, how: SendOptions, settings: Settings) -> Report:
    """What a results file tells. Raises RefusedError where it is none (`not_returned`, `not_whole`), or is
    not as it was written (`edited_row`)."""
    rules = lanes.rules(settings.profiles)
    with Worksheet() as worksheet:
        returned = Returned(given.path, given.read, rules, worksheet)
        if not returned.is_whole:
            raise _refused(
                given.path,
                "a to-fix file has only some rows of its batch",
                "not_whole",
                "name the results file, or the batch",
            )
        sealed = _Sealed(given.path, sum(block.cells.height for block in returned.input().blocks()))
        if not sealed.count:
            raise _refused(
                given.path, "there is a header and no data row", "no_rows", "take the file as it was written"
            )
        counted = _Counted()
        for row in sealed.rows(returned):
            counted.add(row, sealed.steps(rules, how))
    return counted.report(given.path, sealed, how, settings)


class _Sealed:
    """The rows of a file, each held against its seal. `batch` is known from the first row on."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.count = path, rows
        self.batch, self._ledger, self.handed_over = "", "", False
        self._seen = Picked(rows)
        self._edited: list[str] = []
        self._steps: NextSteps | None = None

    def rows(self, returned: Returned) -> Iterator[ResultRow]:
        """All rows, as they come; RefusedError at the end where some are not as they were written."""
        edited = 0
        for returned_row in chain.from_iterable(returned.rows()):
            row = self._row(returned_row)
            if row is not None:
                yield row
                continue
            edited += 1
            if edited <= _NAMED:
                self._edited.append(guard.at(whole(returned_row.told["row"]) or 0, returned_row.line))
        if edited:
            raise self._refusal(edited)

    def _refusal(self, edited: int) -> RefusedError:
        more = f", and {edited - _NAMED} more" if edited > _NAMED else ""
        return _refused(
            self.path,
            f"not as it was written, or rows are missing: {', '.join(self._edited)}{more}",
            "edited_row",
            "take the file as it was written, with the flags of the first run (--provider, --map, "
            f"--currency, --thousands); or ask the ledger: batchcredit report {self.batch or 'BATCH'}",
        )

    def steps(self, rules: Mapping[str, ProfileRules], how: SendOptions) -> NextSteps:
        """What a person does about its rows; the file itself can be corrected and given back."""
        if self._steps is None:
            by = str(self.path) if self.handed_over else self.batch
            self._steps = NextSteps(self.batch, by, self.path, rules, how.again)
        return self._steps

    def _row(self, returned: ReturnedRow) -> ResultRow | None:
        """The row, or None where it is not one that was written, or is there already."""
        told, number = returned.told, whole(returned.told["row"]) or 0
        state = STATES.get(told["status"])
        if state is None or not 0 < number <= self.count or number in self._seen:
            return None
        cells = returned.raw if state is State.INVALID else returned.meant
        if not self._begun(told, number, cells) or not self._is_sealed(told, number, cells):
            return None
        if state is not State.INVALID and number_of(cells.amount) is None:
            return None
        self._seen.add(number)
        return _result_row(number, cells, state, told)

    def _begun(self, told: Mapping[str, str], number: int, cells: Cells) -> bool:
        """Whether it is of the batch and the ledger of the first row."""
        if not self.batch and BATCH_NAME.fullmatch(told["batch"]):
            self.batch, self._ledger = told["batch"], ledger_of(told["transfer_id"])
            self.handed_over = True
            self.handed_over = self._is_sealed(told, number, cells)
        return told["batch"] == self.batch and ledger_of(told["transfer_id"]) == self._ledger != ""

    def _is_sealed(self, told: Mapping[str, str], number: int, cells: Cells) -> bool:
        expected = seal(
            self.batch,
            self.count,
            number,
            *cells,
            told["status"],
            told["transfer_id"],
            handed_over=self.handed_over,
        )
        return told["seal"].strip() == expected


def _result_row(number: int, cells: Cells, state: State, told: Mapping[str, str]) -> ResultRow:
    return ResultRow(
        row=number,
        provider=cells.provider,
        account=cells.account,
        amount=cells.amount if state is State.INVALID else by_value(cells.amount),
        currency=cells.currency,
        reference=cells.reference or None,
        state=state,
        reason=word(told.get("reason", "")),
        http_status=whole(told.get("http_status", "")),
        provider_code=told.get("provider_code", ""),
        message=told.get("message", ""),
        units=None,
        balance_before=None,
        balance_after=None,
        attempts=whole(told.get("attempts", "")) or 0,
        sent_ms=moment_ms(told.get("sent_at", ""), host.now_ms()),
        ended_ms=None,
        duration_ms=whole(told.get("duration_ms", "")),
        settled_by=told.get("settled_by", ""),
        transfer_id=told["transfer_id"],
    )


@dataclass(slots=True)
class _Counted:
    """What is kept of rows that were read: sums, and those that need somebody."""

    tallies: dict[tuple[str, State, str, str], Sum] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    durations: dict[str, Counter[int]] = field(default_factory=dict)
    pieces: dict[str, Pieces] = field(default_factory=dict)
    urgent: Urgent = field(default_factory=lambda: Urgent(NEEDS_MOST))
    dated: int = 0

    def add(self, row: ResultRow, steps: NextSteps) -> None:
        is_valid = row.state is not State.INVALID
        place = (
            (row.provider, row.state, row.reason, row.currency)
            if is_valid
            else ("", row.state, row.reason, "")
        )
        so_far = self.tallies.get(place, Sum(0, Decimal(0)))
        amount = Decimal(row.amount) if is_valid else Decimal(0)
        self.tallies[place] = Sum(so_far.rows + 1, so_far.amount + amount)
        self.attempts[row.attempts] += 1
        if row.duration_ms is not None:
            self.durations.setdefault(row.provider, Counter())[row.duration_ms] += 1
        if row.sent_ms is not None:
            self.dated += 1
            self.pieces.setdefault(row.provider, Pieces(PIECES_MOST)).add(row.sent_ms)
        if figures.needs_someone(STATUS[row.state], row.reason):
            self.urgent.add(figures.needy(row, *steps.of(row)))

    def report(self, path: Path, sealed: _Sealed, how: SendOptions, settings: Settings) -> Report:
        """What they come to."""
        counts = figures.by_status(
            (STATUS[state], one.rows) for (_, state, _, _), one in self.tallies.items()
        )
        parts = [
            Part(provider, currency, STATUS[state], one)
            for (provider, state, _, currency), one in self.tallies.items()
            if state is not State.INVALID
        ]
        tallies = [
            Tally(state, reason, currency, *one) for (_, state, reason, currency), one in self.tallies.items()
        ]
        summary = summed_up(sealed.batch, sealed.count, tallies, how.again, is_over=sealed.handed_over)
        money = figures.by_provider(parts)
        requests = sum(attempts * rows for attempts, rows in self.attempts.items())
        return Report(
            batch=sealed.batch,
            mode=TEST if how.sandbox else UNKNOWN,
            made_at=figures.moment(host.now_ms()),
            made_by=version("batchcredit"),
            source=FROM_RESULTS,
            where=str(path),
            zone=settings.timezone.key,
            enrolled=None,
            results=str(path),
            rows=sealed.count,
            invalid=counts.get("invalid", 0),
            standing=Standing(
                summary.exit_code,
                shlex.join(summary.next or ()),
                closed="in its ledger: whoever resumes this file goes on with it"
                if sealed.handed_over
                else "",
            ),
            lanes=tuple(
                LaneFigures(name, "", "", "", "", "", tuple(one for one in money if one.provider == name))
                for name in sorted({one.provider for one in money})
            ),
            counts=counts,
            totals=tuple(figures.by_currency(parts)),
            conservation=(figures.balance_of_rows(sealed.count, counts),),
            controls=(),
            own_accounts=(),
            needs=self.urgent.rows(),
            needs_total=self.urgent.total,
            reasons=tuple(figures.by_reason(tallies)),
            overpaid=summary.overpaid,
            decisions=0,
            runs=(),
            series=tuple(self.pieces[name].series(name) for name in sorted(self.pieces)),
            latencies=tuple(figures.latency(name, self.durations[name]) for name in sorted(self.durations)),
            pauses=(),
            pauses_total=0,
            attempts=dict(sorted(self.attempts.items())),
            requests=requests,
            dated=self.dated,
            absent=_ABSENT,
        )


def _refused(path: Path, problem: str, reason: str, cure: str) -> RefusedError:
    return RefusedError(f"{path.name}: {problem}", reason=reason, cure=cure)
