"""What people and log collectors read. Messages go to stderr, so that stdout holds data alone."""

from batchcredit.console.base import Console
from batchcredit.console.json_lines import JsonConsole
from batchcredit.console.terminal import TerminalConsole

__all__ = ["Console", "JsonConsole", "TerminalConsole"]
