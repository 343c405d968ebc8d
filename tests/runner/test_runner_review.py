"""Any edits of a real results file, beside the ledger that wrote it: what is picked, what is corrected."""

import csv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runner_parts import how, profile

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, EnrolChunk, LaneIdentity, NewBatch
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.reader import ReadOptions, Returned, Worksheet
from batchcredit.runner.outgoing import lanes
from batchcredit.runner.returned.review import Review, Reviewer
from batchcredit.transfer import CORRECTABLE, INPUT_COLUMNS, State
from batchcredit.writer import pack, write_results

STATES = [State.CREDITED, State.IN_DOUBT, State.PENDING, State.UNSENT, State.REJECTED, State.CANCELLED] * 2
TEXTS = [("clicksend", str(number), f"{number}.5", "USD", f"R-{number}") for number in range(10, 22)]
COLUMNS = [*INPUT_COLUMNS, "row", "status", "transfer_id", "attempts", "batch", "seal", "balance_after"]
CELLS = [
    "",
    "10",
    "11.5",
    "12",
    "1.2E+01",
    "01-Feb",
    "R-10",
    "credited",
    "not_sent",
    "in_doubt",
    "rejected",
    "7",
]
EDIT = st.tuples(st.integers(0, len(STATES) - 1), st.sampled_from(COLUMNS), st.sampled_from(CELLS))


def enrolled(ledger: SqliteLedger) -> BatchRecord:
    """Twelve rows, each put into its state behind the ledger's back."""
    lane = ledger.accept_lane(LaneIdentity("clicksend", "https://one.test", "shop")).id
    rows = [
        (number, lane, each[0], each[1], *each[1:], "pending", "", "") for number, each in enumerate(TEXTS, 1)
    ]
    cells = pl.DataFrame(TEXTS, schema=list(INPUT_COLUMNS), orient="row")
    new = NewBatch("march", b"march", "", "", {}, {"clicksend": lane}, live=False)
    batch = ledger.enrol(new, [EnrolChunk(1, rows, pack(cells))])
    with ledger._transaction():
        for number, state in enumerate(STATES, 1):
            ledger._change(
                "UPDATE transfer SET state = ?, attempts = 1 WHERE batch = ? AND row = ?",
                *(state.value, batch.id, number),
            )
    return batch


def reviewed(
    ledger: SqliteLedger, batch: BatchRecord, path: Path, rows: Sequence[dict[str, str]]
) -> Review | None:
    """What becomes of the file with these rows; None where it is refused."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with Worksheet() as worksheet:
        try:
            returned = Returned(path, ReadOptions(), lanes.rules({"clicksend": profile()}), worksheet)
            return Reviewer(ledger, batch, returned, rejected=how().rejected).review(lambda row: True)
        except RefusedError:
            return None


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(EDIT, max_size=4),
    st.permutations(range(len(STATES))),
    st.integers(1, len(STATES)),
)
def test_no_edit_makes_a_paid_row_go(edits: list[tuple[int, str, str]], order: list[int], kept: int) -> None:
    """Whatever is edited, sorted and left out: only rows that are open are picked, only in the file and open
    ones are corrected, and a row that nobody touched is picked as it is."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "march.results.csv"
        ledger = SqliteLedger.hold(Path(folder) / "ledger.db", "resume")
        batch = enrolled(ledger)
        write_results(ledger, batch, path)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for place, column, text in edits:
            rows[place][column] = text
        touched = {place + 1 for place, _, _ in edits}
        review = reviewed(ledger, batch, path, [rows[place] for place in order[:kept]])
        ledger.close()
    untouched = {place + 1 for place in order[:kept]} - touched
    if not edits:
        assert review is not None
    if review is None:
        return
    open_ = {number for number, state in enumerate(STATES, 1) if state in (State.PENDING, State.UNSENT)}
    correctable = {number for number, state in enumerate(STATES, 1) if state in CORRECTABLE}
    assert set(review.picked) <= open_ | review.edits.keys()
    assert review.edits.keys() <= correctable & touched
    assert untouched & open_ <= set(review.picked)
