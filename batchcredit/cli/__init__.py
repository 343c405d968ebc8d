"""The command line: parse, call, print. Errors become exit codes here and nowhere else.

What is slow to import (polars, httpx) is imported by the command that needs it, so that --help is quick.
"""

from batchcredit.cli.app import run

__all__ = ["run"]
