"""results --hand-over: a batch is closed here, so that another ledger may go on with it."""

from collections.abc import Callable
from pathlib import Path

from batchcredit.ledger.base import BatchRecord, refuse_pruned
from batchcredit.runner.batch import find_batch, holding_known, kept_results, refuse_unagreed
from batchcredit.runner.options import SendOptions
from batchcredit.runner.summary import Speed, Summary, summarise
from batchcredit.settings import Settings
from batchcredit.writer import claim_path, leave_path, write_results


def hand_over(
    name: str, how: SendOptions, settings: Settings, confirm: Callable[[BatchRecord], bool]
) -> Summary:
    """Close a batch for ever, then write the results whose seals say so. `confirm` asks.

    The closing is durable before the file is there; the same command again writes the same file.
    """
    with holding_known(how, settings) as ledger:
        batch = find_batch(ledger, name)
        refuse_pruned(batch)
        path = kept_results(batch, how)
        claim_path(path, Path(batch.source), batch.name, batch, ledger)
        if batch.closed_ms is None:
            refuse_unagreed(how, lambda: confirm(batch))
            ledger.close_batch(batch.id, f"handed over with {path}")
            batch = find_batch(ledger, batch.name)
        written = write_results(ledger, batch, path)
        leave_path(path, ledger)
        return summarise(ledger, batch, written, Speed(), how.again)
