"""The statements of the hot path, the same on each database: claims with their guards, and endings."""

from decimal import Decimal

from batchcredit.ledger.base import NotClaimed, Settle
from batchcredit.ledger.sql.reader import CREDITED_AT, quoted, same_as, transfer_id
from batchcredit.transfer import MOVES, SPENT, Event, State, states_allowing

#: Equal rows elsewhere that hold a row up: any that may be executed, older ones that may still be sent, and
#: those credited within the window that nobody approved as repeats. ?1 is the batch, ?2 the window's begin.
HOLDS_UP = f"""{same_as("t")} AND (o.state IN ('sending', 'in_doubt')
    OR (o.state IN ('pending', 'unsent') AND o.batch < ?1 AND b.state = 'ready')
    OR (o.state = 'credited' AND {CREDITED_AT} > ?2
        AND {CREDITED_AT} > (SELECT repeats_allowed_at FROM batch WHERE id = ?1)))"""

#: The guards stand in the statement that makes the intent: one statement per claim, and nothing in between.
#: The plus keeps planners from looking for the row among all those of its batch.
_CLAIM = f"""UPDATE transfer AS t SET state = 'sending', attempts = attempts + 1, sent_at = ?4,
    ended_at = NULL, duration_ms = NULL, http_status = NULL, provider_code = '', message = '', reason = '',
    units = NULL, balance_before = NULL, balance_after = NULL, settled_by = '', not_before = 0{{sets}}
    WHERE id = ?3 AND +batch = ?1 AND state IN ({quoted(states_allowing(Event.CLAIM))})
    AND (SELECT closed_at FROM batch WHERE id = ?1) IS NULL
    AND NOT EXISTS (SELECT 1 FROM transfer o JOIN batch b ON b.id = o.batch WHERE {HOLDS_UP}){{and_so}}"""


def claiming(sets: str = "", and_so: str = "") -> str:
    """The statement of a claim, with what a database adds to it."""
    return _CLAIM.format(sets=sets, and_so=and_so)


CLAIM = claiming()

HELD_UP_BY = f"""SELECT b.name, o.row, o.state FROM transfer t, transfer o JOIN batch b ON b.id = o.batch
    WHERE t.id = ?3 AND {HOLDS_UP} LIMIT 1"""

#: A row that is held waits for no moment: by that it is told from one that an ending put back.
HOLD_BACK = """UPDATE transfer SET reason = ?, message = ?, not_before = 0
    WHERE id = ? AND state = 'pending'"""

SETTLE = """UPDATE transfer SET state = ?1, settled_by = ?2, reason = ?3, http_status = ?4,
    provider_code = ?5, message = ?6, units = ?7, balance_before = ?8, balance_after = ?9, ended_at = ?10,
    duration_ms = ?11, not_before = ?12 WHERE id = ?13 AND batch = ?14 AND state = 'sending'"""

#: Event -> what a settled row's `state` and `settled_by` become.
ENDINGS = {
    event: (state.value, "provider" if event in (Event.CREDIT, Event.REJECT) else "")
    for (was, event), state in MOVES.items()
    if was is State.SENDING
}

CANDIDATES = f"""SELECT id, row, account, account_key, amount, currency, coalesce(reference, ''),
    CASE WHEN former_id IS NOT NULL OR generation > 1 THEN {transfer_id("transfer")} ELSE '' END, not_before
    FROM transfer WHERE batch = ? AND row > ? AND lane = ? AND state = 'pending' ORDER BY row LIMIT ?"""


#: Whoever is refused during a pause makes it longer: one row for each, however many requests were in flight.
PAUSE_ON = """UPDATE pause SET until = CASE WHEN until > ?4 THEN until ELSE ?4 END
    WHERE batch = ?1 AND lane = ?2 AND until >= ?3"""

PAUSE_ANEW = """INSERT INTO pause (batch, lane, began, until, why)
    SELECT CAST(?1 AS BIGINT), CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), CAST(?4 AS BIGINT), CAST(?5 AS TEXT)
    WHERE NOT EXISTS (SELECT 1 FROM pause WHERE batch = ?1 AND lane = ?2 AND until >= ?3)"""

#: What a sender leaves when it ends before its answers came.
TO_DOUBT = """UPDATE transfer SET state = 'in_doubt', reason = 'interrupted', ended_at = ?1,
    message = 'the run ended before the answer was known' WHERE state = 'sending'"""

REFERENCE_HOLDER = f"""SELECT b.name, t.row, t.state FROM transfer t JOIN batch b ON b.id = t.batch
    WHERE t.reference = ?1 AND t.state IN ({quoted(SPENT)})
    UNION ALL SELECT b.name, o.row, 'credited' FROM archived_reference o JOIN batch b ON b.id = o.batch
    WHERE o.reference = ?1"""


def held_up(name: str, row: int, state: str) -> NotClaimed:
    """What HELD_UP_BY found, as an answer."""
    word = "repeat" if state == State.CREDITED else "open_elsewhere"
    return NotClaimed(word, f"the same transfer is row {row} of batch {name}, {state}")


def reference_taken(name: str, row: int, state: str) -> NotClaimed:
    """What REFERENCE_HOLDER found, as an answer."""
    return NotClaimed("reference_taken", f"the reference stands for row {row} of batch {name}, {state}")


def ending(settle: Settle, now_ms: int) -> tuple[object, ...]:
    """The bindings of SETTLE."""
    outcome = settle.outcome
    return (
        *ENDINGS[outcome.event],
        *(outcome.reason, outcome.http_status, outcome.provider_code, outcome.message),
        *(_text(outcome.units), _text(outcome.balance_before), _text(outcome.balance_after)),
        *(now_ms, settle.duration_ms, settle.not_before_ms),
        *(settle.transfer.id, settle.batch),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
