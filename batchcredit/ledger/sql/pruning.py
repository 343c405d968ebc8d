"""Old batches leave a ledger in a database: what the guards compare stays, and the totals; the rest goes."""

import json

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord
from batchcredit.ledger.sql.decisions import SqlDecisions
from batchcredit.ledger.sql.reader import CREDITED_AT, quoted
from batchcredit.transfer import FINAL

#: So many rows leave in one transaction: others wait for no longer than that takes.
_PIECE_ROWS = 5000

_MARK = """UPDATE batch SET pruned_at = ?, archive = ?, archive_sha256 = ? WHERE id = ?
    AND pruned_at IS NULL"""

_TALLY = """INSERT INTO archived_tally (batch, lane, provider, state, reason, currency, rows, amount, sent_at)
    SELECT t.batch, t.lane, t.provider, t.state, t.reason, t.money, count(*), decimal_sum(t.value),
        max(t.sent) FROM (SELECT o.batch, o.lane, o.provider, o.state, o.reason,
        CASE o.state WHEN 'invalid' THEN '' ELSE o.currency END AS money,
        CASE o.state WHEN 'invalid' THEN '0' ELSE o.amount END AS value,
        coalesce(o.sent_at, b.created_at) AS sent
        FROM transfer o JOIN batch b ON b.id = o.batch WHERE o.batch = ?) t
    GROUP BY t.batch, t.lane, t.provider, t.state, t.reason, t.money"""

#: When anything about a batch changed last: its rows, what was decided, and that somebody ran it.
_CHANGED = f"""SELECT max(at) FROM (
    SELECT finished_at AS at FROM batch WHERE id = ?1
    UNION ALL SELECT max(sent_at) FROM transfer WHERE batch = ?1
    UNION ALL SELECT max({CREDITED_AT}) FROM transfer o WHERE batch = ?1
    UNION ALL SELECT max(started_at) FROM run WHERE batch = ?1
    UNION ALL SELECT max(at) FROM audit WHERE batch = (SELECT name FROM batch WHERE id = ?1)) changes"""

#: What was paid more than once stays where people look.
_NOT_FINAL = f"""SELECT CASE reason WHEN 'overpaid' THEN reason ELSE state END AS word, count(*) FROM transfer
    WHERE batch = ? AND (state NOT IN ({quoted(FINAL)}) OR reason = 'overpaid') GROUP BY word ORDER BY word"""

_HALF_GONE = """SELECT id FROM batch WHERE pruned_at IS NOT NULL AND (
    EXISTS (SELECT 1 FROM transfer WHERE transfer.batch = batch.id)
    OR EXISTS (SELECT 1 FROM cells WHERE cells.batch = batch.id)
    OR EXISTS (SELECT 1 FROM snapshot WHERE snapshot.batch = batch.id)
    OR EXISTS (SELECT 1 FROM pause WHERE pause.batch = batch.id)) ORDER BY id"""

_GONE = "WHERE batch = ? AND row BETWEEN ? AND ?"

_KEEP_REFERENCES = f"""INSERT INTO archived_reference
    (reference, batch, row, lane, provider, account_key, amount, currency, credited_at)
    SELECT reference, batch, row, lane, provider, account_key, amount, currency, {CREDITED_AT}
    FROM transfer o {_GONE} AND state = 'credited' AND reference IS NOT NULL"""

_KEEP_CLIENTS = f"""INSERT INTO archived_client (lane, account_key, currency, largest)
    SELECT lane, account_key, currency, max(CAST(amount AS DOUBLE PRECISION))
    FROM transfer {_GONE} AND state = 'credited' GROUP BY lane, account_key, currency
    ON CONFLICT (lane, account_key, currency) DO UPDATE SET largest =
    CASE WHEN excluded.largest > archived_client.largest THEN excluded.largest
        ELSE archived_client.largest END"""

_FORGET = (
    f"DELETE FROM corrected WHERE transfer IN (SELECT id FROM transfer {_GONE})",
    f"DELETE FROM transfer {_GONE}",
    "DELETE FROM cells WHERE batch = ? AND first_row BETWEEN ? AND ?",
)


class SqlPruning(SqlDecisions):
    """Takes old batches out. Used by one thread at a time."""

    def stays(self, batch: BatchRecord, before_ms: int) -> str:
        if batch.closed_ms is not None:
            return "it was handed over to another ledger"
        left = self._all(_NOT_FINAL, batch.id)
        if left or batch.finished_ms is None:
            rows = ", ".join(f"{number} {state}" for state, number in left)
            return f"it is not finished: {rows or 'nothing of it was sent'}"
        changed_ms = self._database.one(_CHANGED, batch.id)[0]
        if changed_ms >= before_ms:
            return f"it was changed last on {host.iso(changed_ms)}"
        if self._all("SELECT max(id) FROM batch WHERE state = 'ready'") == [(batch.id,)]:
            return "it is the newest batch"  # the numbers of its rows would be given out once more
        return ""

    def prune(self, batch: int, before_ms: int, archive: str, sha256: str, note: str) -> None:
        name = self._name_of(batch)
        with self._transaction():
            [record] = self.batches(name)
            why = self.stays(record, before_ms)
            if why:
                raise RefusedError(f"batch {name} stays: {why}", reason="not_prunable")
            if self._change(_MARK, self._now_ms(), archive, sha256, batch):
                self._change(_TALLY, batch)
                known = json.dumps({"archive": archive, "sha256": sha256, "rows": record.rows})
                self._note("pruned", name, None, "", "", "person", note, known)
        self.sweep()

    def sweep(self) -> None:
        for (batch,) in self._all(_HALF_GONE):
            while first := self._database.one("SELECT min(row) FROM transfer WHERE batch = ?", batch)[0]:
                with self._transaction():
                    self._forget_piece(batch, first, first + _PIECE_ROWS - 1)
            with self._transaction():
                for table in ("cells", "snapshot", "pause"):
                    self._change(f"DELETE FROM {table} WHERE batch = ?", batch)

    def _forget_piece(self, batch: int, first: int, last: int) -> None:
        """Keep what guards compare of these rows, and let them go, both or neither."""
        self._change(_KEEP_REFERENCES, batch, first, last)
        self._change(_KEEP_CLIENTS, batch, first, last)
        for statement in _FORGET:
            self._change(statement, batch, first, last)
