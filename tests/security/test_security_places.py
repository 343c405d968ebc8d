"""What others put in the place of our files, before and while we write them."""

import csv
import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ledger_parts import Row, SqliteHome, enrol
from memory_ledger import MemoryLedger, as_reader

from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger.base import LedgerReader
from batchcredit.transfer import RESULT_COLUMNS
from batchcredit.writer import claim_path, owner_path, target

NAME = "march-1"
OTHERS = b"somebody else's"


def in_the_way(kind: str, place: Path, other: Path) -> None:
    """Put something at `place`; `other` is a file of somebody else's."""
    if kind == "file":
        place.write_bytes(OTHERS)
    elif kind == "link":
        place.symlink_to(other)
    elif kind == "dangling":
        place.symlink_to(other.with_name("nowhere"))
    elif kind == "hard_link":
        place.hardlink_to(other)
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()


KINDS = ["file", "link", "dangling", "hard_link", "fifo", "folder"]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Somebody else's file, which a link may lead to."""
    other = tmp_path / "elsewhere" / "diary.csv"
    other.parent.mkdir()
    other.write_bytes(OTHERS)
    return other


def untouched(kind: str, place: Path, other: Path) -> bool:
    """Whether what was put in the way stands there as it was, and led nowhere."""
    kept = {"fifo": stat.S_ISFIFO, "folder": stat.S_ISDIR, "link": stat.S_ISLNK, "dangling": stat.S_ISLNK}
    same = kept.get(kind, stat.S_ISREG)(place.lstat().st_mode)
    return same and other.read_bytes() == OTHERS and [*other.parent.iterdir()] == [other]


def foreign(_: Path) -> bool:
    return False


def ours(file: BinaryIO) -> None:
    file.write(b"ours")


@pytest.mark.parametrize("kind", KINDS)
def test_what_appears_at_the_last_moment(
    kind: str, tmp_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes to a free name just before it is taken is left as it is, and a second name is used."""
    path, link = tmp_path / "out.csv", os.link

    def come_first(part: Path, name: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        in_the_way(kind, path, other)
        link(part, name)

    monkeypatch.setattr(os, "link", come_first)
    written = target.replace(path, ours, foreign)
    assert untouched(kind, path, other)
    assert (written.name, written.read_bytes()) == ("out (2).csv", b"ours")
    assert {each.name for each in tmp_path.iterdir()} == {"elsewhere", "out.csv", "out (2).csv"}


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a free name is taken by a rename, as a taken one is everywhere."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert target.replace(tmp_path / "out.csv", ours, foreign).read_bytes() == b"ours"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_is_never_written_through_a_link(
    kind: str, tmp_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where somebody guessed the draft's name, what stands there is left, and that is an error."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    guessed = tmp_path / ".out.csv.guessed.part"
    in_the_way(kind, guessed, other)
    monkeypatch.setattr(target, "_sweep", lambda _: None)
    with pytest.raises(StorageError):
        target.replace(tmp_path / "out.csv", ours, foreign)
    assert untouched(kind, guessed, other)
    assert not (tmp_path / "out.csv").exists()


def test_no_two_drafts_have_one_name(tmp_path: Path) -> None:
    """A name that could be foreseen could be taken by somebody else first."""
    drafts = set()
    for _ in range(50):
        with target.part_of(tmp_path / "out.csv") as (_file, part):
            drafts.add(part.name)
    assert len(drafts) == 50


def test_a_folder_that_is_swapped_for_another(tmp_path: Path, other: Path) -> None:
    """Results that were begun in one folder do not appear in another that took its name."""
    folder = tmp_path / "out"
    folder.mkdir()

    def swap(file: BinaryIO) -> None:
        ours(file)
        folder.rename(tmp_path / "away")
        folder.symlink_to(other.parent)

    for name in (other.name, "new.csv"):
        with pytest.raises(StorageError):
            target.replace(folder / name, swap, lambda _: True)
        assert untouched("file", other, other)
        folder.unlink()
        (tmp_path / "away").rename(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_place_of_the_owner_file(kind: str, tmp_path: Path, other: Path) -> None:
    """Refused at once, without waiting for a pipe, and left as it is."""
    path = tmp_path / "out.csv"
    in_the_way(kind, owner_path(path), other)
    with pytest.raises(RefusedError) as caught:
        claim_path(path, None, NAME, None, as_reader(MemoryLedger([])))
    assert caught.value.reason in ("out_exists", "out_unwritable")
    assert untouched(kind, owner_path(path), other)


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_place_of_the_results(kind: str, tmp_path: Path, other: Path) -> None:
    """The same for what stands where the results would."""
    path = tmp_path / "out.csv"
    in_the_way(kind, path, other)
    with pytest.raises(RefusedError) as caught:
        claim_path(path, None, NAME, None, as_reader(MemoryLedger([])))
    assert caught.value.reason == "out_exists"
    assert untouched(kind, path, other)


# what others wrote into them


VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
)
quickly = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerReader]:
    """A real and live one, with a batch of which nothing was sent."""
    held = SqliteHome(tmp_path / "ledger.db").hold()
    enrol(held, NAME, [Row(), Row("Berta")], live=True)
    yield held
    held.close()


def accepted_or_refused(path: Path, ledger: LedgerReader) -> str:
    """The reason for which a place is refused, or ""."""
    try:
        claim_path(path, None, NAME, ledger.batches(NAME)[0], ledger)
    except RefusedError as error:
        return error.reason
    return ""


@quickly
@given(changes=st.dictionaries(st.sampled_from(["ledger", "batch", "user", "host", "pid", "at"]), VALUES))
@example(changes={"batch": [1]})
def test_any_owner_file(changes: dict[str, object], tmp_path: Path, ledger: LedgerReader) -> None:
    """Whatever somebody wrote there, the place is ours or it is refused."""
    path = tmp_path / "out.csv"
    owner = {"ledger": ledger.id, "batch": NAME, "user": "u", "host": "h", "pid": 1, "at": "now"}
    owner_path(path).write_text(json.dumps(owner | changes))
    assert accepted_or_refused(path, ledger) in ("", "out_exists", "other_ledger")


@quickly
@given(
    changes=st.dictionaries(
        st.sampled_from(["row", "status", "attempts", "settled_by", "transfer_id", "batch"]),
        VALUES | st.floats() | st.binary(max_size=3) | st.sampled_from([str(2**63), str(-(2**70)), "1e3"]),
        max_size=3,
    ),
    end=st.sampled_from(["csv", "parquet"]),
)
@example(changes={"row": 2**63}, end="csv")
@example(changes={"batch": None}, end="parquet")
@example(changes={"transfer_id": [1]}, end="parquet")
@example(changes={"attempts": math.inf}, end="parquet")
def test_any_results_in_the_way(
    changes: dict[str, object], end: str, tmp_path: Path, ledger: LedgerReader
) -> None:
    """The same for cells of a results file that somebody edited."""
    path = tmp_path / f"out.{end}"
    known = {"row": 1, "status": "not_sent", "attempts": 0, "batch": NAME}
    known["transfer_id"] = ledger.rows(ledger.batches(NAME)[0].id, 1, 1)[0].transfer_id
    cells: dict[str, object] = dict.fromkeys(RESULT_COLUMNS, "") | known | changes
    if end == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([list(cells), list(cells.values())])
    else:
        pl.DataFrame({name: [value] for name, value in cells.items()}, strict=False).write_parquet(path)
    assert accepted_or_refused(path, ledger) in ("", "out_exists", "other_ledger", "results_ahead")
