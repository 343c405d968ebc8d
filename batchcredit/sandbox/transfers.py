"""One transfer from its arrival to its ending, the same behind each door. Nothing here waits."""

from collections.abc import Iterable
from typing import NamedTuple

from batchcredit.sandbox.answers import Answer, Cut, Dialect, Refusal, ended, retry_headers
from batchcredit.sandbox.book import Order
from batchcredit.sandbox.faults import EXECUTES, Fault
from batchcredit.sandbox.simulation import Grant, Simulation

BODY_BYTES = 65_536
"""The longest body that is read."""

_BOOK_FULL = Answer(503, b"the sandbox's book is full", b"text/plain")


class Case(NamedTuple):
    """A transfer that arrived, and what was decided at that moment."""

    dialect: Dialect
    order: Order
    refusal: Refusal | None
    arrived_at: float
    fault: Fault | None
    grant: Grant | None

    @property
    def is_throttled(self) -> bool:
        return self.grant is not None and not self.grant.allowed


class Transfers:
    """First `arrive`; after `wait_before_s`, `end`; and `wait_after_s` later the client hears of it."""

    def __init__(self, simulation: Simulation, dialects: Iterable[Dialect]) -> None:
        self._simulation = simulation
        self._dialects = {(dialect.method, dialect.path): dialect for dialect in dialects}

    def dialect(self, method: str, path: str) -> Dialect | None:
        """Whose transfers come this way; None if this is not the way of any."""
        return self._dialects.get((method, path))

    def arrive(
        self, dialect: Dialect, headers: list[tuple[bytes, bytes]], body: bytes, arrived_at: float
    ) -> Case:
        """Enter the arrival; `arrived_at` is `time.monotonic()` when the request was complete."""
        order, refusal = dialect.read(headers, body)
        fault = self._simulation.arrive(order, arrived_at)
        return Case(dialect, order, refusal, arrived_at, fault, self._simulation.grant(order, arrived_at))

    def end(self, case: Case) -> Answer | Cut:
        """Execute or refuse the order; returns what its client is to see."""
        if case.grant is None:
            return self._worked_off(case)
        ending = self._worked_off(case) if case.grant.allowed else self._throttled(case, case.grant)
        if isinstance(ending, Cut):
            return ending
        return ending._replace(headers=ending.headers + case.dialect.rate_headers(case.grant))

    def wait_before_s(self, case: Case) -> float:
        if case.fault is Fault.LATE_BEFORE and not case.is_throttled:
            return self._simulation.settings.late_s
        return 0.0

    def wait_after_s(self, case: Case) -> float:
        if case.is_throttled:
            return 0.0
        late_s = self._simulation.settings.late_s if case.fault is Fault.LATE else 0.0
        return self._simulation.delay_s(case.order) + late_s

    def _worked_off(self, case: Case) -> Answer | Cut:
        if case.fault is None:
            return self._outcome(case)
        reached = case.fault in EXECUTES  # others stop the order from being looked at
        return ended(case.fault, case.dialect, self._outcome(case) if reached else None)

    def _outcome(self, case: Case) -> Answer:
        """The right answer."""
        if self._simulation.is_full():
            return _BOOK_FULL
        outcome = case.refusal or case.dialect.execute(case.order, case.arrived_at, case.fault or "")
        if isinstance(outcome, Refusal):
            self._simulation.book.reject(case.order.provider, outcome.code)
            return outcome.answer
        return outcome

    def _throttled(self, case: Case, grant: Grant) -> Answer:
        self._simulation.book.reject(case.order.provider, "429")
        return case.dialect.throttled(
            retry_headers(self._simulation.settings.retry_after_form, grant.reset_s)
        )
