"""Driver and senders are killed, frozen and doubled; the sandbox's book is the judge."""

import os
import random
import signal
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import ray
from command_line import wait_for
from postgres_server import Server
from ray_cluster import Cluster
from shared_batch import AT_ONCE, SharedBatch, shared_batch

from batchcredit.distributed.sender import IDLE_S, Sender
from batchcredit.sandbox import Control, SandboxAddress

pytestmark = pytest.mark.torture

ROWS = 400

#: What the senders have in flight takes a provider so long to answer: some 16 rows each time.
LATENCY_S = 1.0


@pytest.fixture
def batch(
    cluster: Cluster, postgres: Server, address: SandboxAddress, control: Control, tmp_path: Path
) -> Iterator[SharedBatch]:
    """One that takes half a minute."""
    control.set(latency_s=LATENCY_S)
    with shared_batch(tmp_path, cluster, postgres, address, ROWS) as made:
        yield made


def test_a_killed_driver_leaves_nothing_in_doubt(batch: SharedBatch) -> None:
    """Its senders find out, hear out what is in flight, and end; the same command goes on."""
    running = batch.run()
    batch.until_under_way(running)
    running.kill()
    wait_for(lambda: not batch.cluster.senders(), 30)
    assert 0 < len(batch.executed()) < ROWS
    batch.write_results()
    assert set(batch.stands()) == {"credited", "not_sent"}
    batch.control.set(latency_s=0)
    assert batch.run().end().code == 0
    assert batch.stands() == {"credited": ROWS}


def test_killed_senders_are_replaced(batch: SharedBatch) -> None:
    """Each leaves in doubt what it had in flight, and no more; all else is credited once, by those that
    follow."""
    dice = random.Random(os.environ.get("TORTURE_SEED", "1"))
    running, kills = batch.run(), 4
    for number in range(kills):
        batch.until_under_way(running, rows=(1 + 2 * number) * 4 * AT_ONCE)
        wait_for(lambda: len(batch.cluster.senders()) == 2, 30)
        time.sleep(dice.uniform(0, LATENCY_S))
        os.kill(dice.choice(batch.cluster.senders()), signal.SIGKILL)
    ended = running.end(120)
    assert ended.stderr.count("has died") == kills
    stands = batch.stands()
    assert ended.code == (3 if stands["in_doubt"] else 0)
    assert stands["in_doubt"] <= kills * 2 * AT_ONCE
    assert stands["credited"] == ROWS - stands["in_doubt"]
    wait_for(lambda: not batch.cluster.senders())


def test_a_sender_that_stands_still_is_given_up(batch: SharedBatch) -> None:
    """The other one sends all the rest; what the first had in flight is in doubt, and the run ends."""
    running = batch.run()
    batch.until_under_way(running)
    os.kill(batch.cluster.senders()[0], signal.SIGSTOP)
    ended = running.end(180)
    assert "has said nothing for 60 s" in ended.stderr
    stands = batch.stands()
    assert ended.code == 3
    assert 0 < stands["in_doubt"] <= 2 * AT_ONCE
    assert stands["credited"] == ROWS - stands["in_doubt"]


def test_a_second_signal_ends_senders_at_once(batch: SharedBatch) -> None:
    """Nothing is waited for: what was in flight is in doubt, and no process is left."""
    batch.control.set(latency_s=9)
    running = batch.run()
    wait_for(lambda: len(batch.arrived()) >= 2 * AT_ONCE, 60)
    running.signal(signal.SIGINT)
    time.sleep(1)
    began = time.monotonic()
    running.signal(signal.SIGINT)
    ended = running.end()
    assert time.monotonic() - began < 6
    assert ended.code == 3
    in_flight = len(batch.arrived())
    assert ended.counts == {"in_doubt": in_flight, "not_sent": ROWS - in_flight}
    wait_for(lambda: not batch.cluster.senders())


def test_two_drivers_share_a_batch(batch: SharedBatch) -> None:
    """Each with a sender of its own, as there is room: no row twice, and both end well."""
    first = batch.run("--senders", "1")
    batch.until_under_way(first)
    second = batch.resume("second", "--senders", "1")
    assert first.end(120).code == 0
    assert second.end(120).code == 0
    assert batch.stands() == {"credited": ROWS}


def test_a_sender_without_a_driver_ends(cluster: Cluster) -> None:
    """One whose driver died before it was told anything."""
    ray.init(address=cluster.address, namespace="orphans", log_to_driver=False)
    sender = ray.remote(Sender).options(name="orphan", lifetime="detached", max_restarts=0).remote()
    assert ray.get(sender.introduce.remote()).version == version("batchcredit")
    ray.shutdown()
    assert cluster.senders()
    wait_for(lambda: not cluster.senders(), IDLE_S + 10)
