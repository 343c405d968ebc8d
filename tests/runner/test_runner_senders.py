"""Who sends with a shared ledger, as people see it, and what ends one of them."""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batchcredit import host
from batchcredit.console.senders import eviction, senders, senders_as_json
from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import SenderRecord
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.ledger.sqlite.reader import SqliteReader
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling import senders as asked
from batchcredit.settings import Settings, load

NOW_MS = 1_800_000_000_000
ONE = SenderRecord(
    7, 3, "march", "ann", "node-1", 4711, "run march.csv", NOW_MS - 60_000, 5, NOW_MS - 2500, 6
)
IDLE = replace(ONE, id=8, sending=0, oldest_intent_ms=None, driver=None)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "now_ms", lambda: NOW_MS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a ledger that stands."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    registry.hold(url, "run").close()
    return load(None, url, {}, tmp_path)


def test_senders_are_shown_with_what_is_in_flight() -> None:
    """A line each; nothing that a machine calls itself steers the terminal."""
    shown = senders([replace(ONE, host="a\x1b[2J"), IDLE], ZoneInfo("UTC"))
    _, first, second = shown.splitlines()
    assert "\x1b" not in shown
    assert first.split()[:2] == ["7", "march"]
    assert " 2 s" in first
    assert second.split()[0] == "8"
    assert " s " not in second
    told = senders_as_json([ONE, IDLE])
    assert [(each["sender"], each["in_flight"], each["oldest_s"], each["driver"]) for each in told] == [
        (7, 5, 2.5, 6),
        (8, 0, None, None),
    ]


def test_the_question_says_whom_it_ends() -> None:
    """Machine, process and rows, before anything happens."""
    question = eviction(ONE, ZoneInfo("UTC"))
    assert "process 4711 on node-1 (run march.csv, by ann)" in question
    assert "5 rows" in question


class _Shared:
    """A shared ledger's answers, given by a SQLite one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.evicted: list[tuple[int, str]] = []
        monkeypatch.setattr(SqliteReader, "is_shared", True)
        monkeypatch.setattr(SqliteReader, "senders", lambda _: [ONE, IDLE])
        monkeypatch.setattr(SqliteLedger, "evict", lambda _, *said: self.evict(*said))

    def evict(self, sender: int, note: str) -> int:
        self.evicted.append((sender, note))
        return 5


def test_nobody_is_evicted_unless_a_person_agrees(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person is shown the sender of that number; with --yes nobody is asked."""
    shared, how = _Shared(monkeypatch), SendOptions("evict 7")
    shown: list[SenderRecord] = []

    def refuse(sender: SenderRecord) -> bool:
        shown.append(sender)
        return False

    with pytest.raises(RefusedError) as refusal:
        asked.evict(7, "it hangs", how, settings, refuse)
    assert (refusal.value.reason, shown, shared.evicted) == ("not_approved", [ONE], [])
    assert asked.evict(7, "it hangs", replace(how, yes=True), settings, refuse) == 5
    assert (shared.evicted, shown) == ([(7, "it hangs")], [ONE])
    with pytest.raises(RefusedError) as refusal:
        asked.evict(9, "it hangs", replace(how, yes=True), settings, refuse)
    assert refusal.value.reason == "no_sender"
