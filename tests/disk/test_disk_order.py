"""The order on the disk: no byte of a request leaves before a sync of its intent has completed."""

from decimal import Decimal
from pathlib import Path

import pytest
import traced_process
from books import assert_truthful, batch_rows
from command_line import Sandbox
from disk_runs import DiskLauncher, Run, Shop, new_shop
from durable_image import LEDGER, Sent, durable_states, without_intent
from fragile_disk import Act
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchcredit.sandbox import SandboxAddress

#: So slow that a request which does not wait for its sync arrives long before it.
SYNC_S = 0.01


def requests(sandbox: Sandbox) -> list[Sent]:
    """What arrived; the clock is the machine's, so that the sandbox's times and the disk's compare."""
    found = sandbox.arrivals()
    return [Sent(entry["arrived_at"], entry["account"], Decimal(entry["amount"])) for entry in found]


def run(shop: Shop, launch: DiskLauncher, rows: int, accounts: int, synchronous: str = "") -> Run:
    """A batch from the beginning to its end, on a disk whose syncs take a while."""
    path = shop.cli.write("batch.csv", batch_rows(rows, accounts))
    command = ("run", path, "--yes", "--json", "--out", "batch.results.csv")
    return launch(shop.cli, *command, sync_s=SYNC_S, synchronous=synchronous)


@given(rows=st.integers(7, 30), accounts=st.integers(1, 10), concurrency=st.integers(1, 8))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_intent_is_on_disk_before_its_request(
    rows: int, accounts: int, concurrency: int, tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """A power cut at the first byte of any request leaves its row `sending`; one when the results appear
    leaves every row as they tell it."""
    with new_shop(tmp_path, address, concurrency) as shop:
        done = run(shop, launch, rows, accounts)
        assert done.ended.code == 0, done.ended
        sent = requests(shop.sandbox)
        assert len(sent) == rows
        assert without_intent(done.acts, sent, tmp_path) == []

        appeared = done.acts[last(done.acts, "replace", "batch.results.csv")]
        told = durable_states(done.acts, appeared.ended_at, tmp_path)
        assert {state for state, _ in told.values()} == {"credited"}
        assert len(told) == rows


@pytest.mark.parametrize("synchronous", ["synchronous=OFF", "synchronous=NORMAL"])
def test_a_missing_sync_is_noticed(
    synchronous: str, tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """The tests above can fail: with a weaker pragma no intent is on the disk in time."""
    with new_shop(tmp_path, address) as shop:
        done = run(shop, launch, rows=8, accounts=3, synchronous=synchronous)
        assert done.ended.code == 0, done.ended
        sent = requests(shop.sandbox)
        assert len(without_intent(done.acts, sent, tmp_path)) == len(sent) == 8


def test_results_are_on_disk_before_they_replace_others(
    tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """The new file is synced after its last write and before it takes the name, and the folder behind it."""
    with new_shop(tmp_path, address) as shop:
        acts = run(shop, launch, rows=8, accounts=3).acts
    placed = last(acts, "replace", "batch.results.csv")
    draft = acts[placed].name
    assert last(acts, "write", draft) < last(acts, "sync", draft) < placed < last(acts, "sync", "work")


def last(acts: list[Act], kind: str, name: str) -> int:
    """Where this was done for the last time to the file, or to a hidden draft of it."""
    return max(number for number, act in enumerate(acts) if act.kind == kind and name in act.name)


def test_the_program_itself_seen_by_strace(tmp_path: Path, address: SandboxAddress) -> None:
    """The same of the unchanged program and its system calls: the intent, and the folder with its files, are
    synced before the call that sends its request."""
    if not traced_process.is_possible(tmp_path):
        pytest.skip("NOT SEEN BY STRACE: it is not installed here, or may not look in; try it as root")
    with new_shop(tmp_path, address, concurrency=4) as shop:
        rows = batch_rows(12, 5)
        path = shop.cli.write("batch.csv", rows)
        done = traced_process.traced(shop.cli, "run", path, "--yes", "--json", "--out", "batch.results.csv")
        assert done.ended.code == 0, done.ended
        assert len(done.sent) == len(shop.sandbox.arrivals()) == 12
        assert without_intent(done.acts, done.sent, tmp_path) == []
        named = [act.name for act in done.acts if act.ended_at < done.sent[0].at]
        assert "home" in named[named.index(f"{LEDGER}-wal") :], "the folder was not synced after its files"
        assert assert_truthful(rows, shop.cli.results(), shop.sandbox.book()) == {"credited": 12}
