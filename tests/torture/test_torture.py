"""A command is killed, stopped and frozen, its providers too: nobody is paid twice, and in the end all once.

A short form for every day; `make torture` gives the long one ROUNDS and a SEED.
"""

import os
import random
from pathlib import Path

import pytest
from command_line import command_line
from mortal_provider import MortalProvider
from torturer import Round, Toll

ROUNDS = int(os.environ.get("TORTURE_ROUNDS") or 16)
SEED = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(10**6))


def torture(folder: Path, toll: Toll, *, seed: int, batches: int, rows: int, blows: int) -> None:
    folder.mkdir()
    with command_line(folder) as cli, MortalProvider(folder) as provider:
        Round(seed, cli, provider, toll, batches=batches, rows=rows).run(blows)


def test_a_little_torture(tmp_path: Path) -> None:
    """Two batches, eight blows."""
    toll = Toll()
    torture(tmp_path / "round", toll, seed=1, batches=2, rows=250, blows=8)
    assert toll.executions > 200, toll


@pytest.mark.torture
def test_torture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each round with other batches, faults and blows; prints its seed, with which it can be had again."""
    toll = Toll()
    for seed in range(SEED, SEED + ROUNDS):
        with capsys.disabled():
            print(f"SEED={seed} ROUNDS=1, after {toll.blows.total()} blows, {toll.rows} rows", flush=True)
        number = random.Random(seed).randint(2, 4)
        torture(tmp_path / str(seed), toll, seed=seed, batches=number, rows=1000, blows=22)
    with capsys.disabled():
        print(f"\n{toll}", flush=True)
