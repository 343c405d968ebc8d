"""run, check, resume and results, for programs."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from anyio import to_thread

from batchcredit.api.background import Approve, Background, Caller, in_background
from batchcredit.api.options import (
    Choices,
    Name,
    SendChoices,
    input_options,
    refuse_slips,
    send_options,
)
from batchcredit.api.outcome import Outcome, Progress
from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.private_folder import PrivateFolder
from batchcredit.runner import batch as batches
from batchcredit.runner.check import check as check_file
from batchcredit.runner.intake.enrolment import refuse_name
from batchcredit.runner.options import SendOptions
from batchcredit.runner.returned import returning
from batchcredit.runner.summary import Summary
from batchcredit.settings import Settings, load
from batchcredit.writer.frame import results_frame

if TYPE_CHECKING:
    import polars as pl

SettingsSource = Name | Mapping[str, Any] | None


async def run(
    file: "Name | pl.DataFrame",
    /,
    *,
    settings: SettingsSource = None,
    ledger: str | None = None,
    approve: Approve | None = None,
    progress: Callable[[Progress], object] | None = None,
    tell: Callable[[str], object] | None = None,
    **choices: Unpack[Choices],
) -> Outcome:
    """Send a batch, or go on with it: nothing is sent twice.

    `file` is a CSV, Parquet or xlsx file, or a frame, which needs `batch`. `settings` is a settings file, a
    mapping like one, or None for where the command line looks. The other keywords are the command line's
    flags. What --yes needs is needed here: a live run needs limits in the settings, `expect_total` or `plan`,
    and `new_ledger` and `accept_profile` the first time.

    `approve` is given the plan before anything is sent; anything but True refuses. `progress` and `tell` hear
    how far it is, and the sentences that the command line would show. All are called in the caller's task.

    Raises RefusedError where nothing was sent, StorageError where ledger or results fail. Cancelled, it
    starts no new request, hears out those in flight and writes the results; then the cancellation goes on.
    """
    refuse_slips("run", choices, Choices)
    async with _as_file(file, choices) as (path, frame):
        given = input_options(path, choices, frame)
        call = _Call(settings, ledger, choices, f"batchcredit.run({path.name!r})")
        return await call.sent(partial(batches.run, given), approve, progress, tell)


async def check(
    file: "Name | pl.DataFrame",
    /,
    *,
    settings: SettingsSource = None,
    ledger: str | None = None,
    tell: Callable[[str], object] | None = None,
    **choices: Unpack[Choices],
) -> Outcome:
    """Say what `run` would do with a file, and move nothing: the outcome has the `plan`."""
    refuse_slips("check", choices, Choices)
    async with _as_file(file, choices) as (path, frame):
        given = input_options(path, choices, frame)
        call = _Call(settings, ledger, choices, f"batchcredit.check({path.name!r})")
        outcome = await call.sent(partial(check_file, given), None, None, tell)
        return replace(outcome, next=None) if frame else outcome  # no command has the frame


async def resume(
    batch: Name = "",
    /,
    *,
    settings: SettingsSource = None,
    ledger: str | None = None,
    include_rejected: bool = False,
    approve: Approve | None = None,
    progress: Callable[[Progress], object] | None = None,
    tell: Callable[[str], object] | None = None,
    **choices: Unpack[SendChoices],
) -> Outcome:
    """Send what is left of a batch: by any unique beginning of its name, "" for the newest unfinished one, or
    by a results or to-fix file, as a Path, which picks rows and may correct them."""
    refuse_slips("resume", choices, SendChoices)
    call = _Call(settings, ledger, choices, f"batchcredit.resume({str(batch)!r})", rejected=include_rejected)
    if isinstance(batch, str):
        return await call.sent(partial(batches.resume, batch), approve, progress, tell)
    given = input_options(Path(batch), {})
    return await call.sent(partial(returning.resume_file, given), approve, progress, tell)


def results(
    batch: str,
    /,
    *,
    settings: SettingsSource = None,
    ledger: str | None = None,
    sandbox: bool = False,
) -> "pl.DataFrame":
    """Every row of a batch once and in order, from the ledger: what it asked for, what became of it, then the
    input's other columns. Amounts and balances are Decimal, `sent_at` is a time in UTC, accounts are text."""
    call = _Call(settings, ledger, {"sandbox": sandbox}, "batchcredit.results")
    return call.frame(batch)


class _Call:
    """One call: what was chosen, and the settings that it was chosen with."""

    def __init__(
        self,
        settings: SettingsSource,
        ledger: str | None,
        choices: Mapping[str, Any],
        command: str,
        *,
        rejected: bool = False,
    ) -> None:
        source = settings if isinstance(settings, Mapping) or settings is None else Path(settings)
        self._settings: Settings = load(source, ledger, os.environ, Path.cwd())
        self._how = partial(send_options, command, choices, settings, ledger, rejected=rejected)

    async def sent(
        self,
        work: Callable[[SendOptions, Settings, Caller], Awaitable[Summary]],
        approve: Approve | None,
        progress: Callable[[Progress], object] | None,
        tell: Callable[[str], object] | None,
    ) -> Outcome:
        """Do it in the background; refused where it was stopped before anything was sent."""
        caller = Caller(asks=approve is not None, watches=progress is not None)
        background = Background(lambda: work(how, self._settings, caller), caller.warn)
        how = self._how(note=caller.note, on_stop=background.while_sending)
        summary = await in_background(background, caller, approve, progress, tell)
        assert summary is not None, "only who is cancelled has no summary"
        return Outcome.of(summary, caller.plan, partial(self.frame, summary.batch))

    def frame(self, name: str) -> "pl.DataFrame":
        """The rows of a batch."""
        how = self._how()
        with closing(registry.read(batches.ledger_url(how, self._settings))) as ledger:
            return results_frame(ledger, batches.find_batch(ledger, name))


@asynccontextmanager
async def _as_file(file: "Name | pl.DataFrame", choices: Choices) -> AsyncIterator[tuple[Path, Path | None]]:
    """The file and None; or what a frame is called, a file in the working folder that need not be there, and
    the private one that holds it."""
    if isinstance(file, str | os.PathLike):
        yield Path(file), None
        return
    import polars as pl

    if not isinstance(file, pl.DataFrame):
        raise TypeError(f"a batch is the path of a file or a frame of polars, not {type(file).__name__}")
    name = choices.get("batch")
    if not name:
        raise RefusedError("a frame has no name", reason="usage", cure='name the batch: batch="march"')
    refuse_name(name)
    with PrivateFolder() as folder:
        frame = folder.path / "frame.parquet"
        await to_thread.run_sync(file.write_parquet, frame)
        yield Path.cwd() / f"{name}.parquet", frame
