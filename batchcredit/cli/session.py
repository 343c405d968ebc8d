"""What surrounds every command: settings, console, and the object that --json prints."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchcredit.cli.flags import Common

if TYPE_CHECKING:
    from batchcredit.console import Console
    from batchcredit.errors import BatchcreditError
    from batchcredit.runner.summary import Summary
    from batchcredit.settings import Settings


@dataclass(slots=True)
class Ending:
    """What the end of the command that runs has to tell: `said`, the object of --json, and to which program
    (`on_finish`). A process runs one command."""

    said: dict[str, Any] = field(default_factory=dict)
    on_finish: tuple[str, ...] = ()

    def begin(self) -> None:
        """Nothing is said yet."""
        self.said, self.on_finish = {}, ()


ending = Ending()


def console_of(common: Common) -> "Console":
    """The console that the flags ask for."""
    from batchcredit.console import JsonConsole, TerminalConsole
    from batchcredit.console.base import QUIET

    level = QUIET if common.quiet else common.verbose
    return JsonConsole(level) if common.log_format == "json" else TerminalConsole(level)


def settings_of(common: Common) -> "Settings":
    """The settings that the flags, the environment and a file give together."""
    from batchcredit.settings import load

    return load(common.config, common.ledger, os.environ, Path.cwd())


def put(text: object) -> None:
    """Data for stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def end(
    summary: "Summary",
    common: Common,
    console: "Console | None" = None,
    *,
    code: int | None = None,
    **known: Any,
) -> int:
    """Tell how the batch stands; the exit code, which is the batch's unless the command has its own. `known`
    is what the command knows beside it, for --json."""
    exit_code = summary.exit_code if code is None else code
    if console:
        console.show_summary(summary)
    ending.said = summary.as_json() | {"exit_code": exit_code} | known
    if common.json:
        put(json.dumps(ending.said))
    return exit_code


def without_batch(**known: Any) -> dict[str, Any]:
    """The keys of `--json` where there is no batch to speak of, and what the command knows instead."""
    return {
        "schema": 1,
        "batch": None,
        "rows": 0,
        "counts": {},
        "reasons": {},
        "amounts": {},
        "results": None,
        "seconds": 0.0,
        "rows_per_s": 0.0,
        "latency_ms": {"p50": None, "p95": None, "p99": None},
        "exit_code": 0,
        "next": None,
    } | known


def error_as_json(error: "BatchcreditError") -> dict[str, Any]:
    """The same keys as at a good end, with what went wrong."""
    said = {"reason": error.reason, "message": str(error), "cure": error.cure}
    return without_batch(reasons={error.reason: 1}, exit_code=error.exit_code, error=said)
