"""results, show, resolve, cancel: what the ledger knows, and a person's word on it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from batchcredit.cli.flags import (
    Common,
    Guarding,
    Note,
    Out,
    OutForm,
    OutOrPipe,
    Sandbox,
    Sending,
    Yes,
    send_options,
)
from batchcredit.cli.naming import Batch
from batchcredit.cli.pipes import PIPE, form_to, give, way_out
from batchcredit.cli.session import console_of, end, put, settings_of, without_batch
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from batchcredit.ledger.base import BatchRecord
    from batchcredit.runner.settling.verdicts import Decided

_COMMON = Common()


def results(
    batch: Batch,
    /,
    *,
    out: OutOrPipe = None,
    format: OutForm = None,  # noqa: A002  the flag is called so
    hand_over: Annotated[
        bool,
        Parameter(negative=(), help="Close the batch here for ever: another ledger goes on with it."),
    ] = False,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Write the results file of a batch again, from the ledger."""
    from batchcredit.runner.returned import handing_over
    from batchcredit.runner.settling import records

    how = send_options("results", common, Guarding(out=out, sandbox=sandbox), Sending(yes=yes))
    form = form_to(out, format)
    if hand_over:
        _refuse_pipe(out)
        summary = handing_over.hand_over(batch, how, settings_of(common), _confirm_closing)
        if not common.json:
            put(summary.results)
        return end(summary, common, code=0)
    with way_out(out, form, common) as way:
        how = replace(how, out=way.out, is_passed=way.is_passed)
        summary = records.results(batch, how, settings_of(common))
        give(summary, way, common, console_of(common))
    return end(summary, common, code=0)


def _refuse_pipe(out: Path | None) -> None:
    if out == PIPE:
        raise RefusedError(
            "--hand-over writes the file from which another ledger goes on",
            reason="usage",
            cure="name that file with --out, or leave out --out",
        )


def _confirm_closing(batch: "BatchRecord") -> bool:
    from batchcredit.console.base import agreed

    return agreed(f"Close batch {batch.name} in this ledger for ever, so that another one goes on with it?")


def show(batch: Batch = "", /, *, sandbox: Sandbox = False, common: Common = _COMMON) -> int:
    """What the ledger knows: of one batch, or of all."""
    from batchcredit.console import tables
    from batchcredit.runner.settling import records

    settings, how = settings_of(common), send_options("show", common, Guarding(sandbox=sandbox))
    if not batch:
        found = records.show_all(how, settings)
        if common.json:
            put(json.dumps(without_batch(batches=[summary.as_json() for _, summary in found])))
        else:
            put(tables.batches(found, settings.timezone))
        return 0
    view = records.show(batch, how, settings)
    if not common.json:
        put(tables.batch(view, settings.timezone))
    return end(view.summary, common, code=0, money=view.money.as_json())


def resolve(
    batch: Batch,
    /,
    *,
    row: int | None = None,
    rows: Annotated[str, Parameter(help="Several rows: 3,8-12.")] = "",
    path: Annotated[
        Path | None, Parameter(name="--from", help="The list of rows in doubt, with verdicts filled in.")
    ] = None,
    verdict: Annotated[Literal["credited", "not-credited", "in-doubt"] | None, Parameter(name="--as")] = None,
    note: Note = "",
    account: Annotated[str | None, Parameter(help="The row's account, said again.")] = None,
    reference: Annotated[str | None, Parameter(help="The row's reference, said again.")] = None,
    expect_total: Annotated[
        tuple[str, ...], Parameter(negative=(), help="CUR=AMOUNT: what these rows have to sum up to.")
    ] = (),
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Write your verdict on rows in doubt.

    All of it is written, or nothing. --as in-doubt takes a verdict back, as long as the row has not been sent
    since. With --yes one row needs its --account or --reference said again.
    """
    from batchcredit.runner.settling import verdicts

    numbers = rows if row is None else str(row)
    if sum((row is not None, bool(rows), path is not None)) != 1:
        raise _usage("name the rows in one way: --row, --rows or --from")
    if path is None and not (verdict and note):
        raise _usage("--row and --rows need --as and --note")
    if path is not None and verdict:
        raise _usage("with --from the verdicts stand in the file: no --as")
    said = verdicts.Said(batch, numbers, verdict or "", note, path, account, reference)
    guarding = Guarding(sandbox=sandbox, expect_total=expect_total)
    how = send_options(f"resolve {batch}", common, guarding, Sending(yes=yes))
    console, settings = console_of(common), settings_of(common)
    number, summary = verdicts.resolve(
        said, how, settings, lambda decided: _confirm_verdicts(decided, settings.timezone)
    )
    console.note(f"{number} {'row is' if number == 1 else 'rows are'} resolved")
    return end(summary, common, console, code=0)


def _confirm_verdicts(decided: "Sequence[Decided]", zone: "ZoneInfo") -> bool:
    from batchcredit.console import tables
    from batchcredit.console.base import agreed

    return agreed(tables.decided(decided, zone))


def _usage(problem: str) -> RefusedError:
    return RefusedError(problem, reason="usage", cure="batchcredit resolve --help")


def cancel(
    batch: Batch,
    /,
    *,
    note: Note,
    row: int | None = None,
    out: Out = None,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Withdraw what was not sent or was rejected, for ever.

    What was credited stays so; it is listed in a file, for whoever takes it back at the provider.
    """
    from batchcredit.console.base import agreed
    from batchcredit.runner.settling import records

    console = console_of(common)
    how = send_options(f"cancel {batch}", common, Guarding(out=out, sandbox=sandbox), Sending(yes=yes))
    done = records.cancel(
        batch, row, note, how, settings_of(common), lambda what: agreed(f"Withdraw {what}?")
    )
    console.note(f"{done.rows} rows are cancelled")
    if done.to_reverse:
        console.warn(f"what was credited before is not taken back by this; it is listed in {done.to_reverse}")
    for profile, who in done.taking_back.items():
        console.note(f"to take credit back at {profile}: {who}")
    return end(done.summary, common, console, code=0)
