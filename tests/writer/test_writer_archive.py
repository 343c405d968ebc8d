"""An archive has every cell of the ledger, or it is none."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, EnrolChunk, LaneIdentity, Ledger, NewBatch
from batchcredit.writer import archive, pack, write_archive, write_results

CHUNK_ROWS = 3


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of its own."""
    held = registry.hold(f"sqlite:///{tmp_path / 'ledger.db'}", "test")
    yield held
    held.close()


def enrolled(ledger: Ledger, cells: pl.DataFrame, name: str = "march") -> BatchRecord:
    """A batch with these cells of its input, in chunks."""
    lane = ledger.accept_lane(LaneIdentity("clicksend", "https://rest.clicksend.com/v3", "me")).id

    def chunks() -> Iterator[EnrolChunk]:
        for first in range(0, cells.height, CHUNK_ROWS):
            block = cells.slice(first, CHUNK_ROWS)
            rows = [
                (first + each, lane, "clicksend", "=1+1", "a", "12.5", "USD", None, "pending", "", "")
                for each in range(1, block.height + 1)
            ]
            yield EnrolChunk(first + 1, rows, pack(block))

    total = Decimal("12.5") * cells.height
    new = NewBatch(name, name.encode(), "in.csv", "", {"USD": total}, {"clicksend": lane}, True)
    return ledger.enrol(new, chunks())


#: A column of each type that an input can have.
COLUMNS: dict[pl.DataType, Sequence[Any]] = {
    pl.String(): ["=1+1", "", None, "ünï\n,\"'"],
    pl.Int64(): [1, None, -(2**60), 0],
    pl.Float64(): [0.1, float("nan"), None, float("inf")],
    pl.Boolean(): [True, None, False, True],
    pl.Date(): [date(2026, 3, 31), None, date(1, 1, 1), date(9999, 12, 31)],
    pl.Datetime("us", "Africa/Nairobi"): [datetime(2026, 3, 31, tzinfo=UTC), None, None, None],
    pl.Decimal(38, 4): [Decimal("1.0001"), None, Decimal(-7), Decimal(0)],
    pl.List(pl.Int64()): [[1, 2], None, [], [None]],
    pl.Null(): [None, None, None, None],
}


@pytest.mark.parametrize("kind", COLUMNS, ids=str)
def test_cells_of_every_type_come_back(kind: pl.DataType, tmp_path: Path, ledger: Ledger) -> None:
    """What can be enrolled can be archived, and is read back as it was."""
    batch = enrolled(ledger, pl.DataFrame({"theirs": pl.Series(COLUMNS[kind], dtype=kind)}))
    written = write_archive(ledger, batch, tmp_path / "kept")
    results = write_results(ledger, batch, tmp_path / "out.parquet")
    assert pl.read_parquet(written.path).equals(pl.read_parquet(results))
    assert written.path == tmp_path / "kept" / f"march.{ledger.id}.archive.parquet"
    assert written.size_bytes == written.path.stat().st_size


def test_the_same_archive_may_stand_there(tmp_path: Path, ledger: Ledger) -> None:
    """A command that was killed has left it; a row more or less, or one cell, makes it another file."""
    cells = pl.DataFrame({"theirs": [f"cell {number}" for number in range(10)]})
    batch = enrolled(ledger, cells)
    first = write_archive(ledger, batch, tmp_path)
    before = first.path.stat()
    assert write_archive(ledger, batch, tmp_path) == first
    assert first.path.stat().st_ino == before.st_ino
    whole = pl.read_parquet(first.path)
    others = [whole.head(9), pl.concat([whole, whole.head(1)]), whole.drop("seal"), whole.reverse()]
    others.append(whole.with_columns(pl.col("status").replace("not_sent", "credited")))
    for other in others:
        other.write_parquet(first.path)
        with pytest.raises(RefusedError) as refused:
            write_archive(ledger, batch, tmp_path)
        assert refused.value.reason == "out_exists"
        assert pl.read_parquet(first.path).equals(other)


@pytest.mark.parametrize("there", ["nothing in it", "a folder", "a link", "no parquet"])
def test_another_file_stays(there: str, tmp_path: Path, ledger: Ledger) -> None:
    """Whatever stands under its name and is not the archive."""
    batch = enrolled(ledger, pl.DataFrame({"theirs": ["a"]}))
    path = tmp_path / f"march.{ledger.id}.archive.parquet"
    if there == "a folder":
        path.mkdir()
    elif there == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_bytes(b"" if there == "nothing in it" else b"PAR1 and more")
    with pytest.raises(RefusedError) as refused:
        write_archive(ledger, batch, tmp_path)
    assert refused.value.reason == "out_exists"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("row", [1, 11, 20])
@pytest.mark.parametrize("damage", ["a cell", "a row", "the end"])
def test_a_disk_that_returns_something_else_is_noticed(
    damage: str, row: int, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read back is compared with the ledger, not with what was meant to be written."""
    batch = enrolled(ledger, pl.DataFrame({"theirs": [f"{each}" for each in range(1, 21)]}))
    put = archive.replace

    def lying(path: Path, *rest: Any) -> Path:
        written: Path = put(path, *rest)
        whole = pl.read_parquet(written)
        if damage == "a cell":
            other = pl.when(pl.col("row") == row).then(pl.lit("x")).otherwise("theirs").alias("theirs")
            whole.with_columns(other).write_parquet(written)
        elif damage == "a row":
            whole.filter(pl.col("row") != row).write_parquet(written)
        else:
            written.write_bytes(written.read_bytes()[:-row])
        return written

    monkeypatch.setattr(archive, "replace", lying)
    with pytest.raises(StorageError) as refused:
        write_archive(ledger, batch, tmp_path / "kept")
    assert refused.value.reason == "out_unwritable"
