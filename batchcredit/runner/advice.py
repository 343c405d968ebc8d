"""What a person does about a row: why it was not credited, and what cures it, in words."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.providers import registry
from batchcredit.providers.base import Provider
from batchcredit.reader import PROBLEMS, Problem, ProfileRules, cure_of
from batchcredit.transfer import State
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
        if row.state is State.INVALID:
            return Advice(_with(PROBLEMS[row.reason], row), cure_of(row.reason, row.provider, rules))
        problem = REFUSALS.get(row.reason, REFUSALS["bad_request"])
        return Advice(_with(problem, row), problem.cure)

    return advise


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
