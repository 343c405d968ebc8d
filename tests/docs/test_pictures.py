"""The pictures of docs/pictures are those that the scripts draw, and load nothing."""

import importlib
import re

import pytest
from documents import ROOT

from batchcredit.transfer import MOVES, Event, State

PICTURES = ROOT / "docs" / "pictures"


def test_the_diagrams_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The states show each state, and each move but the rare ones; `make pictures` draws them again."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    diagrams = importlib.import_module("make_diagrams")
    drawn = diagrams.states()
    assert drawn == (PICTURES / "states.svg").read_text()
    assert all(f">{state.value}</text>" in drawn for state in State)
    shown = {event for _, event in MOVES} - diagrams.RARE
    assert {Event.CLAIM, Event.DOUBT, Event.DENY, Event.REOPEN} <= shown
    assert all(event.value in drawn for event in shown)
    assert diagrams.flow() == (PICTURES / "flow.svg").read_text()


def test_the_pictures_are_small_and_load_nothing() -> None:
    """All of them together, since they come with every checkout; and they are looked at without a network."""
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 300_000
    for picture in PICTURES.glob("*.svg"):
        text = picture.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|@import|<script", text), picture.name


def test_the_report_on_the_picture_is_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its times are moved to a month end, each by as much: what ended last still does."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    pictures = importlib.import_module("make_pictures")
    moved = pictures.at_a_month_end("until 2026-11-20 00:00:23, from 2026-11-19 23:59:57 UTC")
    assert moved == "until 2026-03-31 09:20:26, from 2026-03-31 09:20:00 UTC"
