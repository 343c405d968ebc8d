"""check: all that run does before sending; it moves nothing and writes nothing into the ledger."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, closing, nullcontext
from dataclasses import dataclass, replace

from batchcredit.ledger import registry
from batchcredit.ledger.base import LaneRecord, LedgerReader, RowKey
from batchcredit.providers.base import Balance
from batchcredit.reader import Survey, Worksheet
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.batch import amounts, examined, ledger_url, refuse_kind
from batchcredit.runner.intake import guard
from batchcredit.runner.intake.comparison import Comparison, by_currency, remainder
from batchcredit.runner.intake.enrolment import Target, batch_name, identify, results_place, row_keys
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.desk import Desk, Needed, ledger_note
from batchcredit.runner.plan import LedgerNote, Plan
from batchcredit.runner.plan_file import subject_of, write_plan
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.settings import Settings
from batchcredit.writer import refuse_path


async def check(given: InputOptions, how: SendOptions, settings: Settings, attendant: Attendant) -> Summary:
    """Say what `run` would do with this file, or refuse it as `run` would."""
    known = lanes.profiles(settings, how)
    with Worksheet() as worksheet, _reading(ledger_url(how, settings), how.note) as ledger:
        survey = examined(given, known, worksheet, attendant)
        live = lanes.is_live(survey.provider_rows, known, how)
        guard.refuse_other_totals(survey.rows, amounts(survey), how)
        checked = Check(Desk(settings, how, attendant, known, live), given, survey, worksheet, ledger)
        plan, compared = await checked.plan()
        attendant.show_plan(plan)
        if how.plan:
            subject = subject_of(given, survey, how, known, plan.mode)
            write_plan(how.plan, given.path, subject, plan.batch, compared.needed)
            attendant.note(f"plan written: {how.plan}")
        return replace(checked.summary(plan, compared), warnings=plan.warnings)


def _reading(url: str, note: registry.Note) -> AbstractContextManager[LedgerReader | None]:
    """The ledger, if there is one."""
    return closing(registry.read(url, note)) if registry.exists(url) else nullcontext()


@dataclass(frozen=True, slots=True)
class Check:
    """One file in front of a ledger that is only read, if there is one."""

    desk: Desk
    given: InputOptions
    survey: Survey
    worksheet: Worksheet
    ledger: LedgerReader | None

    async def plan(self) -> tuple[Plan, "Compared"]:
        """What run would show, or a refusal; and what it was made from."""
        compared = self._compared()
        target, needed = compared.target, compared.needed
        balances: Mapping[str, Balance] = {}
        if self.desk.how.online:
            async with AsyncExitStack() as stack:
                opened = await self.desk.opened(self._lanes(needed), stack)
                balances = (await self.desk.probed(opened, needed, self._keys)).balances
        results = results_place(self.given, target, self.desk.how, self.survey.rows)
        if not self.desk.how.is_passed:
            refuse_path(results, self.given.path, target.name, target.batch, self.ledger)
        note = self._ledger_note()
        resumed, warnings = target.batch is not None, compared.warnings
        plan = self.desk.plan(target.name, needed, balances, note, results, warnings, resumed=resumed)
        return plan, compared

    def summary(self, plan: Plan, compared: "Compared") -> Summary:
        """How the batch would stand before its first request; of a known one, how it stands."""
        how, survey, batch = self.desk.how, self.survey, compared.target.batch
        command = ("batchcredit", "run", self.given.typed or str(self.given.path), *how.again)
        if batch and self.ledger:
            known = summarise(self.ledger, batch, None, Speed())
            return Checked(
                known.batch, known.rows, known.counts, known.reasons, known.amounts, None, Speed(), command
            )
        before, waiting = compared.credited_before, compared.waiting_rows
        counts = {
            "not_sent": survey.valid - before,
            "already_credited": before,
            "invalid": survey.rows - survey.valid,
        }
        reasons = {name: problem.count for name, problem in survey.problems.items()}
        reasons |= {"open_elsewhere": waiting} if waiting else {}
        not_sent = {currency: {"not_sent": total.amount} for currency, total in plan.totals.items()}
        return Checked(plan.batch, survey.rows, counts, reasons, not_sent, None, Speed(), command)

    def _ledger_note(self) -> LedgerNote:
        if self.ledger:
            return ledger_note(self.ledger)
        return LedgerNote(registry.shown(ledger_url(self.desk.how, self.desk.settings)), "", 0, "")

    def _compared(self) -> "Compared":
        if self.ledger is None:
            return self._without_ledger()
        refuse_kind(self.ledger, live=self.desk.live)
        window_ms = self.desk.settings.repeat_window_ms
        target = identify(self.ledger, self.given, self.survey, self.worksheet, window_ms)
        if target.batch and not target.changes:
            left = remainder(self.ledger, self.desk, target.batch)
            return Compared(target, left.needed, left.warnings)
        self.desk.attendant.step("comparing the rows with the ledger")
        found = Comparison(self.ledger, self.desk, self.given, self.survey, self.worksheet, target)
        return Compared(target, found.needed, found.warnings, found.credited_before, found.waiting_rows)

    def _without_ledger(self) -> "Compared":
        target, needed = Target(batch_name(self.given, self.survey.content)), _all_of(self.survey)
        ids = {name: -number for number, name in enumerate(needed, 1)}
        rows, caps = guard.rows_of_file(self.worksheet, ids), self.desk.settings.caps
        guard.refuse_over_caps(by_currency(needed), rows, caps, None, None)
        return Compared(target, needed, ())

    def _lanes(self, needed: Needed) -> dict[str, LaneRecord]:
        """Lanes to probe: those the ledger has seen, and new ones once they are confirmed, kept nowhere."""
        desk = self.desk
        ways = {
            name: lanes.Way(
                desk.known[name], self.ledger.lane(desk.known[name].lane) if self.ledger else None
            )
            for name in needed
        }
        if desk.live:
            lanes.confirm_new(ways, desk.how, desk.attendant, desk.settings)
        return {
            name: way.lane or LaneRecord(-number, way.profile.lane, False, None, None)
            for number, (name, way) in enumerate(ways.items(), 1)
        }

    def _keys(self, ids: Mapping[str, int]) -> Iterator[RowKey]:
        return row_keys(self.worksheet, ids)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a file is to the ledger, and what would be sent of it."""

    target: Target
    needed: Needed
    warnings: tuple[str, ...]
    credited_before: int = 0
    waiting_rows: int = 0


def _all_of(survey: Survey) -> Needed:
    return {
        profile: {currency: total for (name, currency), total in survey.totals.items() if name == profile}
        for profile in survey.provider_rows
    }


class Checked(Summary):
    """A file that would be taken: nothing was sent because nothing was to be sent."""

    @property
    def exit_code(self) -> int:
        return 0
