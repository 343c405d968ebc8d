"""reconcile: what became of the rows in doubt."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from batchcredit.cli.flags import (
    Common,
    Guarding,
    Out,
    Sandbox,
    Sending,
    Yes,
    map_flag,
    send_options,
    zone_flag,
)
from batchcredit.cli.naming import BatchOrFile
from batchcredit.cli.session import console_of, put, settings_of
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from batchcredit.reconcile.finding import Finding
    from batchcredit.runner.settling.statements import StatementOptions


_STATEMENT = Group("The provider's exported history", sort_key=1)


def _flag(text: str, value: str | None = None) -> Parameter:
    return Parameter(negative=(), help=text, metavar=value)


@Parameter(name="*", group=_STATEMENT)
@dataclass(frozen=True)
class Exported:
    """A provider's own list of credits, and how it is understood."""

    statement: Annotated[Path | None, _flag("The file.", "FILE")] = None
    map: Annotated[tuple[str, ...], _flag("What our column is called in it. Repeatable.", "OURS=THEIRS")] = ()
    provider: Annotated[str | None, _flag("Profile whose history it is.", "NAME")] = None
    sheet: Annotated[str, _flag("Sheet of a spreadsheet, else its only one.", "NAME")] = ""
    thousands: Annotated[str, _flag("What stands between thousands in amounts.", "SIGN")] = ""
    statement_tz: Annotated[str, _flag("Time zone of its times, such as Africa/Nairobi.", "ZONE")] = ""
    statement_from: Annotated[str, _flag("From when it is complete.", "TIME")] = ""
    statement_until: Annotated[str, _flag("Up to when it is complete.", "TIME")] = ""


_COMMON, _EXPORTED = Common(), Exported()


def reconcile(
    batch: BatchOrFile,
    /,
    *,
    exported: Exported = _EXPORTED,
    apply: Annotated[bool, _flag("Write the verdicts that are certain.")] = False,
    accept_likely: Annotated[bool, _flag("With --apply: the likely ones, too.")] = False,
    offline: Annotated[bool, _flag("Ask no provider.")] = False,
    out: Out = None,
    yes: Yes = False,
    sandbox: Sandbox = False,
    common: Common = _COMMON,
) -> int:
    """Find out what became of rows in doubt.

    From balances and from a provider's exported history it proposes a verdict on each row, says how sure it
    is, and writes the list of the rest, to be filled in for resolve --from. --apply writes what is certain.
    """
    from batchcredit.console import evidence
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner.settling import reconciling

    if accept_likely and not apply:
        raise RefusedError(
            "--accept-likely writes nothing without --apply", reason="usage", cure="add --apply"
        )
    console, settings = console_of(common), settings_of(common)
    flags = (*_again(exported), *(("--offline",) if offline else ()))
    asked = reconciling.ReconcileOptions(batch, _statement(exported), offline, apply, accept_likely, flags)
    how = send_options(f"reconcile {batch}", common, Guarding(out=out, sandbox=sandbox), Sending(yes=yes))
    found = in_loop(lambda: reconciling.reconcile(asked, how, settings, console, _confirm))
    console.show_summary(found.summary)
    code = found.summary.exit_code
    if common.json:
        put(json.dumps(found.summary.as_json() | evidence.findings_as_json(found)))
    else:
        put(evidence.findings(found, settings.timezone))
    return code


def _confirm(findings: Sequence["Finding"]) -> bool:
    from batchcredit.console.base import agreed

    said = "\n".join(f"  row {each.row.row}: {each.verdict}, because {each.reason}" for each in findings[:20])
    more = f"\n  ... and {len(findings) - 20} more" if len(findings) > 20 else ""
    return agreed(f"{said}{more}\nWrite these {len(findings)} verdicts?")


def _statement(exported: Exported) -> "StatementOptions | None":
    from batchcredit.runner.settling.statements import StatementOptions

    if exported.statement is None:
        if exported != _EXPORTED:
            raise RefusedError(
                "these flags are about a statement, and none is given",
                reason="usage",
                cure="add --statement FILE",
            )
        return None
    return StatementOptions(
        path=exported.statement,
        columns=map_flag(exported.map),
        provider=exported.provider,
        sheet=exported.sheet,
        zone=zone_flag("--statement-tz", exported.statement_tz),
        thousands=exported.thousands,
        since=exported.statement_from,
        until=exported.statement_until,
    )


def _again(exported: Exported) -> tuple[str, ...]:
    """The flags with which the same statement is understood in the same way."""
    texts = (
        ("--statement", exported.statement and str(exported.statement)),
        *(("--map", text) for text in exported.map),
        ("--provider", exported.provider),
        ("--sheet", exported.sheet),
        ("--thousands", exported.thousands),
        ("--statement-tz", exported.statement_tz),
        ("--statement-from", exported.statement_from),
        ("--statement-until", exported.statement_until),
    )
    return tuple(part for name, text in texts if text for part in (name, text))
