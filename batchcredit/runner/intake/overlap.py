"""The same money asked for twice: what other batches of the ledger say about the rows at hand."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, Match, RowKey
from batchcredit.reader import Total
from batchcredit.runner.options import SendOptions
from batchcredit.transfer import State

#: A batch that was credited within this time may be what a file is a correction of.
CORRECTION_MS = 21 * 86_400_000

#: So many rows are named in a message.
SHOWN = 5

#: Endings that leave something for a person or a later run to do.
_LEFT = (State.PENDING, State.UNSENT, State.SENDING, State.IN_DOUBT, State.REJECTED)


@dataclass(slots=True)
class Found:
    """Rows that have something in common with another batch: which, how much, and the first of them."""

    numbers: set[int] = field(default_factory=set)
    amounts: dict[tuple[str, str], Total] = field(default_factory=dict)  # by profile and currency
    examples: list[Match] = field(default_factory=list)

    def add(self, match: Match) -> None:
        key = match.key
        self.numbers.add(key.row)
        so_far = self.amounts.get((key.provider, key.currency), Total())
        self.amounts[key.provider, key.currency] = so_far + Total(1, Decimal(key.amount))
        if len(self.examples) < SHOWN:
            self.examples.append(match)

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.numbers)

    @property
    def profiles(self) -> frozenset[str]:
        """The profiles that these rows name."""
        return frozenset(profile for profile, _ in self.amounts)

    def __str__(self) -> str:
        shown = "; ".join(
            f"row {match.key.row} is row {match.other_row} of batch {match.batch} ({match.state})"
            for match in self.examples
        )
        more = f"; ... {self.rows - len(self.examples)} more" if self.rows > len(self.examples) else ""
        return shown + more


@dataclass(slots=True)
class Overlap:
    """What a batch has in common with others.

    `recognised`: credited before under the same reference. `repeats`: equal to rows credited within the
    window that nobody approved. `waiting`: equal to rows that are open elsewhere. `clashes`: their reference
    stands for something else. `credited_rows`: how many equal rows each other batch has credited, by its id.
    """

    recognised: Found = field(default_factory=Found)
    repeats: Found = field(default_factory=Found)
    waiting: Found = field(default_factory=Found)
    clashes: Found = field(default_factory=Found)
    credited_rows: Counter[int] = field(default_factory=Counter)

    def left_out(self, how: SendOptions) -> tuple[Found, ...]:
        """What of it a run that is asked for like this does not send."""
        return (self.recognised, self.waiting, *([self.repeats] if how.skip_repeats else []))

    def is_left_out(self, row: int, how: SendOptions) -> bool:
        """Whether such a run does not send this row."""
        return any(row in found.numbers for found in self.left_out(how))


@dataclass(frozen=True, slots=True)
class Window:
    """Since when a credited row counts as a repeat, and as a sign of a correction."""

    repeat_since_ms: int
    correction_since_ms: int


def window(repeat_window_ms: int, approved_ms: int = 0) -> Window:
    """The windows that end now; repeats up to `approved_ms` have been approved."""
    now_ms = host.now_ms()
    return Window(max(now_ms - repeat_window_ms, approved_ms), now_ms - CORRECTION_MS)


def survey_overlap(
    ledger: LedgerReader, keys: Iterable[RowKey], batch: BatchRecord | None, since: Window
) -> Overlap:
    """Look up each row at hand; `batch` is where they stand already, if they do."""
    overlap = Overlap()
    batch_id = batch.id if batch else 0
    for _, matches in groupby(ledger.matches(keys, batch_id), key=lambda match: match.key.row):
        _sort_in(overlap, list(matches), batch_id, since)
    return overlap


def _sort_in(overlap: Overlap, matches: list[Match], batch: int, since: Window) -> None:
    overlap.credited_rows.update(
        {match.batch_id for match in matches if _is_credited_since(match, since.correction_since_ms)}
    )
    for name, applies in _KINDS.items():
        found = next((match for match in matches if applies(match, batch, since)), None)
        if found:
            getattr(overlap, name).add(found)
            return


def _is_credited_since(match: Match, since_ms: int) -> bool:
    return match.state is State.CREDITED and match.same_content and (match.ended_ms or 0) > since_ms


def _is_clash(match: Match, batch: int, since: Window) -> bool:
    return match.same_reference and not match.same_content


def _is_recognised(match: Match, batch: int, since: Window) -> bool:
    return match.same_reference and match.state is State.CREDITED


def _is_open(match: Match, batch: int, since: Window) -> bool:
    """The older of two batches goes first; what may have been executed holds up any."""
    may_be_executed = match.state in (State.SENDING, State.IN_DOUBT)
    may_be_sent = match.state in (State.PENDING, State.UNSENT) and (not batch or match.batch_id < batch)
    return match.same_content and (may_be_executed or may_be_sent)


def _is_repeat(match: Match, batch: int, since: Window) -> bool:
    return _is_credited_since(match, since.repeat_since_ms)


#: The first that applies is what a row is.
_KINDS = {"clashes": _is_clash, "recognised": _is_recognised, "waiting": _is_open, "repeats": _is_repeat}


def refuse_clashes(overlap: Overlap) -> None:
    """A reference stands for one transfer in the whole ledger, for ever."""
    if overlap.clashes.rows:
        raise RefusedError(
            f"{overlap.clashes.rows} references stand for other transfers already: {overlap.clashes}",
            reason="reference_taken",
            cure="give these rows references of their own, or correct what differs",
        )


def refuse_correction(
    ledger: LedgerReader, overlap: Overlap, rows: int, batches: Mapping[int, BatchRecord], path: Path
) -> None:
    """A file that mostly repeats a batch that has rows left is likely meant as its correction."""
    for number, equal in overlap.credited_rows.items():
        batch = batches.get(number)
        if batch and equal * 2 >= rows and _has_rows_left(ledger, batch):
            raise RefusedError(
                f"{path}: {equal} of {rows} rows were credited by batch {batch.name}, which has rows left: "
                "this looks like a correction of it",
                reason="looks_like_correction",
                cure=f"go on with it: batchcredit resume {batch.name}, or run the mended file with --batch "
                f"{batch.name}; if this is new all the same, name it with --batch NAME",
            )


def _has_rows_left(ledger: LedgerReader, batch: BatchRecord) -> bool:
    return any(tally.state in _LEFT for tally in ledger.tallies(batch.id))


def refuse_repeats(overlap: Overlap, how: SendOptions) -> None:
    """Rows that were credited by another batch a short while ago are sent or left out only when asked for."""
    if overlap.repeats.rows and not (how.allow_repeat or how.skip_repeats):
        raise RefusedError(
            f"{overlap.repeats.rows} rows were credited before, by another batch: {overlap.repeats}",
            reason="repeat",
            cure="leave them out with --skip-repeats, or, if they are meant, send them with --allow-repeat",
        )


def waiting_note(found: Overlap) -> tuple[str, ...]:
    """What will not be sent now because it is open elsewhere."""
    if not found.waiting.rows:
        return ()
    return (f"{found.waiting.rows} rows wait, because the same transfer is open elsewhere: {found.waiting}",)
