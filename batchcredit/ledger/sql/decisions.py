"""Decisions on rows of a ledger in a database: verdicts, withdrawals, and the trail in which each is kept."""

import contextlib
import json
from collections.abc import Sequence

from batchcredit import host
from batchcredit.ledger.audit import FIRST, chained
from batchcredit.ledger.base import Ledger, Problem, Verdict, refuse_closed
from batchcredit.ledger.sql.database import Database, TakenError
from batchcredit.ledger.sql.reader import SqlReader, quoted, transfer_id
from batchcredit.transfer import MOVES, SPENT, Event, State, states_allowing

_NOTHING_LEFT = """state = 'ready' AND finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM transfer t
    WHERE t.batch = batch.id AND t.state IN ('pending', 'unsent', 'sending'))"""

FINISH = f"UPDATE batch SET finished_at = ? WHERE id = ? AND {_NOTHING_LEFT}"

#: A batch whose end nobody could write down was finished by its last ending, not when that is found out.
FINISH_LATE = f"""UPDATE batch SET finished_at = coalesce((SELECT max(ended_at) FROM transfer t
    WHERE t.batch = batch.id), ?) WHERE {_NOTHING_LEFT}"""

_WRITE = """UPDATE transfer SET state = ?1, settled_by = ?2, reason = 'verdict', message = ?3, not_before = 0,
    verdict_at = CASE ?1 WHEN 'credited' THEN ?4 ELSE verdict_at END,
    lane = CASE ?1 WHEN 'pending' THEN coalesce((SELECT bl.lane FROM batch_lane bl
        WHERE bl.batch = transfer.batch AND bl.profile = transfer.provider), lane) ELSE lane END
    WHERE id = ?5"""

#: What is not final; a row that was in doubt may have been settled and sent since, so its quiet begins anew.
#: A row whose reference another one holds stays as it is: nothing sends it.
_RESTORE = f"""UPDATE transfer SET state = 'in_doubt', reason = 'ledger_accepted', ended_at = ?1,
    settled_by = '', not_before = 0,
    message = 'the ledger was restored from a copy, and this may have been sent after that was taken'
    WHERE state = 'in_doubt' OR state IN ({quoted(states_allowing(Event.RESTORE))})
    AND NOT EXISTS (SELECT 1 FROM transfer o WHERE o.reference = transfer.reference AND o.id <> transfer.id
        AND (o.state IN ({quoted(SPENT)})
            OR o.state IN ({quoted(states_allowing(Event.RESTORE))}) AND o.id < transfer.id))
    AND NOT EXISTS (SELECT 1 FROM archived_reference a WHERE a.reference = transfer.reference)
    AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.id = transfer.batch AND b.pruned_at IS NOT NULL)"""

_RESTORED_BY_BATCH = f"""SELECT b.name, t.state, count(*) FROM transfer t JOIN batch b ON b.id = t.batch
    WHERE t.state IN ({quoted(states_allowing(Event.RESTORE))}) GROUP BY b.id, t.state ORDER BY b.id"""

_VERDICTS = {"credited": Event.CONFIRM, "not-credited": Event.DENY, "in-doubt": Event.RETRACT}


class _WithheldError(Exception):
    """Takes back what was written before a problem was met."""


class SqlDecisions(SqlReader, Ledger):
    """Verdicts and withdrawals. Used by one thread at a time."""

    def __init__(self, database: Database, url: str) -> None:
        super().__init__(database, url)
        self._change, self._transaction = database.change, database.transaction
        self._now_ms = database.now_ms

    def resolve(self, batch: int, verdicts: Sequence[Verdict], quiet_ms: int) -> list[Problem]:
        problems: list[Problem] = []
        with contextlib.suppress(_WithheldError), self._transaction():
            self._refuse_closed(batch)
            for verdict in verdicts:
                why = self._resolve_row(batch, verdict, quiet_ms)
                if why:
                    problems.append(Problem(verdict.row, why))
            if problems:
                raise _WithheldError
            self._change(FINISH, self._now_ms(), batch)
        return problems

    def _resolve_row(self, batch: int, verdict: Verdict, quiet_ms: int) -> str:
        """Write one verdict; "" or why not."""
        found = self._all(
            """SELECT id, state, settled_by, coalesce(ended_at, sent_at, 0), late_at FROM transfer
            WHERE batch = ? AND row = ?""",
            *(batch, verdict.row),
        )
        if not found:
            return f"there is no row {verdict.row}"
        number, was, settled_by, ended_ms, late_ms = found[0]
        if late_ms is not None and verdict.verdict != "credited":
            return (
                "the provider has confirmed an earlier attempt at it: the client has the credit at least once"
            )
        quiet_until_ms = ended_ms + quiet_ms
        problem = _verdict_problem(State(was), settled_by, verdict.verdict, quiet_until_ms, self._now_ms())
        return problem or self._write_verdict(number, State(was), verdict, batch)

    def _write_verdict(self, number: int, was: State, verdict: Verdict, batch: int) -> str:
        state = MOVES[was, _VERDICTS[verdict.verdict]]
        try:
            with self._database.attempt():
                self._change(_WRITE, state.value, verdict.settled_by, verdict.note, self._now_ms(), number)
        except TakenError:
            return "its reference has been sent or credited elsewhere meanwhile"
        self._note_row(number, verdict.verdict, was, verdict.settled_by, verdict.note, verdict.known)
        if state is State.PENDING:
            self._change("UPDATE batch SET finished_at = NULL WHERE id = ?", batch)
        return ""

    def cancel(self, batch: int, row: int | None, note: str) -> int:
        with self._transaction():
            self._refuse_closed(batch)
            found = self._all(
                f"""SELECT id, state FROM transfer WHERE batch = ?1 {"" if row is None else "AND row = ?2"}
                AND state IN ({quoted(states_allowing(Event.CANCEL))})""",
                *((batch,) if row is None else (batch, row)),
            )
            for number, was in found:
                self._change(
                    """UPDATE transfer SET state = 'cancelled', reason = 'cancelled', settled_by = 'person',
                    message = ? WHERE id = ?""",
                    *(note, number),
                )
                self._note_row(number, "cancelled", State(was), "person", note, "")
            self._change(FINISH, self._now_ms(), batch)
        return len(found)

    def _restore(self, note: str, known: str) -> int:
        """Whatever is not final may have been sent since: in doubt from now on; how many have become so."""
        open_rows: dict[str, dict[str, int]] = {}
        for batch, state, rows in self._all(_RESTORED_BY_BATCH):
            open_rows.setdefault(batch, {})[state] = rows
        for batch, states in open_rows.items():
            self._note("accepted", batch, None, "", "", "person", note, json.dumps({"in doubt": states}))
        self._note("accepted", "", None, "", "", "person", note, known)
        self._change(_RESTORE, self._now_ms())
        self._change(FINISH_LATE, self._now_ms())
        self._set_meta("accepted_at", str(self._now_ms()))
        return sum(sum(states.values()) for states in open_rows.values())

    def _set_meta(self, key: str, value: str) -> None:
        self._change(
            """INSERT INTO meta (key, value) VALUES (?, ?)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value""",
            *(key, value),
        )

    def _refuse_closed(self, batch: int) -> None:
        """What another ledger sends is no longer this one's to change."""
        for record in self.batches(self._name_of(batch)):
            refuse_closed(record)

    def _name_of(self, batch: int) -> str:
        ((name,),) = self._all("SELECT name FROM batch WHERE id = ?", batch)
        return str(name)

    # the trail

    def _note_row(self, number: int, what: str, was: State, settled_by: str, note: str, known: str) -> None:
        """Add a decision on one row to the trail, within the transaction at hand."""
        ((batch, row, transfer),) = self._all(
            f"""SELECT b.name, t.row, {transfer_id("t")} FROM transfer t JOIN batch b ON b.id = t.batch
            WHERE t.id = ?""",
            number,
        )
        self._note(what, batch, row, transfer, was.value, settled_by, note, known)

    def _note(
        self,
        what: str,
        batch: str,
        row: int | None,
        transfer: str,
        was: str,
        settled_by: str,
        note: str,
        known: str,
    ) -> None:
        last = self._all("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
        number, before = last[0] if last else (0, FIRST)
        about = (batch, row, transfer, was, settled_by, note, known)
        fields = (number + 1, self._now_ms(), host.user(), host.name(), what, *about)
        self._change(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(*fields, chained(before, fields)),
        )


def _verdict_problem(was: State, settled_by: str, verdict: str, quiet_until_ms: int, now_ms: int) -> str:
    event = _VERDICTS[verdict]
    if (was, event) not in MOVES:
        return f"the row is {was}, so it can't be resolved as {verdict}"
    if event is Event.RETRACT and settled_by in ("", "provider"):
        return (
            f"the row is {was} by the provider's word or was never resolved: there is no verdict to take back"
        )
    if event is Event.DENY and now_ms < quiet_until_ms:
        until = host.iso(quiet_until_ms)
        return f"the request may still be executed late: no verdict not-credited before {until}"
    return ""
