"""A program of its own: moves a ledger, is killed at each step in turn, and moves it again.

Usage: killed_move.py FOLDER. Prints how many kills it survived. A process of one thread, so that it may fork.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ledger_parts import Row, enrol

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord
from batchcredit.ledger.sqlite import copy as sqlite_copy
from batchcredit.ledger.sqlite.ledger import SqliteLedger

STEPS = (
    *((SqliteLedger, name) for name in ("_close_for", "_copy_once", "_set_meta", "_note", "arrive")),
    *((sqlite_copy, name) for name in ("_mark", "_sync", "_place")),
    (Path, "unlink"),
    (host, "sync_folder"),
)


def burn(steps: "itertools.count[int]", at: int) -> None:
    if next(steps) == at:
        os.kill(os.getpid(), signal.SIGKILL)


def fuse(at: int) -> None:
    """From now on this process dies before or behind one of the steps: the `at`th that comes."""
    steps = itertools.count()

    def fused(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            burn(steps, at)
            done = real(*arguments, **named)
            burn(steps, at)
            return done

        return step

    for owner, name in STEPS:
        setattr(owner, name, fused(getattr(owner, name)))


def move(old: Path, new: Path) -> None:
    with closing(SqliteLedger.hold(old, "move", retired=True)) as ledger:
        ledger.move_to(new, "a new machine")


def usable(path: Path) -> bool:
    """Whether a run may send with this file."""
    try:
        SqliteLedger.hold(path, "run").close()
    except RefusedError:
        return False
    return True


def later(old: Path) -> list[BatchRecord]:
    """What comes in where the killed move has not closed the ledger yet."""
    if not usable(old):
        return []
    with closing(SqliteLedger.hold(old, "run")) as ledger:
        return [enrol(ledger, "later", [Row("z")])]


def killed(old: Path, new: Path, at: int) -> bool:
    child = os.fork()
    if child == 0:
        fuse(at)
        move(old, new)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(folder: Path) -> None:
    for at in itertools.count():
        old, new = folder / f"{at}-old.db", folder / f"{at}-new.db"
        with closing(SqliteLedger.hold(old, "run")) as ledger:
            batch = enrol(ledger, "b", [Row()])
        died = killed(old, new, at)
        in_use = usable(old) + (usable(new) if new.exists() else 0)
        assert in_use <= 1, f"two ledgers in use, killed at step {at}"
        batches = [*later(old), batch]
        move(old, new)
        assert not usable(old)
        assert usable(new), f"step {at}"
        with closing(SqliteLedger.hold(new, "run")) as ledger:
            assert ledger.batches() == batches, f"step {at}: an older copy was opened"
        if not died:
            assert in_use == 1
            print(at)
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
