"""What may be asked of a SQLite ledger while another process sends."""

from collections.abc import Iterator
from pathlib import Path

from batchcredit import host
from batchcredit.ledger.base import Custody
from batchcredit.ledger.sql.reader import SqlReader
from batchcredit.ledger.sqlite.copy import write_copy
from batchcredit.ledger.sqlite.database import SqliteDatabase
from batchcredit.ledger.sqlite.file import COPIED, MOVED, open_reading, storage_errors
from batchcredit.ledger.sqlite.schema import version_of

#: So many faults of a damaged file are enough.
_FAULTS_MOST = 20


class SqliteReader(SqlReader):
    """Reads a ledger file; opened by `SqliteReader.open`."""

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database, f"sqlite:///{database.path}")
        self._connection, self._path = database.connection, database.path

    @classmethod
    def open(cls, path: Path) -> "SqliteReader":
        connection = open_reading(path)
        try:
            with storage_errors(path):
                return cls(SqliteDatabase(connection, path))
        except BaseException:
            connection.close()
            raise

    def custody(self) -> Custody:
        copied, accepted = self._meta(COPIED), self._meta("accepted_at")
        return Custody(
            int(copied) if copied else None, self._meta(MOVED), int(accepted) if accepted else None
        )

    def version(self) -> int:
        with storage_errors(self._path):
            return version_of(self._connection)

    def faults(self) -> Iterator[str]:
        for (said,) in self._all(f"PRAGMA integrity_check({_FAULTS_MOST})"):
            if said != "ok":
                yield str(said)
        for table, row, parent, _ in self._all("PRAGMA foreign_key_check")[:_FAULTS_MOST]:
            yield f"row {row} of table {table} refers to a row that {parent} does not have"

    def back_up(self, path: Path) -> None:
        with storage_errors(path):
            write_copy(self._connection, path, {COPIED: str(host.now_ms())})
