"""A batch that senders on a Ray cluster send, by the command line: what a person sees, and what the sandbox
was asked to do."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from command_line import wait_for
from postgres_server import PASSWORD, Server
from ray_cluster import Cluster
from shared_batch import AT_ONCE, KEY, SharedBatch, shared_batch

from batchcredit.sandbox import Control, SandboxAddress

ROWS = 120


@pytest.fixture
def batch(
    cluster: Cluster, postgres: Server, address: SandboxAddress, control: Control, tmp_path: Path
) -> Iterator[SharedBatch]:
    with shared_batch(tmp_path, cluster, postgres, address, ROWS) as made:
        yield made


def written_by_ray(cluster: Cluster) -> Iterator[tuple[str, bytes]]:
    """Every file of its session, and what each of its processes shows of itself."""
    for path in cluster.home.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    for pid in cluster.processes():
        for name in ("cmdline", "environ"):
            try:
                yield f"{pid} {name}", Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue


def test_a_cluster_sends_a_batch(batch: SharedBatch) -> None:
    """Several senders credit each row once, as one run, and on one page: one summary, no word of Ray's, no
    secret where Ray keeps anything, and no process left."""
    batch.control.set(latency_s=0.5)
    cluster, running = batch.cluster, batch.run("--senders", "2", "--serve")
    wait_for(lambda: running.has_ended or len(cluster.senders()) == 2, 180)
    batch.until_under_way(running)
    address = re.findall(r"http://127\.0\.0\.1:\d+/\w+/", running.stderr)[0]
    with urlopen(address, timeout=30) as answer:
        page = answer.read().decode()
    assert "were credited so far." in page
    assert PASSWORD not in page
    for secret in (KEY, PASSWORD, urlsplit(address).path):
        assert not [name for name, content in written_by_ray(cluster) if secret.encode() in content]
    ended = running.end(180)
    assert ended.code == 0, ended
    assert batch.stands() == {"credited": ROWS}
    assert ended.json["rows_per_s"] > 0
    for provider in ("clicksend", "fastmessage"):  # each answer takes half a second
        came = [arrival["arrived_at"] for arrival in batch.arrived() if arrival["provider"] == provider]
        together = [sum(first <= later < first + 0.49 for later in came) for first in came]
        assert AT_ONCE // 2 < max(together) <= AT_ONCE
    assert "sender 3" not in ended.stderr  # nobody had to be replaced
    assert "ray" not in ended.stderr.lower()
    wait_for(lambda: not cluster.senders(), 60)


def test_a_stopped_driver_stops_its_senders(batch: SharedBatch) -> None:
    """They hear out what is in flight: no row is in doubt, and the same command goes on."""
    batch.control.set(latency_s=1)
    running = batch.run()
    batch.until_under_way(running)
    running.signal(signal.SIGINT)
    ended = running.end(180)
    assert ended.code == 4, ended
    assert ended.json["reasons"] == {"stopped": ended.counts["not_sent"]}
    assert set(batch.stands()) == {"credited", "not_sent"}
    wait_for(lambda: not batch.cluster.senders(), 60)
    batch.control.set(latency_s=0)
    assert batch.run().end(180).code == 0
    assert batch.stands() == {"credited": ROWS}
