"""A ledger of each kind, held, on a clock that the test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_parts import HOMES, Clock, SqliteHome

from batchcredit import host
from batchcredit.ledger.base import Ledger


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock of the ledger, standing still."""
    still = Clock()
    monkeypatch.setattr(host, "now_ms", still.now_ms)
    return still


@pytest.fixture(params=HOMES)
def home(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> SqliteHome:
    """The home of a ledger that does not exist yet."""
    return HOMES[request.param](tmp_path / "ledger.db")


@pytest.fixture
def ledger(home: SqliteHome) -> Iterator[Ledger]:
    """A new ledger, held."""
    held = home.hold()
    yield held
    held.close()
