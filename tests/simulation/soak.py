"""Live through many seeds, or look at one.

python tests/simulation/soak.py --seeds 100000        until one of them breaks a promise
python tests/simulation/soak.py --seed 4711           one, with its history
python tests/simulation/soak.py --seed 4711 --shrink  the smallest scenario that still breaks a promise
... --without "lanes halt"                            the program without one of its safeguards
... --senders                                         several senders of one batch that share a ledger
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from enum import StrEnum
from functools import partial
from pprint import pformat
from typing import TypeVar

from removals import REMOVALS, without
from scenario import Scenario, drawn
from simulated_run import Story, tell
from simulated_senders import Crew, crew, tell_of

Told = TypeVar("Told", Scenario, Crew)

#: So many seeds go to a process at a time.
PORTION = 50

#: So many broken promises are shown before it is given up.
SHOWN = 5

TICK_S = 10.0


def live(first: int, seeds: int, safeguard: str, senders: bool) -> list[Story]:
    """The stories of some seeds, in this process."""
    with without(safeguard) if safeguard else nullcontext():
        numbers = range(first, first + seeds)
        return [tell_of(crew(seed)) if senders else tell(drawn(seed)) for seed in numbers]


def soak(first: int, seeds: int, processes: int, safeguard: str, *, senders: bool) -> int:
    """Live through all of them; the exit code."""
    begun = shown_at = time.monotonic()
    told, executed, doubts, hours, broken = 0, 0, 0, 0.0, 0
    struck: Counter[StrEnum] = Counter()
    with ProcessPoolExecutor(processes) as pool:
        portions = zip(*_portions(first, seeds), strict=True)
        for stories in pool.map(partial(live, safeguard=safeguard, senders=senders), *portions):
            for story in stories:
                told += 1
                executed += story.executed
                doubts += story.doubts
                hours += story.seconds / 3600
                struck.update(story.struck)
                if story.broken:
                    broken += 1
                    _show(story, safeguard, senders=senders)
            if broken >= SHOWN:
                pool.shutdown(cancel_futures=True)
                break
            if time.monotonic() - shown_at > TICK_S:
                shown_at = time.monotonic()
                print(f"{told} of {seeds} seeds, {told / (shown_at - begun) * 60:.0f} a minute", flush=True)
    seconds = time.monotonic() - begun
    print(f"{told} seeds from {first} in {seconds:.0f} s, {told / seconds * 60:.0f} a minute", end="")
    print(f": {hours:.0f} simulated hours")
    print(f"{executed} transfers executed, {doubts} rows in doubt, all settled; disasters: {_counts(struck)}")
    print(f"{broken} broken promises")
    return 1 if broken else 0


def _portions(first: int, seeds: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + seeds, PORTION):
        yield start, min(PORTION, first + seeds - start)


def _counts(struck: Counter[StrEnum]) -> str:
    return ", ".join(f"{name} {times}" for name, times in struck.most_common()) or "none"


def _show(story: Story, safeguard: str, *, senders: bool) -> None:
    more = f' --without "{safeguard}"' if safeguard else ""
    more += " --senders" if senders else ""
    print(f"seed {story.scenario.seed}: {story.broken}")
    print(f"  again: python tests/simulation/soak.py --seed {story.scenario.seed} --shrink{more}", flush=True)


def shrink(scenario: Told, live_through: Callable[..., Story] = tell) -> Told:
    """The smallest scenario that still breaks a promise, as far as leaving parts out leads."""
    for smaller in scenario.smaller():
        if live_through(smaller).broken:
            return shrink(smaller, live_through)
    return scenario


def look(seed: int, *, small: bool, senders: bool) -> int:
    """Tell one story with all that happened; the exit code."""
    if senders:
        many = shrink(crew(seed), tell_of) if small and tell_of(crew(seed)).broken else crew(seed)
        return _report(many, tell_of(many, with_history=True))
    scenario = shrink(drawn(seed)) if small and tell(drawn(seed)).broken else drawn(seed)
    return _report(scenario, tell(scenario, with_history=True))


def _report(scenario: Scenario | Crew, story: Story) -> int:
    print("\n".join(story.history or ()))
    print(pformat(scenario, width=110))
    print(f"digest {story.digest}: {story.broken or 'all promises kept'}")
    return 1 if story.broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--without", choices=sorted(REMOVALS), default="")
    parser.add_argument("--senders", action="store_true")
    given = parser.parse_args()
    if given.seed is None:
        return soak(given.first, given.seeds, given.processes, given.without, senders=given.senders)
    with without(given.without) if given.without else nullcontext():
        return look(given.seed, small=given.shrink, senders=given.senders)


if __name__ == "__main__":
    sys.exit(main())
