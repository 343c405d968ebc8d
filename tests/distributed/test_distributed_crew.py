"""A crew on a real Ray cluster, of senders that end as the test says."""

import os
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
import ray
from ray_cluster import PLACES, Cluster
from stand_ins import OtherVersion, StandIn

from batchcredit.distributed import crew as crews
from batchcredit.distributed.cluster import NAMESPACE
from batchcredit.distributed.crew import Crew
from batchcredit.distributed.messages import Errand
from batchcredit.distributed.sender import Sender
from batchcredit.ledger.base import BatchRecord

#: However much else the machine has to do.
PATIENCE_S = 240


@pytest.fixture(scope="module")
def connected(cluster: Cluster) -> Iterator[None]:
    ray.init(address=cluster.address, namespace=NAMESPACE, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def played(connected: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "Sender", StandIn)


def a_crew(ends: str, senders: int = 1, place_s: float = 60) -> Crew:
    """So many, which all end in this way."""
    nothing = cast(Any, None)
    batch = cast(BatchRecord, 1)
    errand = Errand(nothing, nothing, ends, batch, 1, 1, ("clicksend",), live=False, listens=False)
    return Crew(f"test-{os.urandom(8).hex()}", senders, lambda: errand, place_s)


def watched(crew: Crew, *, stopping: bool = False) -> list[str]:
    """What was said until all had ended; with `stopping` they are told to once as many are at work as can."""
    began = time.monotonic()
    said = []
    crew.start(began)
    goes_on = True
    while goes_on:
        now_s = time.monotonic()
        assert now_s - began < PATIENCE_S
        goes_on = crew.look(now_s, stopping=stopping and at_work(crew) == PLACES)
        said += [text for text, _ in crew.taken()[0]]
    return said


def at_work(crew: Crew) -> int:
    return sum(member.is_placed for member in crew._living)


def is_full() -> bool:
    return not ray.available_resources().get("CPU")


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ("die", "has died: what it had in flight is in doubt"),
        ("stopped before its time", "has ended before its time"),
        ("evicted", "somebody has evicted it"),
    ],
)
def test_another_one_takes_the_place_but_not_without_end(
    ends: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loss is told and made good, so often and not oftener; then rows are left for a reason."""
    monkeypatch.setattr(crews, "REPLACED_MOST", 1)
    crew = a_crew(ends)
    said = watched(crew)
    assert sum(told in text for text in said) == 2
    assert said[-1] == "too many senders have gone: no other one takes the place"
    assert crew.left == "senders_lost"


def test_what_would_happen_to_any_other_is_not_tried_again() -> None:
    """A sender that is refused says why, and nobody follows."""
    crew = a_crew("refused")
    assert watched(crew) == ["sender 1 (here): a profile is missing"]
    assert crew.left == "senders_lost"


def test_another_version_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could do something else with an errand than the driver means, and it holds secrets."""
    monkeypatch.setattr(crews, "Sender", OtherVersion)
    crew = a_crew("")
    (said,) = watched(crew)
    assert said.startswith("sender 1 (elsewhere) has batchcredit 0.0.0, and the driver ")
    assert crew.left == "senders_lost"


def test_places_that_are_not_there_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever found a place did it all."""
    fits, too_large = crews._actor, ray.remote(StandIn).options(num_cpus=PLACES + 1)
    monkeypatch.setattr(crews, "_actor", lambda name: fits(name) if name.endswith("-1") else too_large)
    crew = a_crew("well", senders=2)
    assert watched(crew) == ["sender 1 (here): done"]
    assert crew.left == ""


def test_without_any_place_it_ends() -> None:
    """The cluster is full: after a while that is told, and nothing more is waited for."""
    full = a_crew("until stopped", senders=PLACES)
    full.start(time.monotonic())
    while not is_full():
        full.look(time.monotonic(), stopping=False)
    late = a_crew("well", place_s=1)
    assert watched(late) == ["sender 1 found no place on the cluster in 1 s"]
    assert late.left == "senders_lost"
    full.dismiss()


def test_they_stop_when_told() -> None:
    """What is in flight is heard out, and what they have to say at the end is heard; nobody follows."""
    crew = a_crew("until stopped", senders=PLACES + 1)
    said = watched(crew, stopping=True)
    assert [text.partition(": ")[2] for text in said] == ["heard out"] * PLACES
    assert crew.left == ""


def test_at_once_means_soon(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not report in time is killed."""
    monkeypatch.setattr(crews, "AT_ONCE_S", 0.5)
    crew = a_crew("deaf")
    crew.start(time.monotonic())
    while not cluster.senders():
        crew.look(time.monotonic(), stopping=False)
    crew.end_at_once()
    assert not crew.look(time.monotonic(), stopping=True)
    deadline = time.monotonic() + PATIENCE_S
    while cluster.senders():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_error_of_a_sender_is_written_down_by_ray() -> None:
    """What goes wrong in it is told by its place alone, as an answer."""
    sender = ray.remote(Sender).options(max_restarts=0, num_cpus=0).remote()
    report = ray.get(sender.send.remote(b"opensesame-4711" * 10))
    assert report.problem.startswith("a defect of batchcredit: CryptoError in ")
    assert report.reason == "defect"
    ray.kill(sender)
