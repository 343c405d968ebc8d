"""run, check, resume: the commands that send or would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from batchcredit import host
from batchcredit.cli.flags import (
    BEFORE,
    Common,
    Guarding,
    Reading,
    Sending,
    guarding_again,
    input_options,
    only_flags,
    reading_again,
    returned_options,
    send_options,
)
from batchcredit.cli.naming import BatchOrInput, Input
from batchcredit.cli.on_finish import words_of
from batchcredit.cli.pipes import (
    PIPE,
    Way,
    file_of,
    form_of,
    form_to,
    give,
    incoming,
    origin_of,
    refuse_questions,
    refuse_reading,
    way_out,
)
from batchcredit.cli.session import console_of, end, ending, settings_of
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from batchcredit.console import Console
    from batchcredit.runner.options import SendOptions
    from batchcredit.settings import Settings

_READING, _GUARDING, _SENDING, _COMMON = Reading(), Guarding(), Sending(), Common()


def run(
    input: Input,  # noqa: A002  the contract's name
    /,
    *,
    reading: Reading = _READING,
    guarding: Guarding = _GUARDING,
    sending: Sending = _SENDING,
    plan: Annotated[
        Path | None,
        Parameter(group=BEFORE, metavar="FILE", help="Send what check has written there, and nothing else."),
    ] = None,
    common: Common = _COMMON,
) -> int:
    """Send a batch, or go on with it: nothing is sent twice.

    It reads the whole file first, and refuses all of it where a row, a total or a limit is wrong. Then it
    shows the plan and asks; with --yes it needs limits, --expect-total or --plan. At the end there is a
    results file with one row for each row of the input. Stopped or killed, the same command goes on.
    """
    from batchcredit.console.telemetry import observed
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner import batch

    ending.on_finish = () if sending.on_finish is None else words_of(sending.on_finish)
    console, settings = console_of(common), settings_of(common)
    refuse_questions(input, yes=sending.yes)
    how = replace(send_options(f"run {input}", common, guarding, sending), plan=plan)
    with (
        observed(console, "run") as console,
        incoming(input, reading.format) as (path, content),
        way_out(guarding.out, form_of(path), common) as way,
        _watched(_through(way, how), sending, settings, console) as how,
    ):
        given = replace(input_options(path, reading, content), typed=str(input), origin=origin_of(input))
        summary = in_loop(lambda: batch.run(given, how, settings, console))
        give(summary, way, common, console)
        return end(summary, common, console)


def check(
    input: Input,  # noqa: A002  the contract's name
    /,
    *,
    reading: Reading = _READING,
    guarding: Guarding = _GUARDING,
    plan: Annotated[
        Path | None,
        Parameter(group=BEFORE, metavar="FILE", help="Write what was checked there, for run --plan."),
    ] = None,
    common: Common = _COMMON,
) -> int:
    """Say what run would do with a file, and move nothing.

    Rows, sums, duplicates, repeats, limits, and how long it would take. Bad rows are listed with row, line
    and cure, all of them in a .invalid.csv beside the file. With --online the providers are asked, too.
    """
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner import check as checking

    console, settings = console_of(common), settings_of(common)
    how = send_options(f"check {input}", common, guarding)
    planned = ("--plan", str(plan)) if plan else ()
    again = (*reading_again(reading), *guarding_again(guarding), *planned, *how.again)
    how = replace(how, plan=plan, again=again)
    if guarding.out == PIPE:
        how = replace(how, out=None, is_passed=True)
    with incoming(input, reading.format) as (path, content):
        given = replace(input_options(path, reading, content), typed=str(input), origin=origin_of(input))
        summary = in_loop(lambda: checking.check(given, how, settings, console))
    return end(summary, common, console)


def resume(
    batch: BatchOrInput = "",
    /,
    *,
    include: Annotated[
        Literal["rejected"] | None, Parameter(help="Also send rows that were refused.")
    ] = None,
    only: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="status=not_sent or provider=NAME: send only such rows."),
    ] = (),
    adopt: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Take the batch over: this is the latest results file, and its ledger never sends it again.",
        ),
    ] = False,
    reading: Reading = _READING,
    guarding: Guarding = _GUARDING,
    sending: Sending = _SENDING,
    common: Common = _COMMON,
) -> int:
    """Send what is left of a batch, never what is in doubt.

    Without a name it is the newest unfinished batch. A results or to-fix file picks the rows, and may correct
    them. Rows in doubt wait until they are resolved: see batchcredit reconcile.
    """
    from batchcredit.console.telemetry import observed
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner import batch as batches
    from batchcredit.runner.returned import returning

    ending.on_finish = () if sending.on_finish is None else words_of(sending.on_finish)
    console, settings = console_of(common), settings_of(common)
    statuses, providers = only_flags(only)
    how = send_options(f"resume {batch}", common, guarding, sending, rejected=include == "rejected")
    how = replace(how, only_statuses=statuses, only_providers=providers)
    file = file_of(batch)
    if file is None:
        refuse_reading("resume", reading, adopt=adopt)
        with (
            observed(console, "resume") as console,
            way_out(guarding.out, form_to(guarding.out, reading.format), common) as way,
            _watched(_through(way, how), sending, settings, console) as how,
        ):
            summary = in_loop(lambda: batches.resume(batch, how, settings, console))
            give(summary, way, common, console)
            return end(summary, common, console)
    refuse_questions(file, yes=sending.yes)
    with (
        observed(console, "resume") as console,
        incoming(file, reading.format) as (path, content),
        way_out(guarding.out, form_of(path), common) as way,
        _watched(_through(way, how), sending, settings, console) as how,
    ):
        given = replace(returned_options(path, reading, content, adopt=adopt), origin=origin_of(file))
        summary = in_loop(lambda: returning.resume_file(given, how, settings, console))
        give(summary, way, common, console)
        return end(summary, common, console)


def _through(way: Way, how: "SendOptions") -> "SendOptions":
    return replace(how, out=way.out, is_passed=way.is_passed)


@contextmanager
def _watched(
    how: "SendOptions", sending: Sending, settings: "Settings", console: "Console"
) -> Iterator["SendOptions"]:
    """The same, shown in a browser where --serve asks for it, and spread where --ray does."""
    if sending.serve is None:
        with _spread(how, sending, settings) as spread:
            yield spread
        return
    from batchcredit.live.errand import Errand
    from batchcredit.live.process import served
    from batchcredit.report import renderer

    renderer()
    errand = Errand.of(how, settings, sending.serve)
    with served(errand, console.warn) as view, _spread(how, sending, settings) as spread:
        console.show_address(view.address)
        yield replace(spread, watch=view.show)


@contextmanager
def _spread(how: "SendOptions", sending: Sending, settings: "Settings") -> Iterator["SendOptions"]:
    """The same, with senders on a cluster where --ray asks for them."""
    if not sending.ray:
        yield how
        return
    from batchcredit.ledger import registry
    from batchcredit.runner.batch import ledger_url

    if not registry.is_shared(ledger_url(how, settings)):
        raise RefusedError(
            "--ray needs a ledger that several machines share",
            reason="usage",
            cure="name one in PostgreSQL: --ledger postgresql://USER@HOST/DATABASE",
        )
    try:
        from batchcredit.distributed.cluster import joined
    except ModuleNotFoundError as error:
        raise RefusedError(
            f"--ray needs {error.name}, which is not installed",
            reason="usage",
            cure=f"{host.to_install('ray')}, here and on every machine of the cluster",
        ) from error
    with joined(sending.ray, sending.senders) as fleet:
        yield replace(how, fleet=fleet)
