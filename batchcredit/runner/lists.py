"""The lists that a person works with after a run, beside the results."""

from collections.abc import Mapping
from dataclasses import replace

from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.runner.advice import adviser
from batchcredit.runner.lanes import rules
from batchcredit.runner.options import SendOptions
from batchcredit.runner.summary import Summary
from batchcredit.settings import Profile
from batchcredit.writer import list_path, write_to_fix


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
