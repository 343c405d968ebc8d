"""Which file is the ledger: backups, a copy taken into use, and a move that is killed at each step."""

import shutil
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ledger_parts import HOUR_MS, Clock, Row, SqliteHome, claim, drive, enrol, row_of, say, settle, states

from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger.audit import breaks
from batchcredit.ledger.base import BatchRecord, Ledger
from batchcredit.ledger.sqlite import copy as sqlite_copy
from batchcredit.transfer import Event, State

HERE = Path(__file__).parent

WANTED = [State.CREDITED, State.REJECTED, State.UNSENT, State.IN_DOUBT, State.SENDING, State.PENDING]


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> SqliteHome:
    """What is asked here is asked of a file."""
    return SqliteHome(tmp_path / "ledger.db")


@pytest.fixture
def backup(home: SqliteHome) -> SqliteHome:
    """The home of a copy."""
    return SqliteHome(home.path.with_name("backup.db"))


@pytest.fixture
def batch(ledger: Ledger) -> BatchRecord:
    return mixed(ledger)


def mixed(ledger: Ledger) -> BatchRecord:
    """A batch with a row in each state that a run can leave or be in."""
    batch = enrol(ledger, "b", [Row(account) for account in "abcdef"])
    drive(ledger, batch, WANTED)
    return batch


def refused(home: SqliteHome) -> str:
    with pytest.raises(RefusedError) as caught:
        home.hold()
    return caught.value.reason


def test_a_backup_is_what_the_ledger_was_at_that_moment(
    ledger: Ledger, batch: BatchRecord, home: SqliteHome, backup: SqliteHome
) -> None:
    """Taken by a reader while another one sends; what is sent later is not in it."""
    with closing(home.read()) as reader:
        reader.back_up(backup.path)
    settle(ledger, batch, 5, Event.CREDIT)
    with closing(backup.read()) as copy:
        assert copy.id == ledger.id
        assert states(copy, batch) == WANTED
        assert list(copy.faults()) == []
    assert stat.S_IMODE(backup.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in backup.path.parent.iterdir() if "backup" in path.name) == [
        "backup.db"
    ]


def test_a_backup_is_not_sent_with(ledger: Ledger, batch: BatchRecord, backup: SqliteHome) -> None:
    """It says inside that it is one, under whatever name it comes back."""
    ledger.back_up(backup.path)
    assert refused(backup) == "ledger_copy"
    other = SqliteHome(backup.path.rename(backup.path.with_name("restored.db")))
    assert refused(other) == "ledger_copy"
    with closing(other.read()) as copy:
        assert copy.custody().copied_ms is not None


def test_a_backup_replaces_nothing(ledger: Ledger, backup: SqliteHome) -> None:
    """Whatever stands at its place stays."""
    backup.path.write_text("mine")
    with pytest.raises(RefusedError) as caught:
        ledger.back_up(backup.path)
    assert caught.value.reason == "out_exists"
    assert backup.path.read_text() == "mine"


@pytest.mark.parametrize("left", ["backup.db-wal", "backup.db-journal"])
def test_a_log_that_was_left_there_is_not_written_into_a_copy(
    left: str, ledger: Ledger, batch: BatchRecord, backup: SqliteHome
) -> None:
    """SQLite would take it for the copy's own; a move is refused before the ledger is closed."""
    log = backup.path.with_name(left)
    log.write_text("of a database that stood here")
    for copy in (ledger.back_up, lambda path: ledger.move_to(path, "new disk")):
        with pytest.raises(RefusedError, match=left):
            copy(backup.path)
    assert not ledger.custody().moved_to
    assert log.exists()


def test_a_move_into_no_folder_closes_nothing(ledger: Ledger, home: SqliteHome) -> None:
    """It is mistyped more often than it is missing."""
    with pytest.raises(StorageError):
        ledger.move_to(home.path.parent / "nowhere" / "new.db", "new disk")
    assert not ledger.custody().moved_to


@pytest.mark.parametrize("step", ["_mark", "_sync", "_place"])
def test_a_backup_that_fails_leaves_nothing(
    step: str, ledger: Ledger, backup: SqliteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all; and what a kill left beside it is not in the way of the next one."""

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(sqlite_copy, step, fails)
        with pytest.raises(KeyboardInterrupt):
            ledger.back_up(backup.path)
    assert not any("backup" in path.name for path in backup.path.parent.iterdir())
    sqlite_copy.part_of(backup.path).write_text("half")
    ledger.back_up(backup.path)
    assert refused(backup) == "ledger_copy"


@pytest.mark.parametrize("is_marked", [True, False])
def test_what_is_not_final_in_an_accepted_copy_is_in_doubt(
    is_marked: bool, ledger: Ledger, batch: BatchRecord, backup: SqliteHome, home: SqliteHome, clock: Clock
) -> None:
    """The other one may have sent, corrected or settled it since; nothing of it is sent again by itself."""
    if is_marked:
        ledger.back_up(backup.path)
    else:
        for end in ("", "-wal"):  # as cp of both would do
            shutil.copy(f"{home.path}{end}", f"{backup.path}{end}")
    clock.ms += HOUR_MS
    with closing(backup.hold_retired()) as restored:
        assert restored.accept("the disk died") == 3
        assert states(restored, batch) == [State.CREDITED, *[State.IN_DOUBT] * 5]
        assert restored.custody().accepted_ms == clock.ms
        for row in range(2, 7):
            assert "may still be executed" in say(restored, batch.id, row, "not-credited", "", HOUR_MS)
            assert row_of(restored, batch, row).settled_by == ""
        entries = list(restored.audit())
        assert [(entry.what, entry.batch, entry.note) for entry in entries] == [
            ("accepted", "b", "the disk died"),
            ("accepted", "", "the disk died"),
        ]
        assert list(breaks(entries)) == []
    backup.hold().close()


def test_an_accepted_copy_leaves_a_reference_to_whoever_holds_it(ledger: Ledger, backup: SqliteHome) -> None:
    """A row that is not sent because its reference is another's stays so; both can't be in doubt."""
    first = enrol(ledger, "first", [Row("a", reference="r")])
    drive(ledger, first, [State.IN_DOUBT])
    assert say(ledger, first.id, 1, "not-credited", "", 0) == ""
    second = enrol(ledger, "second", [Row("b", reference="r")])
    drive(ledger, second, [State.CREDITED])
    ledger.back_up(backup.path)
    with closing(backup.hold_retired()) as restored:
        restored.accept("")
        assert states(restored, first) == [State.PENDING]
        assert getattr(claim(restored, first), "reason", "") == "reference_taken"


def test_a_moved_ledger_is_the_same_without_doubt(backup: SqliteHome, home: SqliteHome) -> None:
    """All that the old one knew, to be sent with at once; the old one is read only, and tells where it is."""
    with closing(home.hold()) as ledger:
        batch = mixed(ledger)
        ledger.move_to(backup.path, "new machine")
    assert refused(home) == "ledger_moved"
    with pytest.raises(RefusedError, match=str(backup.path)):
        home.hold()
    with closing(home.read()) as old, closing(backup.hold()) as new:
        assert new.id == old.id
        assert states(new, batch)[:4] == WANTED[:4]
        assert [entry.what for entry in new.audit()] == ["moved"]
    with closing(home.hold_retired()) as old, pytest.raises(RefusedError, match="closed for ever"):
        old.accept("")


def test_a_move_takes_no_others_place(ledger: Ledger, backup: SqliteHome) -> None:
    """A file that stands there stops it before anything is closed."""
    backup.path.write_text("mine")
    with pytest.raises(RefusedError) as caught:
        ledger.move_to(backup.path, "")
    assert caught.value.reason == "out_exists"
    assert ledger.custody().moved_to == ""


def test_a_ledger_that_has_moved_is_not_moved_again(
    ledger: Ledger, backup: SqliteHome, home: SqliteHome
) -> None:
    """Not to another place, and not anew after the file was carried away: that would be a second ledger."""
    ledger.move_to(backup.path, "")
    with pytest.raises(RefusedError):
        ledger.move_to(home.path.with_name("third.db"), "")
    backup.path.rename(home.path.with_name("carried.db"))
    with pytest.raises(RefusedError):
        ledger.move_to(backup.path, "")
    assert not backup.path.exists()


def test_a_move_that_is_killed_never_leaves_two_ledgers(tmp_path: Path) -> None:
    """At each step, before and behind it; and the same command again finishes it."""
    ended = subprocess.run(
        [sys.executable, HERE / "killed_move.py", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=HERE.parents[1],
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 15
