"""What can go wrong with one transfer, by name, and when it does."""

from collections import deque
from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import blake2b

from batchcredit.sandbox.names import folded

SCRIPT_LIMIT = 10_000
"""At most so many scripted faults wait for one account, and so many accounts have a script."""

EVERY_ACCOUNT = "*"


class Fault(StrEnum):
    """One way for one request to end badly. Those marked + have moved the money when the client sees them.

    A server that is not there at all is no fault of a request: see `Control.refuse`.
    """

    STATUS_401 = "status_401"  # the credentials are refused
    STATUS_403 = "status_403"  # suspended, or the address is not allowed
    STATUS_404 = "status_404"  # no such endpoint
    STATUS_429 = "status_429"  # too many requests; `retry_after_s` and `retry_after_form` shape it
    STATUS_500_BEFORE = "status_500_before"  # internal error, nothing was moved
    STATUS_500_AFTER = "status_500_after"  # + internal error once the money was moved
    STATUS_503 = "status_503"  # a proxy's page: the service is not available
    CLOSE_BEFORE = "close_before"  # the connection is closed, nothing was moved
    RESET_BEFORE = "reset_before"  # the connection is reset (RST), nothing was moved
    CLOSE_AFTER = "close_after"  # + closed without an answer
    RESET_AFTER = "reset_after"  # + reset without an answer
    HALF_ANSWER = "half_answer"  # + the body ends before its announced length
    HALF_HEAD = "half_head"  # + the connection ends inside the headers
    LATE = "late"  # + the right answer, `late_s` later
    LATE_BEFORE = "late_before"  # + executed only `late_s` later, whether or not the client still listens
    HTML_200 = "html_200"  # + a page of HTML with status 200
    HTML_403 = "html_403"  # + a firewall withholds the answer with a page of its own
    REDIRECT_302 = "redirect_302"  # sent to the same address again, nothing was moved
    REDIRECT_307 = "redirect_307"  # the same, with the status that keeps method and body
    WRONG_USER = "wrong_user"  # + the answer speaks of another client
    WRONG_SUM = "wrong_sum"  # + the amounts in the answer do not add up
    INNER_ERROR = "inner_error"  # + HTTP 200, and an internal error in the envelope
    HUGE = "huge"  # + the right answer in more than 1 MiB
    GARBAGE = "garbage"  # + bytes that are no HTTP
    NOT_JSON = "not_json"  # + HTTP 200, and a word
    EMPTY = "empty"  # + HTTP 200, and no body


EXECUTES = frozenset(Fault) - {
    Fault.STATUS_401,
    Fault.STATUS_403,
    Fault.STATUS_404,
    Fault.STATUS_429,
    Fault.STATUS_500_BEFORE,
    Fault.STATUS_503,
    Fault.CLOSE_BEFORE,
    Fault.RESET_BEFORE,
    Fault.REDIRECT_302,
    Fault.REDIRECT_307,
}
"""The faults under which a good order is still carried out."""


def share(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone: dice that fall alike in any order of asking."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=7).digest()) / 2**56


def drawn(rates: Mapping[Fault, float], dice: float) -> Fault | None:
    """The fault that a throw of `dice` in [0, 1) means; the order of `rates` does not matter."""
    for fault in Fault:
        dice -= rates.get(fault, 0.0)
        if dice < 0:
            return fault
    return None


class Script:
    """Faults that a test laid out beforehand: each account's next requests take them one by one."""

    def __init__(self) -> None:
        self.waiting: dict[str, deque[Fault | None]] = {}

    def add(self, account: str, faults: Sequence[Fault | None]) -> None:
        """`account` may be `*`: the next requests, whoever they are for. None lets one request through.

        Raises ValueError past SCRIPT_LIMIT.
        """
        account = folded(account)
        waiting = self.waiting.get(account, ())
        if len(waiting) + len(faults) > SCRIPT_LIMIT or len(self.waiting) >= SCRIPT_LIMIT:
            raise ValueError(f"a script holds at most {SCRIPT_LIMIT} accounts and faults of each")
        self.waiting[account] = deque([*waiting, *faults])

    def clear(self) -> None:
        self.waiting.clear()

    def take(self, account: str) -> tuple[bool, Fault | None]:
        """Whether a script speaks about this request, and what it says."""
        key = account if account in self.waiting else EVERY_ACCOUNT
        waiting = self.waiting.get(key)
        if not waiting:
            return False, None
        fault = waiting.popleft()
        if not waiting:
            del self.waiting[key]
        return True, fault
