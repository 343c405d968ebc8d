"""Who sends, and whose session has gone: a sender's lease is an advisory lock of its session, and no clock.

PostgreSQL gives the lock back when the session ends, whatever ended it. So a sender whose lock can be taken
is dead, or at least can't write an intent any more (postgresql.org/docs, Explicit Locking, Advisory Locks).
"""

import contextlib
import os
from collections.abc import Iterator

from batchcredit import host
from batchcredit.errors import StorageError
from batchcredit.ledger.base import CrewRecord, SenderRecord, no_sender
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.ledger.postgres.reader import PostgresReader
from batchcredit.ledger.sql.decisions import FINISH_LATE
from batchcredit.ledger.sql.ledger import SqlLedger
from batchcredit.ledger.sql.sending import TO_DOUBT

#: Locks of senders: two numbers, the ledger's and the sender's. Below zero: of who loads a batch.
_LOCKS = """FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = CAST(?1 AS oid)"""

LOCKED = f"EXISTS (SELECT 1 {_LOCKS} AND l.objid = CAST(s.id AS oid))"

_LIVING = f"""SELECT s.id, s.run, b.name, s."user", s.host, s.pid, s.command, s.started_at,
    count(t.id), min(t.sent_at), s.driver
    FROM sender s JOIN batch b ON b.id = s.batch
    LEFT JOIN transfer t ON t.sender = s.id AND t.state = 'sending'
    WHERE s.ended_at IS NULL AND {LOCKED} GROUP BY s.id, b.name ORDER BY s.id"""

_CREWS = """SELECT run, "user", host, pid, started_at, ended_at, why FROM sender
    WHERE batch = ? ORDER BY id"""

_GONE = f"SELECT s.id FROM sender s WHERE s.ended_at IS NULL AND NOT {LOCKED}"

#: Ends its session, and waits until it has ended.
_BACKEND = f"SELECT pg_terminate_backend(l.pid, 5000) {_LOCKS} AND l.objid = CAST(?2 AS oid)"

EVICTED = "evicted"

END = f"""UPDATE sender SET ended_at = ?1, why = CASE why WHEN '{EVICTED}' THEN why ELSE ?2 END
    WHERE id = ?3 AND ended_at IS NULL"""

_LEFT_BY = """SELECT (SELECT count(*) FROM transfer t
        WHERE t.sender = s.id AND t.state = 'in_doubt' AND t.reason = 'interrupted'),
    b.name, s.host, s.pid FROM sender s JOIN batch b ON b.id = s.batch WHERE s.id = ?"""

_HEARD_ALL = "NOT EXISTS (SELECT 1 FROM transfer t WHERE t.sender = ?3 AND t.state = 'sending')"

_BATCH_OF_SENDER = "id = (SELECT batch FROM sender WHERE id = ?)"

_END_RUNS = """UPDATE run SET ended_at = ?1, reason = 'interrupted' WHERE ended_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM sender s WHERE s.run = run.id AND s.ended_at IS NULL)
    AND EXISTS (SELECT 1 FROM sender s WHERE s.run = run.id)"""


class PostgresSenders(PostgresReader):
    """Reads a ledger, and who sends with it."""

    is_shared = True

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        self._class = int(self.id, 16)

    def senders(self) -> list[SenderRecord]:
        return [SenderRecord(*row) for row in self._all(_LIVING, self._class)]

    def crews(self, batch: int) -> list[CrewRecord]:
        return [CrewRecord(*row) for row in self._all(_CREWS, batch)]


class PostgresLease(PostgresSenders, SqlLedger):
    """A holder that may become a sender. Used by one thread at a time."""

    def __init__(self, database: PostgresDatabase, command: str) -> None:
        super().__init__(database)
        self._command = command
        self._run = 0
        self._driver: int | None = None
        self._transaction = self._deciding

    @contextlib.contextmanager
    def _deciding(self, *, alone: bool = True) -> Iterator[None]:
        """A transaction. What is decided alone may change what was spent: the sums are made anew."""
        with self._database.transaction(alone=alone):
            if alone:
                self._change("DELETE FROM spending")
            yield

    def enlist(self, run: int, driver: int | None = None) -> int:
        with self._transaction(alone=False):
            self.sender = self._enlisted(run, driver)
        self._say_sender()
        return self.sender

    def _enlisted(self, run: int, driver: int | None) -> int:
        """A new number, locked before anybody can see it; within the transaction at hand."""
        self._run, self._driver = run, driver
        ((number,),) = self._all(
            """INSERT INTO sender (run, batch, driver, "user", host, pid, command, started_at)
            SELECT id, batch, ?2, ?3, ?4, ?5, ?6, ?7 FROM run WHERE id = ?1 RETURNING id""",
            *(run, driver, host.user(), host.name(), os.getpid(), self._command, self._now_ms()),
        )
        self._all("SELECT pg_advisory_lock(?1, ?2)", self._signed, number)
        return int(number)

    def _say_sender(self) -> None:
        """Let the session itself know: another one, into which a pooler leads a statement, does not."""
        self._all("SELECT set_config('batchcredit.sender', ?1, false)", str(self.sender))

    @property
    def _signed(self) -> int:
        """The ledger's number as PostgreSQL takes it; it shows it without a sign."""
        return self._class - (1 << 32) if self._class >= 1 << 31 else self._class

    def _take_loading(self, batch: int) -> None:
        self._all("SELECT pg_advisory_lock(?1, ?2)", self._signed, -batch)

    def _abandoned(self) -> list[int]:
        found = self._all("SELECT id FROM batch WHERE state = 'loading'")
        return [batch for (batch,) in found if self._is_free(-batch)]

    def _is_free(self, number: int) -> bool:
        """Whether no other session holds this lock; nobody takes it until the transaction at hand ends."""
        ((free,),) = self._all("SELECT pg_try_advisory_xact_lock(?1, ?2)", self._signed, number)
        return bool(free)

    def _bury(self) -> int:
        """What senders without a session had in flight is in doubt, never pending; how many senders."""
        gone = [number for (number,) in self._all(_GONE, self._class)]
        if not gone:
            return 0
        with self._transaction():
            dead = [number for number in gone if self._is_free(number)]
            for number in dead:
                self._end_sender(number, "its session ended")
            self._change(_END_RUNS, self._now_ms())
            self._change(FINISH_LATE, self._now_ms())
        return len(dead)

    def _end_sender(self, number: int, why: str) -> int:
        """How many rows it leaves in doubt; within the transaction at hand."""
        self._change(END, self._now_ms(), why, number)
        return self._change(TO_DOUBT + " AND sender = ?2", self._now_ms(), number)

    def _end_sending(self) -> None:
        if self.sender:
            self._end_sender(self.sender, "its run ended")

    def end_run(self, run: int, batch: int, reason: str) -> None:
        self._bury()
        super().end_run(run, batch, reason)

    def evict(self, sender: int, note: str) -> int:
        if not self._change("UPDATE sender SET why = ? WHERE id = ? AND ended_at IS NULL", EVICTED, sender):
            raise no_sender(sender, self.url)
        self._all(_BACKEND, self._class, sender)  # first: standing still, it may hold a lock that we need
        with self._transaction():
            self._end_sender(sender, EVICTED)
            ((rows, batch, there, pid),) = self._all(_LEFT_BY, sender)
            who = f"sender {sender} (process {pid} on {there}): {rows} rows in doubt"
            self._note(EVICTED, batch, None, "", "", "person", note, who)
            self._change(FINISH_LATE, self._now_ms())
        return int(rows)

    def close(self) -> None:
        """Whoever has heard of all that it sent says good-bye; others are found to have ended."""
        try:
            if self.sender:
                with contextlib.suppress(StorageError):
                    self._say_good_bye()
        finally:
            super().close()

    def _say_good_bye(self) -> None:
        now_ms = self._now_ms()
        said = f"{END} AND {_HEARD_ALL}"
        if self._change(said, now_ms, "it had nothing left to do", self.sender):
            with self._transaction():
                self._change(_END_RUNS, now_ms)
                self._change(f"{FINISH_LATE} AND {_BATCH_OF_SENDER}", now_ms, self.sender)
