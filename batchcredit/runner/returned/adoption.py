"""A batch that another ledger has sent: its results file becomes the record, whole and as it was written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import file_digest
from pathlib import Path

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import AdoptChunk, AdoptRow, BatchRecord, EnrolRow, NewBatch, RowKey
from batchcredit.reader import Cells, Returned, ReturnedRow, Survey, Total, Worksheet
from batchcredit.runner.intake import guard, overlap
from batchcredit.runner.intake.comparison import by_currency, is_asked_for
from batchcredit.runner.intake.enrolment import find_exact
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.runner.outgoing.dispatch import Dispatch, Order
from batchcredit.runner.picked import Picked
from batchcredit.runner.returned.told import STATES, moment_ms, whole, word
from batchcredit.runner.returned.told import number as decimal_of
from batchcredit.transfer import BATCH_NAME, SPENT, State
from batchcredit.writer import Vetted, claim_path, generation_of, ledger_of, pack, results_path, seal

_SETTLED_BY = ("provider", "balance", "statement", "person")
#: So much of a provider's words is kept.
_LONGEST = 1000


@dataclass(slots=True)
class Found:
    """What a results file says as a whole, once every row of it was verified. `former`: the ledger that wrote
    it. `handed_over`: that ledger has closed the batch. `totals`: of all valid rows, by currency."""

    batch: str
    former: str
    handed_over: bool
    picked: Picked
    totals: dict[str, Decimal] = field(default_factory=dict)
    profiles: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the file with what it was enrolled with: `cells` as it stood then, `key` to compare it by."""

    number: int
    row: ReturnedRow
    cells: Cells
    account_key: str

    @property
    def where(self) -> str:
        return guard.at(self.number, self.row.line)

    @property
    def state(self) -> State:
        return STATES[self.row.told["status"]]


class Adoption:
    """One results file, read twice: to be verified, and to be enrolled."""

    def __init__(self, path: Path, returned: Returned, survey: Survey, worksheet: Worksheet) -> None:
        self.path = path
        self._returned, self._survey, self._worksheet = returned, survey, worksheet

    def verified(self, desk: Desk) -> Found:
        """Every row once, in order, and each as it was written; else RefusedError."""
        if not self._returned.is_whole:
            raise self._refused(
                "a to-fix file has only some rows of its batch, and this ledger has none of them",
                "not_whole",
                "adopt the batch by its results file first: batchcredit resume RESULTS --adopt",
            )
        found: Found | None = None
        for line in self._lines():
            if found is None:
                found = self._begun(line)
            self._verify(line, found)
            self._count(line, found, desk)
        assert found is not None  # a file without a row was refused before
        return found

    def _lines(self) -> Iterator[_Line]:
        number = 0
        for rows, chunk in zip(self._returned.rows(), self._worksheet.chunks(), strict=True):
            columns = ("provider", "account", "amount", "currency", "reference", "account_key", "problem")
            for row, (*texts, key, problem) in zip(rows, chunk.rows.select(columns).iter_rows(), strict=True):
                number += 1
                yield self._line(number, row, Cells(*texts), key, problem)

    def _line(self, number: int, row: ReturnedRow, meant: Cells, key: str, problem: str | None) -> _Line:
        told = row.told
        if whole(told["row"]) != number:
            raise self._refused(
                f"{guard.at(number, row.line)}: row {told['row'][:20]!r} stands there; to be adopted, a file "
                "has every row of its batch, once, in their order",
                "not_whole",
                "take the file as it was written, or sort it by its column row",
            )
        if told["status"] not in STATES or (problem is not None and told["status"] != "invalid"):
            raise self._edited(number, row, problem or f"its status is {told['status'][:20]!r}")
        return _Line(number, row, row.raw if told["status"] == "invalid" else meant, key)

    def _begun(self, line: _Line) -> Found:
        told = line.row.told
        former = ledger_of(told["transfer_id"])
        if not BATCH_NAME.fullmatch(told["batch"]) or not former:
            raise self._edited(line.number, line.row, "batch or transfer_id is not one of ours")
        handed_over = self._is_sealed(line, told["batch"], handed_over=True)
        return Found(told["batch"], former, handed_over, Picked(self._survey.rows))

    def _verify(self, line: _Line, found: Found) -> None:
        told = line.row.told
        if told["batch"] != found.batch or ledger_of(told["transfer_id"]) != found.former:
            raise self._edited(line.number, line.row, "it is of another batch or ledger than the first row")
        if not self._is_sealed(line, found.batch, handed_over=found.handed_over):
            raise self._edited(line.number, line.row, "its seal does not fit, or rows are missing")

    def _is_sealed(self, line: _Line, batch: str, *, handed_over: bool) -> bool:
        told = line.row.told
        expected = seal(
            batch,
            self._survey.rows,
            line.number,
            *line.cells,
            told["status"],
            told["transfer_id"],
            handed_over=handed_over,
        )
        return told["seal"].strip() == expected

    def _count(self, line: _Line, found: Found, desk: Desk) -> None:
        state, how = line.state, desk.how
        if state is State.INVALID:
            return
        cells = line.cells
        found.profiles.add(cells.provider)
        so_far = found.totals.get(cells.currency, Decimal(0))
        found.totals[cells.currency] = so_far + Decimal(cells.amount)
        left = state is State.UNSENT or (state is State.REJECTED and how.rejected)
        if left and is_asked_for(line.row.told["status"], cells.provider, how):
            found.picked.add(line.number)

    def _edited(self, number: int, row: ReturnedRow, why: str) -> RefusedError:
        return self._refused(
            f"{guard.at(number, row.line)} is not as it was written: {why}",
            "edited_row",
            "take the file as it was written, with the flags of the first run (--provider, --map, "
            "--currency, --thousands); correct rows once the batch is adopted",
        )

    def _refused(self, problem: str, reason: str, cure: str) -> RefusedError:
        return RefusedError(f"{self.path.name}: {problem}", reason=reason, cure=cure)

    # enrolled

    def keys(self, ids: Mapping[str, int], wanted: Picked | None) -> Iterator[RowKey]:
        """The picked rows, or where none are given those that may have been paid, as other batches are
        compared with them."""
        for line in self._lines():
            taken = line.number in wanted if wanted is not None else line.state in SPENT
            if taken and line.cells.provider in ids:
                yield _key(line, ids)

    def chunks(self, ids: Mapping[str, int]) -> Iterator[AdoptChunk]:
        """All rows, as the ledger takes them."""
        lines, now_ms = self._lines(), host.now_ms()
        for chunk in self._worksheet.chunks():
            rows = [_adopted(next(lines), ids, now_ms) for _ in range(len(chunk.rows))]
            yield AdoptChunk(chunk.first_row, rows, pack(chunk.cells))


def _key(line: _Line, ids: Mapping[str, int]) -> RowKey:
    cells = line.cells
    lane = ids[cells.provider]
    return RowKey(
        line.number,
        lane,
        line.account_key,
        cells.amount,
        cells.currency,
        cells.reference or None,
        cells.provider,
    )


def _adopted(line: _Line, ids: Mapping[str, int], now_ms: int) -> AdoptRow:
    told, cells, state = line.row.told, line.cells, line.state
    sent_ms = moment_ms(told.get("sent_at", ""), now_ms)
    duration_ms = whole(told.get("duration_ms", ""))
    former, generation = generation_of(told["transfer_id"])
    settled_by = told.get("settled_by", "") if told.get("settled_by") in _SETTLED_BY else ""
    attempts = whole(told.get("attempts", "")) or 0
    # where the file does not tell, an end counts as late as it can be: quiet time and repeats wait for it
    told_end = sent_ms is not None and duration_ms is not None
    ended_ms = min((sent_ms or 0) + (duration_ms or 0), now_ms) if told_end else now_ms
    return AdoptRow(
        _enrolled(line, cells, ids),
        whole(told.get("http_status", "")),
        told.get("provider_code", "")[:_LONGEST],
        decimal_of(told.get("units", "")),
        decimal_of(told.get("balance_before", "")),
        decimal_of(told.get("balance_after", "")),
        attempts,
        sent_ms,
        ended_ms if attempts or state in SPENT else None,
        duration_ms,
        settled_by,
        now_ms if state is State.CREDITED and settled_by != "provider" else None,
        former,
        generation,
    )


def _enrolled(line: _Line, cells: Cells, ids: Mapping[str, int]) -> EnrolRow:
    told = line.row.told
    reason = word(told.get("reason", ""))
    if not reason or reason == "sending":
        reason = "interrupted" if line.state is State.IN_DOUBT else ""
    return (
        *(line.number, ids.get(cells.provider), cells.provider, cells.account, line.account_key),
        *(cells.amount, cells.currency, cells.reference or None, line.state.value, reason),
        told.get("message", "")[:_LONGEST],
    )


class Adopting:
    """The adoption in front of one ledger: what stands against it, and what it asks for."""

    def __init__(self, dispatch: Dispatch, adoption: Adoption, found: Found, survey: Survey) -> None:
        self._ledger, self._desk = dispatch.ledger, dispatch.desk
        self._adoption, self._found, self._survey = adoption, found, survey
        ways = lanes.ways(sorted(found.profiles), self._desk.known, self._ledger, [], self._desk.how)
        self._ids = lanes.lane_ids(ways)

    def order(self, vetted: Vetted | None) -> Order:
        """What is to be sent of it; RefusedError where it is here already, or its money is asked for here."""
        self._refuse_known()
        self._refuse_spent()
        left = self._overlap()
        needed = self._needed(left)
        desk, found, path = self._desk, self._found, self._adoption.path
        rows = (key for key in self._keys() if not left.is_left_out(key.row, desk.how))
        caps = desk.settings.caps
        guard.refuse_over_caps(by_currency(needed), guard.rows_left(rows), caps, self._ledger, None)
        results = results_path(path, found.batch, desk.how.out, sandbox=desk.how.sandbox)
        stands_there = vetted is not None and vetted.is_at(results)
        return Order(
            name=found.batch,
            batch=None,
            input_path=None if stands_there else path,
            results=results,
            needed=needed,
            waiting=left.waiting.profiles,
            warnings=(self._vouched(), *overlap.waiting_note(left)),
            keys=lambda ids: self._adoption.keys(ids, found.picked),
            enrol=lambda ids: self._adopt(ids, results, vetted),
            only=found.picked,
            vetted=vetted,
            former=found.former,
        )

    def _keys(self) -> Iterator[RowKey]:
        return self._adoption.keys(self._ids, self._found.picked)

    def _vouched(self) -> str:
        found = self._found
        how = (
            "which has closed it" if found.handed_over else "which must never send it again: you vouch for it"
        )
        return f"the batch is adopted from ledger {found.former}, {how}"

    def _refuse_known(self) -> None:
        known = find_exact(self._ledger, self._found.batch)
        same = [known] if known else self._ledger.batches_of(self._survey.content)
        if same:
            raise RefusedError(
                f"{self._adoption.path.name}: this ledger has these rows already, as batch {same[0].name}",
                reason="known_batch",
                cure=f"batchcredit show {same[0].name}",
            )

    def _refuse_spent(self) -> None:
        """A reference that was sent there may not have been sent here for another batch."""
        since = overlap.window(self._desk.settings.repeat_window_ms)
        found = overlap.survey_overlap(self._ledger, self._adoption.keys(self._ids, None), None, since)
        overlap.refuse_clashes(found)
        both = [match for kind in (found.recognised, found.waiting) for match in kind.examples]
        if shared := [match for match in both if match.same_reference]:
            raise RefusedError(
                f"references that were sent there have been sent here too: row {shared[0].key.row} is row "
                f"{shared[0].other_row} of batch {shared[0].batch} ({shared[0].state})",
                reason="reference_taken",
                cure="find out whether the client was paid twice; this file can't be adopted here",
            )

    def _overlap(self) -> overlap.Overlap:
        since = overlap.window(self._desk.settings.repeat_window_ms)
        found = overlap.survey_overlap(self._ledger, self._keys(), None, since)
        overlap.refuse_clashes(found)
        overlap.refuse_repeats(found, self._desk.how)
        return found

    def _needed(self, left: overlap.Overlap) -> dict[str, dict[str, Total]]:
        """By profile and currency; where nothing is left for a profile, its rows have a lane all the same."""
        needed: dict[str, dict[str, Total]] = {profile: {} for profile in sorted(self._found.profiles)}
        for key in self._keys():
            if not left.is_left_out(key.row, self._desk.how):
                so_far = needed[key.provider].get(key.currency, Total())
                needed[key.provider][key.currency] = so_far + Total(1, Decimal(key.amount))
        return needed

    def _adopt(self, ids: Mapping[str, int], results: Path, vetted: Vetted | None) -> BatchRecord:
        desk, found, path = self._desk, self._found, self._adoption.path
        new = NewBatch(
            name=found.batch,
            content=self._survey.content,
            source=f"{path.absolute()}, of ledger {found.former}",  # its place may be that of the results
            results=str(results),
            totals=found.totals,
            lanes=ids,
            live=desk.live,
            repeats_allowed_ms=host.now_ms() if desk.how.allow_repeat else 0,
        )
        batch = self._ledger.adopt(new, self._adoption.chunks(ids), self._vouched(), self._rests_on())
        claim_path(results, None, batch.name, batch, self._ledger, vetted=vetted)
        return batch

    def _rests_on(self) -> str:
        path, found = self._adoption.path, self._found
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        return json.dumps(
            {
                "file": path.name,
                "sha256": digest,
                "rows": self._survey.rows,
                "ledger": found.former,
                "handed_over": found.handed_over,
            }
        )
