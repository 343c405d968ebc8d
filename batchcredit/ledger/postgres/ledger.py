"""The ledger in PostgreSQL: `synchronous_commit`, one session for each holder, many holders."""

import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import AdoptChunk, BatchRecord, EnrolChunk, EnrolRow, NewBatch
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.ledger.postgres.schema import (
    HOME,
    bring_up,
    home_of,
    migrations,
    refuse_elsewhere,
    refuse_forgetful,
    refuse_newer,
)
from batchcredit.ledger.postgres.sender import PostgresSender
from batchcredit.ledger.registry import silent
from batchcredit.ledger.sql.database import TakenError
from batchcredit.ledger.sql.decisions import FINISH_LATE
from batchcredit.transfer import State

#: How often somebody else's enrolment of the same batch is looked at.
_LOOK_S = 0.5

_NEVER_RUN = "NOT EXISTS (SELECT 1 FROM run WHERE run.batch = batch.id)"


class PostgresLedger(PostgresSender):
    """Used by one thread at a time."""

    @classmethod
    def hold(
        cls,
        database: PostgresDatabase,
        command: str,
        note: Callable[[str], None] = silent,
        *,
        retired: bool = False,
    ) -> "PostgresLedger":
        """Open for sending or deciding, beside others. What dead senders left `sending` becomes in doubt, and
        what nobody goes on loading goes. One whose server was replaced by a copy is refused unless `retired`.
        The ledger closes `database`, now if it is refused."""
        try:
            refuse_newer(database)
            refuse_forgetful(database)
            taken = bring_up(database)
            if 0 < taken < len(migrations()):
                note(
                    f"this version of batchcredit needs new tables in {database.address.shown}; they are made"
                )
            if not retired:
                refuse_elsewhere(database)
            ledger = cls(database, command)
            ledger._bury()
            ledger._finish_empty()
        except BaseException:
            database.close()
            raise
        return ledger

    def _finish_empty(self) -> None:
        """A batch without a row to send, whose maker ended before its run, is finished all the same."""
        if self._all(f"SELECT 1 FROM batch WHERE finished_at IS NULL AND {_NEVER_RUN}"):
            with self._transaction():
                self._change(f"{FINISH_LATE} AND {_NEVER_RUN}", self._now_ms())

    def enrol(self, new: NewBatch, chunks: Iterable[EnrolChunk]) -> BatchRecord:
        """As promised; where somebody else enrols the very same meanwhile, theirs is waited for and taken."""
        try:
            return super().enrol(new, map(_storable, chunks))
        except TakenError:
            return self._joined(new)

    def adopt(self, new: NewBatch, chunks: Iterable[AdoptChunk], note: str, known: str) -> BatchRecord:
        try:
            return super().adopt(new, map(_adoptable, chunks), note, known)
        except TakenError as error:
            raise _enrolled_meanwhile(new.name) from error

    def correct(
        self,
        batch: int,
        content: bytes,
        chunks: Iterable[EnrolChunk],
        rows: Collection[int] | None = None,
    ) -> int:
        return super().correct(batch, content, map(_storable, chunks), rows)

    def _joined(self, new: NewBatch) -> BatchRecord:
        while not (found := [batch for batch in self.batches(new.name) if batch.name == new.name]):
            with self._transaction():
                self._delete_loading()
            if not self._all("SELECT 1 FROM batch WHERE name = ?", new.name):
                break
            time.sleep(_LOOK_S)
        if found and found[0].content == new.content:
            return found[0]
        raise _enrolled_meanwhile(new.name)

    def _make_ready(self, batch: int, new: NewBatch, rows: int) -> None:
        super()._make_ready(batch, new, rows)
        self._change("ANALYZE transfer")  # its plans are made for what is there now

    def _delete(self, batch: int) -> None:
        self._change("DELETE FROM sender WHERE batch = ?", batch)
        super()._delete(batch)

    def accept(self, note: str) -> int:
        with self._transaction():
            was = self._meta(HOME)
            known = json.dumps({"from": was, "to": home_of(self._database)})
            became = self._restore(note, known)
            self._set_meta(HOME, home_of(self._database))
        return became

    def move_to(self, path: Path, note: str) -> None:
        raise RefusedError(
            f"the ledger {self.url} is moved with the tools of PostgreSQL",
            reason="usage",
            cure="pg_dump and pg_restore, with no sender running; then, there: batchcredit ledger accept",
        )


#: An index takes three such texts, and no much longer ones. Those of a row that may be sent are short; what
#: stood in the cells of one that is invalid is kept with the input's own columns.
_CELL_CHARS = 200


def _storable(chunk: EnrolChunk) -> EnrolChunk:
    return replace(chunk, rows=[_row(row) for row in chunk.rows])


def _adoptable(chunk: AdoptChunk) -> AdoptChunk:
    return replace(chunk, rows=[row._replace(enrol=_row(row.enrol)) for row in chunk.rows])


def _row(row: EnrolRow) -> EnrolRow:
    """PostgreSQL has no text with a NUL, either."""
    number, lane, *texts, reference, state, reason, message = row
    if state != State.INVALID:
        return row
    profile, account, key, amount, currency = (_cell(text) for text in texts)
    kept = reference and _cell(reference)
    return number, lane, profile, account, key, amount, currency, kept, state, reason, message


def _cell(text: str) -> str:
    return text[:_CELL_CHARS].replace("\0", "\ufffd")


def _enrolled_meanwhile(name: str) -> RefusedError:
    return RefusedError(
        f"another run has just enrolled a batch {name}, or has given it up",
        reason="enrolled_meanwhile",
        cure="run the same command again",
    )
