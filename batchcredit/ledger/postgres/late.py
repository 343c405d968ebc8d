"""Answers that come when their row was moved meanwhile: evidence of what the provider did.

A sender whose session was lost, or that stood still, may hear of a request long after others found its row in
doubt, or a verdict sent it again. What it hears is written down, and never unsays a payment.
"""

import json
from dataclasses import dataclass

from batchcredit.ledger.base import Settle
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.ledger.postgres.lease import PostgresLease
from batchcredit.ledger.sql.database import TakenError
from batchcredit.ledger.sql.sending import SETTLE, ending
from batchcredit.transfer import MOVES, SPENT, Event, State

#: What a late answer says, for each way in which an attempt can end.
LATE = {Event.CREDIT: Event.LATE_CREDIT, Event.REJECT: Event.LATE_REFUSAL}
LATE |= dict.fromkeys((Event.RETRY, Event.GIVE_UP), Event.LATE_MISS)

_FOUND = """SELECT t.state, t.settled_by, t.attempts, t.generation, t.ended_at, t.reason
    FROM transfer t WHERE t.id = ?"""

#: An attempt at a row that another one has paid, as is known by now: credited in any case, overpaid if this
#: one may have paid, too. What was paid of a corrected row is not what it asks for.
SETTLE_KNOWING = SETTLE.replace(
    "state = ?1, settled_by = ?2, reason = ?3",
    """state = CASE WHEN late_at IS NULL OR ?1 IN ('credited', 'in_doubt') THEN ?1
        WHEN generation > 1 THEN 'in_doubt' ELSE 'credited' END,
    settled_by = CASE WHEN late_at IS NULL THEN ?2 ELSE 'provider' END,
    reason = CASE WHEN late_at IS NULL THEN ?3
        WHEN ?1 IN ('credited', 'in_doubt') OR generation > 1 THEN 'overpaid' ELSE '' END""",
)

_SETTLE = SETTLE_KNOWING.replace("state = 'sending'", "state = ?15")

_OVERPAID = "UPDATE transfer SET late_at = ?1, reason = 'overpaid', message = ?2 WHERE id = ?3"

_MORE_THAN_ONCE = "the provider has confirmed an earlier attempt, too: the client may have the credit twice"

#: The reference of such a row is no longer its own alone.
_PAID_TOO = """UPDATE transfer SET state = 'credited', settled_by = 'provider', not_before = 0, late_at = ?1,
    reason = 'overpaid', message = ?2 WHERE id = ?3"""

_ELSEWHERE = "the provider has confirmed it, and what counts as the same transfer was credited meanwhile"

_CHANGED = """UPDATE transfer SET state = 'in_doubt', settled_by = '', not_before = 0, ended_at = ?1,
    late_at = ?1, reason = 'overpaid', message = ?2 WHERE id = ?3"""

_BEFORE_IT_WAS_CHANGED = "the provider has confirmed the row as it was before it was corrected"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claim that stands: the row's `attempts` and `generation` as it made them."""

    number: int
    generation: int


class LateAnswers(PostgresLease):
    """Writes down what is heard late. Used by one thread at a time."""

    def __init__(self, database: PostgresDatabase, command: str) -> None:
        super().__init__(database, command)
        self._former: list[int] = []  # the numbers that this sender had before its connection was lost

    def _settle_late(self, settle: Settle, attempt: Attempt, now_ms: int) -> None:
        """Settle an attempt whose row is no longer being sent by it."""
        with self._transaction():
            found = self._all(_FOUND, settle.transfer.id)
            if not found:
                self._note_archived(settle)
                return
            word, settled_by, attempts, generation, ended_ms, reason = found[0]
            state, outcome = State(word), settle.outcome
            target = MOVES[State.SENDING, outcome.event]
            if attempts == attempt.number and (state, ended_ms, reason) == (target, now_ms, outcome.reason):
                return  # by us, in a transaction whose end we did not hear of
            credited = outcome.event is Event.CREDIT
            if generation != attempt.generation:
                if credited:
                    change = _OVERPAID if state in SPENT else _CHANGED
                    self._note_incident(settle, state, change, now_ms, _BEFORE_IT_WAS_CHANGED)
            elif attempts != attempt.number and credited and state in SPENT:
                self._note_incident(settle, state, _OVERPAID, now_ms, _MORE_THAN_ONCE)
            elif credited and state is State.ALREADY_CREDITED:
                self._note_incident(settle, state, _PAID_TOO, now_ms, _ELSEWHERE)
            elif attempts == attempt.number or credited:
                self._move_late(settle, state, settled_by, now_ms)

    def _move_late(self, settle: Settle, state: State, settled_by: str, now_ms: int) -> None:
        event = LATE.get(settle.outcome.event)
        after = MOVES.get((state, event)) if event else None
        if event is None or after is None:
            self._note_contradiction(settle, state, settled_by)
            return
        _, _, *said = ending(settle, now_ms)
        by = "provider" if event is not Event.LATE_MISS else ""
        try:
            with self._database.attempt():
                self._change(_SETTLE, after.value, by, *said, state.value)
        except TakenError:
            self._note_incident(settle, state, _PAID_TOO, now_ms, _ELSEWHERE)
            return
        if after is State.PENDING:
            self._change("UPDATE batch SET finished_at = NULL WHERE id = ?", settle.batch)
        if state is not State.IN_DOUBT:
            self._note_wrong_verdict(settle, state)

    def _note_archived(self, settle: Settle) -> None:
        """The row has left the ledger meanwhile: who reads the trail compares this with the archive."""
        self._note(
            *("late-answer", self._name_of(settle.batch), settle.transfer.row, "", "", "provider"),
            *(_words(settle), _known(settle)),
        )

    def _note_contradiction(self, settle: Settle, state: State, settled_by: str) -> None:
        """A person said that it was credited, and the provider that it was not: in doubt again."""
        denied = settle.outcome.event in (Event.REJECT, Event.RETRY, Event.GIVE_UP)
        if state is State.CREDITED and settled_by not in ("", "provider") and denied:
            after = MOVES[state, Event.RETRACT]
            message = f"a verdict said credited; the provider's answer, which came late: {_words(settle)}"
            self._change(
                """UPDATE transfer SET state = ?1, settled_by = '', reason = 'late_answer', message = ?2
                WHERE id = ?3""",
                *(after.value, message, settle.transfer.id),
            )
            self._note_wrong_verdict(settle, state)

    def _note_wrong_verdict(self, settle: Settle, state: State) -> None:
        self._note_row(settle.transfer.id, "verdict-wrong", state, "provider", _words(settle), _known(settle))

    def _note_incident(self, settle: Settle, state: State, change: str, now_ms: int, message: str) -> None:
        self._change(change, now_ms, message, settle.transfer.id)
        self._note_row(settle.transfer.id, "overpaid", state, "provider", message, _known(settle))


def _words(settle: Settle) -> str:
    outcome = settle.outcome
    return f"{MOVES[State.SENDING, outcome.event]} {outcome.message}".strip()


def _known(settle: Settle) -> str:
    outcome = settle.outcome
    after = None if outcome.balance_after is None else format(outcome.balance_after, "f")
    told = {
        "http_status": outcome.http_status,
        "provider_code": outcome.provider_code,
        "balance_after": after,
    }
    return json.dumps(told)
