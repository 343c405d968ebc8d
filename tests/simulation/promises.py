"""The promises, checked against what the providers received and executed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from scenario import Row, Scenario
from simulated_network import Providers

#: Statuses of rows that were never executed by us.
_NOT_EXECUTED = frozenset({"not_sent", "rejected", "invalid", "cancelled"})

#: Rows that were not sent because an equal one of another file was, or may have been.
_OF_ANOTHER = frozenset({"open_elsewhere", "repeat", "reference_taken"})

Results = Sequence[Mapping[str, str]]
Key = tuple[str, str, Decimal]


class PromiseError(AssertionError):
    """A promise is broken."""


@dataclass(frozen=True)
class Given:
    """What there is to compare: what was asked for, what the providers did, what the person was told."""

    scenario: Scenario
    providers: Providers
    results: Sequence[Results | None]


def check(given: Given, *, settled: bool) -> None:
    """Raise PromiseError for the first promise that is broken. `settled`: nothing is in doubt any more."""
    executed = Counter((one[1], one[3], Decimal(one[4])) for one in given.providers.book)
    _never_twice(given, executed)
    for rows, results in zip(given.scenario.files, given.results, strict=True):
        if results is not None:
            _never_lose(rows, results)
            _never_guess(results, executed, settled=settled)
    _all_is_explained(given, executed)
    _never_exceed(given)


def _key(row: Row) -> Key:
    return row.kind, row.account, Decimal(row.amount)


def _result_key(row: Mapping[str, str]) -> Key:
    return row["provider"], row["account"], Decimal(row["amount"])


def _never_twice(given: Given, executed: Mapping[Key, int]) -> None:
    for key, times in executed.items():
        if times > 1:
            raise PromiseError(f"paid {times} times: {key}")
    references: dict[Key, set[str]] = defaultdict(set)
    for row in _rows(given):
        references[_key(row)].add(row.reference)
    by_reference: dict[str, set[Key]] = defaultdict(set)
    for row in _rows(given):
        if row.reference and executed.get(_key(row)) and len(references[_key(row)]) == 1:
            by_reference[row.reference].add(_key(row))
    for reference, keys in by_reference.items():
        if len(keys) > 1:
            raise PromiseError(f"one reference, several payments: {reference} {sorted(keys)}")


def _rows(given: Given) -> Iterable[Row]:
    return (row for rows in given.scenario.files for row in rows)


def _never_lose(rows: Sequence[Row], results: Results) -> None:
    if [int(row["row"]) for row in results] != list(range(1, len(rows) + 1)):
        raise PromiseError("rows are missing in the results, or stand there in another order")
    if [_result_key(row) for row in results] != [_key(row) for row in rows]:
        raise PromiseError("the results speak of other rows than the file")


def _never_guess(results: Results, executed: Mapping[Key, int], *, settled: bool) -> None:
    for row in results:
        times, status = executed.get(_result_key(row), 0), row["status"]
        if status == "credited" and times != 1:
            raise PromiseError(f"credited, and executed {times} times: {dict(row)}")
        if status == "already_credited" and times != 1:
            raise PromiseError(f"credited elsewhere, and executed {times} times: {dict(row)}")
        if status in _NOT_EXECUTED and times and row["reason"] not in _OF_ANOTHER:
            raise PromiseError(f"{status}, and executed all the same: {dict(row)}")
        if row["reason"] == "sending" or (settled and status == "in_doubt"):
            raise PromiseError(f"nobody knows yet: {dict(row)}")
        if status == "in_doubt" and not int(row["attempts"]):
            raise PromiseError(f"in doubt, and never tried: {dict(row)}")


def _all_is_explained(given: Given, executed: Mapping[Key, int]) -> None:
    """Nothing was executed that no row of a file asks for, nothing arrived that no row counts."""
    asked = {_key(row) for row in _rows(given)}
    if strange := [key for key in executed if key not in asked]:
        raise PromiseError(f"executed, and nobody asked for it: {strange}")


def _never_exceed(given: Given) -> None:
    """The rate, in any window; and no two requests for one client at a time."""
    for kind, lane in given.scenario.lanes.items():
        if lane.rate is None:
            continue
        moments = [moment for moment, provider, _ in given.providers.arrived if provider == kind]
        count, period_s = lane.rate
        slack_s = given.providers.spread_s  # requests are counted where they arrive
        for first, last in zip(moments, moments[count:], strict=False):
            if last - first < period_s - slack_s:
                raise PromiseError(f"{count + 1} requests of {kind} in {last - first:.3f} s")
