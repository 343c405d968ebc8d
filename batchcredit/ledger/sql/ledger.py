"""The ledger in a database: lanes, batches and runs, in SQL that each of them understands."""

import json
import os
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import TypeVar

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import (
    AdoptChunk,
    BatchRecord,
    ClientBalance,
    EnrolChunk,
    EnrolRow,
    LaneIdentity,
    LaneRecord,
    NewBatch,
    OwnBalance,
)
from batchcredit.ledger.sql.decisions import FINISH
from batchcredit.ledger.sql.pruning import SqlPruning
from batchcredit.ledger.sql.reader import CREDITED_AT, quoted, same_as
from batchcredit.transfer import CORRECTABLE, Event, State, shortest, states_allowing

Loadable = TypeVar("Loadable", EnrolChunk, AdoptChunk)

_ENROLLED = (
    *("batch", "row", "lane", "provider", "account", "account_key", "amount", "currency", "reference"),
    *("state", "reason", "message"),
)

#: The same with what became of a row elsewhere.
_ADOPTED = (
    *_ENROLLED,
    *("http_status", "provider_code", "units", "balance_before", "balance_after", "attempts", "sent_at"),
    *("ended_at", "duration_ms", "settled_by", "verdict_at", "former_id", "generation"),
)

#: So many chunks are entered in one transaction: enough for few syncs, few enough for a short log.
_CHUNKS_MOST = 16

_RECOGNISE = f"""UPDATE transfer SET state = 'already_credited', reason = ?2 WHERE batch = ?1
    AND state IN ({quoted(states_allowing(Event.RECOGNISE))})
    AND EXISTS (SELECT 1 FROM {{other}} o WHERE {same_as("transfer")} AND {{which}})"""

_SAME_REFERENCE = "o.reference = transfer.reference"
_BY_REFERENCE = _RECOGNISE.format(other="transfer", which=f"o.state = 'credited' AND {_SAME_REFERENCE}")
_BY_REFERENCE += " AND reference IS NOT NULL"
_BY_ARCHIVE = _RECOGNISE.format(other="archived_reference", which=_SAME_REFERENCE)
_BY_CONTENT = _RECOGNISE.format(other="transfer", which=f"o.state = 'credited' AND {CREDITED_AT} > ?3")

_SAID = "provider, account, amount, currency, reference"

#: What a run was asked to leave, whatever was left of it; a verdict on it can still be taken back.
_SET_ASIDE = f"""UPDATE transfer SET state = 'unsent', reason = 'not_picked', message = ''
    WHERE batch = ? AND state IN ({quoted(states_allowing(Event.SET_ASIDE))})
    AND row NOT IN (SELECT row FROM picked)"""


class SqlLedger(SqlPruning):
    """Lanes, batches and runs. Used by one thread at a time."""

    @abstractmethod
    def _abandoned(self) -> list[int]:
        """Batches that nobody goes on loading."""

    def _take_loading(self, batch: int) -> None:
        """Say that this holder loads it, within the transaction that made it."""

    @abstractmethod
    def _end_sending(self) -> None:
        """What this holder has left sending is in doubt; within the transaction at hand."""

    def _delete_loading(self) -> None:
        for batch in self._abandoned():
            self._delete(batch)

    # lanes

    def accept_lane(self, identity: LaneIdentity) -> LaneRecord:
        with self._transaction():
            self._change(
                """INSERT INTO lane (kind, base_url, login, accepted_at) VALUES (?, ?, ?, ?)
                ON CONFLICT DO NOTHING""",
                *(identity.kind, identity.base_url, identity.login, self._now_ms()),
            )
        lane = self.lane(identity)
        assert lane is not None
        return lane

    def prove_lane(self, lane: int) -> None:
        with self._transaction():
            self._change("UPDATE lane SET proven = 1 WHERE id = ?", lane)

    def change_lane(self, batch: int, profile: str, lane: int) -> None:
        with self._transaction():
            self._change(
                """INSERT INTO batch_lane (batch, profile, lane) VALUES (?, ?, ?)
                ON CONFLICT (batch, profile) DO UPDATE SET lane = excluded.lane""",
                *(batch, profile, lane),
            )
            self._change(
                """UPDATE transfer SET lane = ? WHERE batch = ? AND provider = ?
                AND state IN ('pending', 'unsent', 'rejected')""",
                *(lane, batch, profile),
            )

    # batches

    def enrol(self, new: NewBatch, chunks: Iterable[EnrolChunk]) -> BatchRecord:
        batch = self._begin_loading(new)
        rows = self._loaded(batch, chunks, self._load)
        with self._transaction():
            self._recognise(batch, new.skip_repeats_since_ms)
            self._make_ready(batch, new, rows)
        return self._record(batch)

    def adopt(self, new: NewBatch, chunks: Iterable[AdoptChunk], note: str, known: str) -> BatchRecord:
        batch = self._begin_loading(new)
        rows = self._loaded(batch, chunks, self._load_adopted)
        with self._transaction():
            self._make_ready(batch, new, rows)
            self._change(FINISH, self._now_ms(), batch)
            self._note("adopted", new.name, None, "", "", "person", note, known)
        return self._record(batch)

    def _loaded(self, batch: int, chunks: Iterable[Loadable], load: Callable[[int, Loadable], int]) -> int:
        """Enter the rows of `chunks`, not to be seen yet; how many."""
        rows, source = 0, iter(chunks)
        while (first := next(source, None)) is not None:
            with self._transaction(alone=False):
                some = chain([first], islice(source, _CHUNKS_MOST - 1))
                rows += sum(load(batch, chunk) for chunk in some)
        return rows

    def _make_ready(self, batch: int, new: NewBatch, rows: int) -> None:
        self._change("INSERT INTO meta (key, value) VALUES ('kind', ?) ON CONFLICT DO NOTHING", _kind(new))
        self._change("UPDATE batch SET state = 'ready', rows = ? WHERE id = ?", rows, batch)

    def _begin_loading(self, new: NewBatch) -> int:
        if self.is_live() not in (None, new.live):
            raise DefectError(f"a {_kind(new)} batch for a {self._meta('kind')} ledger", reason="defect")
        with self._transaction():
            self._delete_loading()
            ((batch,),) = self._all(
                """INSERT INTO batch (name, content, state, rows, source, results, totals, created_at,
                repeats_allowed_at, stop_reason) VALUES (?, ?, 'loading', 0, ?, ?, ?, ?, ?, 'interrupted')
                RETURNING id""",
                *(new.name, new.content, new.source, new.results, _totals(new.totals), self._now_ms()),
                new.repeats_allowed_ms,
            )
            self._take_loading(batch)
            for profile, lane in new.lanes.items():
                self._change(
                    "INSERT INTO batch_lane (batch, profile, lane) VALUES (?, ?, ?)", batch, profile, lane
                )
        return int(batch)

    def _load(self, batch: int, chunk: EnrolChunk) -> int:
        self._database.insert("transfer", _ENROLLED, ((batch, *row) for row in chunk.rows))
        self._load_cells(batch, chunk)
        return len(chunk.rows)

    def _load_adopted(self, batch: int, chunk: AdoptChunk) -> int:
        rows = ((batch, *row.enrol, *row[1:]) for row in chunk.rows)
        self._database.insert("transfer", _ADOPTED, rows)
        self._load_cells(batch, chunk)
        return len(chunk.rows)

    def _load_cells(self, batch: int, chunk: EnrolChunk | AdoptChunk) -> None:
        self._change(
            "INSERT INTO cells (batch, first_row, rows, frame) VALUES (?, ?, ?, ?)",
            *(batch, chunk.first_row, len(chunk.rows), chunk.cells),
        )

    def _record(self, batch: int) -> BatchRecord:
        return self.batches(self._name_of(batch))[0]

    def _recognise(self, batch: int, skip_repeats_since_ms: int | None) -> None:
        self._change(_BY_REFERENCE, batch, "same_reference")
        if self._all("SELECT 1 FROM archived_reference LIMIT 1"):
            self._change(_BY_ARCHIVE, batch, "same_reference")
        if skip_repeats_since_ms is not None:
            self._change(_BY_CONTENT, batch, "repeat", skip_repeats_since_ms)

    def correct(
        self,
        batch: int,
        content: bytes,
        chunks: Iterable[EnrolChunk],
        rows: Collection[int] | None = None,
    ) -> int:
        corrected = 0
        with self._transaction():
            self._refuse_closed(batch)
            self._change("DELETE FROM cells WHERE batch = ?", batch)
            for chunk in chunks:
                if rows is None:
                    corrected += sum(self._correct_row(batch, row) for row in chunk.rows)
                else:
                    corrected += sum(self._renew_row(batch, row) for row in chunk.rows if row[0] in rows)
                self._load_cells(batch, chunk)
            self._change(
                "UPDATE batch SET content = ?, totals = ?, finished_at = NULL WHERE id = ?",
                *(content, _totals(self._valid_amounts(batch)), batch),
            )
        return corrected

    def _valid_amounts(self, batch: int) -> dict[str, Decimal]:
        found = self._all(
            """SELECT currency, decimal_sum(amount) FROM transfer WHERE batch = ? AND state <> 'invalid'
            GROUP BY currency""",
            batch,
        )
        return {currency: Decimal(amount) for currency, amount in found}

    def _correct_row(self, batch: int, row: EnrolRow) -> int:
        """The row anew where it differs from the ledger's, or has become valid; its reference says that it is
        the same row."""
        number, _, provider, account, _, amount, currency, reference, state, _, _ = row
        found = self._all(
            """SELECT reference FROM transfer WHERE batch = ?1 AND row = ?2
            AND (provider <> ?3 OR account <> ?4 OR amount <> ?5 OR currency <> ?6
                OR (state = 'invalid' AND ?7 = 'pending' AND reference IS NOT NULL))""",
            *(batch, number, provider, account, amount, currency, state),
        )
        if not found:
            return 0
        if reference is None or found != [(reference,)]:
            raise DefectError(f"row {number} has another reference than it had", reason="defect")
        return self._renew_row(batch, row)

    def _renew_row(self, batch: int, row: EnrolRow) -> int:
        """The row as a new generation, linked to what it was."""
        number, lane, provider, account, key, amount, currency, reference, state, reason, message = row
        found = self._all(
            f"SELECT id, state, {_SAID} FROM transfer WHERE batch = ? AND row = ?", batch, number
        )
        ((id_, was, *said),) = found
        self._change(
            """INSERT INTO corrected SELECT id, generation, account, amount, currency, reference, state,
            reason, message, attempts, sent_at, ? FROM transfer WHERE id = ?""",
            *(self._now_ms(), id_),
        )
        updated = self._change(
            f"""UPDATE transfer SET lane = ?, provider = ?, account = ?, account_key = ?, amount = ?,
            currency = ?, reference = ?, state = ?, reason = ?, message = ?, generation = generation + 1,
            http_status = NULL, provider_code = '', settled_by = '', not_before = 0 WHERE id = ?
            AND state IN ({quoted(CORRECTABLE)})""",
            *(lane, provider, account, key, amount, currency, reference, state, reason, message, id_),
        )
        if not updated:
            raise DefectError(f"row {number} is not one that may be corrected", reason="defect")
        names, now = _SAID.split(", "), (provider, account, amount, currency, reference)
        known = {"was": dict(zip(names, said, strict=True)), "now": dict(zip(names, now, strict=True))}
        changes = zip(names, said, now, strict=True)
        note = ", ".join(f"{name} {old} -> {new}" for name, old, new in changes if old != new)
        self._note_row(id_, "corrected", State(was), "person", note, json.dumps(known))
        return 1

    def close_batch(self, batch: int, why: str) -> None:
        with self._transaction():
            closed = self._change(
                "UPDATE batch SET closed_at = ?, closed_why = ? WHERE id = ? AND closed_at IS NULL",
                *(self._now_ms(), why, batch),
            )
            if closed:
                self._note("closed", self._name_of(batch), None, "", "", "person", why, "")

    def place_results(self, batch: int, path: str) -> None:
        with self._transaction():
            self._change("UPDATE batch SET results = ? WHERE id = ?", path, batch)

    def forget(self, batch: int) -> None:
        if self.is_live():
            raise DefectError("a live ledger forgets nothing", reason="defect")
        with self._transaction():
            self._delete(batch)

    def _delete(self, batch: int) -> None:
        of_batch = "SELECT id FROM transfer WHERE batch = ?"
        self._change(f"DELETE FROM corrected WHERE transfer IN ({of_batch})", batch)
        for table in (
            *("cells", "run", "own_balance", "snapshot", "pause", "transfer", "batch_lane"),
            *("archived_tally", "archived_reference"),
        ):
            self._change(f"DELETE FROM {table} WHERE batch = ?", batch)
        self._change("DELETE FROM batch WHERE id = ?", batch)

    # runs

    def begin_run(
        self,
        batch: int,
        allow_repeats_ms: int,
        skip_repeats_since_ms: int | None,
        *,
        rejected: bool,
        only: Iterable[int] | None = None,
        approval: str = "",
        settings: str = "",
    ) -> int:
        again = (State.UNSENT, State.REJECTED) if rejected else (State.UNSENT,)
        with self._transaction():
            self._refuse_closed(batch)
            if only is not None:
                self._refuse_beside(batch)
                self._pick(only)
            self._change(
                f"""UPDATE transfer SET state = 'pending', reason = '', message = '',
                not_before = CASE state WHEN 'pending' THEN not_before ELSE 0 END
                WHERE batch = ? AND (state IN ({quoted(again)}) OR state = 'pending' AND reason <> '')
                {"" if only is None else "AND row IN (SELECT row FROM picked)"}""",
                batch,
            )
            if only is not None:
                self._change(_SET_ASIDE, batch)
            self._recognise(batch, skip_repeats_since_ms)
            self._change(
                """UPDATE batch SET stop_reason = 'interrupted', finished_at = NULL, repeats_allowed_at =
                CASE WHEN repeats_allowed_at > ?1 THEN repeats_allowed_at ELSE ?1 END WHERE id = ?2""",
                *(allow_repeats_ms, batch),
            )
            self._change("UPDATE batch_lane SET halt_reason = '', halt_message = '' WHERE batch = ?", batch)
            ((run,),) = self._all(
                """INSERT INTO run (batch, "user", host, pid, started_at, approval, settings)
                VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id""",
                *(batch, host.user(), host.name(), os.getpid(), self._now_ms(), approval, settings),
            )
            return int(run)

    def _refuse_beside(self, batch: int) -> None:
        """Raise RefusedError where others send this batch: they would find their rows set aside."""

    def _pick(self, rows: Iterable[int]) -> None:
        self._change("CREATE TEMP TABLE IF NOT EXISTS picked (row INTEGER PRIMARY KEY)")
        self._change("DELETE FROM picked")
        self._database.insert("picked", ("row",), ((row,) for row in sorted(set(rows))))

    def note_own_balances(self, batch: int, balances: Sequence[OwnBalance]) -> None:
        with self._transaction():
            for told in balances:
                self._change(
                    """INSERT INTO own_balance (batch, lane, moment, at, amount, currency)
                    VALUES (?, ?, ?, ?, ?, ?)""",
                    *(batch, told.lane, told.moment, told.at_ms, shortest(told.amount), told.currency),
                )

    def note_snapshot(self, batch: int, balances: Iterable[ClientBalance]) -> None:
        with self._transaction():
            self._database.many(
                """INSERT INTO snapshot (batch, lane, account_key, at, amount, currency)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (lane, account_key, at) DO UPDATE SET
                batch = excluded.batch, amount = excluded.amount, currency = excluded.currency""",
                (
                    (batch, told.lane, told.account_key, told.at_ms, shortest(told.amount), told.currency)
                    for told in balances
                ),
            )

    def end_run(self, run: int, batch: int, reason: str) -> None:
        with self._transaction():
            self._end_sending()
            self._change("UPDATE run SET ended_at = ?, reason = ? WHERE id = ?", self._now_ms(), reason, run)
            self._change("UPDATE batch SET stop_reason = ? WHERE id = ?", reason, batch)
            self._change(FINISH, self._now_ms(), batch)

    def halt(self, batch: int, lane: int, reason: str, message: str) -> None:
        with self._transaction():
            self._change(
                "UPDATE batch_lane SET halt_reason = ?, halt_message = ? WHERE batch = ? AND lane = ?",
                *(reason, message, batch, lane),
            )


def _kind(new: NewBatch) -> str:
    return "live" if new.live else "test"


def _totals(totals: Mapping[str, Decimal]) -> str:
    return json.dumps({currency: shortest(amount) for currency, amount in totals.items()})
