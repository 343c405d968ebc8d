"""run, check, resume: the commands that send or would."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from batchcredit.cli.flags import (
    Common,
    Guarding,
    Reading,
    Sending,
    guarding_again,
    input_options,
    reading_again,
    send_options,
)
from batchcredit.cli.session import console_of, end, in_loop, put, settings_of

_READING, _GUARDING, _SENDING, _COMMON = Reading(), Guarding(), Sending(), Common()


def run(
    input: Path,  # noqa: A002  the contract's name
    /,
    *,
    reading: Reading = _READING,
    guarding: Guarding = _GUARDING,
    sending: Sending = _SENDING,
    plan: Annotated[
        Path | None, Parameter(help="Send what check has written there, and nothing else.")
    ] = None,
    common: Common = _COMMON,
) -> int:
    """Send a batch. The same command again goes on with it: nothing is sent twice."""
    from batchcredit.runner import batch

    console, settings = console_of(common), settings_of(common)
    given = input_options(input, reading)
    how = replace(send_options(f"run {input}", common, guarding, sending), plan=plan)
    summary = in_loop(lambda: batch.run(given, how, settings, console))
    if not common.json:
        put(summary.results)
    return end(summary, common, console)


def check(
    input: Path,  # noqa: A002  the contract's name
    /,
    *,
    reading: Reading = _READING,
    guarding: Guarding = _GUARDING,
    plan: Annotated[Path | None, Parameter(help="Write what was checked there, for run --plan.")] = None,
    common: Common = _COMMON,
) -> int:
    """Do all that run does before sending, and move nothing."""
    from batchcredit.runner import check as checking

    console, settings = console_of(common), settings_of(common)
    given = input_options(input, reading)
    how = send_options(f"check {input}", common, guarding)
    planned = ("--plan", str(plan)) if plan else ()
    again = (*reading_again(reading), *guarding_again(guarding), *planned, *how.again)
    how = replace(how, plan=plan, again=again)
    summary = in_loop(lambda: checking.check(given, how, settings, console))
    return end(summary, common, console)


def resume(
    batch: str = "",
    /,
    *,
    include: Annotated[
        Literal["rejected"] | None, Parameter(help="Also send rows that were refused.")
    ] = None,
    guarding: Guarding = _GUARDING,
    sending: Sending = _SENDING,
    common: Common = _COMMON,
) -> int:
    """Go on with a batch: send what was provably not credited. Without a name, the newest unfinished one."""
    from batchcredit.runner import batch as batches

    console, settings = console_of(common), settings_of(common)
    how = send_options(f"resume {batch}", common, guarding, sending, rejected=include == "rejected")
    summary = in_loop(lambda: batches.resume(batch, how, settings, console))
    if not common.json:
        put(summary.results)
    return end(summary, common, console)
