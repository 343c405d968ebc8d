"""What a power cut would leave of a ledger, at any moment of a run: only what a sync has completed for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import apsw
from fragile_disk import Act

LEDGER = "ledger.db"
_FILES = (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-journal")


class Sent(NamedTuple):
    """A request that left, or arrived, and when."""

    at: float
    account: str
    amount: Decimal


@dataclass
class _File:
    written: bytes = b""
    durable: bytes = b""

    def change(self, act: Act) -> None:
        if act.kind == "write":
            data, begin = bytes.fromhex(act.data), act.offset
            self.written = self.written[:begin].ljust(begin, b"\0") + data + self.written[begin + len(data) :]
        elif act.kind == "truncate":
            self.written = self.written[: act.offset]
        elif act.kind == "sync":
            self.durable = self.written


def durable_files(acts: Sequence[Act], moment: float) -> dict[str, bytes]:
    """The ledger's files as they were synced before `moment`."""
    files: dict[str, _File] = {}
    for act in acts:
        if act.ended_at < moment and act.name in _FILES and not act.failed:
            if act.kind == "unlink":
                files.pop(act.name, None)
            else:
                files.setdefault(act.name, _File()).change(act)
    return {name: file.durable for name, file in files.items()}


def durable_states(
    acts: Sequence[Act], moment: float, folder: Path
) -> dict[tuple[str, Decimal], tuple[str, int]]:
    """State and attempts of each (account, amount) that survives a power cut at `moment`."""
    for name, content in durable_files(acts, moment).items():
        (folder / name).write_bytes(content)
    connection = apsw.Connection(str(folder / LEDGER))
    try:
        rows = connection.execute("SELECT account, amount, state, attempts FROM transfer").fetchall()
    except apsw.SQLError:
        rows = []  # not even the table has reached the disk
    finally:
        connection.close()
        for name in (*_FILES, f"{LEDGER}-shm"):
            (folder / name).unlink(missing_ok=True)
    return {(account, Decimal(amount)): (state, attempts) for account, amount, state, attempts in rows}


def without_intent(acts: Sequence[Act], requests: Sequence[Sent], folder: Path) -> list[Sent]:
    """The requests of which a power cut at their first byte would have left no trace."""
    tries: Counter[tuple[str, Decimal]] = Counter()
    found = []
    for sent in sorted(requests):
        key = sent.account, sent.amount
        tries[key] += 1
        if durable_states(acts, sent.at, folder).get(key) != ("sending", tries[key]):
            found.append(sent)
    return found
