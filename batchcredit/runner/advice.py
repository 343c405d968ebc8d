"""What a person does about a row: why it was not credited, and what cures it, in words."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.providers import registry
from batchcredit.providers.base import Provider
from batchcredit.reader import PROBLEMS, Problem, ProfileRules, cure_of
from batchcredit.reasons import reasons
from batchcredit.transfer import HELD_UP, OVERPAID, STATUS, State
from batchcredit.writer import Advice

#: Why a provider refused a row: word -> meaning and cure. Adapters of others may have more words.
REFUSALS: Mapping[str, Problem] = MappingProxyType(
    {
        "unknown_account": Problem("The provider has no such client.", "Correct the account."),
        "bad_request": Problem("The provider refuses this row.", "Correct the row, or ask the provider."),
    }
)


def adviser(rules: Mapping[str, ProfileRules]) -> Callable[[ResultRow], Advice]:
    """What is told of a rejected or invalid row; `rules` are those of the profiles that are configured."""

    def advise(row: ResultRow) -> Advice:
        if row.state is State.INVALID and row.reason in PROBLEMS:
            return Advice(_with(PROBLEMS[row.reason], row), cure_of(row.reason, row.provider, rules))
        problem = REFUSALS.get(row.reason, REFUSALS["bad_request"])
        return Advice(_with(problem, row), problem.cure)

    return advise


@dataclass(frozen=True)
class NextSteps:
    """What a person does about each row of a batch that needs one. `to_fix`: the list of rows to
    correct; `again` the flags that name the same ledger in the next command; `by` what names the batch
    there, which is a file where that hands the batch over."""

    batch: str
    by: str
    to_fix: Path
    rules: Mapping[str, ProfileRules]
    again: tuple[str, ...]

    def of(self, row: ResultRow) -> tuple[str, str]:
        """A sentence, and what to type, or "" where something has to happen elsewhere first."""
        if row.reason == OVERPAID:
            return "Look it up, and take back what is too much.", self._typed("audit", self.batch)
        status = STATUS[row.state]
        if status == "in_doubt":
            step = "Look it up at the provider, then say what you found. Do not send it again."
            return step, self._typed("reconcile", self.by)
        if status in ("rejected", "invalid"):
            return self._advise(row).cure, self._mend
        go_on = "" if row.reason in HELD_UP else self._typed("resume", self.by)
        return self._cures.get(row.reason, "Send what is left."), go_on

    @cached_property
    def _advise(self) -> Callable[[ResultRow], Advice]:
        return adviser(self.rules)

    @cached_property
    def _mend(self) -> str:
        """The list of rows to correct goes back; where it is gone, it is written anew."""
        return (
            self._typed("resume", str(self.to_fix))
            if self.to_fix.exists()
            else self._typed("results", self.batch)
        )

    @cached_property
    def _cures(self) -> Mapping[str, str]:
        """Those of the reference, as sentences."""
        cures = {word: reason.said.get("cure", "") for word, reason in reasons().items()}
        return {word: f"{cure[:1].upper()}{cure[1:]}." for word, cure in cures.items() if cure}

    def _typed(self, *words: str) -> str:
        return shlex.join(("batchcredit", *words, *self.again))


def _with(problem: Problem, row: ResultRow) -> str:
    """The meaning, with the cell at fault or the provider's own words."""
    return f"{problem.meaning} ({row.message})" if row.message else problem.meaning


def adapters_of(ledger: LedgerReader, batch: BatchRecord) -> dict[str, type[Provider]]:
    """The adapter of each profile of a batch, as far as they are still installed."""
    found = {}
    for lane in ledger.batch_lanes(batch.id):
        try:
            found[lane.profile] = registry.load(lane.lane.identity.kind)
        except RefusedError:
            continue
    return found
