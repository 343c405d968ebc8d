"""The writer on the ledger that runs use."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, EnrolChunk, EnrolRow, LaneIdentity, Ledger, NewBatch
from batchcredit.writer import claim_path, ledger_of, pack, write_results

ROWS = 250


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of its own."""
    held = registry.hold(f"sqlite:///{tmp_path / 'ledger.db'}", "test")
    yield held
    held.close()


def enrolled(ledger: Ledger) -> BatchRecord:
    """A batch of rows, in chunks of 100."""
    lane = ledger.accept_lane(LaneIdentity("clicksend", "https://rest.clicksend.com/v3", "me")).id

    def row(number: int) -> EnrolRow:
        account = str(1000 + number)
        return (number, lane, "clicksend", account, account, "12.5", "USD", None, "pending", "", "")

    def chunks() -> Iterator[EnrolChunk]:
        for first in range(1, ROWS + 1, 100):
            numbers = range(first, min(first + 100, ROWS + 1))
            cells = pl.DataFrame({"account": [str(1000 + number) for number in numbers], "amount": "12.50"})
            yield EnrolChunk(first, [row(number) for number in numbers], pack(cells))

    total = Decimal("12.5") * ROWS
    return ledger.enrol(
        NewBatch("march-1", b"x" * 32, "in.csv", "", {"USD": total}, {"clicksend": lane}, True), chunks()
    )


@pytest.mark.parametrize("end", ["csv", "csv.gz", "parquet"])
def test_a_batch_is_written_and_its_place_kept(tmp_path: Path, ledger: Ledger, end: str) -> None:
    """Enrolled, claimed, written, claimed again: each row is there, by its ledger's id."""
    path = tmp_path / f"out.{end}"
    claim_path(path, tmp_path / "in.csv", "march-1", None, ledger)
    batch = enrolled(ledger)
    assert write_results(ledger, batch, path) == path
    claim_path(path, tmp_path / "in.csv", "march-1", batch, ledger)
    found = pl.read_parquet(path) if end == "parquet" else pl.read_csv(path, infer_schema=False)
    assert [int(row) for row in found["row"]] == list(range(1, ROWS + 1))
    assert found["account"].to_list() == [str(1000 + number) for number in range(1, ROWS + 1)]
    assert {ledger_of(transfer_id) for transfer_id in found["transfer_id"]} == {ledger.id}
    assert set(found["status"]) == {"not_sent"}


def test_a_fresh_ledger_does_not_take_over_the_results_of_a_lost_one(tmp_path: Path, ledger: Ledger) -> None:
    """The file of a ledger that is gone stops the next one before it sends anything."""
    path = tmp_path / "out.csv"
    batch = enrolled(ledger)
    write_results(ledger, batch, path)
    fresh = registry.hold(f"sqlite:///{tmp_path / 'fresh.db'}", "test")
    try:
        with pytest.raises(RefusedError) as caught:
            claim_path(path, None, "march-1", None, fresh)
        assert caught.value.reason == "other_ledger"
        assert ledger.id in str(caught.value)
        with pytest.raises(RefusedError):
            claim_path(path, None, "march-1", replace(batch, id=99), fresh)
    finally:
        fresh.close()
