"""What may be asked of a SQLite ledger while another process sends."""

from collections.abc import Iterator
from pathlib import Path

from batchcredit import host
from batchcredit.ledger.base import Custody, SenderRecord
from batchcredit.ledger.sql.reader import SqlReader
from batchcredit.ledger.sqlite.copy import write_copy
from batchcredit.ledger.sqlite.database import SqliteDatabase
from batchcredit.ledger.sqlite.file import COPIED, MOVED, LockLook, open_reading, storage_errors
from batchcredit.ledger.sqlite.schema import version_of

#: So many faults of a damaged file are enough.
_FAULTS_MOST = 20

#: The one sender of a ledger that is not shared has no number of its own.
_ONLY_SENDER = 0

_SENDING = "SELECT count(*), min(sent_at) FROM transfer WHERE state = 'sending'"

_RUNNING = """SELECT r.id, b.name FROM run r JOIN batch b ON b.id = r.batch WHERE r.ended_at IS NULL
    ORDER BY r.id DESC LIMIT 1"""


class SqliteReader(SqlReader):
    """Reads a ledger file; opened by `SqliteReader.open`."""

    is_shared = False

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database, f"sqlite:///{database.path}")
        self._connection, self._path = database.connection, database.path
        self._look = LockLook(database.path)

    @classmethod
    def open(cls, path: Path) -> "SqliteReader":
        connection = open_reading(path)
        try:
            with storage_errors(path):
                return cls(SqliteDatabase(connection, path))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        super().close()
        self._look.close()

    def senders(self) -> list[SenderRecord]:
        """The holder, who told its name; whether it still holds the file, only the lock knows."""
        if not self._look.is_locked():
            return []
        run, batch = next(iter(self._all(_RUNNING)), (None, ""))
        in_flight = self._database.one(_SENDING)
        found = self._all("SELECT user, host, pid, command, started_at FROM holder")
        return [SenderRecord(_ONLY_SENDER, run, batch, *who, *in_flight) for who in found]

    def custody(self) -> Custody:
        copied, accepted = self._meta(COPIED), self._meta("accepted_at")
        return Custody(
            int(copied) if copied else None, self._meta(MOVED), int(accepted) if accepted else None
        )

    def version(self) -> int:
        with storage_errors(self._path):
            return version_of(self._connection)

    def size_bytes(self) -> int:
        with storage_errors(self._path):
            return self._path.stat().st_size

    def faults(self) -> Iterator[str]:
        for (said,) in self._all(f"PRAGMA integrity_check({_FAULTS_MOST})"):
            if said != "ok":
                yield str(said)
        for table, row, parent, _ in self._all("PRAGMA foreign_key_check")[:_FAULTS_MOST]:
            yield f"row {row} of table {table} refers to a row that {parent} does not have"

    def back_up(self, path: Path) -> None:
        with storage_errors(path):
            write_copy(self._connection, path, {COPIED: str(host.now_ms())})
