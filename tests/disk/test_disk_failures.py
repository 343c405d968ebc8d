"""A disk that breaks or is full, at each change of a small run: exit 5, nothing lost, nobody paid twice."""

import errno
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from books import assert_truthful
from command_line import Ended
from disk_runs import DiskLauncher, Run, Shop, new_shop
from fragile_disk import CHANGES, GROWTH, Act, Trouble

from batchcredit.sandbox import SandboxAddress

GIVEN = [
    ("clicksend", "10001", "1.5", "USD", "r1"),
    ("fastmessage", "shop1", "2", "KES", "r2"),
    ("clicksend", "20001", "3.5", "USD", "r3"),
    ("fastmessage", "shop2", "4", "KES", "r4"),
    ("clicksend", "10001", "5.5", "USD", "r5"),
    ("fastmessage", "shop1", "7", "KES", "r6"),
    ("clicksend", "10001", "-3", "USD", "bad"),
]
PAID = {"credited": 6, "invalid": 1}
COMMAND = ("run", "batch.csv", "--yes", "--json", "--skip-invalid", "--out", "batch.results.csv")
LANES = 2


class Illness(NamedTuple):
    """How a disk fails."""

    error: int
    lasts: bool
    kinds: frozenset[str]

    def at(self, number: int) -> Trouble:
        return Trouble(number, self.error, self.lasts, self.kinds)


HICCUP = Illness(errno.EIO, False, CHANGES)
BROKEN = Illness(errno.EIO, True, CHANGES)
FULL = Illness(errno.ENOSPC, True, GROWTH)


@pytest.fixture(params=[False, True], ids=["new", "resumed"])
def begun(request: pytest.FixtureRequest) -> bool:
    """Whether a part of the batch was sent before, on a disk that was well."""
    return bool(request.param)


def prepared(shop: Shop, launch: DiskLauncher, *, begun: bool) -> bytes | None:
    """What stands in the results' place before the disk fails."""
    shop.cli.write("batch.csv", GIVEN)
    if not begun:
        return None
    assert launch(shop.cli, *COMMAND, "--limit", 3).ended.code == 4
    return (shop.cli.folder / "batch.results.csv").read_bytes()


def sorts(acts: Sequence[Act]) -> list[tuple[str, str]]:
    """What was done to which sort of file: each only once, in order."""
    found = ((act.kind, Path(act.name).suffix) for act in acts)
    return list(dict.fromkeys(found))


def check_sick(done: Run, shop: Shop, before: bytes | None) -> None:
    """It ended with 5 and in plain words; or it sent nothing, or everything is well nevertheless. What stands
    in the results' place is the old file or a new one, whole and true."""
    ended, results = done.ended, shop.cli.folder / "batch.results.csv"
    assert "Traceback" not in ended.stderr, ended
    if results.exists() and results.read_bytes() != before:
        assert assert_truthful(GIVEN, shop.cli.results(), shop.sandbox.book()) == PAID
    if ended.code == 1:
        assert ended.counts == PAID, ended
        assert results.read_bytes() != before
        return
    assert ended.code == 5 or ended.refusal == (2, "out_unwritable"), ended
    assert "\n  -> " in ended.stderr, "what to do has to be said"
    if ended.code == 2:
        assert len(shop.sandbox.arrivals()) == (0 if before is None else 3)


def check_well(ended: Ended, shop: Shop) -> None:
    """The same command on a disk that is well again: each row paid once, or in doubt because it was in flight
    when the ledger could not be written."""
    counts = assert_truthful(GIVEN, shop.cli.results(), shop.sandbox.book())
    assert counts == ended.counts
    assert ended.code == (3 if counts["in_doubt"] else 1), ended
    assert counts["in_doubt"] <= LANES
    assert counts["credited"] + counts["in_doubt"] == 6
    assert len(shop.sandbox.arrivals()) <= 6
    assert list(shop.cli.folder.glob(".*.part")) == []


def suffer(
    trouble: Trouble, folder: Path, address: SandboxAddress, launch: DiskLauncher, *, begun: bool
) -> Run:
    """One run on a sick disk, and one when it is well again."""
    with new_shop(folder, address) as shop:
        before = prepared(shop, launch, begun=begun)
        done = launch(shop.cli, *COMMAND, trouble=trouble)
        check_sick(done, shop, before)
        check_well(launch(shop.cli, *COMMAND).ended, shop)
        return done


ILL = pytest.mark.parametrize("illness", [HICCUP, BROKEN, FULL], ids=["hiccup", "broken", "full"])


@ILL
def test_a_sick_disk_at_some_changes(
    illness: Illness, begun: bool, tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """What is promised of a sick disk, at every 40th change of a run."""
    codes = Counter[int]()
    for number in itertools.count(40, 40):
        done = suffer(illness.at(number), tmp_path, address, launch, begun=begun)
        if not done.failed:
            break
        codes[done.ended.code] += 1
    assert codes[5], codes


def test_a_sick_disk_at_changes_of_every_sort(
    tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """The same at the first change of each sort, of files of ours and of SQLite's."""
    with new_shop(tmp_path, address) as shop:
        prepared(shop, launch, begun=False)
        found = sorts(launch(shop.cli, *COMMAND).acts)
    assert len(found) > 20
    for kind, ending in found:
        trouble = Trouble(1, errno.EIO, False, frozenset({kind}), ending)
        assert suffer(trouble, tmp_path, address, launch, begun=False).failed, (kind, ending)


@ILL
def test_results_that_can_not_be_written_replace_nothing(
    illness: Illness, tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """At each change on the way to new results: the older ones stay as they are until they are replaced."""
    with new_shop(tmp_path, address) as shop:
        old = prepared(shop, launch, begun=True)
        assert old is not None
        batch = launch(shop.cli, *COMMAND).ended.json["batch"]
        file = shop.cli.folder / "batch.results.csv"
        new, codes = file.read_bytes(), Counter[int]()
        for number in itertools.count(1):
            file.write_bytes(old)
            done = launch(shop.cli, "results", batch, "--json", trouble=illness.at(number))
            if not done.failed:
                break
            codes[done.ended.code] += 1
            assert done.ended.code in (0, 2, 5), done.ended
            replaced = any(act.kind == "replace" and not act.failed for act in done.acts)
            assert file.read_bytes() == (new if replaced else old)
        assert file.read_bytes() == new
        assert codes[5], codes


@pytest.mark.torture
@ILL
def test_a_sick_disk_at_every_change(
    illness: Illness, begun: bool, tmp_path: Path, address: SandboxAddress, launch: DiskLauncher
) -> None:
    """The same at every change, until a run makes fewer."""
    codes = Counter[int]()
    for number in itertools.count(1):
        done = suffer(illness.at(number), tmp_path, address, launch, begun=begun)
        if not done.failed:
            break
        codes[done.ended.code] += 1
    print(f"{codes.total()} failures, by exit code: {dict(codes)}")
    assert codes[5] > 10 * codes[2]
