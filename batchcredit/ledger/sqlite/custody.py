"""Which file is the ledger: a copy taken into use, and a ledger that moves house."""

import json
import os
from abc import abstractmethod
from contextlib import closing
from pathlib import Path

from batchcredit import host
from batchcredit.ledger.registry import Note, silent
from batchcredit.ledger.sqlite.copy import occupied, part_of, refuse_occupied, write_copy
from batchcredit.ledger.sqlite.file import ARRIVING, COPIED, MOVED, refuse_retired, storage_errors
from batchcredit.ledger.sqlite.sender import SqliteSender

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
            became = self._restore(note, json.dumps({"copied_at": self._copied()}))
            self._change("DELETE FROM meta WHERE key IN (?, ?)", COPIED, ARRIVING)
        return became

    def _copied(self) -> str:
        copied = self._meta(COPIED)
        return host.iso(int(copied)) if copied else ""

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
