"""The promise of a wire. An exchange is one request at the most: nothing is repeated, nothing followed.

An exchange always ends as a value that tells what is certain: whether a byte of the request may have left,
and the whole answer if there is one.
"""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from batchcredit.engine.loop import now
from batchcredit.errors import RefusedError
from batchcredit.providers.base import Answer, Request

USER_AGENT = f"batchcredit/{version('batchcredit')}"

#: A larger answer is cut off: no provider's answer comes near it.
ANSWER_MOST_BYTES = 1 << 20

#: Statuses of answers that have no body (RFC 9110 15.3.5 and 15.4.5).
BODILESS = frozenset({204, 304})

#: A connection that was idle for longer is dialled again: a server that closes it while we write makes doubt.
IDLE_S = 2.0

#: A connection stands within this time, name and TLS included, or there is none.
CONNECT_MOST_S = 10.0

Departs = Callable[[], Awaitable[None]]


class WithheldError(Exception):
    """Raised by `departs`: the request is not to leave any more."""


async def at_once() -> None:
    """Nothing holds a request up."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """How one exchange ended. `problem` is a word, empty where `answer` is whole."""

    sent: bool  # a byte of the request may have left
    answer: Answer | None = None
    problem: str = ""
    detail: str = ""
    untrusted: bool = False  # the server's TLS certificate does not verify
    withheld: bool = False  # `departs` did not let it go


WITHHELD = Exchange(sent=False, withheld=True)
GONE = Exchange(
    sent=False,
    problem="unreachable",
    detail="the server closed the connection, or spoke on it, before the request left",
)
CUT_OFF = Exchange(True, problem="lost_answer", detail="the connection ended before the answer did")
TOO_LARGE = Exchange(True, problem="too_large", detail=f"the answer exceeds {ANSWER_MOST_BYTES} bytes")


class Line(ABC):
    """A way to the server that is ready for one exchange. It is used for that or released."""

    @abstractmethod
    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        """Send once and hear the answer out, within `timeout_s` for all of it. Raises nothing of its own.

        `departs` is awaited as the last thing before the first byte. It may raise WithheldError, and then
        nothing leaves; nor does it when the time is over by then.
        """

    @abstractmethod
    def release(self) -> None:
        """There will be no exchange: somebody else may have the connection."""


class Wire(ABC):
    """HTTP to one base_url."""

    @abstractmethod
    def idle(self) -> Line | None:
        """A line that can be had at once, or None."""

    @abstractmethod
    async def line(self, timeout_s: float) -> Line | Exchange:
        """A line, or how the attempt to get one ended. Takes `timeout_s` or CONNECT_MOST_S at the most."""

    @abstractmethod
    async def aclose(self) -> None: ...

    async def exchange(self, request: Request, timeout_s: float, departs: Departs = at_once) -> Exchange:
        """An exchange on any line, within `timeout_s` for all of it. Raises nothing of its own."""
        started = now()
        line = await self.line(timeout_s)
        if isinstance(line, Exchange):
            return line
        return await line.exchange(request, timeout_s - (now() - started), departs)


class DialsLate(Wire, Line):
    """A wire that dials when it sends: it is always ready, and holds nothing between exchanges."""

    def idle(self) -> Line:
        return self

    async def line(self, timeout_s: float) -> Line:
        return self

    def release(self) -> None:
        pass


def timed_out(timeout_s: float, *, sent: bool = True) -> Exchange:
    """No whole answer came in time."""
    return Exchange(sent, problem="timeout", detail=f"no whole answer within {timeout_s:g} s")


def said_farewell(tls: ssl.SSLObject | None) -> bool:
    """Whether the server itself ended what it said. Only TLS tells that from a line that was cut.

    An answer without a length is whole only then.
    """
    if tls is None:
        return True
    try:
        return tls.read(1) == b""
    except ssl.SSLError:
        return False


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Whom we trust: the operating system's authorities, or those of `ca_file` alone."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise RefusedError(
            f"ca_file {ca_file} could not be read as certificates: {error.strerror or error}",
            reason="settings",
            cure="Name a file with PEM certificates.",
        ) from error
