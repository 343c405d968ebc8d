"""The way out: a batch's results as a file, and whose place that file is."""

from batchcredit.writer.history import write_history
from batchcredit.writer.ownership import claim_path, ledger_of, owner_path, refuse_path, release_path
from batchcredit.writer.results import write_results
from batchcredit.writer.seal import by_value, seal
from batchcredit.writer.table import COLUMNS, pack, unpack
from batchcredit.writer.target import results_path

__all__ = [
    "COLUMNS",
    "by_value",
    "claim_path",
    "ledger_of",
    "owner_path",
    "pack",
    "refuse_path",
    "release_path",
    "results_path",
    "seal",
    "unpack",
    "write_history",
    "write_results",
]
