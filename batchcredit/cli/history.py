"""history: what was ever asked for, across batches."""

import json
from datetime import date
from typing import Annotated

from cyclopts import Parameter

from batchcredit.cli.flags import Common, Guarding, OutOrPipe, Sandbox, send_options
from batchcredit.cli.pipes import way_out
from batchcredit.cli.session import console_of, put, settings_of, without_batch
from batchcredit.errors import RefusedError

_COMMON = Common()

#: So many transfers are shown where nobody says otherwise.
_SHOWN = 100


def history(
    account: str = "",
    /,
    *,
    reference: Annotated[str | None, Parameter(help="Only transfers with this reference.")] = None,
    first: Annotated[str, Parameter(name="--from", help="First day, such as 2026-03-01.")] = "",
    last: Annotated[str, Parameter(name="--to", help="Last day.")] = "",
    limit: Annotated[int, Parameter(help="Show at most so many.")] = _SHOWN,
    out: OutOrPipe = None,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """All transfers of the ledger, across batches.

    Newest first; of one account, or of all.
    """
    from batchcredit.console import tables
    from batchcredit.runner.settling.history import Sought
    from batchcredit.runner.settling.history import history as found

    if limit < 1:
        raise RefusedError(f"--limit {limit}: it has to be 1 or more", reason="usage")
    settings, how = settings_of(common), send_options("history", common, Guarding(sandbox=sandbox))
    sought = Sought(account, reference, _day("--from", first), _day("--to", last))
    with way_out(out, "csv", common) as way:
        view = found(sought, limit, way.out, how, settings)
        way.pass_on(console_of(common), "batchcredit history")
    if way.is_passed:
        return 0
    if common.json:
        results = str(view.written) if view.written else None
        put(json.dumps(without_batch(**tables.history_as_json(view), results=results)))
    else:
        put(view.written or tables.history(view, settings.timezone))
    return 0


def _day(flag: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RefusedError(
            f"{flag} {text}: it is no day", reason="usage", cure=f"write it as {flag} 2026-03-31"
        ) from None
