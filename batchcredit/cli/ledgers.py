"""results, show, resolve, cancel: what the ledger knows, and a person's word on it."""

import json
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from batchcredit.cli.flags import Common, Guarding, Note, Out, Sandbox, Sending, Yes, send_options
from batchcredit.cli.session import console_of, end, put, settings_of, without_batch

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from batchcredit.ledger.base import ResultRow

_COMMON = Common()


def results(batch: str, /, *, out: Out = None, sandbox: Sandbox = False, common: Common = _COMMON) -> int:
    """Rebuild the results file of a batch from the ledger."""
    from batchcredit.runner import records

    how = send_options("results", common, Guarding(out=out, sandbox=sandbox))
    summary = records.results(batch, how, settings_of(common))
    if not common.json:
        put(summary.results)
    return end(summary, common, code=0)


def show(batch: str = "", /, *, sandbox: Sandbox = False, common: Common = _COMMON) -> int:
    """What the ledger knows: of one batch, or of all of them."""
    from batchcredit.console import tables
    from batchcredit.runner import records

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
    return end(view.summary, common, code=0)


def resolve(
    batch: str,
    /,
    *,
    row: int,
    verdict: Annotated[Literal["credited", "not-credited", "in-doubt"], Parameter(name="--as")],
    note: Note,
    account: Annotated[str | None, Parameter(help="The row's account, said again.")] = None,
    reference: Annotated[str | None, Parameter(help="The row's reference, said again.")] = None,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Write your verdict on a row in doubt, or take one back with --as in-doubt."""
    from batchcredit.runner import records

    console = console_of(common)
    said = records.Said(batch, row, verdict, note, account, reference)
    how = send_options(f"resolve {batch}", common, Guarding(sandbox=sandbox), Sending(yes=yes))
    settings = settings_of(common)
    summary = records.resolve(
        said, how, settings, lambda row, verdict: _confirm_verdict(row, verdict, settings.timezone)
    )
    console.note(f"row {row} is resolved as {verdict}")
    return end(summary, common, console, code=0)


def _confirm_verdict(row: "ResultRow", verdict: str, zone: "ZoneInfo") -> bool:
    from batchcredit.console.base import agreed, local_time

    sent = local_time(row.sent_ms, zone) or "never"
    return agreed(
        f"Row {row.row}: account {row.account}, {row.amount} {row.currency}, last sent {sent}. "
        f"Resolve it as {verdict}?"
    )


def cancel(
    batch: str,
    /,
    *,
    note: Note,
    row: int | None = None,
    out: Out = None,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Withdraw what was not sent or was rejected, for ever."""
    from batchcredit.console.base import agreed
    from batchcredit.runner import records

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
