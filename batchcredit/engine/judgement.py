"""How the ending of an attempt is judged. Pure: what is certain goes in, one value comes out.

The order of the rules is the order of certainty: what never left was not executed; a status line rules before
any body; only then is the provider's own word asked. Whatever no rule knows is in doubt.
"""

from enum import Enum, auto
from typing import NamedTuple

from batchcredit.engine.wire.base import Exchange
from batchcredit.providers.base import Answer, Judgement, Provider, Ruling
from batchcredit.providers.cleaning import cleaned
from batchcredit.transfer import Event, Outcome, Transfer


class Ending(Enum):
    """What an ending means for the lane it happened on."""

    DEFINITE = auto()  # credited or rejected
    DOUBTFUL = auto()
    UNCONNECTED = auto()  # no connection stood: not executed
    STALE = auto()  # the intent was too old to be sent: not executed
    PUT_OFF = auto()  # the lane paused or ended before it could be sent: not executed
    THROTTLED = auto()  # HTTP 429: not executed
    LANE_REFUSED = auto()  # the provider refuses every row: not executed


class Judged(NamedTuple):
    """An ending, what becomes of the row, and whether the lane halts because of it."""

    ending: Ending
    outcome: Outcome
    halts: bool = False


def judge(provider: Provider, transfer: Transfer, exchange: Exchange) -> Judged:
    """What an exchange means for its transfer."""
    if exchange.answer is None:
        detail = cleaned(exchange.detail, provider.secrets)  # may quote bytes of the server
        return _doubt(exchange.problem, detail) if exchange.sent else _unconnected(exchange, detail)
    return _judge_answer(provider, transfer, exchange.answer)


def _unconnected(exchange: Exchange, detail: str) -> Judged:
    reason = "tls_untrusted" if exchange.untrusted else "unreachable"
    outcome = Outcome(Event.RETRY, reason, message=detail)
    return Judged(Ending.UNCONNECTED, outcome, halts=exchange.untrusted)


def _doubt(reason: str, message: str, http_status: int | None = None, *, halts: bool = False) -> Judged:
    return Judged(Ending.DOUBTFUL, Outcome(Event.DOUBT, reason, http_status, message=message), halts)


def _judge_answer(provider: Provider, transfer: Transfer, answer: Answer) -> Judged:
    status = answer.status
    if status == 429:
        message = "the provider asked to slow down"
        return Judged(Ending.THROTTLED, Outcome(Event.RETRY, "rate_limited", status, message=message))
    if 300 <= status < 400:
        message = f"HTTP {status}: a redirect is never followed"
        return _doubt("redirect", message, status, halts=True)
    if status == 408 or status >= 500:
        return _doubt("server_error", f"HTTP {status}", status)
    return _by_provider(provider.judge(transfer, answer), status)


_ENDINGS = {
    Ruling.CREDITED: (Ending.DEFINITE, Event.CREDIT),
    Ruling.REJECTED: (Ending.DEFINITE, Event.REJECT),
    Ruling.LANE_REFUSED: (Ending.LANE_REFUSED, Event.RETRY),
    Ruling.DOUBTFUL: (Ending.DOUBTFUL, Event.DOUBT),
}


def _by_provider(said: Judgement, status: int) -> Judged:
    ending, event = _ENDINGS[said.ruling]
    outcome = Outcome(
        event,
        said.reason,
        status,
        said.provider_code,
        said.message,
        said.units,
        said.balance_before,
        said.balance_after,
    )
    return Judged(ending, outcome, halts=said.halts or ending is Ending.LANE_REFUSED)


def stale() -> Judged:
    """The machine stood still between the intent and its request, which therefore did not leave."""
    message = "the machine stood still before the request left"
    return Judged(Ending.STALE, Outcome(Event.RETRY, "stale_intent", message=message))


def put_off() -> Judged:
    """The lane paused or ended between the intent and its request, which therefore did not leave."""
    return Judged(Ending.PUT_OFF, Outcome(Event.RETRY))


def given_up(judged: Judged) -> Judged:
    """The same ending, with no tries left in this run."""
    return judged._replace(outcome=judged.outcome._replace(event=Event.GIVE_UP))
