"""Who may read what we write, under a mask that hides nothing and under one that hides all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, wait_for

ROWS = [("clicksend", number, "5", "USD") for number in range(1, 9)]
PRIVATE = 0o600

MASKS = pytest.mark.parametrize("mask", [0o000, 0o077], ids="{:03o}".format)


@contextmanager
def masked(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path, pattern: str) -> set[int]:
    """Of all that the pattern finds, and it has to find something."""
    found = {mode(path) for path in folder.glob(pattern)}
    assert found, pattern
    return found


@MASKS
def test_every_file_of_a_run(mask: int, shop: CommandLine, sandbox: Sandbox) -> None:
    """Ledger and temporary copies are their owner's alone; results and their neighbours follow the mask, as
    the input did."""
    shop.env["TMPDIR"] = str(shop.home)
    ledger = shop.home / "new" / "ledger.db"
    path = shop.write("batch.csv", [*ROWS, ("clicksend", "no-number", "5", "USD")])
    sandbox.control.set(latency_s=1)
    run = ("run", path, "--yes", "--skip-invalid", "--ledger", f"sqlite:///{ledger}", "--out", "r.csv")
    with masked(mask):
        running = shop.start(*run)
    wait_for(lambda: running.has_ended or sandbox.arrivals())
    assert modes(ledger.parent, "ledger.db*") == {PRIVATE}
    assert len(list(ledger.parent.iterdir())) == 3, "the database, its log and its index"
    assert mode(ledger.parent) == 0o700
    assert modes(shop.home, "batchcredit-*") == {0o700}
    assert running.end().code == 1
    assert modes(shop.folder, "r.csv") == {0o666 & ~mask}
    assert modes(shop.folder, ".r.csv.owner") == {0o666 & ~mask}
    assert modes(shop.folder, "batch.invalid.csv") == {0o666 & ~mask}
    assert not list(shop.home.glob("batchcredit-*")), "the temporary folder is gone"


def test_results_that_were_made_private_stay_so(shop: CommandLine, sandbox: Sandbox) -> None:
    """A file that is written anew keeps the permissions that its reader gave it."""
    run = ("run", shop.write("batch.csv", ROWS), "--yes", "--out", "r.csv")
    assert shop(*run, "--limit", 2).code == 4
    (shop.folder / "r.csv").chmod(PRIVATE)
    assert shop(*run).code == 0
    assert mode(shop.folder / "r.csv") == PRIVATE


def test_what_a_kill_leaves(shop: CommandLine, sandbox: Sandbox) -> None:
    """The input's copy stays until the next command, in a folder that nobody else can enter or foresee."""
    shop.env["TMPDIR"] = str(shop.home)
    sandbox.control.set(latency_s=5)
    for number in (1, 2):
        path = shop.write(f"{number}.csv", [("clicksend", number, 5, "USD")])
        with masked(0):
            running = shop.start("run", path, "--yes")
        wait_for(lambda: sandbox.arrivals()[number - 1 :])  # noqa: B023  called before the next turn
        running.kill()
        assert len(list(shop.home.glob("batchcredit-*"))) == 1  # the second run has removed that of the first
    assert modes(shop.home, "batchcredit-*") == {0o700}
    shop("check", path)
    assert list(shop.home.glob("batchcredit-*")) == []
