"""The lists that a person works with after a run, beside the results."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from batchcredit.errors import StorageError
from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.runner.advice import adapters_of, adviser
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing.lanes import rules
from batchcredit.runner.summary import Summary
from batchcredit.settings import Profile
from batchcredit.writer import list_path, write_to_fix, write_to_reverse


def with_to_fix(
    ledger: LedgerReader, batch: BatchRecord, summary: Summary, known: Mapping[str, Profile], how: SendOptions
) -> Summary:
    """Write anew the rows that a person has to correct, beside the results that were written; the summary
    names the list. Raises StorageError where the disk refuses."""
    assert summary.results is not None
    path = list_path(summary.results, batch, "to-fix", sandbox=how.sandbox)
    written = write_to_fix(ledger, batch, path, adviser(rules(known)))
    if written is None:
        return summary
    return replace(summary, to_fix=written, mend=("batchcredit", "resume", str(written), *how.again))


def to_reverse_path(batch: BatchRecord, how: SendOptions) -> Path:
    """Where what a withdrawn batch had credited is listed: `how.out`, or beside its results."""
    return list_path(Path(batch.results), batch, "to-reverse", how.out, sandbox=how.sandbox)


def to_reverse(ledger: LedgerReader, batch: BatchRecord, path: Path) -> tuple[Path | None, dict[str, str]]:
    """List what a withdrawn batch had credited, and who takes that back, by profile; nothing where it had
    credited nothing. Raises StorageError where the disk refuses."""
    try:
        written = write_to_reverse(ledger, batch, path)
    except StorageError as error:
        raise StorageError(
            f"{error}; the rows are cancelled, and what was credited before is not listed",
            reason=error.reason,
            cure=f"list it elsewhere: batchcredit cancel {batch.name} --note NOTE --out PATH",
        ) from None
    adapters = adapters_of(ledger, batch) if written else {}
    return written, {profile: adapter.taking_back for profile, adapter in adapters.items()}
