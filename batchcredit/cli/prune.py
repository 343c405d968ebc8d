"""prune: old batches leave the ledger for archives."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from batchcredit.cli.flags import Common, Guarding, Note, Sandbox, Sending, Yes, duration_flag, send_options
from batchcredit.cli.session import put, settings_of, without_batch

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from batchcredit.runner.settling.pruning import Pruning

_COMMON = Common()


def prune(
    *,
    older_than: Annotated[str, Parameter(help="Batches that have not changed for so long, such as 180d.")],
    batch: Annotated[tuple[str, ...], Parameter(negative=(), help="Of these only this one.")] = (),
    out: Annotated[Path | None, Parameter(help="Folder for the archives.")] = None,
    note: Note = "",
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Archive old batches, and take their rows out of the ledger.

    Archives are Parquet. Totals, references and the audit trail stay in the ledger.
    """
    from batchcredit.console import prune as shown
    from batchcredit.runner.settling import pruning

    settings = settings_of(common)
    how = send_options("prune", common, Guarding(sandbox=sandbox), Sending(yes=yes))
    age_ms = duration_flag("--older-than", older_than) * 1000
    asked = pruning.PruneOptions(age_ms, note, batch, out)
    gone, stays = pruning.prune(asked, how, settings, partial(_confirm, settings.timezone))
    if common.json:
        put(json.dumps(without_batch(**shown.pruned_as_json(gone, stays))))
    else:
        put(shown.pruned(gone, stays))
    return 0


def _confirm(zone: "ZoneInfo", pruning: "Pruning") -> bool:
    from batchcredit.console import prune as shown
    from batchcredit.console.base import agreed

    return agreed(shown.question(pruning, zone))
