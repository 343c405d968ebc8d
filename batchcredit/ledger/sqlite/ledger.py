"""The ledger in one SQLite file: `synchronous=FULL`, WAL, one holder."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import apsw

from batchcredit import host
from batchcredit.ledger.base import Slots, Tidings, no_sender
from batchcredit.ledger.registry import silent
from batchcredit.ledger.sql.decisions import FINISH_LATE
from batchcredit.ledger.sql.sending import TO_DOUBT
from batchcredit.ledger.sqlite.custody import SqliteCustody
from batchcredit.ledger.sqlite.database import SqliteDatabase
from batchcredit.ledger.sqlite.file import open_locked, refuse_network, release, storage_errors, transaction


class SqliteLedger(SqliteCustody):
    """Holds the file's lock from `open` to `close`. Used by one thread at a time."""

    def __init__(self, database: SqliteDatabase, descriptor: int) -> None:
        super().__init__(database)
        self._descriptor = descriptor

    @classmethod
    def hold(
        cls, path: Path, command: str, note: Callable[[str], None] = silent, *, retired: bool = False
    ) -> "SqliteLedger":
        """Open for sending or deciding. What a crash left `sending` becomes in doubt; what it left
        loading goes. A copy, or a ledger that was moved, is refused unless `retired`."""
        refuse_network(path)
        connection, descriptor = open_locked(path, note, retired=retired)
        try:
            with storage_errors(path):
                with transaction(connection):
                    _introduce(connection, command)
                # a hard link shows the file alone
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            ledger = cls(SqliteDatabase(connection, path), descriptor)
            ledger._recover()
        except BaseException:
            connection.close()
            release(descriptor)
            raise
        return ledger

    def close(self) -> None:
        try:
            super().close()
        finally:
            release(self._descriptor)

    def _recover(self) -> None:
        with self._transaction():
            self._end_sending()
            self._change(
                "UPDATE run SET ended_at = ?, reason = 'interrupted' WHERE ended_at IS NULL", host.now_ms()
            )
            self._change(FINISH_LATE, host.now_ms())
            self._delete_loading()

    def enlist(self, run: int, driver: int | None = None) -> int:
        return 0

    def tidings(self, batch: int) -> Tidings:
        return Tidings()

    def reserve(self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int = 0) -> Slots:
        return Slots(tuple((after_us + spacing_us * number) / 1e6 for number in range(count)))

    def evict(self, sender: int, note: str) -> int:
        raise no_sender(sender, self.url)  # whoever holds the lock is the only one

    def hurry(self) -> None:
        """No connection can be lost."""

    def _abandoned(self) -> list[int]:
        return [batch for (batch,) in self._all("SELECT id FROM batch WHERE state = 'loading'")]

    def _end_sending(self) -> None:
        self._change(TO_DOUBT, host.now_ms())


def _introduce(connection: apsw.Connection, command: str) -> None:
    """Give a new ledger its id, and name its holder to whoever comes next."""
    for key, value in (("id", secrets.token_hex(4)), ("created_by", f"{host.user()}@{host.name()}")):
        connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", (key, value))
    connection.execute(
        """INSERT OR REPLACE INTO holder (one, pid, user, host, command, started_at)
        VALUES (1, ?, ?, ?, ?, ?)""",
        (os.getpid(), host.user(), host.name(), command, host.now_ms()),
    )
