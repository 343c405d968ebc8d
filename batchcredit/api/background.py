"""A run in a thread and an event loop of its own, so that the caller's loop stays as it was.

The caller's signals, output and logging are left alone, and so is its event loop, of whatever library it is:
the engine waits for disks and needs a loop that nobody holds up.
"""

import asyncio
import queue
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from inspect import isawaitable
from pathlib import Path
from threading import Event
from typing import Generic, TypeVar

import anyio
from anyio import to_thread

from batchcredit.api.outcome import Progress
from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import in_own_loop
from batchcredit.errors import BatchcreditError, RefusedError, defect
from batchcredit.reader import Survey
from batchcredit.runner.attendant import Nobody
from batchcredit.runner.plan import Plan

T = TypeVar("T")

#: The caller's loop looks so often for what there is to tell.
_TICK_S = 0.05

Approve = Callable[[Plan], bool | Awaitable[bool]]


class Caller(Nobody):
    """The attendant of a run: keeps what there is to tell until the caller's own loop takes it."""

    def __init__(self, *, asks: bool, watches: bool) -> None:
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.plan: Plan | None = None
        self.progressed: Progress | None = None
        self._agreed = False
        self._stopped = False
        self._asks = asks
        self._watches = watches
        self._answered = Event()

    def note(self, text: str) -> None:
        self.said.put(text)

    def warn(self, text: str) -> None:
        self.said.put(text)

    def show_survey(self, path: Path, survey: Survey) -> None:
        for word, problem in survey.problems.items():
            self.note(f"{path}: {problem.count} rows have {word}: {problem.examples[0].cure}")

    def show_plan(self, plan: Plan) -> None:
        """Tell it, and wait for the caller where there is somebody to agree. The last moment to go back."""
        self.plan = plan
        if self._asks and plan.rows:
            self._answered.wait()
        if self._stopped:
            raise RefusedError("stopped before anything was sent", reason="stopped")
        if self._asks and plan.rows and not self._agreed:
            raise RefusedError("not agreed to: nothing was sent, and nothing is kept", reason="not_approved")

    @property
    def question(self) -> Plan | None:
        """The plan that waits to be agreed to."""
        return self.plan if self._asks and not self._answered.is_set() else None

    def reply(self, *, agreed: bool) -> None:
        """Answer the question."""
        self._agreed = agreed
        self._answered.set()

    def stop(self) -> None:
        """Nothing may begin any more; a question needs no answer."""
        self._stopped = True
        self._answered.set()

    def progress(self, lanes: Sequence[Lane]) -> None:
        if self._watches:
            self.progressed = Progress.of(lanes)


class Background(Generic[T]):
    """One piece of work in a thread. `stop` may be called from any other."""

    def __init__(self, work: Callable[[], Awaitable[T]], warn: Callable[[str], None]) -> None:
        self._work = work
        self._warn = warn
        self._scope = anyio.CancelScope()
        self._stops: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.ended = False

    def __call__(self) -> T | None:
        """Run it to its end in this thread; None where it was stopped before anything was sent."""
        try:
            return in_own_loop(self._watched, self._warn)
        except BatchcreditError:
            raise
        except Exception as error:
            raise defect(error) from None
        finally:
            self.ended = True

    def stop(self) -> None:
        """Take no more rows, and hear out what is in flight; once more, at once. As signals do."""
        self._wanted.put(None)
        if self._loop:  # without it, its beginning heeds what was wanted before
            with suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._heed)

    @contextmanager
    def while_sending(self, stop: Callable[[], None]) -> Iterator[None]:
        """From here on `stop` is what ends it: what was done is written down."""
        self._stops = stop
        try:
            yield
        finally:
            self._stops = None

    async def _watched(self) -> T | None:
        self._loop = asyncio.get_running_loop()
        self._heed()
        with self._scope:
            return await self._work()
        return None

    def _heed(self) -> None:
        while not self._wanted.empty():
            self._wanted.get_nowait()
            (self._stops or self._scope.cancel)()


async def in_background(
    background: Background[T],
    caller: Caller,
    approve: Approve | None,
    progress: Callable[[Progress], object] | None,
    tell: Callable[[str], object] | None,
) -> T | None:
    """Run it, and call back in the caller's own task. Cancelled: no new request starts, those in flight are
    heard out and written down, and only then does the cancellation go on; cancelled again: at once. What a
    callback raises stops it in the same way."""
    ended: list[T | BaseException | None] = []
    trouble: BaseException | None = None

    async def work() -> None:
        with anyio.CancelScope(shield=True):  # `stop` is what ends it, also before it has begun
            try:
                ended.append(await to_thread.run_sync(background, limiter=anyio.CapacityLimiter(1)))
            except Exception as error:  # told below, and not in a group
                ended.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        while not background.ended:
            try:
                with anyio.CancelScope(shield=trouble is not None):
                    await anyio.sleep(_TICK_S)
                    if trouble is None:
                        await _call_back(caller, approve, progress, tell)
            except BaseException as error:  # a cancellation, or an error of the caller's own
                trouble = trouble or error
                caller.stop()
                background.stop()
    if trouble:
        raise trouble
    await _call_back(caller, None, progress, tell)
    (found,) = ended
    if isinstance(found, BaseException):
        raise found
    return found


async def _call_back(
    caller: Caller,
    approve: Approve | None,
    progress: Callable[[Progress], object] | None,
    tell: Callable[[str], object] | None,
) -> None:
    """Hand on what there is to tell, and ask what there is to ask."""
    while not caller.said.empty():
        text = caller.said.get_nowait()
        if tell:
            tell(text)
    if progress and caller.progressed:
        shown, caller.progressed = caller.progressed, None
        progress(shown)
    if approve and caller.question:
        answer = approve(caller.question)
        caller.reply(agreed=(await answer if isawaitable(answer) else answer) is True)
