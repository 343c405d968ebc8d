"""Move prepaid credit from a reseller's account to many client accounts, and never pay twice.

For programs and notebooks: `await batchcredit.run("march.csv", expect_total={"USD": "1250.50"})`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchcredit.api import LaneProgress, Outcome, Progress, check, results, resume, run
    from batchcredit.errors import BatchcreditError, DefectError, RefusedError, StorageError

__all__ = [
    "BatchcreditError",
    "DefectError",
    "LaneProgress",
    "Outcome",
    "Progress",
    "RefusedError",
    "StorageError",
    "check",
    "results",
    "resume",
    "run",
]


def __getattr__(name: str) -> object:
    """The parts are imported when they are asked for: the command line needs to be fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    place = "errors" if name.endswith("Error") else "api"
    return getattr(import_module(f"{__name__}.{place}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
