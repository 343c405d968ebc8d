"""run, check and resume: one batch from file to results."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from batchcredit import host
from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, Ledger, LedgerReader, NewBatch, refuse_closed
from batchcredit.reader import Survey, Worksheet, examine, invalid_path, write_invalid
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.intake import guard
from batchcredit.runner.intake.comparison import Comparison, left_rows, picked_by_flags, remainder
from batchcredit.runner.intake.enrolment import (
    Target,
    enrol_chunks,
    find_exact,
    forget_rehearsal,
    identify,
    results_place,
)
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.runner.outgoing.dispatch import Dispatch, Order, claim, finish
from batchcredit.runner.picked import Picked
from batchcredit.runner.plan_file import read_plan, subject_of
from batchcredit.runner.summary import Speed, Summary
from batchcredit.settings import Profile, Settings
from batchcredit.writer import Vetted


async def run(given: InputOptions, how: SendOptions, settings: Settings, attendant: Attendant) -> Summary:
    """Send a file: validate, enrol, ask, send, write results. The same file again resumes; nothing is sent
    twice. Raises RefusedError before anything was sent, StorageError where ledger or results fail."""
    known = lanes.profiles(settings, how)
    checked = read_plan(how.plan) if how.plan else None
    with Worksheet() as worksheet:
        survey = examined(given, known, worksheet, attendant)
        live = lanes.is_live(survey.provider_rows, known, how)
        desk = Desk(settings, how, attendant, known, live, checked)
        if checked:
            subject = subject_of(given, survey, how, known, desk.mode)
            checked.refuse_other(subject, settings.repeat_window_ms)
        refuse_blind(amounts(survey), how, settings, live=live)
        guard.refuse_other_totals(survey.rows, amounts(survey), how)
        with holding(how, settings, live=live) as ledger:
            target = identify(ledger, given, survey, worksheet, settings.repeat_window_ms)
            if how.sandbox:
                target = forget_rehearsal(ledger, target)
            dispatch = Dispatch(desk, ledger)
            if target.batch and not target.changes:
                return await go_on(dispatch, target.batch, given.path)
            return await dispatch.send(_order(dispatch, given, survey, worksheet, target))


async def resume(name: str, how: SendOptions, settings: Settings, attendant: Attendant) -> Summary:
    """Go on with a batch of the ledger; `name` is any unique beginning of its name, or "" for the newest one
    with rows left."""
    known = lanes.profiles(settings, how)
    with holding_known(how, settings) as ledger:
        batch = find_batch(ledger, name) if name else _newest_unfinished(ledger)
        names = [lane.profile for lane in ledger.batch_lanes(batch.id)]
        live = lanes.is_live(names, known, how)
        refuse_blind(batch.totals, how, settings, live=live)
        refuse_kind(ledger, live=live)
        guard.refuse_other_totals(batch.rows, batch.totals, how)
        dispatch = Dispatch(Desk(settings, how, attendant, known, live), ledger)
        return await go_on(dispatch, batch, None, picked_by_flags(ledger, batch, how))


def examined(
    given: InputOptions, known: Mapping[str, Profile], worksheet: Worksheet, attendant: Attendant
) -> Survey:
    """Read the whole file; bad rows are shown, written to a file beside it, and refused unless skipped."""
    tell = partial(attendant.step, f"reading {given.path.name}")
    survey = examine(given.path, given.read, lanes.rules(known), worksheet, tell)
    for note in survey.notes:
        attendant.note(note)
    invalid = None
    if survey.valid < survey.rows:
        attendant.show_survey(given.path, survey)
        invalid = _write_invalid(given.path, worksheet, attendant)
    guard.refuse_bad_rows(given, survey, invalid)
    return survey


def _write_invalid(path: Path, worksheet: Worksheet, attendant: Attendant) -> Path | None:
    invalid = invalid_path(path)
    try:
        write_invalid(worksheet, invalid)
    except StorageError as error:
        attendant.warn(f"the list of all invalid rows could not be written: {error}")
        return None
    return invalid


def amounts(survey: Survey) -> dict[str, Decimal]:
    """The sum of all valid rows by currency."""
    return {currency: total.amount for currency, total in survey.currency_totals.items()}


def refuse_blind(currencies: Iterable[str], how: SendOptions, settings: Settings, *, live: bool) -> None:
    """Unattended money needs a bound that a person has set, in each currency."""
    caps = settings.caps
    bounds = (caps.transfer, caps.account_day, caps.batch, caps.day, how.expect_totals)
    unbound = sorted(currency for currency in currencies if not any(currency in bound for bound in bounds))
    if live and how.yes and unbound and not how.plan:
        raise RefusedError(
            f"--yes moves real money here, and nothing says how much {', '.join(unbound)} it may be",
            reason="no_limits",
            cure="set [limits] in the settings, or give --expect-total CUR=AMOUNT or --plan FILE",
        )


def ledger_url(how: SendOptions, settings: Settings) -> str:
    """The ledger of this command; a rehearsal never uses the live one by default."""
    if how.ledger_url:
        return how.ledger_url
    return settings.sandbox_ledger_url if how.sandbox else settings.ledger_url


def holding_known(
    how: SendOptions, settings: Settings, *, retired: bool = False
) -> AbstractContextManager[Ledger]:
    """The ledger for a batch that is in it: one that does not exist is not made, and has none. A copy, or one
    that has begun to move, is refused unless `retired`."""
    url = ledger_url(how, settings)
    registry.read(url, how.note).close()
    return closing(registry.hold(url, how.command, how.note, retired=retired))


@contextmanager
def holding(how: SendOptions, settings: Settings, *, live: bool) -> Iterator[Ledger]:
    """The ledger for a file that may be new to it. An unattended live run never makes one by mistake."""
    url = ledger_url(how, settings)
    if live and how.yes and not how.new_ledger and _is_new(url, how.note):
        raise RefusedError(
            f"the ledger {registry.shown(url)} is new; on a wrong machine, user or volume all would be sent "
            "again",
            reason="new_ledger",
            cure="name the right one with --ledger, or say that it is the first time with --new-ledger",
        )
    with closing(registry.hold(url, how.command, how.note)) as ledger:
        refuse_kind(ledger, live=live)
        yield ledger


def _is_new(url: str, note: registry.Note) -> bool:
    """Whether no batch was ever enrolled there. Looked up before the ledger would be made."""
    if not registry.exists(url):
        return True
    with closing(registry.read(url, note)) as ledger:
        return ledger.is_live() is None


def refuse_unagreed(how: SendOptions, confirm: Callable[[], bool]) -> None:
    """Ask before something is decided, unless --yes has answered."""
    if not how.yes and not confirm():
        raise RefusedError("not agreed to: nothing was changed", reason="not_approved")


def kept_results(batch: BatchRecord, how: SendOptions) -> Path:
    """Where the results of a known batch go: where they are, unless --out names another place."""
    return how.out.absolute() if how.out and not how.is_passed else Path(batch.results)


def refuse_kind(ledger: LedgerReader, *, live: bool) -> None:
    """A ledger is live or test from its first batch on."""
    was_live = ledger.is_live()
    if was_live is not None and was_live != live:
        kinds = ("live", "test") if was_live else ("test", "live")
        raise RefusedError(
            f"the ledger {ledger.url} is a {kinds[0]} ledger, and this batch is {kinds[1]}",
            reason="live_and_test",
            cure="name another ledger with --ledger sqlite:///path/ledger.db",
        )


def find_batch(ledger: LedgerReader, name: str) -> BatchRecord:
    """The one batch whose name begins so; refused where there is none or more than one."""
    found = ledger.batches(name) if name else []
    if len(found) == 1:
        return found[0]
    names = ", ".join(batch.name for batch in (found or ledger.batches())[:10])
    raise RefusedError(
        f"{len(found)} batches begin with {name!r}"
        if found
        else f"there is no batch {name!r} in {ledger.url}",
        reason="no_batch",
        cure=f"it has: {names}" if names else "this ledger has no batch",
    )


def _newest_unfinished(ledger: LedgerReader) -> BatchRecord:
    for batch in ledger.batches():
        if batch.finished_ms is None and batch.closed_ms is None:
            return batch
    raise RefusedError(
        f"no batch in {ledger.url} has rows left to send",
        reason="no_batch",
        cure="batchcredit show lists its batches",
    )


async def go_on(
    dispatch: Dispatch,
    batch: BatchRecord,
    input_path: Path | None,
    only: Picked | None = None,
    vetted: Vetted | None = None,
) -> Summary:
    """Send what is left of a batch that the ledger has; with nothing left, no provider is needed. `only`: the
    rows that may go. `vetted`: a file that was read before, whose place the results may take."""
    refuse_closed(batch)
    ledger, how = dispatch.ledger, dispatch.desk.how
    results = kept_results(batch, how)
    if next(left_rows(ledger, batch, how, only), None) is None:
        claim(how, results, input_path, batch.name, batch, ledger, vetted=vetted)
        return finish(ledger, batch, results, Speed(), dispatch.desk, vetted)
    left = remainder(ledger, dispatch.desk, batch, only)
    order = Order(
        name=batch.name,
        batch=batch,
        input_path=input_path,
        results=results,
        needed=left.needed,
        waiting=left.waiting,
        warnings=left.warnings,
        keys=lambda _: left_rows(ledger, batch, how, only),
        enrol=lambda ids: _taken_up(ledger, batch, ids, results),
        only=only,
        vetted=vetted,
    )
    return await dispatch.send(order)


def _taken_up(ledger: Ledger, batch: BatchRecord, ids: Mapping[str, int], results: Path) -> BatchRecord:
    """The same batch, with lanes that were accepted anew and the place of its results."""
    for lane in ledger.batch_lanes(batch.id):
        if ids.get(lane.profile, lane.lane.id) != lane.lane.id:
            ledger.change_lane(batch.id, lane.profile, ids[lane.profile])
    ledger.place_results(batch.id, str(results))
    return batch


def _order(
    dispatch: Dispatch, given: InputOptions, survey: Survey, worksheet: Worksheet, target: Target
) -> Order:
    """What an examined file asks for, or a refusal."""
    batch = target.batch
    if batch:
        refuse_closed(batch)
    dispatch.desk.attendant.step("comparing the rows with the ledger")
    compared = Comparison(dispatch.ledger, dispatch.desk, given, survey, worksheet, target)
    for change in target.changes[:20]:
        dispatch.desk.attendant.note(f"corrected {change}")
    results = results_place(given, target, dispatch.desk.how, survey.rows)
    enrolment = Enrolment(dispatch, given, survey, worksheet, target, results)
    return Order(
        name=target.name,
        batch=batch,
        input_path=given.path,
        results=results,
        needed=compared.needed,
        waiting=compared.waiting,
        warnings=compared.warnings,
        keys=lambda ids: compared.keys(worksheet, ids),
        enrol=enrolment.correct if batch else enrolment.enrol,
    )


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Writes an examined file into the ledger, as a new batch or as the correction of one."""

    dispatch: Dispatch
    given: InputOptions
    survey: Survey
    worksheet: Worksheet
    target: Target
    results: Path

    def enrol(self, ids: Mapping[str, int]) -> BatchRecord:
        """A new batch, with the lane of each profile."""
        desk, now_ms = self.dispatch.desk, host.now_ms()
        new = NewBatch(
            name=self.target.name,
            content=self.survey.content,
            source=self.given.source,
            results=str(self.results),
            totals=amounts(self.survey),
            lanes=ids,
            live=desk.live,
            repeats_allowed_ms=now_ms if desk.how.allow_repeat else 0,
            skip_repeats_since_ms=now_ms - desk.settings.repeat_window_ms if desk.how.skip_repeats else None,
        )
        tell = partial(desk.attendant.step, "entering rows into the ledger", of=self.survey.rows)
        return self.dispatch.ledger.enrol(new, enrol_chunks(self.worksheet, ids, tell))

    def correct(self, ids: Mapping[str, int]) -> BatchRecord:
        """The batch with its corrected rows."""
        ledger, batch = self.dispatch.ledger, self.target.batch
        assert batch is not None
        for profile, lane in ids.items():
            ledger.change_lane(batch.id, profile, lane)
        lanes_now = {lane.profile: lane.lane.id for lane in ledger.batch_lanes(batch.id)}
        rows = None if self.target.only is None else self.target.changed
        ledger.correct(batch.id, self.survey.content, enrol_chunks(self.worksheet, lanes_now), rows)
        ledger.place_results(batch.id, str(self.results))
        corrected = find_exact(ledger, batch.name)
        assert corrected is not None
        return corrected
