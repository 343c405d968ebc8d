"""What may be asked of a ledger in PostgreSQL while others send."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchLane, Custody, LaneIdentity, LaneRecord
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.ledger.postgres.schema import migrations, refuse_newer, version_of
from batchcredit.ledger.sql.database import OlderTablesError
from batchcredit.ledger.sql.reader import SqlReader


class PostgresReader(SqlReader):
    """Reads a ledger's schema; opened by `PostgresReader.open`."""

    _database: PostgresDatabase

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database, database.address.shown)

    @classmethod
    def open(cls, database: PostgresDatabase) -> "PostgresReader":
        """Raises RefusedError where there is no ledger yet, or one of a later version, OlderTablesError where
        it has to be held once. The ledger closes `database`, now if it is refused."""
        try:
            refuse_newer(database)
            _refuse_unmade(database)
            return cls(database)
        except BaseException:
            database.close()
            raise

    def lane(self, identity: LaneIdentity) -> LaneRecord | None:
        found = super().lane(identity)
        return self._by_our_clock(found) if found else None

    def batch_lanes(self, batch: int) -> list[BatchLane]:
        found = super().batch_lanes(batch)
        return [replace(known, lane=self._by_our_clock(known.lane)) for known in found]

    def _by_our_clock(self, lane: LaneRecord) -> LaneRecord:
        """Whoever waits until these moments looks at the clock of this host."""
        ahead_ms = self._database.offset_ms
        return replace(
            lane,
            last_sent_ms=lane.last_sent_ms and lane.last_sent_ms - ahead_ms,
            paused_until_ms=lane.paused_until_ms and lane.paused_until_ms - ahead_ms,
        )

    def custody(self) -> Custody:
        accepted = self._meta("accepted_at")
        return Custody(None, "", int(accepted) if accepted else None)

    def version(self) -> int:
        return version_of(self._database)

    def size_bytes(self) -> int:
        ((size,),) = self._all(
            """SELECT CAST(sum(pg_total_relation_size(oid)) AS BIGINT) FROM pg_class
            WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind = 'r'"""
        )
        return int(size)

    def faults(self) -> Iterator[str]:
        for (name,) in self._all(
            """SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE c.relnamespace = CAST(current_schema() AS regnamespace)
            AND NOT (i.indisvalid AND i.indisready)"""
        ):
            yield f"index {name} is not valid"
        for (name,) in self._all(
            """SELECT conname FROM pg_constraint
            WHERE connamespace = CAST(current_schema() AS regnamespace) AND NOT convalidated"""
        ):
            yield f"constraint {name} was never checked"

    def back_up(self, path: Path) -> None:
        raise RefusedError(
            f"the ledger {self.url} is backed up with the tools of PostgreSQL",
            reason="usage",
            cure=f"pg_dump --schema={self._database.address.schema} --format=custom --file={path} ..., or the"
            " server's own backups; what is restored is taken into use with: batchcredit ledger accept",
        )


def _refuse_unmade(database: PostgresDatabase) -> None:
    taken = version_of(database)
    if taken == 0:
        raise RefusedError(
            f"there is no ledger at {database.address.shown} yet",
            reason="no_ledger",
            cure="Run a batch first, or name the ledger with --ledger postgresql://user@host/database",
        )
    if taken < len(migrations()):
        raise OlderTablesError
