"""The pictures of docs/pictures are those that the script draws."""

import importlib.util
from types import ModuleType

from documents import ROOT

from batchcredit.transfer import MOVES, Event, State

PICTURES = ROOT / "docs" / "pictures"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_states_is_fresh() -> None:
    """It shows each state, and each move but the rare ones; `make pictures` draws it again."""
    drawn = script().states()
    assert drawn == (PICTURES / "states.svg").read_text()
    assert all(f">{state.value}</text>" in drawn for state in State)
    shown = {event for _, event in MOVES} - script().RARE
    assert {Event.CLAIM, Event.DOUBT, Event.DENY, Event.REOPEN} <= shown
    assert all(event.value in drawn for event in shown)


def test_the_pictures_are_small() -> None:
    """All of them together: they come with every checkout."""
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 300_000
