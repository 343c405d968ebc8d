"""Which file is the ledger: a copy taken into use, and a ledger that moves house."""

import json
import os
from abc import abstractmethod
from contextlib import closing
from pathlib import Path

from batchcredit import host
from batchcredit.ledger.registry import Note, silent
from batchcredit.ledger.sql.decisions import FINISH_LATE
from batchcredit.ledger.sql.reader import quoted
from batchcredit.ledger.sqlite.copy import occupied, part_of, refuse_occupied, write_copy
from batchcredit.ledger.sqlite.file import ARRIVING, COPIED, MOVED, refuse_retired, storage_errors
from batchcredit.ledger.sqlite.sender import SqliteSender
from batchcredit.transfer import Event, State, states_allowing

#: What is not final; a row that was in doubt may have been settled and sent since, so its quiet begins anew.
#: A row whose reference another one holds stays as it is: nothing sends it.
_RESTORE = f"""UPDATE OR IGNORE transfer SET state = 'in_doubt', reason = 'ledger_accepted', ended_at = ?1,
    settled_by = '', not_before = 0,
    message = 'the ledger was restored from a copy, and this may have been sent after that was taken'
    WHERE state IN ({quoted((*states_allowing(Event.RESTORE), State.IN_DOUBT))})"""

_BY_BATCH = f"""SELECT b.name, t.state, count(*) FROM transfer t JOIN batch b ON b.id = t.batch
    WHERE t.state IN ({quoted(states_allowing(Event.RESTORE))}) GROUP BY b.id, t.state ORDER BY b.id"""

_ARRIVED = "moved_done"


class SqliteCustody(SqliteSender):
    """Takes a copy into use, and moves. Used by one thread at a time."""

    @classmethod
    @abstractmethod
    def hold(
        cls, path: Path, command: str, note: Note = silent, *, retired: bool = False
    ) -> "SqliteCustody": ...

    def accept(self, note: str) -> int:
        if self._meta(MOVED):
            refuse_retired(self._connection, self._path)
        with self._transaction():
            open_rows: dict[str, dict[str, int]] = {}
            for batch, state, rows in self._all(_BY_BATCH):
                open_rows.setdefault(batch, {})[state] = rows
            for batch, states in open_rows.items():
                self._note("accepted", batch, None, "", "", "person", note, json.dumps({"in doubt": states}))
            self._note(
                "accepted", "", None, "", "", "person", note, json.dumps({"copied_at": self._copied()})
            )
            self._change(_RESTORE, host.now_ms())
            self._change(FINISH_LATE, host.now_ms())
            self._change("DELETE FROM meta WHERE key IN (?, ?)", COPIED, ARRIVING)
            self._set_meta("accepted_at", str(host.now_ms()))
        return sum(sum(states.values()) for states in open_rows.values())

    def _copied(self) -> str:
        copied = self._meta(COPIED)
        return host.iso(int(copied)) if copied else ""

    def _set_meta(self, key: str, value: str) -> None:
        self._change("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value)

    def move_to(self, path: Path, note: str) -> None:
        if not self._meta(_ARRIVED):
            self._close_for(path, note)
            self._copy_once(path)
        elif self._meta(MOVED) != str(path) or not path.exists():
            refuse_retired(self._connection, self._path)
        with closing(self.hold(path, "ledger move", retired=True)) as new:
            if new.id != self.id or not (self._meta(_ARRIVED) or new.arrives_from(self._path)):
                raise occupied(path)
            with self._transaction():
                self._set_meta(_ARRIVED, str(host.now_ms()))
            new.arrive()

    def arrives_from(self, path: Path) -> bool:
        """Whether this is the copy that the ledger at `path` made when it moved, not opened yet."""
        return self._meta(ARRIVING) == str(path)

    def arrive(self) -> None:
        """Open the copy: from now on it is the ledger."""
        with self._transaction():
            self._change("DELETE FROM meta WHERE key = ?", ARRIVING)

    def _close_for(self, path: Path, note: str) -> None:
        """Closed before there is a copy; what a kill has left unfinished may go elsewhere."""
        if not self._meta(MOVED):
            refuse_retired(self._connection, self._path)
            refuse_occupied(path)
            with storage_errors(path):
                os.scandir(path.parent).close()  # a folder that is mistyped closes nothing
        with self._transaction():
            self._note("moved", "", None, "", "", "person", note, json.dumps({"from": str(self._path)}))
            self._set_meta(MOVED, str(path))

    def _copy_once(self, path: Path) -> None:
        with storage_errors(path):
            if not path.exists():
                write_copy(self._connection, path, {MOVED: None, ARRIVING: str(self._path)})
            part_of(path).unlink(missing_ok=True)  # a second name of the same file, where a kill left it
