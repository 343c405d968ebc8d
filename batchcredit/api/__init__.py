"""batchcredit for programs and notebooks: the same engine and the same safeguards as the command line."""

from batchcredit.api.calls import check, results, resume, run
from batchcredit.api.options import InputChoices, SendChoices
from batchcredit.api.outcome import LaneProgress, Outcome, Progress

__all__ = [
    "InputChoices",
    "LaneProgress",
    "Outcome",
    "Progress",
    "SendChoices",
    "check",
    "results",
    "resume",
    "run",
]
