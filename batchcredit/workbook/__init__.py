"""Spreadsheet files (.xlsx), read in a process that may fail and written as a stream."""

from batchcredit.workbook.fault import WorkbookFaultError
from batchcredit.workbook.formats import Kind
from batchcredit.workbook.reading import Piece, Workbook

__all__ = ["Kind", "Piece", "Workbook", "WorkbookFaultError"]
