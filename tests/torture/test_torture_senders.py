"""Senders that share a PostgreSQL ledger are killed, frozen and cut off, and so is the server; in the end
everybody was paid once.

`make torture` gives it ROUNDS and a SEED. A little of it is done every day,
by tests/acceptance/test_many_senders.py.
"""

import os
import random
from pathlib import Path

import pytest
from command_line import command_line
from mortal_provider import MortalProvider
from postgres_proxy import postgres_proxy
from postgres_server import postgres_server
from senders_torturer import SendersRound
from torturer import Toll

ROUNDS = int(os.environ.get("TORTURE_ROUNDS") or 8)
SEED = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(10**6))


@pytest.mark.torture
def test_senders_are_tortured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each round with other batches, faults and blows; prints its seed, with which it can be had again."""
    toll = Toll()
    for seed in range(SEED, SEED + ROUNDS):
        with capsys.disabled():
            print(f"SEED={seed} ROUNDS=1, after {toll.blows.total()} blows, {toll.rows} rows", flush=True)
        folder = tmp_path / str(seed)
        folder.mkdir()
        with (
            command_line(folder) as cli,
            MortalProvider(folder) as provider,
            postgres_server() as server,
            postgres_proxy(server.port) as line,
        ):
            round_ = SendersRound(seed, cli, provider, server, line, toll, batches=2, rows=1000)
            round_.run(blows=20)
    with capsys.disabled():
        print(f"\n{toll}", flush=True)
