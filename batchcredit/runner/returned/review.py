"""A results or to-fix file against the ledger that wrote it: which rows it picks, and what it corrects.

The ledger's states count, whatever the file says of them. A cell that differs is a person's correction only
where the row may be corrected, where its seal or its transfer id proves which row it was, and where it is not
what a spreadsheet program makes of the cell.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader, ResultRow
from batchcredit.reader import Cells, Returned, ReturnedRow
from batchcredit.runner.intake.guard import at
from batchcredit.runner.picked import Picked
from batchcredit.runner.returned.resaved import Reading, compared
from batchcredit.transfer import CORRECTABLE, INPUT_COLUMNS, STATUS, State
from batchcredit.writer import generation_of, ledger_of, seal

_LEFT = (State.PENDING, State.UNSENT)

#: What the other side has seen that a row which is left here has not.
_SPENT_THERE = ("credited", "in_doubt")

#: What no row ever leaves again.
_FINAL = ("already_credited", "cancelled")

#: What a person writes into the status of a row that is not to be sent.
_NOT_TO_BE_SENT = ("credited", "already_credited", "in_doubt", "cancelled")

#: So many rows may be corrected with one file.
MOST_EDITS = 100_000

#: So many rows are named in a message.
SHOWN = 20

_NUMBER = re.compile(r"([0-9]{1,15})(?:\.0+)?")


@dataclass(slots=True)
class Noticed:
    """Rows in which something was noticed: how many, and the first of them in words."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.rows += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)

    def __str__(self) -> str:
        more = f"; ... {self.rows - len(self.examples)} more" if self.rows > len(self.examples) else ""
        return "; ".join(self.examples) + more


@dataclass(slots=True)
class Review:
    """What a file says of a batch.

    `picked`: the rows that it names and that may be sent as they are, or corrected. `edits`: the new texts of
    corrected rows, by the file's column names. `damaged`: cells that a spreadsheet program has changed, in
    which the ledger counts. `overruled`: rows whose status, transfer id or seal was edited.
    """

    picked: Picked
    edits: dict[int, dict[str, str]] = field(default_factory=dict)
    rows: int = 0
    damaged: Noticed = field(default_factory=Noticed)
    overruled: Noticed = field(default_factory=Noticed)
    held: Noticed = field(default_factory=Noticed)
    older: int = 0

    def notes(self, batch: BatchRecord) -> Iterator[str]:
        """What a person should know of it, in sentences."""
        if self.rows < batch.rows:
            yield f"{batch.rows - self.rows} rows of the batch are not in the file and stay as they are"
        for noticed, what in (
            (self.damaged, "cells were changed by a spreadsheet program; what was enrolled counts"),
            (self.overruled, "rows say something else of what became of them; the ledger counts"),
            (self.held, "rows are left out, since their status was edited by hand"),
        ):
            if noticed.rows:
                yield f"{noticed.rows} {what}: {noticed}"
        if self.older:
            yield f"{self.older} rows were written before something became of them; the ledger counts"


class _Proof(Enum):
    """What says that a line of the file is a row of the ledger."""

    SEAL = "seal"  # it is as it was written, but for cells that the ledger knows better
    ID = "id"  # its transfer id alone: its status or its seal was edited
    OLDER = "older"  # it is as it was written, before the row was corrected
    NEWER = "newer"  # it is as it was written, after a correction that this ledger has not seen
    NONE = "none"


class _Pair(NamedTuple):
    """A row of the file, and the same row in the ledger."""

    row: ReturnedRow
    known: ResultRow

    @property
    def where(self) -> str:
        return at(self.known.row, self.row.line)

    @property
    def cells(self) -> Cells:
        """The file's cells as far as the ledger has them: an invalid row stands there as it came in."""
        return self.row.raw if self.known.state is State.INVALID else self.row.meant

    @property
    def enrolled(self) -> Cells:
        known = self.known
        return Cells(known.provider, known.account, known.amount, known.currency, known.reference or "")


class Reviewer:
    """Lays a file beside one batch."""

    def __init__(
        self, ledger: LedgerReader, batch: BatchRecord, returned: Returned, *, rejected: bool
    ) -> None:
        self._ledger, self._batch, self._returned = ledger, batch, returned
        self._rejected = rejected
        self._seen = Picked(batch.rows)
        self._proven = 0
        self._review = Review(Picked(batch.rows))

    def review(self, wanted: Callable[[ResultRow], bool]) -> Review:
        """The whole file; rows that are not `wanted` stay as they are. Raises RefusedError where a row can't
        be told, may not be corrected, or may be a correction or not."""
        for rows in self._returned.rows():
            for pair in self._beside(rows):
                self._take(pair, wanted)
        if not self._proven:
            raise self._refused(
                f"no row of it was written by this ledger ({self._ledger.id})",
                "other_ledger",
                "use the ledger that wrote it (--ledger URL)",
            )
        return self._review

    def _beside(self, rows: Sequence[ReturnedRow]) -> Iterator[_Pair]:
        numbered = sorted(((self._number(row), row) for row in rows), key=lambda each: each[0])
        for run in _runs(numbered):
            known = self._ledger.rows(self._batch.id, run[0][0], run[-1][0])
            for (_, row), found in zip(run, known, strict=True):
                yield _Pair(row, found)

    def _number(self, row: ReturnedRow) -> int:
        """Which row of the batch it is; refused where that can't be told or was told before."""
        told, batch = row.told, self._batch
        line = f"line {row.line}" if row.line else f"the row numbered {told['row']!r}"
        if told["batch"] != batch.name:
            raise self._refused(
                f"{line} is of batch {told['batch'][:100]!r}, others of {batch.name}",
                "mixed_batches",
                "give the rows of one batch at a time",
            )
        match = _NUMBER.fullmatch(told["row"])
        if not match or not 1 <= int(match[1]) <= batch.rows:
            raise self._refused(
                f"{line}: {told['row'][:40]!r} is no row of batch {batch.name}, which has 1 to {batch.rows}",
                "returned_row",
                f"leave the line out, or begin with a new file: batchcredit results {batch.name}",
            )
        number = int(match[1])
        if number in self._seen:
            raise self._refused(
                f"{line}: row {number} is there twice",
                "returned_row",
                "delete one of them: a row is sent once",
            )
        self._seen.add(number)
        return number

    def _take(self, pair: _Pair, wanted: Callable[[ResultRow], bool]) -> None:
        review, known, told = self._review, pair.known, pair.row.told
        review.rows += 1
        proof = self._proof(pair)
        self._proven += proof is not _Proof.NONE
        self._refuse_ahead(pair, proof)
        if proof is _Proof.OLDER:
            self._take_older(pair, wanted)
            return
        changed = self._changed(pair, proof, wanted)
        if proof is not _Proof.SEAL:
            self._overrule(pair)
        elif self._returned.is_whole and told["status"] != STATUS[known.state]:
            review.older += 1
        if not wanted(known):
            return
        if changed:
            self._correct(pair, changed)
        elif known.state in _LEFT or (self._rejected and known.state is State.REJECTED):
            self._pick(pair, proof)

    def _pick(self, pair: _Pair, proof: _Proof) -> None:
        """A row whose status was edited so that it is not to be sent, is not sent."""
        if proof is not _Proof.SEAL and pair.row.told.get("status") in _NOT_TO_BE_SENT:
            self._review.held.add(pair.where)
        else:
            self._review.picked.add(pair.known.row)

    def _take_older(self, pair: _Pair, wanted: Callable[[ResultRow], bool]) -> None:
        """A row as it stood before it was corrected: what it says is no correction back."""
        self._review.older += 1
        if wanted(pair.known) and pair.known.state in _LEFT:
            raise self._refused(
                f"{pair.where} was corrected after this file was written",
                "older_file",
                f"take the newest: batchcredit results {self._batch.name}; or leave the row out",
            )

    def _proof(self, pair: _Pair) -> _Proof:
        """What proves that this line is this row: its seal over the row as it stands in the ledger, or as it
        stands in the file itself."""
        written, known = pair.row.told.get("transfer_id", ""), pair.known.transfer_id
        own = self._sealed(pair, pair.enrolled)
        if own or (self._returned.is_whole and self._sealed(pair, pair.cells)):
            if not self._returned.is_whole or written == known:
                return _Proof.SEAL
            (first, generation), (known_first, known_generation) = map(generation_of, (written, known))
            if first != known_first:
                raise self._foreign(written)
            if generation > known_generation:
                return _Proof.NEWER
            return _Proof.SEAL if own else _Proof.OLDER
        return _Proof.ID if written == known else _Proof.NONE

    def _foreign(self, transfer: str) -> RefusedError:
        return self._refused(
            f"another ledger ({ledger_of(transfer)}) wrote it, which has a batch {self._batch.name} too",
            "other_ledger",
            "use that ledger (--ledger URL)",
        )

    def _sealed(self, pair: _Pair, cells: Cells) -> bool:
        told, known, batch = pair.row.told, pair.known, self._batch
        status = told["status"] if self._returned.is_whole else STATUS[known.state]
        transfer = told["transfer_id"] if self._returned.is_whole else known.transfer_id
        what = (batch.name, batch.rows, known.row, *cells, status, transfer)
        # one that was handed over was truly written too: before it came here, or by a ledger that went on
        return told["seal"].strip() in (seal(*what), seal(*what, handed_over=True))

    def _refuse_ahead(self, pair: _Pair, proof: _Proof) -> None:
        """A row that was truly written and tells of more than the ledger knows: this ledger is older."""
        if not self._returned.is_whole or proof not in (_Proof.SEAL, _Proof.NEWER):
            return
        told, known = pair.row.told, pair.known
        attempts = _NUMBER.fullmatch(told.get("attempts", ""))
        made = int(attempts[1]) if attempts else known.attempts
        same = told["transfer_id"] == known.transfer_id
        unpaid_here = known.state in (*CORRECTABLE, State.CANCELLED)
        paid_there = told["status"] in _SPENT_THERE and known.settled_by in ("", "provider")
        ended_there = told["status"] in _FINAL and told["status"] != STATUS[known.state]
        more = made > known.attempts or (paid_there and made == known.attempts) or ended_there
        if proof is _Proof.NEWER or (same and unpaid_here and more):
            raise self._refused(
                f"{pair.where} is {told['status']} after {made} attempts there, and the ledger knows of "
                f"{known.attempts} and {STATUS[known.state]}: this ledger is older than the file",
                "results_ahead",
                "use the newest ledger; a restored one is taken into use with: batchcredit ledger accept",
            )

    def _changed(self, pair: _Pair, proof: _Proof, wanted: Callable[[ResultRow], bool]) -> Mapping[str, str]:
        """Our columns that a person has changed, with the new text."""
        known = pair.known
        changed = {}
        for column, was, now in zip(INPUT_COLUMNS, pair.enrolled, pair.cells, strict=True):
            reading = compared(column, was, now)
            if reading is Reading.DAMAGED and known.state is State.INVALID and _is_about(known, column):
                reading = Reading.CHANGED
            if reading is Reading.CHANGED:
                changed[column] = now
            elif reading is Reading.UNCLEAR and known.state in CORRECTABLE and wanted(known):
                self._refuse_unclear(pair, column, was, now)
            elif reading is not Reading.SAME:
                self._review.damaged.add(f"{pair.where}, {column}: {now[:40]} for {was[:40]}")
        if changed:
            self._refuse_uncorrectable(pair, changed, proof)
        return changed

    def _refuse_unclear(self, pair: _Pair, column: str, was: str, now: str) -> None:
        raise self._refused(
            f"{pair.where}, {column}: {now[:40]!r} stands where {was[:40]!r} was enrolled; this may be a "
            "correction, or what a spreadsheet program made of it",
            "unclear_cell",
            f"put back {was[:40]}, or write the correction out in full, as text and with all decimals; "
            "or leave the row out",
        )

    def _refuse_uncorrectable(self, pair: _Pair, changed: Mapping[str, str], proof: _Proof) -> None:
        known = pair.known
        column = next(iter(changed))
        was = getattr(pair.enrolled, column)
        what = f"{pair.where}, {column}: {changed[column][:40]!r} stands where {was[:40]!r} was enrolled"
        if known.state not in CORRECTABLE:
            raise self._refused(
                f"{what}, and the row is {STATUS[known.state]} already",
                "not_correctable",
                "put back what was there, or leave the row out",
            )
        if proof is _Proof.NONE:
            raise self._refused(
                f"{what}, and neither its seal nor its transfer_id says that it is this row as it stands",
                "not_proven",
                f"correct a new file: batchcredit results {self._batch.name}",
            )

    def _correct(self, pair: _Pair, changed: Mapping[str, str]) -> None:
        review, ours = self._review, self._returned.header.ours
        for column in changed:
            if column not in ours:
                raise self._refused(
                    f"{pair.where} has another {column} than was enrolled, and the file has no such column",
                    "other_reading",
                    "give the flags of the first run: --provider, --map, --currency, --thousands",
                )
        texts = dict(zip(self._returned.own, pair.row.own, strict=True))
        told_by = {ours[column] for column in changed}
        others = texts.keys() - {ours[column] for column in INPUT_COLUMNS if column in ours}
        review.edits[pair.known.row] = {name: texts[name] for name in (*told_by, *others)}
        review.picked.add(pair.known.row)
        if len(review.edits) > MOST_EDITS:
            raise self._refused(
                f"more than {MOST_EDITS} rows are corrected",
                "too_many_corrections",
                "give them in several files: rows that are left out stay as they are",
            )

    def _overrule(self, pair: _Pair) -> None:
        status = pair.row.told.get("status", "")
        said = f"{status} there, {STATUS[pair.known.state]} here" if status else "its seal is not ours"
        self._review.overruled.add(f"{pair.where} ({said[:60]})")

    def _refused(self, problem: str, reason: str, cure: str) -> RefusedError:
        return RefusedError(f"{self._returned.path.name}: {problem}", reason=reason, cure=cure)


def _runs(
    numbered: Sequence[tuple[int, ReturnedRow]],
) -> Iterator[Sequence[tuple[int, ReturnedRow]]]:
    """Stretches of consecutive rows."""
    begin = 0
    for end in range(1, len(numbered) + 1):
        if end == len(numbered) or numbered[end][0] != numbered[end - 1][0] + 1:
            yield numbered[begin:end]
            begin = end


def _is_about(known: ResultRow, column: str) -> bool:
    """Whether a row is invalid because of this column."""
    return known.reason.startswith(f"{column}_") or (column, known.reason) == ("provider", "unknown_provider")
