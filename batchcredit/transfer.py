"""The words of the domain: a transfer, its states and moves, how an attempt ends, the columns of files."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class State(StrEnum):
    """Where a transfer stands in the ledger."""

    PENDING = "pending"
    SENDING = "sending"
    CREDITED = "credited"
    REJECTED = "rejected"
    UNSENT = "unsent"
    IN_DOUBT = "in_doubt"
    INVALID = "invalid"
    ALREADY_CREDITED = "already_credited"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What can happen to a transfer."""

    CLAIM = "claim"  # a sender made its durable intent
    CREDIT = "credit"  # the provider confirmed it
    REJECT = "reject"  # the provider refused this row
    RETRY = "retry"  # provably not executed, to be tried again
    GIVE_UP = "give_up"  # provably not executed, no tries left in this run
    DOUBT = "doubt"  # may have been executed; nobody knows
    REOPEN = "reopen"  # a later run, or a correction, may send it
    CONFIRM = "confirm"  # a verdict: it was credited
    DENY = "deny"  # a verdict: it was not credited
    RETRACT = "retract"  # a verdict is taken back
    CANCEL = "cancel"  # withdrawn by a person
    SET_ASIDE = "set_aside"  # a run was asked to leave it
    RESTORE = "restore"  # the ledger is an older copy of itself: it may have been sent since
    LATE_CREDIT = "late_credit"  # the provider's confirmation, when the row had been moved
    LATE_REFUSAL = "late_refusal"  # its refusal, when the row was in doubt
    LATE_MISS = "late_miss"  # provably not executed, when the row was in doubt
    RECOGNISE = "recognise"  # the same transfer was credited elsewhere


#: The single source of what may follow what: the code, the SQL guards, the tests and the docs read it.
MOVES: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.PENDING, Event.CLAIM): State.SENDING,
        (State.SENDING, Event.CREDIT): State.CREDITED,
        (State.SENDING, Event.REJECT): State.REJECTED,
        (State.SENDING, Event.RETRY): State.PENDING,
        (State.SENDING, Event.GIVE_UP): State.UNSENT,
        (State.SENDING, Event.DOUBT): State.IN_DOUBT,
        (State.UNSENT, Event.REOPEN): State.PENDING,
        (State.REJECTED, Event.REOPEN): State.PENDING,
        (State.INVALID, Event.REOPEN): State.PENDING,
        (State.IN_DOUBT, Event.CONFIRM): State.CREDITED,
        (State.IN_DOUBT, Event.DENY): State.PENDING,
        (State.CREDITED, Event.RETRACT): State.IN_DOUBT,  # only a person's verdict
        (State.PENDING, Event.RETRACT): State.IN_DOUBT,  # only a person's verdict, not sent since
        (State.UNSENT, Event.RETRACT): State.IN_DOUBT,  # the same
        (State.PENDING, Event.SET_ASIDE): State.UNSENT,
        (State.PENDING, Event.CANCEL): State.CANCELLED,
        (State.UNSENT, Event.CANCEL): State.CANCELLED,
        (State.REJECTED, Event.CANCEL): State.CANCELLED,
        (State.PENDING, Event.RESTORE): State.IN_DOUBT,
        (State.UNSENT, Event.RESTORE): State.IN_DOUBT,
        (State.REJECTED, Event.RESTORE): State.IN_DOUBT,
        (State.PENDING, Event.RECOGNISE): State.ALREADY_CREDITED,
        (State.IN_DOUBT, Event.LATE_CREDIT): State.CREDITED,
        (State.IN_DOUBT, Event.LATE_REFUSAL): State.REJECTED,
        (State.IN_DOUBT, Event.LATE_MISS): State.PENDING,
        (State.PENDING, Event.LATE_CREDIT): State.CREDITED,  # a verdict was wrong
        (State.UNSENT, Event.LATE_CREDIT): State.CREDITED,  # the same
        (State.CANCELLED, Event.LATE_CREDIT): State.CREDITED,  # the same
        (State.REJECTED, Event.LATE_CREDIT): State.CREDITED,  # the same, and a second attempt was refused
    }
)

#: What a user reads in the results for each state.
STATUS: Mapping[State, str] = MappingProxyType(
    {state: state.value for state in State}
    | {State.PENDING: "not_sent", State.UNSENT: "not_sent", State.SENDING: "in_doubt"}
)

#: The statuses in the order in which they are shown.
STATUSES = ("credited", "already_credited", "rejected", "in_doubt", "not_sent", "invalid", "cancelled")

#: States in which the client may hold the money: limits count them, references are unique over them.
SPENT = (State.SENDING, State.IN_DOUBT, State.CREDITED)

#: From here a row moves only when a person wants it to.
FINAL = (State.CREDITED, State.REJECTED, State.INVALID, State.ALREADY_CREDITED, State.CANCELLED)

#: The reason of a row whose client has the credit once at least, and perhaps twice: an incident.
OVERPAID = "overpaid"

#: Reasons for which the same command would not send a row either: something has to happen elsewhere.
HELD_UP = ("open_elsewhere", "repeat", "reference_taken")

#: The columns of an input that make a transfer, the first three needed.
INPUT_COLUMNS = ("provider", "account", "amount", "currency", "reference")

#: All that mean something to us, the last one for a comparison only; any others are carried through.
KNOWN_COLUMNS = (*INPUT_COLUMNS, "account_name")

#: What a results file has behind the input's own columns, in this order.
RESULT_COLUMNS = (
    "row",
    "status",
    "reason",
    "http_status",
    "provider_code",
    "message",
    "units",
    "balance_before",
    "balance_after",
    "attempts",
    "sent_at",
    "duration_ms",
    "settled_by",
    "transfer_id",
    "batch",
    "seal",
)

#: What a batch may be called: it becomes a file's name.
BATCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

#: Controls, direction marks, line separators and halves of characters: what a name of a file may not hold.
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_TELLING = frozenset({"row", "status", "transfer_id", "batch", "seal"})


def moved(state: State, event: Event) -> State | None:
    """The state after `event`, or None where the table does not allow it."""
    return MOVES.get((state, event))


def states_allowing(event: Event) -> tuple[State, ...]:
    """The states in which `event` may happen: the guard of an SQL update."""
    return tuple(state for state, allowed in MOVES if allowed is event)


#: States in which a row may be corrected: not credited, not in doubt, not withdrawn.
CORRECTABLE = (State.PENDING, *states_allowing(Event.REOPEN))


class Transfer(NamedTuple):
    """One row that asks for credit. `amount` is an exact decimal in its shortest form, never a float.
    `known_as`: its id in results, where that is not made of the ledger's id and `id`."""

    id: int
    row: int
    account: str
    account_key: str
    amount: str
    currency: str
    reference: str
    known_as: str = ""

    def id_in(self, ledger: str) -> str:
        """The id that results have for it."""
        return self.known_as or f"t-{ledger}-{self.id}"


class Outcome(NamedTuple):
    """How one attempt ended, with what the provider said, cleaned of secrets and personal data.

    `event` is one of CREDIT, REJECT, RETRY, GIVE_UP, DOUBT. `reason` is a word of docs/reasons.md.
    """

    event: Event
    reason: str = ""
    http_status: int | None = None
    provider_code: str = ""
    message: str = ""
    units: Decimal | None = None
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None


def shortest(amount: Decimal) -> str:
    """`amount` by value as text without exponent or padding: 12.10 gives 12.1, 100 stays 100."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def looks_like_results(columns: Iterable[str]) -> bool:
    """Whether a file with these columns was written by us."""
    return set(columns) >= _TELLING
