"""What may be asked of a ledger in a database while somebody sends."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from batchcredit.ledger.audit import AuditEntry
from batchcredit.ledger.base import (
    PIECES_MS,
    Activity,
    BatchLane,
    BatchRecord,
    Began,
    ClientBalance,
    CrewRecord,
    HistoryQuery,
    HistoryRow,
    LaneIdentity,
    LaneRecord,
    LedgerReader,
    Left,
    Match,
    Moved,
    OwnBalance,
    PauseRecord,
    ResultRow,
    RowKey,
    RunRecord,
    SentRow,
    Share,
    Span,
    Tally,
    Took,
    Tried,
)
from batchcredit.ledger.sql.database import Database, Row
from batchcredit.transfer import SPENT, State


def quoted(states: Iterable[State]) -> str:
    """States as a list for SQL; none of them is one that no state equals."""
    return ", ".join(f"'{state.value}'" for state in states) or "NULL"


_BATCH = """SELECT id, name, content, rows, source, results, totals, created_at, finished_at,
    repeats_allowed_at, stop_reason, closed_at, closed_why, pruned_at, archive, archive_sha256
    FROM batch WHERE state = 'ready'"""

_LANE = "SELECT id, kind, base_url, login, proven, last_sent_at, paused_until FROM lane"

_BATCH_LANES = """SELECT profile, halt_reason, halt_message, lane.id, kind, base_url, login, proven,
    last_sent_at, paused_until FROM batch_lane JOIN lane ON lane.id = lane WHERE batch = ? ORDER BY profile"""

#: A row that was not sent has the reason of its lane, else that of its batch's last run.
_REASON = """CASE WHEN t.reason <> '' OR t.state NOT IN ('pending', 'unsent') THEN t.reason
    WHEN bl.halt_reason <> '' THEN bl.halt_reason ELSE b.stop_reason END"""

_MESSAGE = """CASE WHEN t.message = '' AND t.reason = '' AND t.state IN ('pending', 'unsent')
    THEN coalesce(bl.halt_message, '') ELSE t.message END"""

_FROM_ROWS = """FROM transfer t JOIN batch b ON b.id = t.batch
    LEFT JOIN batch_lane bl ON bl.batch = t.batch AND bl.profile = t.provider"""


def transfer_id(table: str) -> str:
    """The id that a row has for good: another ledger's where that one sent it first; each correction adds one
    to its end."""
    here = "(SELECT 't-' || value FROM meta WHERE key = 'id')"
    return f"""coalesce({table}.former_id, {here} || '-' || {table}.id)
        || CASE WHEN {table}.generation > 1 THEN '.' || {table}.generation ELSE '' END"""


_KNOWN = f"""SELECT t.row, t.provider, t.account, t.amount, t.currency, t.reference, t.state, {_REASON},
    t.http_status, t.provider_code, {_MESSAGE}, t.units, t.balance_before, t.balance_after, t.attempts,
    t.sent_at, t.ended_at, t.duration_ms, t.settled_by,
    {transfer_id("t")}
    {_FROM_ROWS} WHERE t.batch = ?"""

_RESTS_ON_DECISION = f"""{_KNOWN} AND t.row > ? AND t.settled_by IN ('person', 'balance', 'statement')
    ORDER BY t.row LIMIT 10000"""

_SHARES = """SELECT provider, state, CASE state WHEN 'invalid' THEN '' ELSE currency END AS money, count(*),
    decimal_sum(CASE state WHEN 'invalid' THEN '0' ELSE amount END) FROM transfer WHERE batch = ?
    GROUP BY provider, state, money ORDER BY provider, money, state"""

_ARCHIVED_SUMS = (
    "currency, CAST(sum(rows) AS BIGINT), decimal_sum(amount) FROM archived_tally WHERE batch = ?"
)

_ARCHIVED_TALLIES = f"SELECT state, reason, {_ARCHIVED_SUMS} GROUP BY state, reason, currency"

_ARCHIVED_SHARES = f"""SELECT provider, state, {_ARCHIVED_SUMS}
    GROUP BY provider, state, currency ORDER BY provider, currency"""

_ROWS = _KNOWN + " AND t.row BETWEEN ? AND ? ORDER BY t.row"

_TALLIES = f"""SELECT t.state, {_REASON} AS word,
    CASE t.state WHEN 'invalid' THEN '' ELSE t.currency END AS money, count(*),
    decimal_sum(CASE t.state WHEN 'invalid' THEN '0' ELSE t.amount END)
    {_FROM_ROWS} WHERE t.batch = ? GROUP BY t.state, word, money"""

#: Looked up for each row; calling the enumeration takes three times as long.
_STATES = {state.value: state for state in State}

_COUNTING = quoted((State.PENDING, State.UNSENT, *SPENT))

#: The same request for money; two references that differ tell two requests apart.
SAME_CONTENT = """o.account_key = {key} AND o.amount = {amount} AND o.currency = {currency}
    AND (o.lane = {lane} OR o.provider = {provider}) AND o.batch <> {batch}
    AND (o.reference IS NULL OR {reference} IS NULL OR o.reference = {reference})"""


def same_as(table: str) -> str:
    """That `o` is the same request for money as the row of `table` in the statement at hand."""
    columns = {"key": "account_key"} | {
        name: name for name in ("lane", "amount", "currency", "reference", "batch", "provider")
    }
    return SAME_CONTENT.format(**{name: f"{table}.{column}" for name, column in columns.items()})


#: When a row was credited as far as the ledger knew: a verdict counts from when it was given, so that what
#: was approved before does not cover it.
CREDITED_AT = """CASE WHEN coalesce(o.verdict_at, 0) > coalesce(o.ended_at, 0) THEN o.verdict_at
    ELSE o.ended_at END"""

_MATCH_CONTENT = f"""SELECT b.name, b.id, o.row, o.state, {CREDITED_AT},
    CASE WHEN o.reference = ?5 THEN 1 ELSE 0 END
    FROM transfer o JOIN batch b ON b.id = o.batch
    WHERE b.state = 'ready' AND o.state IN ({_COUNTING}) AND {
    SAME_CONTENT.format(
        lane="?1", key="?2", amount="?3", currency="?4", reference="?5", batch="?6", provider="?7"
    )
}"""

_MATCH_REFERENCE = f"""SELECT b.name, b.id, o.row, o.state, {CREDITED_AT}
    FROM transfer o JOIN batch b ON b.id = o.batch
    WHERE b.state = 'ready' AND o.state IN ({_COUNTING}) AND o.reference = ?5 AND o.batch <> ?6
    AND NOT (o.account_key = ?2 AND o.amount = ?3 AND o.currency = ?4
        AND (o.lane = ?1 OR o.provider = ?7))"""

#: Of archived batches only references are compared: the rest of them is older than any window.
_MATCH_ARCHIVED = """SELECT b.name, b.id, o.row, o.credited_at,
    CASE WHEN o.account_key = ?2 AND o.amount = ?3 AND o.currency = ?4 AND (o.lane = ?1 OR o.provider = ?7)
        THEN 1 ELSE 0 END
    FROM archived_reference o JOIN batch b ON b.id = o.batch WHERE o.reference = ?5 AND o.batch <> ?6"""

_OF_ACCOUNT = f"""SELECT amount FROM transfer WHERE lane = ? AND account_key = ? AND currency = ?
    AND sent_at >= ? AND state IN ({quoted(SPENT)})"""

#: What other batches have credited through a lane. The accounts come as one array, so that a million of them
#: are looked up without a call for each.
_CREDITED = "FROM transfer WHERE lane = ?1 AND batch <> ?2 AND state = 'credited'"

_ARCHIVED_CLIENT = "FROM archived_client WHERE lane = ?1"

_LARGEST = f"""SELECT (SELECT max(CAST(amount AS DOUBLE PRECISION)) {_CREDITED} AND account_key = k.value
    AND currency = ?4), (SELECT largest {_ARCHIVED_CLIENT} AND account_key = k.value AND currency = ?4)
    FROM {{each}}"""

_EVER = f"""SELECT k.value FROM {{each}} WHERE EXISTS (SELECT 1 {_CREDITED} AND account_key = k.value)
    OR EXISTS (SELECT 1 {_ARCHIVED_CLIENT} AND account_key = k.value)"""

_ANY_CREDITED = f"SELECT 1 {_CREDITED} UNION ALL SELECT 1 {_ARCHIVED_CLIENT} LIMIT 1"


class SqlReader(LedgerReader):
    """Reads a ledger; `url` names it to a person."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._all, self._each = database.all, database.each
        self.url = url
        self.id = self._meta("id")

    def close(self) -> None:
        self._database.close()

    def _meta(self, key: str) -> str:
        found = self._all("SELECT value FROM meta WHERE key = ?", key)
        return str(found[0][0]) if found else ""

    def is_live(self) -> bool | None:
        kind = self._meta("kind")
        return kind == "live" if kind else None

    def lane(self, identity: LaneIdentity) -> LaneRecord | None:
        where = " WHERE kind = ? AND base_url = ? AND login = ?"
        found = self._all(_LANE + where, identity.kind, identity.base_url, identity.login)
        return _lane(found[0]) if found else None

    def batches(self, name: str = "") -> list[BatchRecord]:
        exact = self._all(_BATCH + " AND name = ?", name)
        begins = _BATCH + " AND substr(name, 1, length(CAST(?1 AS TEXT))) = ?1 ORDER BY id DESC"
        return [_batch(row) for row in exact or self._all(begins, name)]

    def batches_of(self, content: bytes) -> list[BatchRecord]:
        return [_batch(row) for row in self._all(_BATCH + " AND content = ? ORDER BY id DESC", content)]

    def batch_lanes(self, batch: int) -> list[BatchLane]:
        found = self._all(_BATCH_LANES, batch)
        return [BatchLane(row[0], _lane(row[3:]), row[1], row[2]) for row in found]

    def tallies(self, batch: int) -> list[Tally]:
        found = self._all(_ARCHIVED_TALLIES, batch) or self._all(_TALLIES, batch)
        return [Tally(State(row[0]), row[1], row[2], row[3], Decimal(row[4])) for row in found]

    def matches(self, rows: Iterable[RowKey], batch: int) -> Iterator[Match]:
        if not self._all("SELECT 1 FROM batch WHERE id <> ? LIMIT 1", batch):
            return
        for key in rows:
            yield from self._matches_of(key, batch)

    def _matches_of(self, key: RowKey, batch: int) -> Iterator[Match]:
        content = (key.lane, key.account_key, key.amount, key.currency)
        bindings = (*content, key.reference, batch, key.provider)
        for name, other, row, state, ended, same_reference in self._all(_MATCH_CONTENT, *bindings):
            yield Match(key, name, other, row, State(state), ended, True, bool(same_reference))
        if key.reference is not None:
            for name, other, row, state, ended in self._all(_MATCH_REFERENCE, *bindings):
                yield Match(key, name, other, row, State(state), ended, False, True)
            for name, other, row, ended, same_content in self._all(_MATCH_ARCHIVED, *bindings):
                yield Match(key, name, other, row, State.CREDITED, ended, bool(same_content), True)

    def left(self, batch: int, *, rejected: bool) -> list[Left]:
        sql = f"""SELECT provider, currency, count(*), decimal_sum(amount) FROM transfer
            WHERE batch = ? AND state IN ({_left(rejected)}) GROUP BY provider, currency ORDER BY provider"""
        return [Left(row[0], row[1], row[2], Decimal(row[3])) for row in self._all(sql, batch)]

    def left_keys(self, batch: int, *, rejected: bool) -> Iterator[RowKey]:
        sql = f"""SELECT row, lane, account_key, amount, currency, reference, provider FROM transfer
            WHERE batch = ? AND row > ? AND state IN ({_left(rejected)}) ORDER BY row LIMIT 10000"""
        last = 0
        while found := self._all(sql, batch, last):
            last = found[-1][0]
            for row in found:
                yield RowKey(*row)

    def rows(self, batch: int, first_row: int, last_row: int) -> list[ResultRow]:
        found = self._all(_ROWS, batch, first_row, last_row)
        return [self._result_row(row) for row in found]

    def rows_in(
        self, batch: int, states: Sequence[State], reasons: Sequence[str], limit: int, *, after_row: int = 0
    ) -> list[ResultRow]:
        marks = ", ".join("?" * len(reasons)) or "NULL"
        sql = f"""{_KNOWN} AND t.row > ? AND (t.state IN ({quoted(states)}) OR t.reason IN ({marks}))
            ORDER BY t.row LIMIT ?"""
        return [self._result_row(row) for row in self._all(sql, batch, after_row, *reasons, limit)]

    def _result_row(self, row: tuple[Any, ...]) -> ResultRow:
        known = (*row[:6], _STATES[row[6]], *row[7:])
        return ResultRow(*known)

    def sent_rows(
        self,
        lane: int,
        *,
        account_key: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> Iterator[SentRow]:
        if account_key is not None:
            bindings: tuple[Any, ...] = (lane, account_key)
            sql = _SENT + " AND t.account_key = ?2 ORDER BY t.id"
        else:
            bindings = (lane, since_ms, until_ms)
            sql = _SENT + _IN_SPAN + " ORDER BY t.account_key, t.id"
        yield from map(_sent_row, self._each(sql, *bindings))

    def rows_in_doubt(self, batch: int) -> dict[int, list[SentRow]]:
        found: dict[int, list[SentRow]] = {}
        for lane, *row in self._all(_DOUBTFUL, batch):
            found.setdefault(lane, []).append(_sent_row(row))
        return found

    def sent_span(self, batch: int, lane: int) -> tuple[int, int] | None:
        sql = f"""SELECT min(sent_at), max(sent_at) FROM transfer
            WHERE batch = ? AND lane = ? AND state IN ({quoted(SPENT)})"""
        first, last = self._all(sql, batch, lane)[0]
        return None if first is None else (first, last)

    def decided(self, batch: int) -> Iterator[ResultRow]:
        last = 0
        while found := self._all(_RESTS_ON_DECISION, batch, last):
            last = found[-1][0]
            yield from map(self._result_row, found)

    def audit(self, batch: str = "") -> Iterator[AuditEntry]:
        last = 0
        while found := self._all(_AUDIT, batch, last):
            last = found[-1][0]
            yield from map(AuditEntry._make, found)

    def archived_until(self, lane: int) -> int | None:
        sql = "SELECT max(sent_at) FROM archived_tally WHERE lane = ? AND state = 'credited'"
        latest: int | None = self._database.one(sql, lane)[0]
        return latest

    def history(self, query: HistoryQuery, limit: int | None = None) -> Iterator[HistoryRow]:
        where, bindings = _sought(query)
        most = _NO_LIMIT if limit is None else limit
        for row in self._each(_HISTORY + where + _NEWEST_FIRST, *bindings, most):
            yield HistoryRow._make((*row[:8], _STATES[row[8]], *row[9:]))

    def history_size(self, query: HistoryQuery) -> int:
        where, bindings = _sought(query)
        return int(self._all(_HISTORY_SIZE + where, *bindings)[0][0])

    def cells(self, batch: int) -> Iterator[tuple[int, int, bytes]]:
        sql = """SELECT first_row, rows, frame FROM cells WHERE batch = ? AND first_row > ?
            ORDER BY first_row LIMIT 1"""
        last = 0
        while found := self._all(sql, batch, last):
            last = found[0][0]
            yield found[0][0], found[0][1], found[0][2]

    def shares(self, batch: int) -> list[Share]:
        found = self._all(_ARCHIVED_SHARES, batch) or self._all(_SHARES, batch)
        return [Share(row[0], State(row[1]), row[2], row[3], Decimal(row[4])) for row in found]

    def own_balances(self, batch: int) -> list[OwnBalance]:
        sql = "SELECT lane, moment, at, amount, currency FROM own_balance WHERE batch = ? ORDER BY id"
        return [OwnBalance(row[0], row[1], row[2], Decimal(row[3]), row[4]) for row in self._all(sql, batch)]

    def runs(self, batch: int) -> list[RunRecord]:
        sql = """SELECT id, "user", host, started_at, ended_at, reason, approval, settings FROM run
            WHERE batch = ? ORDER BY id"""
        return [RunRecord(*row) for row in self._all(sql, batch)]

    def crews(self, batch: int) -> list[CrewRecord]:
        return []

    def pauses(self, batch: int, limit: int) -> tuple[list[PauseRecord], int]:
        sql = "SELECT lane, began, until, why FROM pause WHERE batch = ? ORDER BY id LIMIT ?"
        found = [PauseRecord(*row) for row in self._all(sql, batch, limit)]
        return found, int(self._database.one("SELECT count(*) FROM pause WHERE batch = ?", batch)[0])

    def activity(self, batch: int, spans: Sequence[Span], pieces: int) -> Activity:
        widths = [PIECES_MS[0]] * len(spans)
        for number, last_ms in self._in_spans(_LAST_IN, batch, spans, widths):
            least_ms = last_ms // pieces + 1
            widths[number] = next((width for width in PIECES_MS if width >= least_ms), least_ms)
        return Activity(
            widths,
            [Began(*row) for row in self._in_spans(_BEGAN_IN, batch, spans, widths)],
            [Took(*row) for row in self._all(_TOOK, batch)],
            [Tried(*row) for row in self._all(_TRIED, batch)],
        )

    def _in_spans(self, sql: str, batch: int, spans: Sequence[Span], widths: Sequence[int]) -> list[Row]:
        if not spans:
            return []
        bounds = "CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT)"
        values = ", ".join(f"({number}, {bounds})" for number in range(len(spans)))
        given = [bound for span, width in zip(spans, widths, strict=True) for bound in (*span, width)]
        named = f"WITH span (number, since, until, width) AS (VALUES {values}) {sql}"
        return self._all(named, *given, batch)

    def moved(self, lane: int, since_ms: int, until_ms: int) -> list[Moved]:
        found = self._all(
            f"""SELECT b.name, t.state, t.currency, decimal_sum(t.amount)
            FROM transfer t JOIN batch b ON b.id = t.batch WHERE t.batch IN (SELECT batch FROM run
                WHERE started_at <= ?3 AND (ended_at IS NULL OR ended_at >= ?2))
            AND t.lane = ?1 AND t.sent_at BETWEEN ?2 AND ?3 AND t.state IN ({quoted(SPENT)})
            GROUP BY b.id, b.name, t.state, t.currency ORDER BY b.id""",
            *(lane, since_ms, until_ms),
        )
        return [Moved(row[0], State(row[1]), row[2], Decimal(row[3])) for row in found]

    def snapshots(self, lane: int, account_key: str) -> list[ClientBalance]:
        sql = """SELECT lane, account_key, at, amount, currency FROM snapshot
            WHERE lane = ? AND account_key = ? ORDER BY at"""
        found = self._all(sql, lane, account_key)
        return [ClientBalance(row[0], row[1], row[2], Decimal(row[3]), row[4]) for row in found]

    def spent(self, batch: int | None, currency: str, since_ms: int) -> Decimal:
        among, bindings = ("AND batch = ?3", (batch,)) if batch is not None else (_SENT_SINCE, ())
        sql = f"""SELECT coalesce(decimal_sum(amount), '0') FROM transfer WHERE currency = ?1
            AND sent_at >= ?2 AND state IN ({quoted(SPENT)}) {among}"""
        return Decimal(self._all(sql, currency, since_ms, *bindings)[0][0])

    def spent_by_account(self, lane: int, account_key: str, currency: str, since_ms: int) -> Decimal:
        found = self._all(_OF_ACCOUNT, lane, account_key, currency, since_ms)
        return sum((Decimal(amount) for (amount,) in found), Decimal(0))

    def has_credited(self, lane: int, but: int) -> bool:
        return bool(self._all(_ANY_CREDITED, lane, but))

    def largest_credited(
        self, lane: int, currency: str, account_keys: Sequence[str], but: int
    ) -> list[float | None]:
        if not account_keys:
            return []
        texts, sql = self._database.texts(account_keys), _LARGEST.format(each=self._database.each_text)
        found = self._all(sql, lane, but, texts, currency)
        return [max((amount for amount in both if amount is not None), default=None) for both in found]

    def ever_credited(self, lane: int, account_keys: Sequence[str], but: int) -> set[str]:
        if not account_keys:
            return set()
        texts, sql = self._database.texts(account_keys), _EVER.format(each=self._database.each_text)
        return {key for (key,) in self._all(sql, lane, but, texts)}


_TOOK = """SELECT provider, duration_ms, count(*) FROM transfer WHERE batch = ? AND duration_ms IS NOT NULL
    GROUP BY provider, duration_ms ORDER BY provider, duration_ms"""

_TRIED = """SELECT attempts, count(*), count(sent_at) FROM transfer WHERE batch = ?
    GROUP BY attempts ORDER BY attempts"""


_FROM_SPANS = """FROM transfer t JOIN span s ON t.sent_at >= s.since AND t.sent_at < s.until
    WHERE t.batch = ?"""

_LAST_IN = f"SELECT s.number, max(t.sent_at - s.since) {_FROM_SPANS} GROUP BY s.number"

_BEGAN_IN = f"""SELECT s.number, t.provider, (t.sent_at - s.since) / s.width AS piece, count(*) {_FROM_SPANS}
    GROUP BY s.number, t.provider, piece ORDER BY s.number, t.provider, piece"""

_AUDIT = """SELECT id, at, "user", host, what, batch, row, transfer_id, was, settled_by, note, known, hash
    FROM audit WHERE (?1 = '' OR batch = ?1) AND id > ?2 ORDER BY id LIMIT 10000"""

_SENT_ROW = """t.id, b.name, t.row, t.provider, t.account, t.account_key, t.amount, t.currency, t.state,
    t.settled_by, t.sent_at, t.ended_at, t.units, t.balance_before, t.balance_after
    FROM transfer t JOIN batch b ON b.id = t.batch"""

_SENT = f"""SELECT {_SENT_ROW} WHERE b.state = 'ready' AND t.lane = ?1
    AND t.state IN ({quoted(SPENT)})"""

_DOUBTFUL = f"""SELECT t.lane, {_SENT_ROW} WHERE t.batch = ?
    AND t.state IN ({quoted((State.SENDING, State.IN_DOUBT))}) ORDER BY t.row"""

#: A row that another ledger sent, and did not say when, may lie in any time.
_IN_SPAN = """ AND (CAST(?2 AS BIGINT) IS NULL OR t.sent_at IS NULL OR t.sent_at >= CAST(?2 AS BIGINT))
    AND (CAST(?3 AS BIGINT) IS NULL OR t.sent_at IS NULL OR t.sent_at <= CAST(?3 AS BIGINT))"""

_SENT_SINCE = "AND batch IN (SELECT batch FROM run WHERE ended_at IS NULL OR ended_at >= ?2)"


#: A row that was never sent stands where it was enrolled.
_AT = "coalesce(t.sent_at, b.created_at)"

#: The run that sent a row last.
_RUN = """(SELECT id FROM run WHERE run.batch = t.batch AND run.started_at <= t.sent_at
    ORDER BY id DESC LIMIT 1)"""

_HISTORY = f"""SELECT {_AT}, b.name, t.row, t.provider, t.account, t.amount, t.currency, t.reference, t.state,
    {_REASON}, t.settled_by, {transfer_id("t")}, coalesce(r.user, ''), coalesce(r.host, ''),
    coalesce(r.approval, '') {_FROM_ROWS} LEFT JOIN run r ON r.id = {_RUN}"""

_HISTORY_SIZE = "SELECT count(*) FROM transfer t JOIN batch b ON b.id = t.batch"

_NEWEST_FIRST = f" ORDER BY {_AT} DESC, t.id DESC LIMIT ?"

_NO_LIMIT = sys.maxsize


def _sought(query: HistoryQuery) -> tuple[str, list[Any]]:
    """What is looked for as a condition, and its bindings."""
    conditions, bindings = ["b.state = 'ready'"], list[Any]()
    if query.account_keys:
        conditions.append(f"t.account_key IN ({', '.join('?' * len(query.account_keys))})")
        bindings += query.account_keys
    if query.reference is not None:
        conditions.append("t.reference = ?")
        bindings.append(query.reference)
    for bound, sign in ((query.from_ms, ">="), (query.before_ms, "<")):
        if bound is not None:
            conditions.append(f"{_AT} {sign} ?")
            bindings.append(bound)
    return " WHERE " + " AND ".join(conditions), bindings


def _left(rejected: bool) -> str:
    return quoted(
        (State.PENDING, State.UNSENT, State.REJECTED) if rejected else (State.PENDING, State.UNSENT)
    )


def _batch(row: tuple[Any, ...]) -> BatchRecord:
    number, name, content, rows, source, results, totals, *rest = row
    amounts = {currency: Decimal(amount) for currency, amount in json.loads(totals).items()}
    return BatchRecord(number, name, content, rows, source, results, amounts, *rest)


def _lane(row: tuple[Any, ...]) -> LaneRecord:
    return LaneRecord(row[0], LaneIdentity(*row[1:4]), bool(row[4]), row[5], row[6])


def _sent_row(row: Sequence[Any]) -> SentRow:
    units, before, after = map(_decimal, row[12:])
    known = (*row[:6], Decimal(row[6]), row[7], _STATES[row[8]], *row[9:12], units, before, after)
    return SentRow(*known)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
