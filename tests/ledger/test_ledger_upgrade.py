"""A ledger of the first version meets the newest program, and a newer one an older program."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from ledger_parts import Clock, Row, SqliteHome, enrol

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.audit import breaks
from batchcredit.ledger.sqlite.file import COPIED
from batchcredit.ledger.sqlite.schema import APPLICATION_ID, migrations
from batchcredit.transfer import State

#: What the first program left: two rows that a person resolved, the second of them twice.
_ROWS = """
    INSERT INTO meta VALUES ('id', '0badcafe'), ('kind', 'live'), ('created_by', 'ann@desk');
    INSERT INTO lane VALUES (1, 'clicksend', 'https://one.test', 'shop', 1, 1, 5, NULL);
    INSERT INTO batch VALUES (1, 'march', x'00', 'ready', 2, '', '', '{"USD": "3"}', 1, 9, 0, '');
    INSERT INTO batch_lane (batch, profile, lane) VALUES (1, 'shop', 1);
    INSERT INTO transfer (id, batch, row, lane, provider, account, account_key, amount, currency, state,
        reason, attempts, sent_at, ended_at, settled_by) VALUES
        (1, 1, 1, 1, 'shop', 'anna', 'anna', '1', 'USD', 'credited', 'verdict', 1, 5, 6, 'person'),
        (2, 1, 2, 1, 'shop', 'berta', 'berta', '2', 'USD', 'in_doubt', 'verdict', 1, 5, 6, 'person');
    INSERT INTO verdict (transfer, verdict, was, note, user, host, at) VALUES
        (2, 'credited', 'in_doubt', 'seen', 'ann', 'desk', 7),
        (1, 'credited', 'in_doubt', 'seen', 'ann', 'desk', 8),
        (2, 'in-doubt', 'credited', 'mistyped', 'bob', 'desk', 9);
"""


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> SqliteHome:
    """What is asked here is asked of a file."""
    return SqliteHome(tmp_path / "ledger.db")


@pytest.fixture
def first(tmp_path: Path) -> SqliteHome:
    """A ledger as the first program made it."""
    home = SqliteHome(tmp_path / "ledger.db")
    with closing(apsw.Connection(str(home.path))) as connection:
        connection.execute(migrations()[0])
        connection.execute(f"PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID}; {_ROWS}")
    return home


def kept(home: SqliteHome) -> list[Path]:
    return sorted(home.path.parent.glob("ledger.db.before-*"))


def raw(path: Path, sql: str) -> object:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return connection.execute(sql).fetchone()[0]


@pytest.mark.parametrize("way", ["read", "hold"])
def test_an_older_ledger_is_kept_and_named_before_it_gets_new_tables(way: str, first: SqliteHome) -> None:
    """Whoever comes first, a question or a run; what is kept is what the older program can go on with."""
    told: list[str] = []
    url = f"sqlite:///{first.path}"
    opened = registry.read(url, told.append) if way == "read" else registry.hold(url, "run", told.append)
    with closing(opened) as ledger:
        assert [row.state for row in ledger.rows(1, 1, 2)] == [State.CREDITED, State.IN_DOUBT]
        assert ledger.version() == len(migrations())
    (copy,) = kept(first)
    assert str(copy) in "".join(told)
    assert copy.name.startswith("ledger.db.before-0002-")
    assert raw(copy, "PRAGMA user_version") == 1
    assert raw(copy, "SELECT count(*) FROM verdict") == 3
    assert raw(copy, f"SELECT count(*) FROM meta WHERE key = '{COPIED}'") == 1
    first.hold().close()
    assert len(kept(first)) == 1


def test_the_verdicts_of_the_first_version_stand_in_the_trail(first: SqliteHome) -> None:
    """In their order, chained, with who said so and when."""
    with closing(first.hold()) as ledger:
        entries = list(ledger.audit())
    assert [(entry.what, entry.row, entry.user, entry.at_ms) for entry in entries] == [
        ("credited", 2, "ann", 7),
        ("credited", 1, "ann", 8),
        ("in-doubt", 2, "bob", 9),
    ]
    assert {entry.transfer_id for entry in entries} == {"t-0badcafe-1", "t-0badcafe-2"}
    assert list(breaks(entries)) == []


def test_a_copy_of_an_older_ledger_is_read_and_stays_a_copy(first: SqliteHome) -> None:
    """New tables do not make it the ledger."""
    first.hold().close()
    (copy,) = kept(first)
    with closing(registry.read(f"sqlite:///{copy}")) as ledger:
        assert ledger.batches("march")[0].rows == 2
    with pytest.raises(RefusedError) as caught:
        SqliteHome(copy).hold()
    assert caught.value.reason == "ledger_copy"


def test_a_program_that_is_too_old_is_told_which_one_it_takes(home: SqliteHome) -> None:
    """The version stands in the ledger, where even the older program finds it."""
    with closing(home.hold()) as ledger:
        enrol(ledger, "b", [Row()])
    with closing(apsw.Connection(str(home.path))) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'needs'").fetchone()
        connection.execute("UPDATE meta SET value = '9.1' WHERE key = 'needs'; PRAGMA user_version = 99")
    for opens in (home.hold, home.read):
        with pytest.raises(RefusedError, match=r"9\.1") as caught:
            opens()
        assert caught.value.reason == "ledger_newer"
        assert "batchcredit>=9.1" in caught.value.cure
