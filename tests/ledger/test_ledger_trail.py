"""The trail of decisions, against whoever edits the file with a tool of SQLite's."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from ledger_parts import Clock, Row, SqliteHome, begin, drive, enrol, refusal, say, settle

from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchRecord, Ledger
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling import trail
from batchcredit.settings import Settings, load
from batchcredit.transfer import Event, State

Edit = Callable[[apsw.Connection], object]


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> SqliteHome:
    """What is asked here is asked of a file."""
    return SqliteHome(tmp_path / "ledger.db")


@pytest.fixture
def batch(ledger: Ledger) -> BatchRecord:
    """Four rows that were in doubt or open, each decided."""
    batch = enrol(ledger, "b", [Row(account) for account in "abcd"])
    drive(ledger, batch, [State.IN_DOUBT, State.IN_DOUBT, State.IN_DOUBT, State.REJECTED])
    assert say(ledger, batch.id, 1, "credited", "seen", 0) == ""
    assert say(ledger, batch.id, 2, "not-credited", "not seen", 0) == ""
    assert say(ledger, batch.id, 3, "credited", "seen", 0) == ""
    assert say(ledger, batch.id, 3, "in-doubt", "mistyped", 0) == ""
    assert ledger.cancel(batch.id, 4, "withdrawn") == 1
    return batch


@pytest.fixture
def settings(home: SqliteHome) -> Settings:
    return load(None, f"sqlite:///{home.path}", {}, home.path.parent)


@pytest.fixture
def edited(home: SqliteHome) -> Callable[[Edit], None]:
    """Changes the file behind the program's back, past the triggers."""

    def edit(change: Edit) -> None:
        with closing(apsw.Connection(str(home.path))) as connection:
            connection.execute("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_cut")
            change(connection)

    return edit


def view(settings: Settings, name: str = "", expected: str = "") -> trail.TrailView:
    return trail.trail(name, expected, SendOptions("audit"), settings)


def test_an_untouched_trail_is_whole(ledger: Ledger, batch: BatchRecord, settings: Settings) -> None:
    """Of a batch and of the ledger; rows that are sent again afterwards contradict nothing."""
    enrol(ledger, "other", [Row("z")])
    begin(ledger, batch)
    assert refusal(ledger, batch, 2) == ""
    settle(ledger, batch, 2, Event.CREDIT)
    whole = view(settings)
    assert whole.broken == []
    assert [entry.what for entry in whole.entries] == [
        *("credited", "not-credited", "credited", "in-doubt", "cancelled"),
    ]
    assert (whole.count, whole.head) == (5, whole.entries[-1].hash)
    assert view(settings, "other").entries == []
    assert view(settings, "other").count == 5
    assert view(settings, expected=whole.entries[2].hash).broken == []


CHANGES = {
    "a note": "UPDATE audit SET note = 'seen twice' WHERE id = 2",
    "a time": "UPDATE audit SET at = at + 1 WHERE id = 5",
    "removed": "DELETE FROM audit WHERE id = 2",
    "reordered": "UPDATE audit SET id = 9 WHERE id = 1; UPDATE audit SET id = 1 WHERE id = 2;"
    "UPDATE audit SET id = 2 WHERE id = 9",
    "inserted": "INSERT INTO audit SELECT 6, at, user, host, what, batch, row, transfer_id, was, settled_by,"
    "note, known, hash FROM audit WHERE id = 5",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_trail_is_named(
    change: str, batch: BatchRecord, settings: Settings, edited: Callable[[Edit], None]
) -> None:
    """Changed, removed, reordered or inserted: the first entry that does not fit."""
    edited(lambda connection: connection.execute(CHANGES[change]))
    broken = view(settings).broken
    place = {"a note": 2, "a time": 5, "removed": 3, "reordered": 1, "inserted": 6}[change]
    assert broken[0].startswith(f"entry {place}: ")
    with pytest.raises(RefusedError, match=f"entry {place}") as caught:
        trail.refuse_broken(view(settings))
    assert caught.value.reason == "audit_broken"


def test_a_tail_that_was_cut_off_shows_against_a_head_kept_elsewhere(
    batch: BatchRecord, settings: Settings, edited: Callable[[Edit], None]
) -> None:
    """The shorter chain is sound in itself; the hash that it once ended with is gone."""
    head = view(settings).head
    edited(lambda connection: connection.execute("DELETE FROM audit WHERE id = 5"))
    assert head in " ".join(view(settings, expected=head).broken)


ROWS = {
    "a verdict without an entry": (
        "UPDATE transfer SET settled_by = 'person' WHERE id = 5",
        "row 1 of other",
    ),
    "another one than the entry's": ("UPDATE transfer SET state = 'credited' WHERE id = 2", "row 2 of b"),
    "by somebody else": ("UPDATE transfer SET settled_by = 'statement' WHERE id = 1", "row 1 of b"),
    "no longer credited": ("UPDATE transfer SET state = 'pending', settled_by = '' WHERE id = 1", "entry 1 "),
    "no longer withdrawn": (
        "UPDATE transfer SET state = 'pending', settled_by = '' WHERE id = 4",
        "entry 5 ",
    ),
}


@pytest.mark.parametrize("change", ROWS)
def test_a_row_that_the_trail_contradicts_is_named(
    change: str, ledger: Ledger, batch: BatchRecord, settings: Settings, edited: Callable[[Edit], None]
) -> None:
    """A state that a person made without a trace, or that a person's word does not allow."""
    drive(ledger, enrol(ledger, "other", [Row("z")]), [State.CREDITED])
    assert view(settings).broken == []
    sql, named = ROWS[change]
    edited(lambda connection: connection.execute(sql))
    broken = view(settings).broken
    assert broken
    assert all(named in said for said in broken), broken
