"""One scenario from its first start to its last: the real `run`, in a simulated world.

Reader, runner, engine, our own wire, adapters, ledger and writer are the program's own; only the event loop,
the clocks, the network and the disk below SQLite are simulated. At the end the weather is good, every file is
run until it ends, a person settles what is in doubt by the provider's own book, and the promises are checked.
"""

import asyncio
import contextlib
import csv
import random
import shutil
import tempfile
import traceback
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import aiohappyeyeballs
import apsw
from promises import Given, PromiseError, check
from scenario import CURRENCY, Disaster, Row, Scenario, Start, Strike
from simulated_disk import SimulatedDisk, mounted
from simulated_network import RETRY_AFTER_S, Providers, Weather
from simulated_world import PROCESS, CrashError, SimulatedLoop, World

from batchcredit import host
from batchcredit.engine.delivery import Delivery
from batchcredit.engine.limiter import Rate
from batchcredit.engine.queue import Job
from batchcredit.engine.wire import direct
from batchcredit.errors import BatchcreditError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, Ledger, ResultRow, Verdict
from batchcredit.ledger.sqlite.reader import SqliteReader
from batchcredit.reader import ReadOptions, Survey, Worksheet
from batchcredit.runner import batch
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.outgoing import desk, dispatch
from batchcredit.sandbox import SandboxSettings, answers
from batchcredit.settings import Profile, Settings, default_profile
from batchcredit.settings.loading import Limits
from batchcredit.transfer import STATUS, State, Transfer

ADDRESSES = {"clicksend": "/clicksend/v3", "fastmessage": "/fastmessage"}
QUIET_S = 60.0

#: The wall clock is set by a day or so at the most: then a person waits so many days for a verdict.
CLOCK_MOST_S = 90_000.0
SET_BACK_DAYS = 8

#: After so many starts in good weather everything has to have ended.
LAST_STARTS = 12


_default_profile = cache(default_profile)
_examined = batch.examined


class QuietAttendant:
    """Nobody sits there; what is asked is agreed to."""

    listens = False

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: True


@dataclass
class Ended:
    """How one start ended: its exit code, None where it was broken off, and the error's reason."""

    start: Start
    code: int | None
    reason: str = ""
    seconds: float = 0.0


@dataclass
class Story:
    """What became of a scenario. `broken` says which promise, `digest` what happened, in one number."""

    scenario: Scenario
    ended: list[Ended] = field(default_factory=list)
    struck: list[StrEnum] = field(default_factory=list)
    executed: int = 0
    doubts: int = 0
    sent_together: int = 0  # by the senders of a crew, before what they left was sent
    late: int = 0  # answers that came when their rows were in doubt already
    seconds: float = 0.0
    broken: str = ""
    digest: str = ""
    history: list[str] | None = None


@dataclass
class Machine:
    """The computer of the person who tops up, through all its crashes."""

    scenario: Scenario
    world: World
    folder: Path
    story: Story
    number: int = 0
    stop: list[tuple[int, Any]] = field(default_factory=list)  # which process, and who hears a stop signal
    others: "list[asyncio.Task[Any]]" = field(default_factory=list)
    kept: dict[str, bytes] | None = None  # the person's folder as a crash left it
    file: int = 0  # the one that is being started
    troubled: set[int] = field(default_factory=set)  # starts that were broken off, or whose disk failed
    intents: dict[tuple[str, str, str], float] = field(default_factory=dict)
    side_by_side: list[object] = field(default_factory=list)
    under_way: dict[tuple[int, str], int] = field(default_factory=dict)  # client -> process
    begun: list[float] = field(default_factory=list)
    disturbed: set[int] = field(default_factory=set)
    surveys: dict[int, tuple[Worksheet, Survey]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scenario = self.scenario
        self.work = self.folder / "work"
        self.work.mkdir()
        (self.folder / "disk0").mkdir()
        self.disk = SimulatedDisk(self.world, self.folder / "disk0")
        sandbox = SandboxSettings(
            seed=scenario.seed,
            fault_rates=scenario.faults,
            late_s=scenario.late_s,
            wallet=Decimal(scenario.wallet),
            retry_after_s=RETRY_AFTER_S,
        )
        self.providers = Providers(self.world, sandbox, scenario.weather)
        for number, rows in enumerate(scenario.files):
            _write(self.work / f"file{number}.csv", rows)

    @property
    def ledger_url(self) -> str:
        return f"sqlite:///{self.disk.folder}/ledger.db"

    def settings(self) -> Settings:
        profiles = {kind: self._profile(kind) for kind in CURRENCY}
        return Settings(
            source=None,
            ledger=self.ledger_url,
            repeat_window_ms=100 * 86_400_000,
            max_pause_s=900,
            outage_wait_s=120,
            quiet_ms=round(QUIET_S * 1000),
            timezone=zoneinfo.ZoneInfo("Europe/Berlin"),
            limits=Limits({}, {}, {}, {}),
            profiles=profiles,
        )

    def _profile(self, kind: str) -> Profile:
        lane, url = self.scenario.lanes[kind], f"http://127.0.0.1:9{ADDRESSES[kind]}"
        return replace(
            _default_profile(kind),
            base_url=url,
            wire_url=url,
            rate=Rate(Decimal(lane.rate[0]), lane.rate[1]) if lane.rate else None,
            concurrency=lane.concurrency,
            timeout_s=float(lane.timeout_s),
            attempts=lane.attempts,
            in_doubt_limit=lane.in_doubt_limit,
        )

    async def _run(self, start: Start) -> tuple[int, str]:
        given = InputOptions(self.work / f"file{start.file}.csv", ReadOptions())
        how = SendOptions(
            command="run",
            yes=True,
            skip_preflight=True,
            skip_repeats=True,
            limit=start.limit,
            canary=start.canary,
            ledger_url=self.ledger_url,
            on_stop=self._listening,
        )
        attendant: Any = QuietAttendant()
        name = self._known(start.file) if start.resumes else ""
        if name:
            summary = await batch.resume(name, how, self.settings(), attendant)
        else:
            summary = await batch.run(given, how, self.settings(), attendant)
        return summary.exit_code, " ".join(summary.reasons)

    def _known(self, file: int) -> str:
        """The batch that a file has become, or "" as long as it has not."""
        with self._ledger() as ledger:
            found = _batch_of(file, ledger)
        return found.name if found else ""

    def _ledger(self) -> contextlib.AbstractContextManager[Ledger]:
        """The ledger while no command has it."""
        return contextlib.closing(registry.hold(self.ledger_url, "look"))

    def start(self, start: Start) -> Ended:
        """One command, until it ends or is broken off."""
        world = self.world
        world.start_machine()
        world.tell(f"starts {start}")
        self.file, begun_at = start.file, world.now
        loop = SimulatedLoop(world)
        loop.connect = self.providers.connect
        for strike in start.strikes:
            self._prepare(strike, start, loop)
        main = loop.create_task(self._run(start))
        try:
            ended = Ended(start, *loop.run_until_complete(main))
        except CrashError:
            ended = Ended(start, None, "crash")
        except asyncio.CancelledError:
            ended = Ended(start, 2, "stopped")
        except BatchcreditError as error:
            ended = Ended(start, error.exit_code, error.reason)
        finally:
            self._tear_down(loop)
        ended.seconds = world.now - begun_at
        world.tell(f"ended {ended.code} {ended.reason}")
        self.story.ended.append(ended)
        return ended

    def _tear_down(self, loop: SimulatedLoop) -> None:
        """Let go of what a crash or an end left; nothing that happens now leaves this machine."""
        self.world.start_machine()
        self.providers.lose_all()
        self.disk.operations = 0
        self.disk.at_operation.clear()
        while asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.sleep(0))  # what never began would complain that it never did
            for task in (tasks := asyncio.all_tasks(loop)):
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        self.stop.clear()
        self.others.clear()
        if self.kept is not None:
            self._restart()

    def _restart(self) -> None:
        assert self.kept is not None
        for left in self.work.iterdir():
            left.unlink()
        for name, content in self.kept.items():
            (self.work / name).write_bytes(content)
        self.kept = None
        shutil.rmtree(self.folder / f"disk{self.number - 1}")
        self.disk.adopt(self.folder / f"disk{self.number}")

    @contextmanager
    def sending(self, attempt: Delivery, transfer: Transfer, intent_boot_s: float) -> Iterator[None]:
        """Watches a request for one client from before its first byte to its end."""
        kind, client = attempt.lane.record.identity.kind, (attempt.lane.record.id, transfer.account_key)
        self.intents[kind, transfer.account, transfer.amount] = intent_boot_s
        if self.under_way.get(client, -1) not in {-1, *self.disturbed}:
            self.side_by_side.append(transfer)
        self.under_way[client] = PROCESS.get()
        try:
            yield
        finally:
            self.under_way.pop(client, None)

    # disasters

    def _prepare(self, strike: Strike, start: Start, loop: SimulatedLoop) -> None:
        def happen() -> None:
            self.story.struck.append(strike.disaster)
            if strike.disaster in TROUBLE:
                self.troubled.add(self.world.machine)
            self.world.tell(f"strikes {strike.disaster}")
            self._strike(strike.disaster, start, loop)

        if strike.on_disk:
            self.disk.at_operation[strike.at] = happen
        else:
            self.world.at_step[strike.at] = happen

    def _strike(self, disaster: Disaster, start: Start, loop: SimulatedLoop) -> None:
        world = self.world
        match disaster:
            case Disaster.KILL | Disaster.POWER:
                self._end(powerless=disaster is Disaster.POWER)
            case Disaster.STOP:
                self._signal(loop)
            case Disaster.STOP_TWICE:
                self._signal(loop)
                world.at(world.now + 0.05, lambda: self._signal(loop), machine=True)
            case Disaster.SLEEP:
                world.suspended_s += 600.0
            case Disaster.CLOCK:
                world.wall_shift_s += world.span(-CLOCK_MOST_S, CLOCK_MOST_S, "clock")
            case Disaster.SECOND:
                self.others.append(loop.create_task(self._beside(start)))
            case Disaster.OUTAGE:
                self.providers.is_down = True
                world.at(world.now + 20.0, self._outage_ends)
            case Disaster.DISK_FULL:
                raise apsw.FullError("simulated")
            case Disaster.DISK_ERROR:
                raise apsw.IOError("simulated")

    def _end(self, *, powerless: bool) -> None:
        self.number += 1
        self.kept = {path.name: path.read_bytes() for path in self.work.iterdir()}
        self.disk.leave(self.folder / f"disk{self.number}", powerless=powerless)
        self.providers.lose_all()
        raise CrashError

    def _signal(self, loop: SimulatedLoop) -> None:
        if self.stop:
            loop.call_soon(self.stop[-1][1])
        else:  # nobody listens yet: it interrupts whatever goes on
            for task in asyncio.all_tasks(loop):
                task.cancel()

    @contextmanager
    def _listening(self, call: Callable[[], None]) -> Iterator[None]:
        self.stop.append((PROCESS.get(), call))
        yield
        self.stop[:] = [one for one in self.stop if one[1] is not call]

    async def _beside(self, start: Start) -> None:
        """The same command in a second window."""
        try:
            code, reason = await self._run(start)
        except BatchcreditError as error:
            code, reason = error.exit_code, error.reason
        self.story.ended.append(Ended(replace(start, strikes=()), code, f"beside: {reason}"))

    def _outage_ends(self) -> None:
        self.providers.is_down = False

    # the end of the story

    def good_weather(self) -> None:
        self.world.settle_down()
        self.providers.weather = Weather(slow_s=0.001)
        self.providers.is_down = False
        self.providers.simulation.change({"fault_rates": {}, "wallet": Decimal(10**9)})

    def run_to_the_end(self) -> None:
        """Start each file until nothing is left of it that could be sent.

        A row that is open in two files waits for the older one, or for a person.
        """
        left = set(range(len(self.scenario.files)))
        ended: list[Ended] = []
        for _ in range(LAST_STARTS):
            ended = [self.start(Start(number, resumes=True)) for number in sorted(left)]
            left -= {one.start.file for one in ended if _is_over(one)}
            if not left:
                return
        waits = all(self._waits(one) for one in ended)
        if not (waits and self.doubts()):
            raise PromiseError(f"it does not end: {ended}")

    def _waits(self, ended: Ended) -> bool:
        results = self._results(ended.start.file) or []
        return (
            ended.code == 4 and {row["reason"] for row in results if row["status"] == "not_sent"} <= WAITING
        )

    def settle_doubts(self) -> None:
        """A person looks at the provider's own book, after the quiet time, and says what it says."""
        self.world.pass_until(self.world.now + QUIET_S + 1)
        paid = {(one[1], one[3], Decimal(one[4])) for one in self.providers.book}
        for record, row in self.doubts():
            verdict = (
                "credited" if (row.provider, row.account, Decimal(row.amount)) in paid else "not-credited"
            )
            self.world.tell(f"resolves {row.account} {row.amount} {verdict}")
            for _ in range(SET_BACK_DAYS):
                if not (problem := self._resolve(record.id, row.row, verdict)):
                    break
                self.world.pass_until(self.world.now + 86_400.0)  # somebody had set the clock back
            else:
                raise PromiseError(f"a true verdict was refused: {problem}")

    def _resolve(self, number: int, row: int, verdict: str) -> str:
        with self._ledger() as ledger:
            said = [Verdict(row, verdict, "looked up")]
            return "".join(why for _, why in ledger.resolve(number, said, round(QUIET_S * 1000)))

    def doubts(self) -> list[tuple[Any, Any]]:
        with self._ledger() as ledger:
            return [
                (record, row)
                for record in ledger.batches()
                for row in ledger.rows_in(record.id, [State.IN_DOUBT], [], 10_000)
            ]

    def check(self, *, settled: bool) -> None:
        """Compare what the person sees with what the providers did."""
        results = [self._results(number) for number in range(len(self.scenario.files))]
        given = Given(
            self.scenario,
            self.providers,
            results,
            frozenset(self.troubled),
            self.intents,
            self.side_by_side,
            self.begun,
            frozenset(self.disturbed),
        )
        check(given, settled=settled)

    def _results(self, number: int) -> list[dict[str, str]] | None:
        if self.scenario.is_brief:
            return self._rows(number)
        found = list(self.work.glob(f"file{number}-*.results.csv"))
        if len(found) > 1:
            raise PromiseError(f"more than one results file: {found}")
        if not found:
            return None
        with found[0].open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def _rows(self, number: int) -> list[dict[str, str]] | None:
        """What a results file would say."""
        with self._ledger() as ledger:
            found = _batch_of(number, ledger)
            return [_told(row) for row in ledger.rows(found.id, 1, found.rows)] if found else None

    # the short cuts of a brief story

    def examined(self, given: Any, known: Any, worksheet: Any, attendant: Any) -> Survey:
        """The file as it was read the first time."""
        if self.file not in self.surveys:
            self.surveys[self.file] = worksheet, _examined(given, known, worksheet, attendant)
        return self.surveys[self.file][1]

    @contextmanager
    def worksheet(self) -> Iterator[Worksheet]:
        """The file's own, kept from its first reading."""
        if self.file in self.surveys:
            yield self.surveys[self.file][0]
        else:
            yield Worksheet()


#: What may leave a row in doubt although its answer came through.
TROUBLE = frozenset(
    {
        Disaster.KILL,
        Disaster.POWER,
        Disaster.STOP_TWICE,
        Disaster.SLEEP,
        Disaster.DISK_FULL,
        Disaster.DISK_ERROR,
    }
)

#: Why rows of a file may wait for a person who settles those of another one.
WAITING = frozenset({"open_elsewhere", "reference_taken"})

#: Why a second file may be refused as a whole: the person has to change it.
REFUSED = frozenset({"reference_taken", "repeat", "looks_like_correction", "duplicate_rows", "total_line"})


def _batch_of(file: int, ledger: Ledger) -> BatchRecord | None:
    return next((record for record in ledger.batches() if record.name.startswith(f"file{file}-")), None)


def _told(row: ResultRow) -> dict[str, str]:
    shown = {"row": row.row, "provider": row.provider, "account": row.account, "amount": row.amount}
    said = {"status": STATUS[row.state], "reason": row.reason, "attempts": row.attempts}
    said["balance_after"] = row.balance_after or ""
    return {name: str(value) for name, value in (shown | said).items()}


def _is_over(ended: Ended) -> bool:
    return ended.code in (0, 1, 3) or (ended.code == 2 and ended.reason in REFUSED)


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("provider", "account", "amount", "currency", "reference"))
        writer.writerows(
            (row.kind, row.account, row.amount, CURRENCY[row.kind], row.reference) for row in rows
        )


@contextmanager
def simulated(machine: Machine) -> Iterator[None]:
    """The world in the place of clocks, dice, network and disk."""
    world, providers = machine.world, machine.providers
    dice = SimpleNamespace(SystemRandom=lambda: random.Random(machine.scenario.seed), Random=random.Random)

    def close(reader: SqliteReader, really: Any = SqliteReader.close) -> None:
        with contextlib.suppress(apsw.FullError, apsw.IOError):  # SQLite itself ignores them at this place
            really(reader)

    async def send(
        self: Delivery, line: Any, job: Job, intent_boot_s: float, really: Any = Delivery._send
    ) -> Any:
        with machine.sending(self, job.transfer, intent_boot_s):
            return await really(self, line, job, intent_boot_s)

    async def claim(self: Delivery, line: Any, job: Job, really: Any = Delivery._claim) -> Any:
        kind, transfer = self.lane.record.identity.kind, job.transfer
        providers.heard.pop((kind, transfer.account, transfer.amount), None)  # that was an earlier attempt
        return await really(self, line, job)

    async def resolved(_: Any) -> list[Any]:
        return [("the provider",)]

    brief = (
        (batch, "examined", machine.examined),
        (batch, "Worksheet", machine.worksheet),
        (dispatch, "write_results", lambda _, __, results, *___, **____: results),
        (dispatch, "with_to_fix", lambda _, __, summary, *___: summary),
    )
    with contextlib.ExitStack() as stack:
        for where, name, what in (
            *(brief if machine.scenario.is_brief else ()),
            (host, "now_ms", world.now_ms),
            (host, "boot_s", world.boot_s),
            (desk, "random", dice),
            (aiohappyeyeballs, "start_connection", providers.start_connection),
            (direct.DirectWire, "_resolved", resolved),
            (Delivery, "_claim", claim),
            (Delivery, "_send", send),
            (SqliteReader, "close", close),
            (answers, "time", lambda: world.now_ms() / 1000),
        ):
            stack.enter_context(mock.patch.object(where, name, what))
        stack.enter_context(mounted(machine.disk))
        yield


def tell(scenario: Scenario, *, with_history: bool = False, most_steps: int = 300_000) -> Story:
    """Live through a scenario. A broken promise is in the story, as is a defect, which breaks them all."""
    story = Story(scenario)
    world = World(scenario.seed, history=[] if with_history else None, most_steps=most_steps)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        machine = Machine(scenario, world, Path(folder), story)
        with simulated(machine):
            try:
                _live_through(machine)
            except PromiseError as error:
                story.broken = str(error)
            except Exception:
                story.broken = f"a defect: {traceback.format_exc()}"
    for worksheet, _ in machine.surveys.values():
        worksheet.remove()
    story.executed, story.seconds = len(machine.providers.book), world.now - 1_000
    story.digest, story.history = world.digest.hexdigest()[:16], world.history
    return story


def _live_through(machine: Machine) -> None:
    for start in machine.scenario.starts:
        machine.start(start)
        if defects := [ended for ended in machine.story.ended if ended.code == 70]:
            raise PromiseError(f"a defect: {defects}")
        machine.world.pass_until(machine.world.now + machine.world.span(0.0, 30.0, "between"))
    live_on(machine)


def live_on(machine: Machine) -> None:
    """Whatever happened, everything ends in good weather, and the promises hold."""
    machine.good_weather()
    machine.run_to_the_end()
    machine.check(settled=False)
    machine.story.doubts = len(machine.doubts())
    if machine.story.doubts:
        machine.settle_doubts()
        machine.run_to_the_end()
        machine.check(settled=True)
