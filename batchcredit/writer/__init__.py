"""The way out: a batch's results as a file, and whose place that file is."""

from batchcredit.writer.archive import Archive, write_archive
from batchcredit.writer.client_list import CLIENT_COLUMNS, write_clients
from batchcredit.writer.history import write_history
from batchcredit.writer.in_doubt import IN_DOUBT_COLUMNS, Finding, write_in_doubt
from batchcredit.writer.ownership import (
    Vetted,
    claim_path,
    generation_of,
    leave_path,
    ledger_of,
    owner_path,
    refuse_path,
    release_path,
)
from batchcredit.writer.person_files import list_path
from batchcredit.writer.report_page import report_path, write_report
from batchcredit.writer.results import write_results
from batchcredit.writer.seal import by_value, seal
from batchcredit.writer.table import COLUMNS, pack, unpack
from batchcredit.writer.target import refuse_rows, results_path
from batchcredit.writer.to_fix import TO_FIX_COLUMNS, Advice, write_to_fix
from batchcredit.writer.to_reverse import TO_REVERSE_COLUMNS, write_to_reverse

__all__ = [
    "CLIENT_COLUMNS",
    "COLUMNS",
    "IN_DOUBT_COLUMNS",
    "TO_FIX_COLUMNS",
    "TO_REVERSE_COLUMNS",
    "Advice",
    "Archive",
    "Finding",
    "Vetted",
    "by_value",
    "claim_path",
    "generation_of",
    "leave_path",
    "ledger_of",
    "list_path",
    "owner_path",
    "pack",
    "refuse_path",
    "refuse_rows",
    "release_path",
    "report_path",
    "results_path",
    "seal",
    "unpack",
    "write_archive",
    "write_clients",
    "write_history",
    "write_in_doubt",
    "write_report",
    "write_results",
    "write_to_fix",
    "write_to_reverse",
]
