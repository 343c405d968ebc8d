"""resume FILE: a results or to-fix file that comes back, with or without corrections."""

from dataclasses import replace
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, ResultRow, refuse_closed
from batchcredit.reader import EditedTable, Returned, Worksheet, examine_table
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.batch import (
    Enrolment,
    amounts,
    go_on,
    holding,
    holding_known,
    kept_results,
    ledger_url,
    refuse_blind,
    refuse_kind,
)
from batchcredit.runner.intake import correction, guard
from batchcredit.runner.intake.comparison import Comparison, is_asked_for, remainder
from batchcredit.runner.intake.enrolment import Target, find_exact
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.runner.outgoing.dispatch import Dispatch, Order
from batchcredit.runner.picked import Picked
from batchcredit.runner.returned.adoption import Adopting, Adoption
from batchcredit.runner.returned.review import Review, Reviewer
from batchcredit.runner.summary import Summary
from batchcredit.settings import Settings
from batchcredit.transfer import INPUT_COLUMNS, STATUS
from batchcredit.writer import Vetted
from batchcredit.writer.cells import Cells as InputCells

#: So many corrections are shown; all of them are counted.
SHOWN = 20


async def resume_file(
    given: InputOptions, how: SendOptions, settings: Settings, attendant: Attendant
) -> Summary:
    """Go on with the batch of a results or to-fix file: send the rows in it that may be sent, and those that
    a person has corrected in it. Raises RefusedError before anything was sent or kept."""
    known = lanes.profiles(settings, how)
    vetted = Vetted.of(given.path)
    with Worksheet() as worksheet:
        returned = Returned(given.path, given.read, lanes.rules(known), worksheet)
        name = _batch_of(returned)
        if not _is_known(name, ledger_url(how, settings)):
            return await _adopted(given, returned, worksheet, vetted, how, settings, attendant)
        _refuse_adopting(given, name)
        with holding_known(how, settings) as ledger:
            batch = find_exact(ledger, name)
            assert batch is not None
            live = lanes.is_live((lane.profile for lane in ledger.batch_lanes(batch.id)), known, how)
            desk = Desk(settings, how, attendant, known, live)
            return await _Return(Dispatch(desk, ledger), given, returned, batch, vetted, worksheet).send()


def _batch_of(returned: Returned) -> str:
    """The batch that the first row names; all others are held against it."""
    first = next((rows[0] for rows in returned.rows() if rows), None)
    if first is None:
        raise RefusedError(
            f"{returned.path.name}: there is a header and no data row",
            reason="no_rows",
            cure="check that the file was saved whole",
        )
    return first.told["batch"]


def _is_known(name: str, url: str) -> bool:
    try:
        ledger = registry.read(url)
    except RefusedError as error:
        if error.reason == "no_ledger":  # none, or its maker was killed before there was a table
            return False
        raise
    try:
        return find_exact(ledger, name) is not None
    finally:
        ledger.close()


def _refuse_adopting(given: InputOptions, name: str) -> None:
    if given.adopt:
        raise RefusedError(
            f"{given.path.name}: this ledger has batch {name} already, and knows what it sent",
            reason="known_batch",
            cure=f"go on with it: batchcredit resume {given.path.name}",
        )


async def _adopted(
    given: InputOptions,
    returned: Returned,
    worksheet: Worksheet,
    vetted: Vetted | None,
    how: SendOptions,
    settings: Settings,
    attendant: Attendant,
) -> Summary:
    """Take over a batch from another ledger, which has closed it or for which a person vouches."""
    if given.read.content or how.is_passed:
        raise RefusedError(
            f"{given.path.name}: a batch of another ledger comes and goes as files of their own",
            reason="usage",
            cure="give the results file by its name, without --format, and without --out -",
        )
    known = lanes.profiles(settings, how)
    survey = examine_table(returned.input(), given.read, lanes.rules(known), worksheet)
    live = lanes.is_live(survey.provider_rows, known, how)
    desk = Desk(settings, how, attendant, known, live)
    adoption = Adoption(given.path, returned, survey, worksheet)
    found = adoption.verified(desk)
    if not (given.adopt or found.handed_over):
        raise _unknown(given.path, found.batch, found.former)
    refuse_blind(found.totals, how, settings, live=live)
    guard.refuse_other_totals(survey.rows, found.totals, how)
    with holding(how, settings, live=live) as ledger:
        dispatch = Dispatch(desk, ledger)
        return await dispatch.send(Adopting(dispatch, adoption, found, survey).order(vetted))


def _unknown(path: Path, name: str, former: str) -> RefusedError:
    return RefusedError(
        f"{path.name}: this ledger has no batch {name}; ledger {former} sent it",
        reason="unknown_batch",
        cure="use that ledger (--ledger URL). Only if this is its latest results file, and it will never "
        f"send this batch again: batchcredit resume {path.name} --adopt",
    )


class _Return:
    """One file that came back, of a batch that the ledger knows."""

    def __init__(
        self,
        dispatch: Dispatch,
        given: InputOptions,
        returned: Returned,
        batch: BatchRecord,
        vetted: Vetted | None,
        worksheet: Worksheet,
    ) -> None:
        self._dispatch, self._desk, self._ledger = dispatch, dispatch.desk, dispatch.ledger
        self._given, self._returned, self._batch = given, returned, batch
        self._vetted, self._worksheet = vetted, worksheet

    async def send(self) -> Summary:
        batch, desk = self._batch, self._desk
        refuse_closed(batch)
        refuse_kind(self._ledger, live=desk.live)
        review = self._reviewed()
        for note in review.notes(batch):
            desk.attendant.note(note)
        if review.edits:
            return await self._dispatch.send(self._corrected(review))
        refuse_blind(batch.totals, desk.how, desk.settings, live=desk.live)
        guard.refuse_other_totals(batch.rows, batch.totals, desk.how)
        return await go_on(self._dispatch, batch, Path(batch.source), review.picked, self._vetted)

    def _reviewed(self) -> Review:
        how = self._desk.how

        def is_wanted(row: ResultRow) -> bool:
            return is_asked_for(STATUS[row.state], row.provider, how)

        reviewer = Reviewer(self._ledger, self._batch, self._returned, rejected=how.rejected)
        return reviewer.review(is_wanted)

    def _corrected(self, review: Review) -> Order:
        """The whole batch is looked at as it would be with its corrections, by what looks at a new file."""
        desk, batch, path = self._desk, self._batch, self._given.path
        cells, header = InputCells(self._ledger, batch), self._returned.header
        ours = {header.ours[column] for column in INPUT_COLUMNS if column in header.ours}
        table = EditedTable(path, lambda: iter(cells), review.edits, ours)
        survey = examine_table(
            table, self._given.read, lanes.rules(desk.known), self._worksheet, review.edits
        )
        guard.refuse_twins(self._given, survey)
        changes = correction.edited(self._ledger, batch, self._worksheet, review.edits, path)
        totals = amounts(survey)
        refuse_blind(totals, desk.how, desk.settings, live=desk.live)
        guard.refuse_other_totals(batch.rows, totals, desk.how)
        target = Target(batch.name, batch, tuple(changes), review.picked)
        given = replace(self._given, batch=batch.name)
        kept = Picked(batch.rows, (row for row in review.picked if row not in review.edits))
        rest = remainder(self._ledger, desk, batch, kept)
        compared = Comparison(self._ledger, desk, given, survey, self._worksheet, target)
        self._show(changes)
        results = kept_results(batch, desk.how)
        enrolment = Enrolment(self._dispatch, given, survey, self._worksheet, target, results)
        return Order(
            name=batch.name,
            batch=batch,
            input_path=Path(batch.source),
            results=results,
            needed=compared.needed,
            waiting=compared.waiting | rest.waiting,
            warnings=(*compared.warnings, *rest.warnings),
            keys=lambda ids: compared.keys(self._worksheet, ids),
            enrol=enrolment.correct,
            only=review.picked,
            vetted=self._vetted,
        )

    def _show(self, changes: list[correction.Change]) -> None:
        tell = self._desk.attendant.note
        tell(f"{len(changes)} rows are corrected")
        for change in changes[:SHOWN]:
            tell(f"corrected {change}")
        if len(changes) > SHOWN:
            tell(f"... and {len(changes) - SHOWN} more")
