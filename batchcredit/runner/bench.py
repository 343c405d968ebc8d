"""bench: what profiles reach on this machine, measured with the real run against the sandbox.

What is measured is `run` itself, from a file to its results, with a ledger beside the user's own, since disks
differ. The profiles lead to loopback before anything is opened, and hold no secret.
"""

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from batchcredit import host
from batchcredit.engine.lane import Lane
from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger import registry
from batchcredit.reader import ReadOptions
from batchcredit.runner import batch
from batchcredit.runner.attendant import Attendant, Nobody
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.plan import ASSUMED_LATENCY_S
from batchcredit.runner.summary import Speed, Summary
from batchcredit.sandbox.process import SIMULATED_KINDS, SandboxAddress, sandbox_process
from batchcredit.sandbox.settings import SandboxSettings
from batchcredit.settings import Limits, Profile, Rate, Settings, default_profile, with_sandbox

T = TypeVar("T")

#: So many rows are sent where nobody says how many, or what takes so long where a latency or rate decides.
ROWS = 10_000
SECONDS = 20

#: A ceiling is what limits when so much of it was reached.
NEAR = 0.9

_CONCURRENCY_MOST = 1024

#: Accounts that the sandbox credits, and their currency.
_CLIENTS = {"clicksend": ("{}1", "USD"), "fastmessage": ("client{}", "KES")}


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure. `concurrency` takes the place of the profiles' own; no rate is kept to but `rate`.
    `again` are the flags with which the same is measured once more."""

    rows: int | None = None
    profiles: Sequence[str] = ()
    latency_s: float = 0.0
    concurrency: int | None = None
    rate: Rate | None = None
    again: tuple[str, ...] = ()


class Limit(StrEnum):
    """What keeps a profile from being faster."""

    RATE = "rate"
    LATENCY = "latency"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one profile reached. `rate_kept`: its rate was kept to, and not only compared with."""

    profile: Profile
    latency_s: float
    rate_kept: bool
    summary: Summary
    cpu_s: float

    @property
    def rows_per_s(self) -> float:
        speed = self.summary.speed
        return speed.rows / speed.seconds if speed.seconds else 0.0

    @property
    def cpu_us_per_row(self) -> float:
        """Of this process while it was sending, without the sandbox's share."""
        rows = self.summary.speed.rows
        return self.cpu_s * 1e6 / rows if rows else 0.0

    @property
    def limit(self) -> Limit:
        """What would limit a real run: the first of the ceilings that was reached."""
        rate = self.profile.rate
        if rate and self.rows_per_s >= NEAR * rate.per_second:
            return Limit.RATE
        if self.latency_s and self.rows_per_s >= NEAR * self._latency_allows:
            return Limit.LATENCY
        return Limit.MACHINE

    @property
    def _latency_allows(self) -> float:
        """Rows/s if each wave of requests took the latency and nothing more; the last wave may be small."""
        waves = math.ceil(self.summary.rows / self.profile.concurrency)
        return self.summary.rows / (waves * self.latency_s)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything measured. `skipped` are profiles that the sandbox can't play; the peak is this process's."""

    measured: Sequence[Measured]
    skipped: Sequence[str]
    peak_bytes: int
    next: tuple[str, ...] | None

    @property
    def whole(self) -> Summary:
        """All profiles together, one after the other; no amounts, since the money is made up."""
        summaries = [one.summary for one in self.measured]
        speeds = [summary.speed for summary in summaries]
        return Summary(
            batch="",
            rows=sum(summary.rows for summary in summaries),
            counts=_added(summary.counts for summary in summaries),
            reasons=_added(summary.reasons for summary in summaries),
            amounts={},
            results=None,
            speed=Speed(
                sum(speed.seconds for speed in speeds),
                sum(speed.rows for speed in speeds),
                _added(speed.latencies for speed in speeds),
            ),
            next=self.next,
        )


def _added(counts: Iterable[Mapping[T, int]]) -> Counter[T]:
    return sum(map(Counter, counts), start=Counter[T]())


async def bench(wanted: BenchOptions, settings: Settings, attendant: Attendant) -> Bench:
    """Measure each profile for itself. Reads no secret, dials nobody but the sandbox, leaves nothing behind.

    Raises RefusedError where there is nothing to measure or it was stopped, StorageError where the ledger's
    folder can't be written.
    """
    known = _known(wanted, settings)
    played = {name: profile for name, profile in known.items() if profile.kind in SIMULATED_KINDS}
    skipped = tuple(sorted(known.keys() - played.keys()))
    _refuse(played, skipped, wanted)
    for name in skipped:
        attendant.warn(f"{name} is left out: the sandbox does not play {known[name].kind}")
    measured = [await _measured(profile, wanted, settings, attendant) for profile in played.values()]
    return Bench(measured, skipped, host.peak_memory_bytes(), _next(measured, wanted))


def _known(wanted: BenchOptions, settings: Settings) -> Mapping[str, Profile]:
    profiles = settings.profiles or {kind: default_profile(kind) for kind in SIMULATED_KINDS}
    settings = replace(settings, profiles=profiles)
    return {name: settings.profile(name) for name in wanted.profiles or profiles}


def _refuse(played: Mapping[str, Profile], skipped: Sequence[str], wanted: BenchOptions) -> None:
    if not played:
        raise RefusedError(
            f"the sandbox plays none of these profiles: {', '.join(skipped)}",
            reason="not_simulated",
            cure=f"it plays the kinds {' and '.join(SIMULATED_KINDS)}",
        )
    for profile in played.values():
        if wanted.latency_s >= profile.timeout_s:
            raise RefusedError(
                f"a latency of {wanted.latency_s:g} s is not within the timeout of {profile.name}, "
                f"{profile.timeout_s:g} s: every row would be in doubt",
                reason="usage",
                cure="give a shorter --latency",
            )


async def _measured(own: Profile, wanted: BenchOptions, settings: Settings, attendant: Attendant) -> Measured:
    concurrency = wanted.concurrency or own.concurrency
    rows = _rows(wanted, concurrency)
    attendant.note(f"{own.name}: {rows:,} made-up rows, {concurrency} at a time, to the sandbox")
    profile, watch = replace(own, rate=wanted.rate or own.rate, concurrency=concurrency), Watch(attendant)
    with (
        host.interrupted_by_stop_signals(),  # the run before may have left them unheard
        sandbox_process(SandboxSettings(latency_s=wanted.latency_s, keep_book="totals")) as address,
        _folder_beside(settings.ledger_url) as folder,
    ):
        played = rehearsing(replace(profile, rate=wanted.rate), address)
        given = InputOptions(_batch(folder / "bench.csv", played, rows), ReadOptions())
        summary = await batch.run(given, _sending(folder), _alone(played, settings, folder), watch)
    return Measured(profile, wanted.latency_s, wanted.rate is not None, summary, watch.cpu_s)


def rehearsing(profile: Profile, address: SandboxAddress) -> Profile:
    """The profile as it sends to the sandbox: by the same transport, though a proxy that asks for it is left
    out, and with no form of files but ours."""
    transport = "httpx" if profile.uses_httpx else profile.transport
    plain = replace(profile, transport=transport, currency=None, map={}, thousands=None)
    return with_sandbox(plain, address.base_url(profile.kind))


def _rows(wanted: BenchOptions, concurrency: int) -> int:
    """As many as were asked for, else enough to see what is reached, and in a time that people wait."""
    if wanted.rows:
        return wanted.rows
    rows = ROWS
    if wanted.latency_s:
        rows = min(rows, concurrency * max(1, int(SECONDS / wanted.latency_s)))
    if wanted.rate:
        rows = min(rows, max(1, int(SECONDS * wanted.rate.per_second)))
    return rows


@contextmanager
def _folder_beside(ledger_url: str) -> Iterator[Path]:
    """A folder on the file system that holds the ledger, or would; nothing interrupts its removal. What a
    shared ledger costs depends on where it is, and is not measured: the working folder holds one then."""
    if registry.is_shared(ledger_url):
        beside = Path.cwd()
    else:
        ledger = registry.sqlite_path(ledger_url).resolve()
        beside = next(folder for folder in ledger.parents if folder.is_dir())
    try:
        folder = Path(tempfile.mkdtemp(prefix="batchcredit-bench-", dir=beside))
    except OSError as error:
        raise StorageError(
            f"{beside}, where the ledger would be, can't be written: {error.strerror}",
            reason="ledger_unusable",
            cure="name a ledger in another folder with --ledger sqlite:///path/ledger.db",
        ) from error
    try:
        yield folder
    finally:
        host.deafen()
        shutil.rmtree(folder, ignore_errors=True)


def _batch(path: Path, profile: Profile, rows: int) -> Path:
    """A file of so many rows, each for a client of its own, with references as recurring files have them."""
    account, currency = _CLIENTS[profile.kind]
    with path.open("w") as file:
        file.write("provider,account,amount,currency,reference\n")
        for row in range(1, rows + 1):
            amount = Decimal(100 + row * 7919 % 90_000) / 100
            file.write(f"{profile.name},{account.format(row)},{amount},{currency},bench-{row}\n")
    return path


def _sending(folder: Path) -> SendOptions:
    return SendOptions(command="bench", out=folder / "bench.results.csv", yes=True, skip_preflight=True)


def _alone(profile: Profile, settings: Settings, folder: Path) -> Settings:
    """The settings with this profile only, a ledger of its own, and no limits on money."""
    ledger, none = f"sqlite:///{folder / 'ledger.db'}", Limits({}, {}, {}, {})
    return replace(settings, ledger=ledger, limits=none, profiles={profile.name: profile})


def _next(measured: Sequence[Measured], wanted: BenchOptions) -> tuple[str, ...] | None:
    """What is worth measuring next: answers that take their time, then more of them at a time."""
    command = ("batchcredit", "bench", *wanted.again)
    if not wanted.latency_s:
        more = ("--concurrency", f"{wanted.concurrency}") if wanted.concurrency else ()
        return (*command, "--latency", f"{ASSUMED_LATENCY_S * 1000:g}ms", *more)
    widest = max(one.profile.concurrency for one in measured)
    if all(one.limit is Limit.LATENCY for one in measured) and widest < _CONCURRENCY_MOST:
        wider = min(2 * widest, _CONCURRENCY_MOST)
        return (*command, "--latency", f"{wanted.latency_s * 1000:g}ms", "--concurrency", f"{wider}")
    return None


class Watch(Nobody):
    """Passes on how far it is; of the rest, rows and money that are made up, a person hears nothing."""

    def __init__(self, person: Attendant) -> None:
        self._person = person
        self._began_s: float | None = None
        self.cpu_s = 0.0  # the processor time of this process while rows were sent

    def progress(self, lanes: Sequence[Lane]) -> None:
        """Also ends what was stopped: nobody has to hear out answers that are made up."""
        if self._began_s is None:
            self._began_s = time.process_time()
        self._person.progress(lanes)
        if any(lane.closed for lane in lanes):
            self._person.progress_ends()
            raise RefusedError("stopped: nothing was measured, and nothing is left behind", reason="stopped")

    def progress_ends(self) -> None:
        if self._began_s is not None:
            self.cpu_s = time.process_time() - self._began_s
        self._person.progress_ends()
