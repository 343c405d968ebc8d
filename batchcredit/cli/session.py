"""What surrounds every command: settings, console, event loop, and the object that --json prints."""

import asyncio
import json
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from batchcredit.cli.flags import Common
from batchcredit.errors import DefectError

if TYPE_CHECKING:
    from batchcredit.console import Console
    from batchcredit.errors import BatchcreditError
    from batchcredit.runner.summary import Summary
    from batchcredit.settings import Settings

T = TypeVar("T")


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


def in_loop(call: Callable[[], Awaitable[T]]) -> T:
    """Run to the end in an event loop, the faster one where it is installed."""
    try:
        import uvloop  # noqa: F401
    except ImportError:
        quick = False
    else:
        quick = True
    logging.getLogger("asyncio").disabled = True  # it quotes errors, and an error may quote a secret

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(_tell_defect)
        return await call()

    return anyio.run(watched, backend_options={"use_uvloop": quick})


def _tell_defect(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that no row and no command hears of; what a network does wrong is told where it matters."""
    error = context.get("exception")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        sys.stderr.write(f"batchcredit: {defect(error)}\n")


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
    if common.json:
        put(json.dumps(summary.as_json() | {"exit_code": exit_code} | known))
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
