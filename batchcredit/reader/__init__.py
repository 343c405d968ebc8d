"""The way in: a file becomes validated rows, or is refused with its cure, before a cent can move.

`examine` reads a batch file. `text_table` reads any file that comes back (results, to-fix, in-doubt) or is
exported by a provider (a statement), in any format, as cells of text.
"""

from batchcredit.reader.cures import cure_of
from batchcredit.reader.examine import examine, examine_table
from batchcredit.reader.invalid_file import invalid_path, write_invalid
from batchcredit.reader.problems import PROBLEMS, Problem
from batchcredit.reader.returned import Cells, EditedTable, Returned, ReturnedRow
from batchcredit.reader.rules import ProfileRules, ReadOptions
from batchcredit.reader.survey import Example, ProblemCount, Survey, Total, Twin, Twins
from batchcredit.reader.text_table import text_table
from batchcredit.reader.validate import Chunk
from batchcredit.reader.verdicts import FilledIn, filled_in
from batchcredit.reader.worksheet import Worksheet

__all__ = [
    "PROBLEMS",
    "Cells",
    "Chunk",
    "EditedTable",
    "Example",
    "FilledIn",
    "Problem",
    "ProblemCount",
    "ProfileRules",
    "ReadOptions",
    "Returned",
    "ReturnedRow",
    "Survey",
    "Total",
    "Twin",
    "Twins",
    "Worksheet",
    "cure_of",
    "examine",
    "examine_table",
    "filled_in",
    "invalid_path",
    "text_table",
    "write_invalid",
]
