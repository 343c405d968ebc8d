"""What one seed stands for: files, lanes, weather, and the order in which things go wrong."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from random import Random
from typing import TypeVar

from simulated_network import Weather

from batchcredit.sandbox.faults import Fault

T = TypeVar("T")

KINDS = ("clicksend", "fastmessage")
CURRENCY = {"clicksend": "USD", "fastmessage": "KES"}


class Disaster(StrEnum):
    """What happens to the machine in the middle of a run."""

    KILL = "kill"  # the process is gone; what it wrote is there
    POWER = "power"  # the machine is gone, and what was not synced with it
    STOP = "stop"  # one stop signal
    STOP_TWICE = "stop twice"
    SLEEP = "sleep"  # a laptop is closed and opened again
    CLOCK = "clock"  # somebody sets the wall clock, back or forth
    SECOND = "second"  # the same command is started once more beside it
    OUTAGE = "outage"  # the providers are not there for a while
    DISK_FULL = "disk full"
    DISK_ERROR = "disk error"


ON_DISK = (Disaster.DISK_FULL, Disaster.DISK_ERROR)


@dataclass(frozen=True)
class Row:
    kind: str
    account: str
    amount: str
    reference: str


@dataclass(frozen=True)
class Strike:
    """A disaster at the so-manieth step of the event loop, or operation of the disk, of one start."""

    disaster: Disaster
    at: int
    on_disk: bool


@dataclass(frozen=True)
class Start:
    """Somebody types a command: which file, with which flags, and what happens meanwhile.

    `resumes`: by the name of its batch, if there is one, and not by the file.
    """

    file: int
    strikes: tuple[Strike, ...] = ()
    limit: int | None = None
    canary: int | None = None
    resumes: bool = False


@dataclass(frozen=True)
class LaneScenario:
    """How a profile is set."""

    concurrency: int
    rate: tuple[int, int] | None  # requests, seconds
    timeout_s: int
    attempts: int
    in_doubt_limit: int


@dataclass(frozen=True)
class Scenario:
    """All of it. Leaving a part out leaves the rest as it is, so that a failing one can be made smaller."""

    seed: int
    lanes: dict[str, LaneScenario]
    files: tuple[tuple[Row, ...], ...]
    starts: tuple[Start, ...]
    weather: Weather
    faults: dict[Fault, float] = field(default_factory=dict)
    late_s: float = 2.0
    wallet: int = 10**9
    is_brief: bool = False  # each file is read once, and results are the ledger's rows: four times as fast

    def smaller(self) -> "Iterator[Scenario]":
        """Everything that is a little simpler, the boldest first."""
        yield from self._with_fewer_starts()
        yield from self._with_fewer_rows()
        yield from self._in_better_weather()
        yield from self._with_simpler_lanes()

    def _with_fewer_starts(self) -> "Iterator[Scenario]":
        for number in range(len(self.starts)):
            yield replace(self, starts=_without(self.starts, number))
        for number, start in enumerate(self.starts):
            for left in range(len(start.strikes)):
                calmer = replace(start, strikes=_without(start.strikes, left))
                yield replace(self, starts=_instead(self.starts, number, calmer))

    def _with_fewer_rows(self) -> "Iterator[Scenario]":
        for number, rows in enumerate(self.files):
            for fewer in _fewer(rows):
                yield replace(self, files=_instead(self.files, number, fewer))

    def _in_better_weather(self) -> "Iterator[Scenario]":
        for fault in self.faults:
            yield replace(self, faults={one: self.faults[one] for one in self.faults if one is not fault})
        for accident in fields(self.weather):
            if getattr(self.weather, accident.name):
                yield replace(self, weather=replace(self.weather, **{accident.name: 0.0}))

    def _with_simpler_lanes(self) -> "Iterator[Scenario]":
        for kind, lane in self.lanes.items():
            for calmer_lane in (replace(lane, concurrency=1), replace(lane, rate=None)):
                if calmer_lane != lane:
                    yield replace(self, lanes=self.lanes | {kind: calmer_lane})


def _without(parts: Sequence[T], number: int) -> tuple[T, ...]:
    return (*parts[:number], *parts[number + 1 :])


def _instead(parts: Sequence[T], number: int, part: T) -> tuple[T, ...]:
    return (*parts[:number], part, *parts[number + 1 :])


def _fewer(rows: tuple[Row, ...]) -> Iterator[tuple[Row, ...]]:
    half = len(rows) // 2
    if half:
        yield rows[half:]
        yield rows[:half]
    if len(rows) > 1:
        yield from (_without(rows, number) for number in range(len(rows)))


def drawn(seed: int) -> Scenario:
    """The scenario of a seed."""
    dice = Random(f"scenario {seed}")
    kinds = KINDS if dice.random() < 0.6 else (dice.choice(KINDS),)
    files = tuple(_files(dice, kinds))
    calm = dice.random() < 0.15
    return Scenario(
        seed=seed,
        lanes={kind: _lane(dice) for kind in KINDS},
        files=files,
        starts=tuple(_start(dice, len(files)) for _ in range(dice.choice((1, 2, 2, 3, 4)))),
        weather=Weather() if calm else _weather(dice),
        faults={} if calm else _faults(dice),
        late_s=dice.choice((0.5, 2.0, 8.0)),
        wallet=10**9 if dice.random() < 0.9 else dice.randint(5, 200),
        is_brief=seed % 4 != 0,
    )


def _files(dice: Random, kinds: Sequence[str]) -> Iterator[tuple[Row, ...]]:
    """One or two files; the second one shares some rows and references with the first."""
    accounts = dice.choice((1, 3, 20))
    first = tuple(rows(dice, kinds, 0, accounts))
    yield first
    if dice.random() < 0.4:
        second = list(rows(dice, kinds, 100, accounts))
        if dice.random() < 0.5:
            second += [row for row in first if dice.random() < 0.2]
        if dice.random() < 0.5:
            named = [row.reference for row in first if row.reference]
            second = [
                replace(row, reference=dice.choice(named))
                if named and dice.random() < 0.1 and row not in first
                else row
                for row in second
            ]
        dice.shuffle(second)
        yield tuple(_references_once(second))


def _references_once(rows: Sequence[Row]) -> Iterator[Row]:
    seen: set[str] = set()
    for row in rows:
        if not (row.reference and row.reference in seen):
            yield row
        seen.add(row.reference)


def rows(dice: Random, kinds: Sequence[str], first: int, accounts: int) -> Iterator[Row]:
    refused = 0.1 if dice.random() < 0.3 else 0.0
    for number in range(first, first + dice.choice((1, 2, 5, 12, 25))):
        kind = dice.choice(kinds)
        client = dice.randrange(accounts)
        known = dice.random() >= refused
        account = f"7{client}1" if kind == "clicksend" else f"client{client}"
        unknown = f"7{client}0404" if kind == "clicksend" else f"unknown{client}"
        reference = f"r{number}" if dice.random() < 0.5 else ""
        yield Row(kind, account if known else unknown, f"{number + 1}.{number % 100:02}", reference)


def _lane(dice: Random) -> LaneScenario:
    return LaneScenario(
        concurrency=dice.choice((1, 1, 2, 4, 8)),
        rate=dice.choice((None, None, (20, 1), (100, 1), (5, 1), (20, 60))),
        timeout_s=dice.choice((1, 2, 5)),
        attempts=dice.choice((2, 3, 5)),
        in_doubt_limit=dice.choice((1, 3, 100)),
    )


def _start(dice: Random, files: int) -> Start:
    strikes = tuple(_strike(dice) for _ in range(dice.choice((0, 1, 1, 1, 2))))
    limit = dice.randint(1, 5) if dice.random() < 0.1 else None
    canary = dice.randint(1, 2) if dice.random() < 0.1 else None
    return Start(dice.randrange(files), strikes, limit, canary, dice.random() < 0.3)


def _strike(dice: Random) -> Strike:
    often = (Disaster.KILL,) * 3 + (Disaster.POWER,) * 4
    disaster = dice.choice((*often, *Disaster, Disaster.SLEEP, Disaster.SLEEP))
    on_disk = disaster in ON_DISK or (disaster in often and dice.random() < 0.5)
    most = 250 if on_disk else 2_500
    return Strike(disaster, round(math.exp(dice.uniform(0, math.log(most)))), on_disk)


def _weather(dice: Random) -> Weather:
    def now_and_then(most: float) -> float:
        return dice.uniform(0, most) if dice.random() < 0.35 else 0.0

    return Weather(
        refused=now_and_then(0.5),
        unheard=now_and_then(0.1),
        lost=now_and_then(0.3),
        cut=now_and_then(0.3),
        mute=now_and_then(0.1),
        chatty=now_and_then(0.3),
        hasty=now_and_then(0.5),
        pieces=dice.choice((0.0, 0.3, 0.9)),
        slow_s=dice.choice((0.001, 0.05, 0.4)),
    )


def _faults(dice: Random) -> dict[Fault, float]:
    """A few of the sandbox's faults, each now and then."""
    if dice.random() < 0.3:
        return {}
    some = dice.sample(sorted(Fault), dice.randint(3, 8))
    some += [Fault.STATUS_429] if dice.random() < 0.3 else []
    return {fault: dice.uniform(0.01, 0.1) for fault in some}
