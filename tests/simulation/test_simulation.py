"""Whole runs in a simulated world: crashes, power cuts, faults of network and disk, all from seeds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from removals import REMOVALS, without
from scenario import Disaster, LaneScenario, Row, Scenario, Start, Strike, drawn
from simulated_network import Weather
from simulated_run import tell
from soak import shrink

SEEDS = 240
PORTIONS = 8

#: A safeguard whose absence so many seeds do not show is not tested.
SEEDS_TO_CATCH = 200

SOAK = Path(__file__).with_name("soak.py")


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_promises(portion: int) -> None:
    """Whatever goes wrong: nobody is paid twice, nothing is guessed, no row is lost, no limit exceeded."""
    stories = [tell(drawn(seed)) for seed in range(portion, SEEDS, PORTIONS)]
    assert [(story.scenario.seed, story.broken) for story in stories if story.broken] == []
    assert sum(story.executed for story in stories) > 2 * len(stories)
    assert any(story.doubts for story in stories)
    assert len({disaster for story in stories for disaster in story.struck}) >= 5


@pytest.mark.parametrize("safeguard", REMOVALS)
def test_each_safeguard_is_missed(safeguard: str) -> None:
    """The same seeds find a broken promise as soon as one safeguard is taken out."""
    last_known = documented()[safeguard] - 1  # tried first; another one, if the program has changed since
    seeds = sorted(range(SEEDS_TO_CATCH), key=lambda seed: seed != last_known)
    with without(safeguard):
        caught = next((seed for seed in seeds if tell(drawn(seed)).broken), None)
    assert caught is not None
    assert tell(drawn(caught)).broken == ""


def test_the_document_lists_each_safeguard() -> None:
    """In this order, with a number of seeds that the tests live through."""
    assert list(documented()) == list(REMOVALS)
    assert max(documented().values()) <= SEEDS_TO_CATCH


def documented() -> dict[str, int]:
    """How many seeds it took to miss each safeguard, as the document has it."""
    text = (Path(__file__).parents[2] / "docs" / "ARCHITECTURE.md").read_text()
    section = text.partition("\n## Proof\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| ([a-z ]+) \| .+ \| (\d+) \|$", section, re.MULTILINE)
    return {name: int(seeds) for name, seeds in listed}


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_a_seed_is_one_story(hash_seed: str) -> None:
    """The same in another process, with other hashes: what was found can be found again."""
    seed = next(seed for seed in range(100) if tell(drawn(seed)).struck)
    told = subprocess.run(
        [sys.executable, SOAK, "--seed", str(seed)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
    )
    assert told.stdout.splitlines()[-1] == f"digest {tell(drawn(seed)).digest}: all promises kept"


def test_a_broken_promise_is_made_small() -> None:
    """What is left of a failing scenario fails still, and nothing can be left out of it."""
    with without("doubt is never sent again"):
        seed = next(seed for seed in range(SEEDS_TO_CATCH) if tell(drawn(seed)).broken)
        small = shrink(drawn(seed))
        assert tell(small).broken
        assert sum(map(len, small.files)) <= 3
        assert not any(tell(smaller).broken for smaller in small.smaller())


#: Eight hours at the rate of the provider, over the night in which Berlin changes to summer time.
NIGHT_ROWS = 8 * 60 * 20


def night(*strikes: Strike) -> Scenario:
    lane = LaneScenario(concurrency=4, rate=(20, 60), timeout_s=30, attempts=5, in_doubt_limit=5)
    rows = tuple(Row("clicksend", f"7{number}1", f"{number + 1}.00", "") for number in range(NIGHT_ROWS))
    return Scenario(
        seed=1,
        lanes={"clicksend": lane, "fastmessage": lane},
        files=(rows,),
        starts=(Start(0, strikes),),
        weather=Weather(),
    )


def test_a_night() -> None:
    """It takes eight hours and hardly more, the pace is kept, and each row is credited: the laptop is closed
    for a while, its clock is set, and the clocks change."""
    disasters = [Disaster.SLEEP, Disaster.CLOCK, Disaster.CLOCK, Disaster.SLEEP] * 2
    moments = (1_000, 10_000, 20_000, 20_001, 30_000, 40_000, 50_000, 60_000)
    strikes = (Strike(disaster, at, on_disk=False) for disaster, at in zip(disasters, moments, strict=True))
    story = tell(night(*strikes), most_steps=5_000_000)
    assert story.broken == ""
    assert story.struck == disasters
    assert story.ended[0].code == 0
    assert story.executed == NIGHT_ROWS
    assert 8 * 3600 * 0.995 < story.ended[0].seconds < 8 * 3600 * 1.01
