"""Spreadsheets are unpacked in the process of the tests."""

import pytest
from sheet_file import unpacked_here

from batchcredit.workbook import reading


@pytest.fixture(autouse=True)
def unpack_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "tried", unpacked_here)
