"""What must hold between batches, their results and the providers' journal, whatever was done to whom.

An amount is part of a payment, and a row is known by its payment: what holds for each holds for all sums.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from books import Payment, Row, payment, sums
from mortal_provider import Entry
from torture_batches import TorturedBatch

from batchcredit.sandbox.faults import Fault


def paid(executions: Iterable[Entry]) -> set[Payment]:
    """What was executed; an AssertionError if anything was executed twice."""
    times = Counter(payment(entry._asdict()) for entry in executions)
    twice = [paid for paid, number in times.items() if number > 1]
    assert not twice, f"{len(twice)} paid twice: {twice[:3]}"
    return set(times)


def assert_whole(batch: TorturedBatch, results: Sequence[Row]) -> None:
    """Each row of the input once and in order, and not a cent more or less."""
    assert [int(row["row"]) for row in results] == list(range(1, len(batch.rows) + 1)), batch.name
    assert [payment(row) for row in results] == batch.payments, batch.name
    assert sums(results) == sums(batch.rows), batch.name


def assert_no_false_credit(results: Iterable[Row], executed: set[Payment]) -> None:
    """Results of any moment say `credited` of nothing that was not executed."""
    false = [row for row in results if row["status"] == "credited" and payment(row) not in executed]
    assert not false, f"credited, and never executed: {false[:3]}"


def assert_true(results: Iterable[Row], executed: set[Payment]) -> None:
    """Results of all batches at rest; of several rows that ask for the same payment one may have it."""
    asked: defaultdict[Payment, list[Row]] = defaultdict(list)
    for row in results:
        asked[payment(row)].append(row)
    unexplained = executed - asked.keys()
    assert not unexplained, f"no row asked for {list(unexplained)[:3]}"
    for wanted, rows in asked.items():
        _assert_payment_true(rows, was_paid=wanted in executed)


def _assert_payment_true(rows: Sequence[Row], *, was_paid: bool) -> None:
    statuses = Counter(row["status"] for row in rows)
    claims = statuses["credited"] + statuses["in_doubt"]
    assert claims <= 1, f"two rows have one payment: {rows}"
    if statuses["credited"]:
        assert was_paid, f"credited, and never executed: {rows}"
    if statuses["already_credited"]:
        assert statuses["credited"], f"nobody credited it before: {rows}"
    if not claims:
        assert not was_paid, f"executed all the same: {rows}"


def doubtful(arrivals: Iterable[Entry]) -> int:
    """How many requests the providers themselves ended in a way that leaves doubt."""
    return sum(entry.fault not in ("", Fault.STATUS_429) for entry in arrivals)
