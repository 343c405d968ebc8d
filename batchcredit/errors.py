"""What stops a batch.

What happens to one transfer is a value (`transfer.Outcome`); what stops a whole command is one of these.
Each carries the exit code that scripts depend on, one stable word for machines, and the cure.
"""

import traceback
from typing import ClassVar


class BatchcreditError(Exception):
    """Stops the command. `str(error)` is the sentence a person reads; it never holds a secret."""

    exit_code: ClassVar[int] = 70

    def __init__(self, problem: str, *, reason: str, cure: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.cure = cure


class RefusedError(BatchcreditError):
    """Refused before this command sent anything: usage, settings, input, preflight, limits, repeats."""

    exit_code = 2


class StorageError(BatchcreditError):
    """The ledger or a file of ours could not be written or read; nothing more is sent."""

    exit_code = 5


class DefectError(BatchcreditError):
    """An invariant of ours does not hold: conservation, a move that the table of states does not have."""

    exit_code = 70


def defect(error: Exception) -> DefectError:
    """A defect, told by its place alone: a message could hold what must not be shown."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(
        f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})" for frame in frames[::-1]
    )
    return DefectError(
        f"a defect of batchcredit: {type(error).__name__} in {places}",
        reason="defect",
        cure="nothing more was sent; please report this line. What is known stands in: batchcredit show",
    )
