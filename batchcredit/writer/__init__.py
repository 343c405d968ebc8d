"""The way out: a batch's results as a file, and whose place that file is."""

from batchcredit.writer.ownership import claim_path, ledger_of, owner_path, release_path
from batchcredit.writer.results import write_results
from batchcredit.writer.seal import by_value, seal
from batchcredit.writer.table import COLUMNS, escaped, pack, unescaped, unpack
from batchcredit.writer.target import results_path

__all__ = [
    "COLUMNS",
    "by_value",
    "claim_path",
    "escaped",
    "ledger_of",
    "owner_path",
    "pack",
    "release_path",
    "results_path",
    "seal",
    "unescaped",
    "unpack",
    "write_results",
]
