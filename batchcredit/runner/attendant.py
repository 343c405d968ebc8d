"""The person in front of it, or whoever answers for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane
from batchcredit.engine.queue import Job
from batchcredit.ledger.base import LaneIdentity
from batchcredit.reader import Survey
from batchcredit.runner.plan import Plan
from batchcredit.transfer import shortest


@dataclass(frozen=True, slots=True)
class Trial:
    """One of the first rows, after it has ended. `adds_up` is None where the balances do not tell."""

    profile: str
    row: int
    account: str
    amount: Decimal
    currency: str
    status: str
    message: str
    balance_before: Decimal | None
    balance_after: Decimal | None
    adds_up: bool | None

    def __str__(self) -> str:
        what = f"{self.profile} row {self.row}: {self.amount} {self.currency} for {self.account}"
        if self.status != "credited":
            return f"{what} is {self.status}: {self.message}"
        told = {True: "which adds up", False: "which does not add up", None: "so balances do not tell"}
        before, after = (_known(balance) for balance in (self.balance_before, self.balance_after))
        return f"{what} is credited; the client had {before} and has {after}, {told[self.adds_up]}"


def _known(balance: Decimal | None) -> str:
    return "an unknown balance" if balance is None else shortest(balance)


class Attendant(Protocol):
    """Shows what happens and answers what is asked. An answer is True only for a clear yes."""

    def note(self, text: str) -> None:
        """A sentence on what is being done or was understood."""

    def warn(self, text: str) -> None:
        """A sentence that should not be missed."""

    def show_survey(self, path: Path, survey: Survey) -> None:
        """The bad rows of a file, a few of each kind."""

    def show_plan(self, plan: Plan) -> None: ...

    @property
    def listens(self) -> bool:
        """Whether `hear` wants to be called: it costs time for each row."""

    def accept_lane(self, profile: str, identity: LaneIdentity, settings: Path | None) -> bool:
        """Whether this lane, never used by this ledger, is the right one."""

    def approve(self, plan: Plan) -> bool: ...

    def go_on(self, trials: Sequence[Trial]) -> bool:
        """Whether the rest follows, after the first rows were shown."""

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        """One attempt has ended, durably."""

    def step(self, what: str, rows: int = 0, of: int = 0) -> None:
        """What is being done now beside sending, and with how many rows it was so far: called often where it
        takes long. `of` is 0 where nobody knows how many there are."""

    def progress(self, lanes: Sequence[Lane]) -> None:
        """Called a few times a second while rows are sent."""

    def progress_ends(self) -> None:
        """No `step` or `progress` follows for a while: something else is told now."""


class Nobody(Attendant):
    """Nobody sits there: nothing is shown, and nothing is agreed to. A base for those who hear a part."""

    def note(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def show_survey(self, path: Path, survey: Survey) -> None:
        pass

    def show_plan(self, plan: Plan) -> None:
        pass

    @property
    def listens(self) -> bool:
        return False

    def accept_lane(self, profile: str, identity: LaneIdentity, settings: Path | None) -> bool:
        return False

    def approve(self, plan: Plan) -> bool:
        return False

    def go_on(self, trials: Sequence[Trial]) -> bool:
        return False

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        pass

    def step(self, what: str, rows: int = 0, of: int = 0) -> None:
        pass

    def progress(self, lanes: Sequence[Lane]) -> None:
        pass

    def progress_ends(self) -> None:
        pass
