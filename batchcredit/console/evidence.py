"""What was found of rows in doubt, for stdout."""

from zoneinfo import ZoneInfo

from rich.table import Table

from batchcredit import host
from batchcredit.console.base import local_time
from batchcredit.console.tables import money, table, text
from batchcredit.reconcile.finding import Certainty, Finding
from batchcredit.runner.settling.reconciling import Reconciled
from batchcredit.transfer import shortest


def findings(found: Reconciled, zone: ZoneInfo) -> str:
    """What was found of each row in doubt; the reasons stand below each other, since they are sentences."""
    if not found.findings:
        return text(f"batch {found.summary.batch}: no row is in doubt", "", *money(found.money))
    titles = ("row", "account", "amount", "currency", "sent", "verdict", "certainty", "")
    parts: list[Table | str] = [table(titles, (_finding(each, found, zone) for each in found.findings)), ""]
    parts += [f"row {each.row.row}: {each.reason}" for each in found.findings]
    if any(
        each.certainty is Certainty.LIKELY and each.row.row not in found.applied for each in found.findings
    ):
        parts += ["", "what is likely is written with --apply --accept-likely"]
    if found.in_doubt:
        parts += [
            "",
            f"in doubt {found.in_doubt}: fill in verdict and note, then batchcredit resolve --from it",
        ]
    return text(*parts, "", *money(found.money))


def _finding(found: Finding, all_: Reconciled, zone: ZoneInfo) -> tuple[str, ...]:
    row, applied = found.row, "written" if found.row.row in all_.applied else ""
    sent, amount = local_time(row.sent_ms, zone), shortest(row.amount)
    return f"{row.row}", row.account, amount, row.currency, sent, found.verdict, found.certainty, applied


def findings_as_json(found: Reconciled) -> dict[str, object]:
    """The same."""
    return {
        "findings": [_finding_as_json(each, found) for each in found.findings],
        "in_doubt": str(found.in_doubt) if found.in_doubt else None,
        "money": found.money.as_json(),
    }


def _finding_as_json(found: Finding, all_: Reconciled) -> dict[str, object]:
    row = found.row
    return {
        "row": row.row,
        "account": row.account,
        "amount": shortest(row.amount),
        "currency": row.currency,
        "sent_at": None if row.sent_ms is None else host.iso(row.sent_ms),
        "verdict": found.verdict,
        "certainty": found.certainty,
        "settled_by": found.settled_by,
        "reason": found.reason,
        "applied": row.row in all_.applied,
    }
