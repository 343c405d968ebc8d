"""The hot path of the PostgreSQL ledger: claims and endings of one sender beside others.

A group of them is one transaction in one round trip. It runs beside those of other senders; each locks
the accounts that it claims for, in one order, so that what its guards saw is still so when it is durable.
"""

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from batchcredit import host
from batchcredit.errors import DefectError, RefusedError, StorageError
from batchcredit.ledger.base import (
    Answered,
    Caps,
    Claim,
    Claimed,
    NotClaimed,
    Operation,
    Pause,
    Settle,
    Slots,
    Tidings,
)
from batchcredit.ledger.postgres.database import LOCK_BESIDE, LostError, PostgresDatabase, lost
from batchcredit.ledger.postgres.late import SETTLE_KNOWING, Attempt, LateAnswers
from batchcredit.ledger.postgres.lease import END, EVICTED, LOCKED
from batchcredit.ledger.postgres.limits import LOCK_SPENDING, Limits, UnsummedError
from batchcredit.ledger.postgres.schema import refuse_elsewhere, refuse_forgetful
from batchcredit.ledger.sql.database import Row, TakenError
from batchcredit.ledger.sql.reader import quoted
from batchcredit.ledger.sql.sending import (
    CANDIDATES,
    HELD_UP_BY,
    HOLD_BACK,
    PAUSE_ANEW,
    PAUSE_ON,
    REFERENCE_HOLDER,
    claiming,
    ending,
    held_up,
    reference_taken,
)
from batchcredit.transfer import SPENT, State, Transfer

T = TypeVar("T")

#: An answer of the database is waited for so long; then the line counts as dead.
ANSWER_MOST_S = 30.0

#: A commit that has its locks takes no longer than this, or its process stands still.
COMMIT_MOST_S = 10.0

#: A lost connection is made again for so long only, once somebody waits for the end.
HURRIED_MOST_S = 10.0

#: A driver that is away for longer has ended.
DRIVER_MOST_S = 10.0

#: So often are sums made anew for one transaction that decisions of others clear.
_SUMMED_MOST = 20

#: So many rows are claimed in one transaction: each takes a lock, of which a server has some thousands.
CLAIMS_MOST = 256

#: Its statements are planned once and not for each row, which would take most of their time.
_PLAN_ONCE = "SET LOCAL plan_cache_mode = force_generic_plan"

_LOCK_ACCOUNTS = """SELECT count(pg_advisory_xact_lock(k)) FROM (
    SELECT DISTINCT hashtextextended(account_key, 1) AS k
    FROM unnest(CAST(?1 AS TEXT[])) AS account_key ORDER BY k) AS keys"""


def _by_number(sql: str) -> str:
    """The statement, which goes to its row by its number alone: an index of rows in one state is short and
    tempting, but full of the traces of all that were in that state before."""
    return sql.replace("AND state ", "AND state || '' ", 1)


#: What the sender of a row has in its hands, from a binding on; somebody may have corrected it meanwhile.
_CLAIMED = (
    *("t.lane", "t.account", "t.account_key || ''", "t.amount", "t.currency"),
    "coalesce(t.reference, '')",
)


def _is_as_claimed(first: int) -> str:
    return " AND ".join(f"{column} = ?{number}" for number, column in enumerate(_CLAIMED, first))


#: Beside what every claim checks: that the row is still what will be sent, that nobody else has the account
#: in flight, that the lane is not paused, that this sender has not ended, and that the statement runs in its
#: own session. A row is not sent whose earlier attempt was confirmed late. The index on references speaks
#: last; asked first, it costs no one a transaction.
_CLAIM_ROW = _by_number(
    claiming(
        sets=", sender = ?5",
        and_so=f"""
    AND {_is_as_claimed(6)}
    AND late_at IS NULL AND coalesce((SELECT paused_until FROM lane WHERE lane.id = t.lane), 0) <= ?4
    AND NOT EXISTS (SELECT 1 FROM transfer f WHERE f.state = 'sending' AND f.lane = t.lane
        AND f.account_key = t.account_key)
    AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.reference = t.reference AND r.id <> t.id
        AND r.state IN ({quoted(SPENT)}))
    AND NOT EXISTS (SELECT 1 FROM archived_reference a WHERE a.reference = t.reference)
    AND EXISTS (SELECT 1 FROM sender s WHERE s.id = ?5 AND s.ended_at IS NULL)
    AND current_setting('batchcredit.sender', true) = CAST(?5 AS TEXT)
    RETURNING attempts, generation, currency, amount""",
    )
)

_CLAIM = f"""WITH claimed AS ({_CLAIM_ROW}), spent AS (
    UPDATE spending SET amount = spending.amount + CAST(c.amount AS NUMERIC) FROM claimed c
    WHERE spending.currency = c.currency AND (spending.batch = ?1 OR spending.batch = 0 AND since <= ?4))
    SELECT attempts, generation FROM claimed"""

#: Of this very attempt.
_SETTLE_ROW = _by_number(SETTLE_KNOWING + " AND attempts = ?15 RETURNING currency, amount, state, sent_at")

_SETTLE = f"""WITH settled AS ({_SETTLE_ROW}), unspent AS (
    UPDATE spending SET amount = spending.amount - CAST(e.amount AS NUMERIC) FROM settled e
    WHERE e.state NOT IN ('credited', 'in_doubt') AND spending.currency = e.currency
    AND (spending.batch = ?14 OR spending.batch = 0 AND since <= e.sent_at))
    SELECT count(*) FROM settled"""

_STANDING = f"""SELECT t.state, t.late_at, {_is_as_claimed(3)}, coalesce(l.paused_until, 0),
    f.sender, f.sent_at, s.host, s.pid, (SELECT ended_at IS NULL FROM sender WHERE id = ?2),
    current_setting('batchcredit.sender', true)
    FROM transfer t LEFT JOIN lane l ON l.id = t.lane
    LEFT JOIN transfer f ON f.state = 'sending' AND f.lane = t.lane AND f.account_key = t.account_key
    LEFT JOIN sender s ON s.id = f.sender WHERE t.id = ?1"""

#: What a claim was refused for in this run has a reason; so has what an ending put back, until a moment. What
#: no claim would be granted for is not offered, or passes over it would not end.
_LEFT = CANDIDATES.replace(
    "AND state = 'pending'",
    """AND state = 'pending' AND (reason = '' OR not_before > 0) AND late_at IS NULL
    AND (SELECT closed_at FROM batch WHERE id = transfer.batch) IS NULL""",
)

_IS_CLOSED = "SELECT 1 FROM batch WHERE id = ?1 AND closed_at IS NOT NULL"

#: Of this sender's share of the accounts: those that fall to its place among the living senders of the batch.
_OWN = _LEFT.replace("ORDER BY", "AND mod(abs(CAST(hashtext(account_key) AS BIGINT)), ?) = ? ORDER BY")

_SENDERS = f"SELECT s.id FROM sender s WHERE s.ended_at IS NULL AND s.batch = ?2 AND {LOCKED} ORDER BY s.id"

_PAUSE = """UPDATE lane SET paused_until =
    CASE WHEN coalesce(paused_until, 0) > ?1 THEN paused_until ELSE ?1 END WHERE id = ?2"""

#: Pauses, and why others have halted a lane; one that can't be reached from there may be reached from here.
_NEWS = """SELECT l.id, CASE WHEN l.paused_until > ?2 THEN l.paused_until END,
    CASE WHEN bl.halt_reason = 'unreachable' THEN '' ELSE bl.halt_reason END, bl.halt_message
    FROM batch_lane bl JOIN lane l ON l.id = bl.lane WHERE bl.batch = ?1"""

_OURS = f"""SELECT coalesce((SELECT ended_at IS NULL FROM sender WHERE id = ?2), true),
    CAST(?3 AS BIGINT) IS NULL OR EXISTS (SELECT 1 FROM sender s WHERE s.ended_at IS NULL AND {LOCKED}
        AND s.id = (SELECT driver FROM sender WHERE id = ?2))"""

_RESERVE = "SELECT granted, first_us, now_us, wait_us FROM reserve_slots(?1, ?2, ?3, ?4, ?5)"

_MINE = "SELECT why, driver FROM sender WHERE id = ANY(CAST(?1 AS BIGINT[])) ORDER BY id"

_OWN_ANEW = """UPDATE transfer SET sender = ?1 WHERE sender = ANY(CAST(?2 AS BIGINT[]))
    AND state = 'sending'"""

_TAKE_BACK = """UPDATE transfer SET state = 'pending', reason = '', message = '', attempts = attempts - 1
    WHERE id = ANY(CAST(?1 AS BIGINT[])) AND sender = ANY(CAST(?2 AS BIGINT[]))
    AND (state = 'sending' OR state = 'in_doubt' AND reason = 'interrupted')"""


@dataclass(slots=True)
class Group:
    """The operations of one transaction, and what is answered."""

    now_ms: int
    claimed: Claimed
    claims: list[Claim] = field(default_factory=list)
    settles: list[Settle] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    late: list[Settle] = field(default_factory=list)  # endings of rows that were moved meanwhile
    over: dict[int, NotClaimed] = field(default_factory=dict)  # transfer -> the limit that forbids it
    answers: dict[int, Claimed | NotClaimed] = field(default_factory=dict)  # transfer -> of its claim


class PostgresSender(LateAnswers):
    """Claims and settles. Used by one thread at a time; `hurry` by any."""

    def __init__(self, database: PostgresDatabase, command: str) -> None:
        super().__init__(database, command)
        self._attempts: dict[int, Attempt] = {}  # of the rows in flight
        self._limits: Limits | None = None
        self._repeat_window_ms = 0
        self._evicted = False
        self._driver_seen_s = time.monotonic()
        self._in_a_hurry = threading.Event()

    def begin_run(self, batch: int, *given: int | None, **how: object) -> int:
        run = super().begin_run(batch, *given, **how)  # type: ignore[arg-type]
        self.enlist(run)
        return run

    def _refuse_beside(self, batch: int) -> None:
        if found := self._all(_SENDERS, self._class, batch):
            senders = ", ".join(str(number) for (number,) in found)
            raise RefusedError(
                f"others are sending this batch (sender {senders}): their rows can't be left out meanwhile",
                reason="senders_beside",
                cure="wait until they have ended (batchcredit senders), or go on with the whole batch beside "
                "them: batchcredit resume BATCH",
            )

    def guard(self, batch: int, caps: Caps, repeat_window_ms: int) -> None:
        limited = caps.transfer or caps.account_day or caps.batch or caps.day
        self._limits = Limits(caps, batch, self, self._database) if limited else None
        self._repeat_window_ms = repeat_window_ms

    def hurry(self) -> None:
        self._in_a_hurry.set()

    def commit(self, operations: Sequence[Operation]) -> list[Answered]:
        answers: list[Answered] = []
        for some in _in_turns(operations):
            group = _group(some, self._now_ms(), self._database.offset_ms)
            self._through(partial(self._commit, group), partial(self._after_loss, group))
            answers += [
                group.answers[operation.transfer.id] if isinstance(operation, Claim) else None
                for operation in some
            ]
        return answers

    def _commit(self, group: Group) -> None:
        """Endings and pauses first: what waits for them to be told can't be among the claims."""
        rest = group.claims
        while group.settles or group.pauses or rest:
            some, rest = rest[:CLAIMS_MOST], rest[CLAIMS_MOST:]
            try:
                self._commit_some(group, some)
            except TakenError:  # claims of one reference at the same moment, which only the index sees
                for claim in some:
                    self._claim_alone(group, claim)
        while group.late:
            settle = group.late[0]
            self._settle_late(settle, self._attempts[settle.transfer.id], group.now_ms)
            del self._attempts[settle.transfer.id], group.late[0]
        for claim in group.claims:
            if claim.transfer.id not in group.answers:
                group.answers[claim.transfer.id] = self._refused(claim, group)

    def _commit_some(self, group: Group, claims: Sequence[Claim]) -> None:
        """What a limit forbade for the sake of a claim that was not granted is asked again."""
        self._commit_once(group, claims)
        over = [claim for claim in claims if claim.transfer.id in group.over]
        if over and len(over) + sum(claim.transfer.id in group.answers for claim in claims) < len(claims):
            for claim in over:
                del group.over[claim.transfer.id]
            self._commit_some(group, over)

    def _claim_alone(self, group: Group, claim: Claim) -> None:
        with contextlib.suppress(TakenError):
            self._commit_once(group, [claim])

    def _commit_once(self, group: Group, claims: Sequence[Claim]) -> None:
        """One transaction, and without limits one round trip. A decision elsewhere may clear the sums that
        limits need."""
        for _ in range(_SUMMED_MOST):
            try:
                return self._commit_summed(group, claims)
            except UnsummedError:
                assert self._limits
                self._limits.sum(group.now_ms)
        raise DefectError("the sums of the limits do not stay", reason="defect")

    def _commit_summed(self, group: Group, claims: Sequence[Claim]) -> None:
        with self._database.pipelined() as pipeline:
            pipeline.execute(LOCK_BESIDE)
            pipeline.execute(_PLAN_ONCE)
            pipeline.execute(LOCK_SPENDING)  # before any other, or two could wait for each other
            pipeline.end_within(COMMIT_MOST_S)  # from here on others may wait for it
            settled = pipeline.each(_SETTLE, [self._ending(settle, group) for settle in group.settles])
            for pause in sorted(group.pauses, key=lambda pause: pause.lane):
                told = (pause.batch, pause.lane, group.now_ms, pause.until_ms)
                pipeline.execute(_PAUSE, pause.until_ms, pause.lane)  # here others wait
                pipeline.execute(PAUSE_ON, *told)
                pipeline.execute(PAUSE_ANEW, *told, pause.why)
            if claims:
                pipeline.execute(_LOCK_ACCOUNTS, [claim.transfer.account_key for claim in claims])
            allowed = self._allowed(group, claims)
            claimed = pipeline.each(_CLAIM, [self._intent(claim, group) for claim in allowed])
        done, group.settles, group.pauses = group.settles, [], []
        for settle, ((settled_rows,),) in zip(done, settled(), strict=True):
            if settled_rows:
                del self._attempts[settle.transfer.id]
            else:
                group.late.append(settle)
        for claim, rows in zip(allowed, claimed(), strict=True):
            if rows:
                self._attempts[claim.transfer.id] = Attempt(*rows[0])
                group.answers[claim.transfer.id] = group.claimed

    def _ending(self, settle: Settle, group: Group) -> tuple[object, ...]:
        if settle.transfer.id not in self._attempts:
            raise DefectError(f"transfer {settle.transfer.id} was settled twice", reason="defect")
        return (*ending(settle, group.now_ms), self._attempts[settle.transfer.id].number)

    def _intent(self, claim: Claim, group: Group) -> tuple[object, ...]:
        since_ms = group.now_ms - self._repeat_window_ms
        return claim.batch, since_ms, claim.transfer.id, group.now_ms, self.sender, *_content(claim)

    def _allowed(self, group: Group, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Those that no limit on money forbids."""
        if not self._limits or not claims:
            return claims
        refused = self._limits.refused(claims, group.now_ms)
        group.over.update(refused)
        return [claim for claim in claims if claim.transfer.id not in refused]

    def _refused(self, claim: Claim, group: Group) -> NotClaimed:
        """Why a claim was not granted. What may change of itself leaves no reason with the row."""
        transfer = claim.transfer
        found = self._all(_STANDING, transfer.id, self.sender, *_content(claim))
        state, late_ms, is_as_claimed, paused_ms, holder, since_ms, there, pid, goes_on, said = found[0]
        self._evicted |= not goes_on
        if state != State.PENDING or late_ms is not None or not is_as_claimed or self._evicted:
            return NotClaimed("not_pending", "the row is no longer to be sent")
        if said != str(self.sender):
            raise mixed_sessions(self.url)
        if paused_ms > group.now_ms:
            return NotClaimed("account_in_flight", "the provider asked for a pause", busy_s=0.0)
        if why := self._held_up(claim, group):
            return self._held_back(claim, why)
        if holder is not None:
            busy_s = max(0.0, (self._now_ms() - since_ms) / 1000)
            if busy_s < claim.patience_s:
                return NotClaimed("account_in_flight", "", busy_s=busy_s)
            return self._held_back(claim, NotClaimed("account_in_flight", _in_flight(holder, pid, there)))
        if self._all(_IS_CLOSED, claim.batch):
            return NotClaimed("not_pending", "the batch was closed")
        return NotClaimed("account_in_flight", "it was in flight a moment ago", busy_s=0.0)

    def _held_up(self, claim: Claim, group: Group) -> NotClaimed | None:
        key = (claim.batch, group.now_ms - self._repeat_window_ms, claim.transfer.id)
        if found := self._all(HELD_UP_BY, *key):
            return held_up(*found[0])
        if over := group.over.get(claim.transfer.id):
            return over
        if claim.transfer.reference and (found := self._all(REFERENCE_HOLDER, claim.transfer.reference)):
            return reference_taken(*found[0])
        return None

    def _held_back(self, claim: Claim, why: NotClaimed) -> NotClaimed:
        self._change(HOLD_BACK, why.reason, why.message, claim.transfer.id)
        return why

    def candidates(
        self, batch: int, lane: int, after_row: int, limit: int, *, own: bool = False
    ) -> list[tuple[Transfer, int]]:
        found = self._through(partial(self._candidates, batch, lane, after_row, limit, own=own))
        return [(Transfer(*row[:8]), row[8] - self._database.offset_ms) for row in found]

    def _candidates(self, batch: int, lane: int, after_row: int, limit: int, *, own: bool) -> list[Row]:
        if self._evicted:
            return []
        if not own:
            return self._all(_LEFT, batch, after_row, lane, limit)
        living = [number for (number,) in self._all(_SENDERS, self._class, batch)]
        place = living.index(self.sender) if self.sender in living else 0
        return self._all(_OWN, batch, after_row, lane, max(1, len(living)), place, limit)

    def tidings(self, batch: int) -> Tidings:
        return self._through(partial(self._tidings, batch))

    def _tidings(self, batch: int) -> Tidings:
        self._bury()
        offset_ms = self._database.offset_ms
        lanes = self._all(_NEWS, batch, self._now_ms())
        ((goes_on, driver_lives),) = self._all(_OURS, self._class, self.sender, self._driver)
        self._evicted |= not goes_on
        return Tidings(
            paused_until_ms={lane: until - offset_ms for lane, until, _, _ in lanes if until},
            halts={lane: (reason, message) for lane, _, reason, message in lanes if reason},
            driver_gone=self._misses_driver(bool(driver_lives)),
            evicted=self._evicted,
        )

    def _misses_driver(self, lives: bool) -> bool:
        """Whether the driver has been away for longer than a connection takes to be made again."""
        if lives:
            self._driver_seen_s = time.monotonic()
        return time.monotonic() - self._driver_seen_s > DRIVER_MOST_S

    def reserve(self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int = 0) -> Slots:
        ((granted, first_us, now_us, wait_us),) = self._through(
            lambda: self._all(_RESERVE, lane, count, spacing_us, horizon_us, after_us)
        )
        ahead_us = first_us - now_us
        slots = tuple((ahead_us + spacing_us * number) / 1e6 for number in range(granted))
        return Slots(slots, wait_us / 1e6, now_us / 1e6)

    def halt(self, batch: int, lane: int, reason: str, message: str) -> None:
        self._through(partial(super().halt, batch, lane, reason, message))

    def end_run(self, run: int, batch: int, reason: str) -> None:
        self._through(partial(super().end_run, run, batch, reason))
        self._attempts.clear()  # nobody hears an answer any more

    # a connection that is lost and made again

    def _through(self, call: Callable[[], T], after_loss: Callable[[], None] | None = None) -> T:
        """What `call` returns, over however many sessions it takes. Raises LostError when it takes too long
        for them to come back."""
        began_s = math.inf
        while True:
            try:
                with self._database.answering_within(ANSWER_MOST_S):
                    return call()
            except LostError:
                began_s = min(began_s, time.monotonic())
                if self._is_too_late(began_s):
                    raise
                self._come_back(began_s, after_loss)

    def _is_too_late(self, began_s: float) -> bool:
        """Whether a connection that was lost first at that moment is given up."""
        most_s = HURRIED_MOST_S if self._in_a_hurry.is_set() else self.away_most_s
        return time.monotonic() - began_s > most_s

    def _come_back(self, began_s: float, after_loss: Callable[[], None] | None) -> None:
        """Make the connection anew, as another sender: the old one's lease is gone. Nothing is claimed
        meanwhile, so nothing is sent. Raises LostError where it takes too long."""
        for wait_s in itertools.chain((0.1, 0.2, 0.5, 1.0), itertools.repeat(2.0)):
            try:
                self._database.reconnect()
                with self._database.answering_within(ANSWER_MOST_S):
                    refuse_forgetful(self._database)
                    refuse_elsewhere(self._database)
                    self._take_up()
                    if after_loss:
                        after_loss()
            except RefusedError as error:
                raise StorageError(str(error), reason=error.reason, cure=error.cure) from error
            except StorageError as error:
                if self._is_too_late(began_s):
                    raise lost(self.url) from error
            else:
                return
            self._in_a_hurry.wait(wait_s)
            if self._in_a_hurry.is_set():
                time.sleep(wait_s / 4)

    def _take_up(self) -> None:
        """Go on as a new sender with what the old one had in flight. One that was evicted does not."""
        if not self.sender:
            return
        mine = [*self._former, self.sender]
        with self._transaction():
            found = self._all(_MINE, mine)
            self._evicted |= any(why == EVICTED for why, _ in found)
            if self._evicted:
                return
            for number in mine:
                self._change(END, self._now_ms(), "its connection was lost", number)
            new = self._enlisted(self._run, found[-1][1])
            self._former.append(new)  # even if it is never heard that this was written
            self._change(_OWN_ANEW, new, mine)
            self._change("UPDATE sender SET driver = ?1 WHERE driver = ANY(CAST(?2 AS BIGINT[]))", new, mine)
            self._change("UPDATE run SET ended_at = NULL, reason = '' WHERE id = ?", self._run)
        self.sender = new
        self._say_sender()

    def _after_loss(self, group: Group) -> None:
        """Claims that were not answered have sent nothing: they are taken back, where they stand at all."""
        with self._transaction():
            unanswered = [
                claim.transfer.id for claim in group.claims if claim.transfer.id not in group.answers
            ]
            if self._change(_TAKE_BACK, unanswered, [*self._former, self.sender]):
                batch = group.claims[0].batch
                self._change("UPDATE batch SET finished_at = NULL WHERE id = ?", batch)
        away = NotClaimed("account_in_flight", "the connection to the ledger was lost", busy_s=0.0)
        group.answers.update(dict.fromkeys(unanswered, away))
        group.claims = [claim for claim in group.claims if claim.transfer.id not in unanswered]


def _in_turns(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """The operations in lots, in which endings may go first: none ends what an account was claimed beside,
    and no row is claimed twice."""
    lot, rows, accounts = list[Operation](), set[int](), set[str]()
    for operation in operations:
        again = isinstance(operation, Claim) and operation.transfer.id in rows
        if again or (isinstance(operation, Settle) and operation.transfer.account_key in accounts):
            yield lot
            lot, rows, accounts = [], set(), set()
        lot.append(operation)
        if isinstance(operation, Claim):
            rows.add(operation.transfer.id)
            accounts.add(operation.transfer.account_key)
    yield lot


def _group(operations: Sequence[Operation], now_ms: int, offset_ms: int) -> Group:
    """`offset_ms`: how far the ledger's clock is ahead of the one by which the operations go."""
    group = Group(now_ms, Claimed(host.boot_s()))
    for operation in operations:
        if isinstance(operation, Claim):
            group.claims.append(operation)
        elif isinstance(operation, Settle):
            until_ms = operation.not_before_ms and operation.not_before_ms + offset_ms
            group.settles.append(operation._replace(not_before_ms=until_ms))
        else:
            group.pauses.append(replace(operation, until_ms=operation.until_ms + offset_ms))
    return group


def _content(claim: Claim) -> tuple[object, ...]:
    """What a claim is of, as `_CLAIMED` says."""
    transfer = claim.transfer
    return (
        *(claim.lane, transfer.account, transfer.account_key),
        *(transfer.amount, transfer.currency, transfer.reference),
    )


def _in_flight(holder: int, pid: int, there: str) -> str:
    return (
        f"sender {holder} (process {pid} on {there}) has another transfer of this account in flight and does "
        f"not end it: batchcredit evict {holder}, if it hangs"
    )


def mixed_sessions(shown: str) -> StorageError:
    """A pooler that hands each transaction to another session breaks leases."""
    return StorageError(
        f"the ledger {shown} is reached through a pooler that changes sessions between transactions",
        reason="ledger_pooled",
        cure="Let the pooler work in session mode, or name the server itself.",
    )
