"""A statement's file: whose lines they are, and what is refused by name."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import xlsxwriter

from batchcredit.errors import RefusedError
from batchcredit.providers.base import Provider
from batchcredit.providers.clicksend import ClickSend
from batchcredit.providers.fastmessage import FastMessage
from batchcredit.runner.settling import statements as module
from batchcredit.runner.settling.statements import StatementOptions, statements

BOTH: dict[str, type[Provider]] = {"clicksend": ClickSend, "kenya": FastMessage}
ONE: dict[str, type[Provider]] = {"kenya": FastMessage}


def written(folder: Path, lines: Sequence[str]) -> Path:
    path = folder / "statement.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_lines_go_to_the_profiles_that_they_name(tmp_path: Path) -> None:
    """In any capitals; those of other profiles do not matter; an account is in the provider's own form."""
    lines = ["provider,account,amount,time"]
    lines += ["Kenya,ANNA,5,2026-03-01T10:00:00Z", "clicksend,111,6,2026-03-01T10:00:00Z"]
    lines += ["other,x,nothing,never", "kenya,ben,7,2026-03-01T10:00:00Z"]
    found = statements(StatementOptions(written(tmp_path, lines)), BOTH)
    told = {name: [(line.number, line.account_key) for line in each.lines] for name, each in found.items()}
    assert told == {"kenya": [(2, "anna"), (5, "ben")], "clicksend": [(3, "111")]}


def test_parquet_with_times_and_numbers(tmp_path: Path) -> None:
    """The same from a Parquet file; the provider's own name of the account is understood."""
    path = tmp_path / "statement.parquet"
    frame = pl.DataFrame({"childID": ["Anna"], "amount": ["5.00"], "time": ["2026-03-01T10:00:00Z"]})
    typed = pl.col("time").str.to_datetime(time_zone="UTC"), pl.col("amount").cast(pl.Decimal(10, 2))
    frame.with_columns(*typed).write_parquet(path)
    (line,) = statements(StatementOptions(path), ONE)["kenya"].lines
    assert (line.account_key, f"{line.amount}", line.from_ms) == ("anna", "5.00", 1_772_359_200_000)


def test_a_sheet_by_name(tmp_path: Path) -> None:
    """Numbers, and dates as a spreadsheet program keeps them."""
    path = tmp_path / "statement.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Notes").write_row(0, 0, ["nothing", "of", "use"])
        sheet = book.add_worksheet("Credits")
        sheet.write_row(0, 0, ["account", "amount", "time"])
        sheet.write_row(1, 0, ["Anna", 5.25])
        when = book.add_format({"num_format": "dd/mm/yyyy hh:mm:ss"})
        sheet.write_datetime(1, 2, datetime.fromisoformat("2026-03-04T10:00:00"), when)
    how = StatementOptions(path, sheet="Credits", zone=ZoneInfo("Africa/Nairobi"))
    (line,) = statements(how, ONE)["kenya"].lines
    assert (line.number, f"{line.amount}", line.from_ms) == (2, "5.25", 1_772_607_600_000)


def test_what_it_is_complete_for(tmp_path: Path) -> None:
    """From when and until when, in the zone that the person named."""
    path = written(tmp_path, ["account,amount", "anna,5"])
    zone = ZoneInfo("Africa/Nairobi")
    how = StatementOptions(path, zone=zone, since="2026-03-01 00:00", until="2026-03-02T00:00:00Z")
    found = statements(how, ONE)["kenya"]
    assert (found.since_ms, found.until_ms) == (1_772_312_400_000, 1_772_409_600_000)
    assert (found.has_times, found.ends_ms) == (False, 1_772_409_600_000)


@pytest.mark.parametrize(
    ("header", "line", "changes", "adapters", "reason"),
    [
        ("account,amount", "111,5", {}, BOTH, "statement_provider"),
        ("account,amount", "111,5", {"provider": "elsewhere"}, BOTH, "statement_provider"),
        ("account,amount,provider", "111,5,elsewhere", {}, BOTH, "statement_provider"),
        ("account,amount,time", "111,5,03/04/2026", {}, ONE, "statement_line"),
        ("account,amount,time", "111,5,2026-03-01 10:00", {}, ONE, "statement_line"),
        ("account,amount", "111,5", {"columns": {"time": "When"}}, ONE, "missing_column"),
        ("account,sum", "111,5", {}, ONE, "missing_column"),
        ("account,amount", "111,5", {"until": "2099-01-01T00:00:00Z"}, ONE, "usage"),
        ("account,amount", "111,5", {"since": "2026-03-01"}, ONE, "usage"),
        ("account,amount", "111,5", {"until": "yesterday"}, ONE, "usage"),
        ("account,amount", "111,5", {"path": Path("none.csv")}, ONE, "no_file"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    header: str,
    line: str,
    changes: dict[str, Any],
    adapters: dict[str, type[Provider]],
    reason: str,
) -> None:
    """A statement that is not clear is not guessed at."""
    options = {"path": written(tmp_path, [header, line])} | changes
    with pytest.raises(RefusedError) as refused:
        statements(StatementOptions(**options), adapters)
    assert refused.value.reason == reason
    assert refused.value.cure


def test_a_statement_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are held in memory, so there can't be any number of them."""
    monkeypatch.setattr(module, "LINES_MOST", 2)
    with pytest.raises(RefusedError, match="more than 2 lines"):
        statements(StatementOptions(written(tmp_path, ["account,amount", "a,1", "b,2", "c,3"])), ONE)
