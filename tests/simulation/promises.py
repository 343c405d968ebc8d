"""The promises, checked against what the providers received and executed."""

import math
import re
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

#: An answer is heard, and made durable, within this time.
REACTION_S = 0.05

#: The program's own bound is 2 s.
INTENT_MOST_S = 2.1

#: What one sender learned has reached the others within this time.
LEARN_S = 0.75

_NUMBERS = re.compile(r"\d+(?:\.\d+)?")

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
    troubled: frozenset[int]  # machines that ended badly
    intents: Mapping[tuple[str, str, str], float]  # of each transfer's last attempt, by the machine's clock
    side_by_side: Sequence[object]
    begun: Sequence[float] = ()  # when several processes began to send
    disturbed: frozenset[int] = frozenset()  # those of them that were stopped, killed or cut off

    @property
    def arrivals(self) -> "Iterable[tuple[str, str, str]]":
        return (one.key for one in self.providers.arrived)


def check(given: Given, *, settled: bool) -> None:
    """Raise PromiseError for the first promise that is broken. `settled`: nothing is in doubt any more."""
    executed = Counter((one[1], one[3], Decimal(one[4])) for one in given.providers.book)
    _never_twice(given, executed)
    for rows, results in zip(given.scenario.files, given.results, strict=True):
        if results is not None:
            _never_lose(rows, results)
            _never_guess(results, executed, settled=settled)
    _all_is_explained(given, executed)
    _no_needless_doubt(given)
    _balances_are_theirs(given)
    _never_against_a_refusal(given)
    _never_old(given)
    _never_exceed(given)
    if given.side_by_side:
        raise PromiseError(f"two requests for one client at a time: {given.side_by_side}")


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
    attempts: Counter[Key] = Counter()
    for results in given.results:
        for row in results or ():
            attempts[_result_key(row)] += int(row["attempts"])
    arrived = Counter((kind, account, Decimal(amount)) for kind, account, amount in given.arrivals)
    if uncounted := {key: times for key, times in arrived.items() if times > attempts[key]}:
        raise PromiseError(f"requests that no attempt counts: {uncounted}")


def _no_needless_doubt(given: Given) -> None:
    """What was answered plainly, on a machine that nothing happened to, is not in doubt."""
    heard = {
        (kind, account, Decimal(amount)): at for (kind, account, amount), at in given.providers.heard.items()
    }
    for results in given.results:
        for row in results or ():
            machine = heard.get(_result_key(row))
            if row["status"] == "in_doubt" and machine is not None and machine not in given.troubled:
                raise PromiseError(f"in doubt, and answered plainly: {dict(row)}")


def _balances_are_theirs(given: Given) -> None:
    """The balances of a credited row are those that the provider told of this very transfer."""
    said = {
        (kind, account, Decimal(amount)): body
        for (kind, account, amount), body in given.providers.said.items()
    }
    for results in given.results:
        for row in results or ():
            body = said.get(_result_key(row))
            if row["status"] != "credited" or body is None or not row["balance_after"]:
                continue
            if Decimal(row["balance_after"]) not in {Decimal(one) for one in _NUMBERS.findall(body.decode())}:
                raise PromiseError(f"balances of another transfer: {dict(row)}, {body!r}")


def _never_against_a_refusal(given: Given) -> None:
    """After an answer that halts or pauses its lane no request leaves any more, from no process."""
    for refused in given.providers.refused:
        for one in given.providers.arrived:
            same = (one.machine, one.key[0]) == (refused.machine, refused.kind)
            if not same or given.disturbed & {one.process, refused.process}:
                continue
            reaction_s = REACTION_S if one.process == refused.process else LEARN_S
            if refused.at + reaction_s < one.written_at < refused.until - REACTION_S:
                if refused.until == math.inf and _begins_anew(given, refused.at, one.written_at):
                    continue
                raise PromiseError(f"sent all the same {one.written_at - refused.at:.3f} s later: {one}")


def _begins_anew(given: Given, since: float, until: float) -> bool:
    """Whether somebody typed the command again meanwhile: then a lane that halted is tried once more."""
    return any(since - LEARN_S < at < until for at in given.begun)


def _never_old(given: Given) -> None:
    """A request leaves soon after its intent, by the clock that counts the machine's sleep."""
    for one in given.providers.arrived:
        intent_boot_s = given.intents.get(one.key)
        if intent_boot_s is not None and one.written_boot_s - intent_boot_s > INTENT_MOST_S:
            raise PromiseError(f"sent {one.written_boot_s - intent_boot_s:.0f} s after its intent: {one}")


def _never_exceed(given: Given) -> None:
    """The rate, in any window."""
    for kind, lane in given.scenario.lanes.items():
        if lane.rate is None:
            continue
        moments = [one.at for one in given.providers.arrived if one.key[0] == kind]
        count, period_s = lane.rate
        slack_s = given.providers.spread_s  # requests are counted where they arrive
        for first, last in zip(moments, moments[count:], strict=False):
            if last - first < period_s - slack_s:
                raise PromiseError(f"{count + 1} requests of {kind} in {last - first:.3f} s")
