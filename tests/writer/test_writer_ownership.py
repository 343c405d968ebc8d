"""Whose place a results file's name is."""

import errno
import gzip
import json
import os
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_ledger import MemoryLedger, as_reader, batch_of, credited, result_row

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.transfer import State
from batchcredit.writer import claim_path, generation_of, ledger_of, owner_path, release_path, write_results

ENDINGS = ["csv", "csv.gz", "parquet", "xlsx"]
NAME = batch_of(1).name


def claim(
    path: Path, ledger: LedgerReader, batch: BatchRecord | None = None, source: Path | None = None
) -> None:
    """Claim the path for the batch of these tests."""
    claim_path(path, source, NAME, batch, ledger)


def refused(
    path: Path, ledger: LedgerReader, batch: BatchRecord | None = None, source: Path | None = None
) -> str:
    """The reason for which a claim is refused; it leaves what stands there."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(RefusedError) as caught:
        claim(path, ledger, batch, source)
    assert caught.value.cure
    assert str(path) in str(caught.value)
    assert before is None or path.read_bytes() == before
    return caught.value.reason


def test_a_free_place_is_claimed_and_again_by_the_same_ledger(tmp_path: Path) -> None:
    """The first claim leaves an owner file and nothing else; the second is no conflict."""
    path, ledger = tmp_path / "out.csv", as_reader(MemoryLedger([]))
    claim(path, ledger)
    claim(path, ledger)
    assert list(tmp_path.iterdir()) == [owner_path(path)]
    owner = json.loads(owner_path(path).read_text())
    assert (owner["ledger"], owner["batch"], owner["pid"]) == ("ledgerone", NAME, os.getpid())


def test_two_ledgers_at_one_place_collide_before_any_results(tmp_path: Path) -> None:
    """Of many colleagues who begin at once, exactly one may go on; the others are told who did."""
    path = tmp_path / "out.csv"

    def try_to_claim(number: int) -> str:
        try:
            claim(path, as_reader(MemoryLedger([], id=f"ledger{number}")))
        except RefusedError as error:
            return f"{error.reason} {error}"
        return ""

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(try_to_claim, range(24)))
    assert told.count("") == 1
    assert all(text.startswith(("other_ledger", "out_exists")) for text in told if text)
    owner = json.loads(owner_path(path).read_text())
    with pytest.raises(RefusedError) as caught:
        claim(path, as_reader(MemoryLedger([], id="late")))
    assert "this ledger is not the one that wrote it, or is older than it" in str(caught.value)
    for part in (owner["ledger"], owner["user"], owner["host"], owner["at"]):
        assert part in str(caught.value)


def test_a_claim_under_which_nothing_was_sent_can_be_taken_back(tmp_path: Path) -> None:
    """After No there is nothing left, and another ledger may begin; only the owner can take back."""
    path, mine, other = (
        tmp_path / "out.csv",
        as_reader(MemoryLedger([])),
        as_reader(MemoryLedger([], id="other")),
    )
    claim(path, mine)
    release_path(path, other)
    assert refused(path, other) == "other_ledger"
    release_path(path, mine)
    assert list(tmp_path.iterdir()) == []
    claim(path, other)


def test_a_claim_stands_once_there_are_results(tmp_path: Path) -> None:
    """Taking back is for places without results."""
    path, ledger = tmp_path / "out.csv", as_reader(MemoryLedger([result_row(1)]))
    claim(path, ledger)
    write_results(ledger, batch_of(1), path)
    release_path(path, ledger)
    assert owner_path(path).exists()


@pytest.mark.parametrize("end", ENDINGS)
def test_own_results_of_the_same_batch_may_be_replaced(tmp_path: Path, end: str) -> None:
    """A resume finds its own file, also one that is older than the ledger, or sorted by a person."""
    path, batch = tmp_path / f"out.{end}", batch_of(7)
    old = MemoryLedger([result_row(row) for row in range(1, 8)])
    new = MemoryLedger([credited(row) for row in range(1, 8)])
    write_results(as_reader(old), batch, path)
    claim(path, as_reader(new), batch)
    write_results(as_reader(new), batch, path)
    claim(path, as_reader(new), batch)


def test_a_sorted_file_is_compared_row_by_row(tmp_path: Path) -> None:
    """The order of the lines does not hide a row that is ahead, and is no fault itself."""
    path, batch = tmp_path / "out.parquet", batch_of(6)
    ledger = MemoryLedger([credited(row) for row in range(1, 7)])
    write_results(as_reader(ledger), batch, path)
    pl.read_parquet(path).sort("row", descending=True).write_parquet(path)
    claim(path, as_reader(ledger), batch)
    ledger.known[3] = result_row(4)
    assert refused(path, as_reader(ledger), batch) == "results_ahead"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    written=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    known=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    end=st.sampled_from(["csv", "parquet"]),
)
def test_one_row_ahead_refuses_the_ledger(
    tmp_path: Path, written: list[int], known: list[int], end: str
) -> None:
    """A file is accepted exactly when no row of it has more attempts than the ledger knows."""
    path, batch = tmp_path / f"out.{end}", batch_of(len(written))
    path.unlink(missing_ok=True)
    write_results(
        as_reader(MemoryLedger([result_row(row, attempts=n) for row, n in enumerate(written, 1)])),
        batch,
        path,
    )
    ledger = as_reader(MemoryLedger([result_row(row, attempts=n) for row, n in enumerate(known, 1)]))
    if any(file > ours for file, ours in zip(written, known, strict=False)):
        assert refused(path, ledger, batch) == "results_ahead"
    else:
        claim(path, ledger, batch)


@pytest.mark.parametrize("end", ENDINGS)
def test_a_credit_that_the_ledger_does_not_know_refuses_it(tmp_path: Path, end: str) -> None:
    """The same number of attempts, but credited by the provider there and not here: an older copy."""
    path, batch = tmp_path / f"out.{end}", batch_of(1)
    write_results(as_reader(MemoryLedger([credited(1)])), batch, path)
    ledger = MemoryLedger([result_row(1, attempts=1, state=State.UNSENT)])
    assert refused(path, as_reader(ledger), batch) == "results_ahead"


@pytest.mark.parametrize("end", ENDINGS)
def test_a_ledger_restored_from_a_copy_keeps_what_its_predecessor_wrote(tmp_path: Path, end: str) -> None:
    """The file may know what the restored ledger does not: it stays, and the new one stands beside it.
    What is written after that by another copy is ahead once more."""
    path, batch = tmp_path / f"out.{end}", batch_of(1)
    write_results(as_reader(MemoryLedger([credited(1)])), batch, path)
    before, written_ms = path.read_bytes(), path.stat().st_mtime_ns // 1_000_000
    restored = MemoryLedger([result_row(1, state=State.IN_DOUBT)], accepted_ms=written_ms + 1)
    claim(path, as_reader(restored), batch)
    for _ in range(2):
        assert write_results(as_reader(restored), batch, path).name == f"out (2).{end}"
        time.sleep(0.01)
    assert path.read_bytes() == before
    os.utime(path, ns=(0, (written_ms + 2) * 1_000_000))
    assert refused(path, as_reader(restored), batch) == "results_ahead"


def test_a_verdict_that_was_taken_back_is_not_ahead(tmp_path: Path) -> None:
    """What a person said and took back does not make the file newer than the ledger."""
    path, batch = tmp_path / "out.csv", batch_of(1)
    write_results(as_reader(MemoryLedger([credited(1, settled_by="person")])), batch, path)
    claim(path, as_reader(MemoryLedger([credited(1, settled_by="", state=State.IN_DOUBT)])), batch)


@pytest.mark.parametrize(
    ("written", "known", "accepted"),
    [
        ("t-ledgerone-1", "t-ledgerone-1.2", True),
        ("t-ledgerone-1.2", "t-ledgerone-1.10", True),
        ("t-ledgerone-1.2", "t-ledgerone-1", False),
        ("t-ledgerone-7", "t-ledgerone-1", False),
        ("t-ledgerone-1.²", "t-ledgerone-1.3", False),
    ],
)
def test_a_corrected_row_is_told_from_another_one(
    tmp_path: Path, written: str, known: str, accepted: bool
) -> None:
    """A file from before a correction is older; one with a later correction, or with other rows, is not."""
    path, batch = tmp_path / "out.csv", batch_of(1)
    write_results(as_reader(MemoryLedger([result_row(1, attempts=2, transfer_id=written)])), batch, path)
    ledger = as_reader(MemoryLedger([result_row(1, transfer_id=known)]))
    if accepted:
        claim(path, ledger, batch)
    else:
        assert refused(path, ledger, batch) == "results_ahead"


@pytest.mark.parametrize("end", ENDINGS)
def test_results_of_a_batch_that_the_ledger_has_lost_refuse_it(tmp_path: Path, end: str) -> None:
    """A restored ledger that has never heard of the batch is older than its results."""
    path = tmp_path / f"out.{end}"
    write_results(as_reader(MemoryLedger([result_row(1)])), batch_of(1), path)
    assert refused(path, as_reader(MemoryLedger([]))) == "results_ahead"
    assert refused(path, as_reader(MemoryLedger([], live=None))) == "results_ahead"


def test_a_rehearsal_may_begin_anew(tmp_path: Path) -> None:
    """A test ledger that forgot a batch replaces its results: no money is at stake."""
    path = tmp_path / "sandbox-out.csv"
    write_results(as_reader(MemoryLedger([credited(1)])), batch_of(1), path)
    claim(path, as_reader(MemoryLedger([], live=False)))


@pytest.mark.parametrize("end", ENDINGS)
def test_results_of_another_ledger_are_refused(tmp_path: Path, end: str) -> None:
    """A lost or wrong ledger is noticed by the ids in the file, and the other one is named."""
    path = tmp_path / f"out.{end}"
    theirs = MemoryLedger([result_row(1, transfer_id="t-theirs-1")], id="theirs")
    write_results(as_reader(theirs), batch_of(1), path)
    assert refused(path, as_reader(MemoryLedger([result_row(1)])), batch_of(1)) == "other_ledger"


def test_results_of_another_batch_are_refused(tmp_path: Path) -> None:
    """--out can't name what another batch wrote."""
    path, ledger = tmp_path / "out.csv", as_reader(MemoryLedger([result_row(1)]))
    write_results(ledger, batch_of(1, name="april-1"), path)
    assert refused(path, ledger, batch_of(1)) == "out_exists"


@pytest.mark.parametrize("named", [[], [replace(batch_of(1, name="april-1"), finished_ms=1)]])
def test_a_place_is_kept_for_another_batch_until_that_is_over(
    tmp_path: Path, named: list[BatchRecord]
) -> None:
    """Two open batches can't have one file; one that ended, or was never enrolled, keeps nothing."""
    path, ledger = tmp_path / "out.csv", MemoryLedger([])
    claim_path(path, None, "april-1", None, as_reader(ledger))
    ledger.named = [batch_of(1, name="april-1")]
    assert refused(path, as_reader(ledger)) == "out_exists"
    ledger.named = named
    claim(path, as_reader(ledger))


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize(
    "content",
    [b"", b"account,amount\n1,2\n", b"\x00\xff", b"PAR1garbagePAR1", b'"unclosed', b"row,status\n" * 3],
)
def test_any_other_file_is_refused(tmp_path: Path, end: str, content: bytes) -> None:
    """What is not plainly our results is somebody's file."""
    path = tmp_path / f"out.{end}"
    path.write_bytes(content)
    assert refused(path, as_reader(MemoryLedger([]))) == "out_exists"


@pytest.mark.parametrize("end", ENDINGS)
def test_a_damaged_results_file_is_refused(tmp_path: Path, end: str) -> None:
    """A file that breaks off can't vouch that no row of it is ahead."""
    path, batch = tmp_path / f"out.{end}", batch_of(40)
    ledger = as_reader(MemoryLedger([result_row(row) for row in range(1, 41)]))
    write_results(ledger, batch, path)
    path.write_bytes(path.read_bytes()[:-30])
    assert refused(path, ledger, batch) == "out_exists"


def test_a_decoder_that_panics_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a damaged file makes of polars does not end the program."""
    path, batch = tmp_path / "out.parquet", batch_of(1)
    ledger = as_reader(MemoryLedger([result_row(1)]))
    write_results(ledger, batch, path)

    def panic(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl, "scan_parquet", panic)
    assert refused(path, ledger, batch) == "out_exists"


LONG = "x" * 3_000_000
#: What takes the place of a word, in how many rows, and whether these can still be results of ours.
PACKED = {
    "long cells of others": ("'=x", LONG, 25, True),
    "long cells of ours": (NAME, LONG, 25, False),
    "a row without end": ("'=x", '"' + f'{LONG}\n","' * 25, 1, False),
}


@pytest.mark.parametrize(("word", "instead", "rows", "ours"), PACKED.values(), ids=PACKED)
def test_what_is_packed_is_not_held_together(
    tmp_path: Path, word: str, instead: str, rows: int, ours: bool
) -> None:
    """A file of some kilobytes may hold any number of megabytes."""
    path, batch = tmp_path / "out.csv.gz", batch_of(25)
    ledger = as_reader(MemoryLedger([result_row(row) for row in range(1, 26)]))
    plain = write_results(ledger, batch, tmp_path / "plain.csv").read_text()
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(plain.replace(word, instead, rows))
    tracemalloc.start()
    try:
        claim(path, ledger, batch) if ours else refused(path, ledger, batch)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    """Not by its own name, by another spelling, or by a second link to it."""
    source, link, hard = tmp_path / "in.csv", tmp_path / "link.csv", tmp_path / "hard.csv"
    source.write_text("account,amount\n1,2\n")
    link.symlink_to(source)
    hard.hardlink_to(source)
    ledger = as_reader(MemoryLedger([]))
    for path in (source, tmp_path / "." / "in.csv", link, hard):
        assert refused(path, ledger, source=source) == "out_is_input"


def test_links_and_folders_are_refused(tmp_path: Path) -> None:
    """A link could lead anywhere, and is not followed, even where it leads to nothing."""
    link, folder = tmp_path / "link.csv", tmp_path / "folder.csv"
    link.symlink_to(tmp_path / "nowhere.csv")
    folder.mkdir()
    for path in (link, folder):
        assert refused(path, as_reader(MemoryLedger([]))) == "out_exists"
    assert not (tmp_path / "nowhere.csv").exists()


def test_a_folder_that_is_missing_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The path has to be writable now."""
    assert refused(tmp_path / "missing" / "out.csv", as_reader(MemoryLedger([]))) == "out_unwritable"


def test_an_owner_file_that_can_not_be_read_is_in_the_way(tmp_path: Path) -> None:
    """Garbage or a link in the owner file's place is not followed and not removed."""
    path, ledger = tmp_path / "out.csv", as_reader(MemoryLedger([]))
    owner_path(path).write_text("{")
    assert refused(path, ledger) == "out_exists"
    owner_path(path).unlink()
    owner_path(path).symlink_to(tmp_path / "elsewhere")
    assert refused(path, ledger) == "out_exists"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("links", [True, False])
def test_half_an_owner_file_is_never_in_the_way(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk refuses it nothing of it stays; the place can be claimed, with hard links or without."""
    path, ledger = tmp_path / "out.csv", as_reader(MemoryLedger([]))
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with monkeypatch.context() as sick:
        sick.setattr(os, "fsync", refuse)
        assert refused(path, ledger) == "out_unwritable"
    assert list(tmp_path.iterdir()) == []
    claim(path, ledger)
    assert json.loads(owner_path(path).read_text())["ledger"] == ledger.id
    assert list(tmp_path.iterdir()) == [owner_path(path)]


def refuse(*_: object, **__: object) -> None:
    """What a disk or a file system says that does not want to."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("transfer_id", "ledger"),
    [("t-abc-1", "abc"), ("t-abc-1.2", "abc"), ("x-abc-1", ""), ("", ""), ("t-abc", "")],
)
def test_a_transfer_names_its_ledger(transfer_id: str, ledger: str) -> None:
    """The ledger's id stands between `t-` and the next dash."""
    assert ledger_of(transfer_id) == ledger


@pytest.mark.parametrize(
    ("transfer_id", "generation"),
    [
        *[("t-abc-1", ("t-abc-1", 1)), ("t-abc-1.2", ("t-abc-1", 2)), ("t-abc-1.10", ("t-abc-1", 10))],
        *[(other, (other, 1)) for other in ("", "t-abc-1.", "t-abc-1.x", "t-abc-1.²", "t-abc-1.0")],
        ("t-abc-1.1000000000", ("t-abc-1.1000000000", 1)),
    ],
)
def test_a_transfer_names_its_generation(transfer_id: str, generation: tuple[str, int]) -> None:
    """Its number stands behind the point; what is no such number makes it no generation of another row."""
    assert generation_of(transfer_id) == generation


def test_a_batch_whose_name_looks_like_a_formula_is_known_again(tmp_path: Path) -> None:
    """The quote that protects a spreadsheet does not hide whose results these are."""
    path, batch = tmp_path / "out.csv", replace(batch_of(1), name="-march")
    ledger = as_reader(MemoryLedger([result_row(1)]))
    write_results(ledger, batch, path)
    claim_path(path, None, "-march", batch, ledger)
    assert write_results(ledger, batch, path) == path
