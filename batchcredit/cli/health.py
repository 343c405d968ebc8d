"""health: whether a ledger needs somebody, for monitoring."""

import json
from typing import Annotated

from cyclopts import Parameter

from batchcredit.cli.flags import Common, Guarding, Sandbox, duration_flag, send_options
from batchcredit.cli.session import put, settings_of, without_batch

_COMMON = Common()


def health(
    *,
    within: Annotated[
        str, Parameter(metavar="TIME", help="A run has to have ended well within so long, such as 26h.")
    ] = "",
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Whether somebody is needed: one line, and an exit code.

    Asks the ledger alone, and works while a run goes on. 3: rows in doubt. 4: rows that were not sent, and
    nobody sends them now. 1: rows to correct, or no run within the time. 0: all is well. 2: no ledger there.
    """
    from batchcredit.console import health as shown
    from batchcredit.runner.settling import health as asked

    settings = settings_of(common)
    how = send_options("health", common, Guarding(sandbox=sandbox))
    found = asked.health(duration_flag("--within", within), how, settings)
    if common.json:
        put(json.dumps(without_batch(**shown.as_json(found))))
    else:
        put(shown.line(found, within, settings.timezone))
    return found.exit_code
