"""A ledger of each kind, held, on a clock that the test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_parts import Clock, Home, PostgresHome, SqliteHome

from batchcredit import host
from batchcredit.ledger.base import Ledger
from batchcredit.ledger.postgres.database import PostgresDatabase


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock of the ledger, standing still."""
    still = Clock()
    monkeypatch.setattr(host, "now_ms", still.now_ms)
    monkeypatch.setattr(PostgresDatabase, "_measured_offset_ms", lambda _: 0)
    return still


@pytest.fixture(params=["sqlite", "postgres"])
def home(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Home:
    """The home of a ledger that does not exist yet."""
    if request.param == "postgres":
        return PostgresHome(request.getfixturevalue("postgres").fresh_url())
    return SqliteHome(tmp_path / "ledger.db")


@pytest.fixture
def ledger(home: SqliteHome) -> Iterator[Ledger]:
    """A new ledger, held."""
    held = home.hold()
    yield held
    held.close()
