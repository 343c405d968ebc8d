"""What leaves a ledger for archives, for a question and for stdout."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from batchcredit.console.base import local_time
from batchcredit.console.tables import table, text
from batchcredit.runner.settling.pruning import Pruned, Pruning, Staying
from batchcredit.wording import visible

#: So many batches that stay are named.
_SHOWN = 20


def question(pruning: Pruning, zone: ZoneInfo) -> str:
    """What a person is asked before batches are archived."""
    rows = (
        (batch.name, local_time(batch.finished_ms, zone), f"{batch.rows}", batch.source)
        for batch in pruning.going
    )
    shown = text(table(("batch", "finished", "rows", "from"), rows), *staying(pruning.staying))
    number = sum(batch.rows for batch in pruning.going)
    return shown + visible(
        f"\nArchive these {len(pruning.going)} batches ({number} rows) in {pruning.folder}, and delete their "
        "rows from the ledger? Totals, references and the audit trail stay."
    )


def staying(found: Sequence[Staying]) -> list[str]:
    """Old batches that stay, each with its reason."""
    lines = [f"{each.batch.name} stays: {each.why}" for each in found[:_SHOWN]]
    more = len(found) - len(lines)
    return [*lines, *([f"... and {more} more stay"] if more else [])]


def pruned(gone: Sequence[Pruned], stays: Sequence[Staying]) -> str:
    """Where the rows are now."""
    if not gone:
        return text("no batch was archived", *staying(stays))
    rows = (
        (one.batch.name, f"{one.batch.rows}", f"{one.archive.size_bytes:,}", f"{one.archive.path}")
        for one in gone
    )
    return text(table(("batch", "rows", "bytes", "archive"), rows), *staying(stays))


def pruned_as_json(gone: Sequence[Pruned], stays: Sequence[Staying]) -> dict[str, object]:
    """The same."""
    archives = [
        {
            "batch": one.batch.name,
            "rows": one.batch.rows,
            "archive": str(one.archive.path),
            "bytes": one.archive.size_bytes,
            "sha256": one.archive.sha256,
        }
        for one in gone
    ]
    return {"pruned": archives, "staying": [{"batch": each.batch.name, "why": each.why} for each in stays]}
