"""How a batch stands, in the numbers that `--json` prints and the exit code that scripts read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchcredit.engine.lane import Lane
from batchcredit.engine.meter import percentile
from batchcredit.errors import DefectError
from batchcredit.ledger.base import BatchRecord, LedgerReader, Share, Tally
from batchcredit.transfer import HELD_UP, OVERPAID, STATUS, STATUSES, State, shortest


@dataclass(frozen=True, slots=True)
class Speed:
    """What one run did: `rows` ended in `seconds`; latencies in ms by how many requests took so long."""

    seconds: float = 0.0
    rows: int = 0
    latencies: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, lanes: Sequence[Lane], seconds: float) -> "Speed":
        latencies: Counter[int] = Counter()
        for lane in lanes:
            latencies.update(lane.meter.latencies)
        return cls(seconds, sum(lane.meter.done - lane.meter.held for lane in lanes), latencies)


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch stands now. `reasons` counts rows that are not credited; `next` is a command or None.
    `to_fix` is the list of rows to correct that this command wrote, `mend` the command that takes it.
    `held_up` rows are not sent because of the same transfer, or the same reference, in another batch.
    `warnings` are those of the plan, `again` the flags that name the same settings and ledger once more."""

    batch: str
    rows: int
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    amounts: Mapping[str, Mapping[str, Decimal]]  # currency -> status -> amount
    results: Path | None
    speed: Speed
    next: tuple[str, ...] | None
    to_fix: Path | None = None
    mend: tuple[str, ...] | None = None
    again: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    held_up: int = 0

    @property
    def overpaid(self) -> int:
        """Rows whose client may have the credit twice."""
        return self.reasons.get(OVERPAID, 0)

    @property
    def exit_code(self) -> int:
        """The contract's code for how the batch stands."""
        if self.counts.get("in_doubt") or self.overpaid:
            return 3
        if self.counts.get("not_sent"):
            return 4
        return 1 if self.counts.get("rejected") or self.counts.get("invalid") else 0

    def as_json(self) -> dict[str, Any]:
        """The keys of the contract, amounts as exact text; `to_fix` and `warnings` where there are such."""
        speed, amounts = self.speed, self.amounts
        return {
            "schema": 1,
            "batch": self.batch,
            "rows": self.rows,
            "counts": {status: self.counts.get(status, 0) for status in STATUSES},
            "reasons": dict(self.reasons),
            "amounts": {cur: {st: shortest(sum_) for st, sum_ in by.items()} for cur, by in amounts.items()},
            "results": str(self.results) if self.results else None,
            "seconds": round(speed.seconds, 3),
            "rows_per_s": round(speed.rows / speed.seconds, 1) if speed.seconds else 0.0,
            "latency_ms": {f"p{part}": percentile(speed.latencies, part / 100) for part in (50, 95, 99)},
            "exit_code": self.exit_code,
            "next": list(self.next) if self.next else None,
            **({"to_fix": str(self.to_fix)} if self.to_fix else {}),
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }


def summarise(
    ledger: LedgerReader, batch: BatchRecord, results: Path | None, speed: Speed, again: tuple[str, ...] = ()
) -> Summary:
    """Sum up a batch from the ledger, and make sure that no row and no amount is missing."""
    tallies = ledger.tallies(batch.id)
    check_conserved(batch, tallies)
    is_over = batch.closed_ms is not None or batch.pruned_ms is not None
    summary = summed_up(batch.name, batch.rows, tallies, again, is_over=is_over)
    return replace(summary, results=results, speed=speed)


def summed_up(
    name: str, rows: int, tallies: Iterable[Tally], again: tuple[str, ...] = (), *, is_over: bool
) -> Summary:
    """The same of a batch of so many rows as they were counted, whether they add up or not. `is_over`: this
    ledger, if there is one, never goes on with it."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    amounts: dict[str, dict[str, Decimal]] = {}
    held_up = 0
    for tally in tallies:
        status = STATUS[tally.state]
        if status == "not_sent" and tally.reason in HELD_UP:
            held_up += tally.rows
        counts[status] += tally.rows
        if tally.reason == OVERPAID or (tally.reason and tally.state is not State.CREDITED):
            reasons[tally.reason] += tally.rows
        if tally.state is not State.INVALID:
            by_status = amounts.setdefault(tally.currency, {})
            by_status[status] = by_status.get(status, Decimal(0)) + tally.amount
    overpaid = bool(reasons.get(OVERPAID))
    command = None if is_over else _next(name, counts, held_up, again, overpaid=overpaid)
    return Summary(name, rows, counts, reasons, amounts, None, Speed(), command, again=again, held_up=held_up)


def _next(
    name: str, counts: Mapping[str, int], held_up: int, again: tuple[str, ...], *, overpaid: bool
) -> tuple[str, ...] | None:
    if counts.get("not_sent", 0) > held_up and not counts.get("in_doubt"):
        return ("batchcredit", "resume", name, *again)
    if counts.get("in_doubt"):
        return ("batchcredit", "reconcile", name, *again)
    if overpaid:
        return ("batchcredit", "audit", name, *again)
    if any(counts.get(status) for status in ("rejected", "invalid", "not_sent")):
        return ("batchcredit", "show", name, *again)
    return None


def check_conserved(batch: BatchRecord, tallies: Sequence[Tally | Share]) -> None:
    """Raise DefectError unless these are all rows and all money of a batch."""
    rows = sum(tally.rows for tally in tallies)
    amounts: dict[str, Decimal] = {}
    for tally in tallies:
        if tally.state is not State.INVALID:
            amounts[tally.currency] = amounts.get(tally.currency, Decimal(0)) + tally.amount
    if rows != batch.rows or amounts != dict(batch.totals):
        raise DefectError(
            f"batch {batch.name} does not add up: {rows} rows of {batch.rows}, {amounts} of {batch.totals}",
            reason="conservation",
            cure="send nothing more, keep the ledger, and report this",
        )
