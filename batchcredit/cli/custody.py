"""ledger and audit: the ledger's file, and the trail of what was decided."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from batchcredit.cli.flags import Common, Guarding, Note, Sandbox, Sending, Yes, send_options
from batchcredit.cli.guide import commands
from batchcredit.cli.naming import Batch
from batchcredit.cli.session import console_of, put, settings_of, without_batch

if TYPE_CHECKING:
    from batchcredit.ledger.base import Ledger

ledger = commands("ledger", "How the ledger stands; copies and moves of it.")

_COMMON = Common()


@ledger.default
def look(*, sandbox: Sandbox = False, common: Common = _COMMON) -> int:
    """What the ledger is, who has it open, and whether it is sound.

    Exit code 5 where it is not.
    """
    from batchcredit.console import tables
    from batchcredit.errors import StorageError
    from batchcredit.runner.settling import custody

    settings = settings_of(common)
    view = custody.look(send_options("ledger", common, Guarding(sandbox=sandbox)), settings)
    code = StorageError.exit_code if view.faults else 0
    if common.json:
        put(json.dumps(without_batch(**tables.ledger_as_json(view), exit_code=code)))
    else:
        put(tables.ledger(view, settings.timezone))
    return code


@ledger.command
def backup(file: Path, /, *, sandbox: Sandbox = False, common: Common = _COMMON) -> int:
    """Copy the ledger to a new FILE, also while others send.

    A copy can be read, and is sent with only after `ledger accept`.
    """
    from batchcredit.runner.settling import custody

    how = send_options("ledger backup", common, Guarding(sandbox=sandbox))
    return _written(custody.back_up(file, how, settings_of(common)), common)


@ledger.command
def accept(
    *,
    note: Note,
    id: Annotated[str, Parameter(help="With --yes: the ledger's id, said again.")] = "",  # noqa: A002
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Take a copy into use because the ledger itself is lost.

    What is not final is in doubt then.
    """
    from batchcredit.runner.settling import custody

    how = send_options("ledger accept", common, Guarding(sandbox=sandbox), Sending(yes=yes))
    rows = custody.accept(note, id, how, settings_of(common), _confirm_accept)
    console_of(common).note(f"the ledger is in use again; {rows} rows that were not final are in doubt now")
    if common.json:
        put(json.dumps(without_batch(in_doubt=rows)))
    return 0


def _confirm_accept(found: "Ledger") -> bool:
    from batchcredit.console.base import agreed

    batches = found.batches()
    newest = f"its newest batch is {batches[0].name}" if batches else "it has no batch"
    return agreed(
        f"Ledger {found.id} at {found.url}: {newest}. What was done since with the ledger that it was copied "
        "from is not known here: rows that are not final become in doubt, and a file of a batch that it does "
        "not have would be paid again. Is the other one lost, and will it never send again?"
    )


@ledger.command
def move(
    file: Path,
    /,
    *,
    note: Note,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Move the ledger to a new FILE, and close this one for ever.

    The same command again finishes a move that was killed.
    """
    from batchcredit.runner.settling import custody

    how = send_options("ledger move", common, Guarding(sandbox=sandbox), Sending(yes=yes))
    return _written(custody.move(file, note, how, settings_of(common), _confirm_move), common)


def _confirm_move(found: "Ledger", place: Path) -> bool:
    from batchcredit.console.base import agreed

    return agreed(f"Ledger {found.id} at {found.url} moves to {place}; here it is closed for ever.")


def _written(path: Path, common: Common) -> int:
    if common.json:
        put(json.dumps(without_batch(results=str(path))))
    else:
        put(path)
    return 0


def audit(
    batch: Batch = "",
    /,
    *,
    expect: Annotated[str, Parameter(help="A hash that the trail had at its end once.")] = "",
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Who decided what, when, and on what grounds.

    Of one batch, or of all. The whole trail is verified; the hash at its end, kept elsewhere, proves later
    that nothing was changed: --expect HASH.
    """
    from batchcredit.console import tables
    from batchcredit.runner.settling import trail

    settings, how = settings_of(common), send_options("audit", common, Guarding(sandbox=sandbox))
    view = trail.trail(batch, expect, how, settings)
    if not common.json:
        put(tables.trail(view, settings.timezone))
    trail.refuse_broken(view)
    if common.json:
        put(json.dumps(without_batch(batch=batch or None, **tables.trail_as_json(view))))
    return 0
