"""One sender of a fleet, as an actor of Ray. Its process ends with its work, whoever starts or leaves it."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from importlib.metadata import version

from batchcredit import host
from batchcredit.distributed.messages import Errand, Introduction, Report, Told
from batchcredit.distributed.reporter import Reporter
from batchcredit.distributed.sealed import Seal
from batchcredit.engine.loop import in_loop
from batchcredit.errors import BatchcreditError, RefusedError, defect
from batchcredit.ledger import registry
from batchcredit.ledger.base import LaneRecord, Ledger
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.runner.outgoing.sending import Sending, Stop, one_error
from batchcredit.settings import lowered

#: Told nothing, and after its report, the process of a sender ends by itself after so long: its driver may
#: be gone. Sooner where that is why it ended.
IDLE_S, FORSAKEN_S = 30.0, 3.0


class Sender:
    """Does one errand. `send` takes as long as that; the others are called meanwhile, from other threads: so
    no method is a coroutine, or Ray would run all of them in one. No exception leaves it: Ray would write
    down what it says."""

    def __init__(self) -> None:
        host.keep_secrets_in()
        self._seal = Seal()
        self._reporter = Reporter()
        self._signals = Signals()
        self._idle = _ending_in(IDLE_S)

    def introduce(self) -> Introduction:
        """Who this is; only after that it is told anything."""
        return Introduction(version("batchcredit"), host.name(), os.getpid(), self._seal.public)

    def send(self, sealed: bytes) -> Report:
        """Do the errand, and report."""
        self._idle.cancel()
        left, problem = "", None
        try:
            errand = Errand.unpacked(self._seal.opened(sealed))
            left = in_loop(lambda: _sent(errand, self._reporter, self._signals))
        except BatchcreditError as error:
            problem = error
        except Exception as error:
            problem = defect(error)
        is_forsaken = left and not self._signals.have_come
        self._idle = _ending_in(FORSAKEN_S if is_forsaken else IDLE_S)
        if problem is None:
            return Report(self._reporter.told(), left)
        return Report(self._reporter.told(), left, str(problem), problem.reason)

    def tell(self) -> Told:
        """What is new since this was asked last."""
        return self._reporter.told()

    def stop(self) -> None:
        """Begin no row any more, and hear out what is in flight; the second time, end at once."""
        self._signals.come()


async def _sent(errand: Errand, reporter: Reporter, signals: "Signals") -> str:
    """Send what is left; the reason why rows are left, or ""."""
    settings, how = errand.settings, errand.how
    reporter.listen(asked=errand.listens)
    known = {
        name: lowered(profile, max(1, profile.concurrency // errand.senders), None)
        for name, profile in lanes.profiles(settings, how).items()
    }
    desk = Desk(settings, how, reporter, known, lanes.is_live(errand.profiles, known, how))
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(closing(registry.hold(errand.ledger_url, how.command)))
        stop = Stop(registry.silent, ledger.hurry)
        stack.enter_context(signals.reaching(stop))
        records = _records(ledger, errand, desk)
        ledger.enlist(errand.run, errand.driver)
        ledger.away_most_s = settings.outage_wait_s
        ledger.guard(errand.batch.id, settings.caps, settings.repeat_window_ms)
        opened = await desk.opened(records, stack, ledger)
        with one_error():
            return await Sending(ledger, errand.batch, opened, how, reporter, stop).run(live=False)


def _records(ledger: Ledger, errand: Errand, desk: Desk) -> dict[str, LaneRecord]:
    """The lanes of the batch, as the driver has opened them; refused where they would lead elsewhere."""
    kept = {lane.profile: lane.lane for lane in ledger.batch_lanes(errand.batch.id)}
    records = {profile: kept[profile] for profile in errand.profiles}
    strange = [name for name, record in records.items() if desk.known[name].lane != record.identity]
    if strange or desk.live != errand.live:
        raise RefusedError(
            f"{', '.join(strange or errand.profiles)}: on this machine it leads elsewhere than at the driver",
            reason="other_lane",
            cure="install the same batchcredit and the same providers on every machine of the cluster",
        )
    return records


class Signals:
    """Brings what a driver asks, in any thread and at any time, to the loop that sends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._come = 0
        self._tell: Callable[[], object] | None = None

    @property
    def have_come(self) -> bool:
        return self._come > 0

    def come(self) -> None:
        """One more. From any thread."""
        with self._lock:
            self._come += 1
            if self._tell:
                self._tell()

    @contextmanager
    def reaching(self, stop: Stop) -> Iterator[None]:
        """In the running loop: those that have come, and those that will, reach `stop`."""
        with self._lock:
            loop = asyncio.get_running_loop()
            self._tell = lambda: loop.call_soon_threadsafe(stop)
            come = self._come
        for _ in range(come):
            stop()
        try:
            yield
        finally:
            with self._lock:
                self._tell = None


def _ending_in(seconds: float) -> threading.Timer:
    """The end of this process, unless it is cancelled in time. Nothing is in flight then."""
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()
    return timer
