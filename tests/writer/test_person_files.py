"""Lists for people: whole, beside the results, and never in the place of somebody's work."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_ledger import MemoryLedger, as_reader, batch_of, credited, result_row

from batchcredit.ledger.base import ResultRow
from batchcredit.transfer import State
from batchcredit.writer import (
    IN_DOUBT_COLUMNS,
    TO_FIX_COLUMNS,
    TO_REVERSE_COLUMNS,
    Advice,
    Finding,
    list_path,
    pack,
    seal,
    write_in_doubt,
    write_to_fix,
    write_to_reverse,
)

TO_FIX = (State.REJECTED, State.INVALID)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6)


@dataclass
class ListingLedger(MemoryLedger):
    """Also finds rows by their state, a page at a time."""

    def rows_in(
        self, batch: int, states: Sequence[State], reasons: Sequence[str], limit: int, *, after_row: int = 0
    ) -> list[ResultRow]:
        found = [row for row in self.known if row.row > after_row and row.state in states]
        return found[: min(limit, 2)]


def advise(row: ResultRow) -> Advice:
    return Advice(f"{row.state.value}!", "=mend it")


def rejected(row: int, **changes: object) -> ResultRow:
    return replace(result_row(row), state=State.REJECTED, **changes)  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fix(ledger: ListingLedger, path: Path) -> Path | None:
    return write_to_fix(as_reader(ledger), batch_of(len(ledger.known)), path, advise)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return list_path(tmp_path / "march.results.csv", batch_of(3), "to-fix", sandbox=False)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_to_fix_has_just_the_rows_to_correct_as_they_came_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """In order, each once, cell by cell, whatever stands in them and however the ledger keeps them."""
    states = data.draw(st.lists(st.sampled_from(list(State)), min_size=1, max_size=12))
    cells = data.draw(st.lists(TEXT, min_size=len(states), max_size=len(states)))
    rows = [replace(result_row(number), state=state) for number, state in enumerate(states, 1)]
    ledger = ListingLedger(rows, chunk_rows=data.draw(st.integers(1, 5)))
    frame = pl.DataFrame({"=note": cells, "account": [row.account for row in rows]})
    ledger.blocks = [
        (first, count, pack(frame[first - 1 : first - 1 + count])) for first, count, _ in ledger.blocks
    ]
    path = tmp_path_factory.mktemp("lists") / "march.to-fix.csv"
    written = fix(ledger, path)
    wanted = [row for row in rows if row.state in TO_FIX]
    if not wanted:
        assert written is None
        assert not path.exists()
        return
    assert written == path
    found = [
        {name.removeprefix("'"): cell.removeprefix("'") for name, cell in row.items()} for row in read(path)
    ]
    assert tuple(found[0]) == ("=note", "account", *TO_FIX_COLUMNS)
    assert [row["=note"] for row in found] == [cells[row.row - 1] for row in wanted]
    assert [int(row["row"]) for row in found] == [row.row for row in wanted]
    assert [row["problem"] for row in found] == [f"{row.state.value}!" for row in wanted]
    assert {row["cure"] for row in found} == {"=mend it"}
    assert [row["seal"] for row in found] == [
        seal(
            *("march-12ab34cd", len(rows), row.row, row.provider, row.account, row.amount, row.currency),
            *(row.reference, row.state.value, row.transfer_id),
        )
        for row in wanted
    ]


def test_a_list_takes_the_place_of_the_one_before_it(place: Path) -> None:
    """Rewritten at each end; what needs no correction any more goes, and with the last row the file."""
    assert fix(ListingLedger([rejected(1), rejected(2), credited(3)]), place) == place
    assert fix(ListingLedger([rejected(1), credited(2), credited(3)]), place) == place
    assert [row["row"] for row in read(place)] == ["1"]
    assert fix(ListingLedger([credited(1), credited(2), credited(3)]), place) is None
    assert not any(place.parent.iterdir())


def _edited(text: str) -> str:
    return text.replace("1001", "70001")


def _without_its_end(text: str) -> str:
    return text[:-30]


def _sorted_by_somebody(text: str) -> str:
    header, *rows = text.splitlines(keepends=True)
    return "".join([header, *reversed(rows)])


def _with_a_column_more(text: str) -> str:
    return "".join(f"{line},done\n" for line in text.splitlines())


def _of_another_batch(text: str) -> str:
    return text.replace("march-12ab34cd", "april-12ab34cd")


def _saved_with_semicolons(text: str) -> str:
    return text.replace(",", ";")


@pytest.mark.parametrize(
    "change",
    [
        *(_edited, _without_its_end, _sorted_by_somebody, _with_a_column_more, _of_another_batch),
        *(
            _saved_with_semicolons,
            lambda _: "",
            lambda _: "\x80",
            lambda _: 'a,"b\n',
            lambda _: "our recipe\n",
        ),
    ],
)
def test_nobodys_work_is_replaced(place: Path, change: Callable[[str], str]) -> None:
    """What was written into a list and not given back stays as it is; the new list stands beside it."""
    ledger = ListingLedger([rejected(1), rejected(2), credited(3)])
    assert fix(ledger, place) == place
    kept = change(place.read_text()).encode("latin-1")
    place.write_bytes(kept)
    second = place.with_name("march-12ab34cd.to-fix (2).csv")
    assert fix(ledger, place) == second
    assert fix(ledger, place) == second, "our own second one is replaced"
    assert place.read_bytes() == kept
    assert [row["row"] for row in read(second)] == ["1", "2"]


def test_corrections_that_were_taken_up_are_no_work_any_more(place: Path) -> None:
    """The ledger's cells are the edited ones then, so the next list says the same, or the row is gone."""
    assert fix(ListingLedger([rejected(1), rejected(2), credited(3)]), place) == place
    place.write_text(_edited(place.read_text()))
    assert fix(ListingLedger([rejected(1, account="70001"), rejected(2), credited(3)]), place) == place
    place.write_text(place.read_text().replace("1002", "70002"))
    assert fix(ListingLedger([rejected(1, account="70001"), credited(2), credited(3)]), place) == place


@pytest.mark.parametrize("change", [_of_another_batch, _with_a_column_more, lambda _: "our recipe\n"])
def test_only_a_list_of_ours_is_removed(place: Path, change: Callable[[str], str]) -> None:
    """Nothing is left to correct; what somebody else keeps under that name stays, and a link is no list."""
    assert fix(ListingLedger([rejected(1)]), place) == place
    place.write_text(change(place.read_text()))
    assert fix(ListingLedger([credited(1)]), place) is None
    assert place.exists()
    real = place.rename(place.with_name("elsewhere.csv"))
    place.symlink_to(real)
    assert fix(ListingLedger([credited(1)]), place) is None
    assert place.is_symlink()


def test_columns_of_the_input_that_are_called_like_ours_stay(place: Path) -> None:
    """Ours step aside, and the list is still known as ours."""
    ledger = ListingLedger([rejected(1)])
    ledger.blocks = [(1, 1, pack(pl.DataFrame({"problem": ["none"], "account": ["1001"]})))]
    assert fix(ledger, place) == place
    assert read(place)[0] | {"seal": ""} == {
        "problem": "none",
        "account": "1001",
        "row": "1",
        "problem_": "rejected!",
        "cure": "'=mend it",
        "batch": "march-12ab34cd",
        "seal": "",
    }
    assert fix(ledger, place) == place
    assert fix(ListingLedger([credited(1)]), place) is None
    assert not place.exists()


def doubtful(row: int) -> ResultRow:
    return result_row(row, state=State.IN_DOUBT, sent_ms=1_700_000_000_123, reference="=r")


def in_doubt(ledger: ListingLedger, path: Path, findings: dict[int, Finding]) -> Path | None:
    return write_in_doubt(
        *(as_reader(ledger), batch_of(len(ledger.known)), path),
        where_to_look=lambda profile: f"{profile}'s history",
        zone=ZoneInfo("Africa/Nairobi"),
        findings=findings,
    )


def test_rows_in_doubt_come_with_all_that_is_known_of_them(tmp_path: Path) -> None:
    """Line as a spreadsheet counts, local time with its zone, both balances, and room for a verdict."""
    path = tmp_path / "march.in-doubt.csv"
    found = Finding("credited", "the next balance is higher by it", Decimal("30.50"), Decimal(18))
    ledger = ListingLedger([credited(1), doubtful(2), doubtful(3)])
    assert in_doubt(ledger, path, {2: found}) == path
    known, unknown = read(path)
    assert tuple(known) == IN_DOUBT_COLUMNS
    assert known == {
        "line": "3",
        "row": "2",
        "provider": "clicksend",
        "account": "1002",
        "amount": "12.5",
        "currency": "USD",
        "reference": "'=r",
        "sent_at": "2023-11-15 01:13:20 EAT",
        "balance_if_credited": "30.5",
        "balance_if_not": "18",
        "where_to_look": "clicksend's history",
        "proposal": "credited",
        "why": "the next balance is higher by it",
        "verdict": "",
        "note": "",
        "batch": "march-12ab34cd",
        "transfer_id": "t-ledgerone-2",
    }
    assert [unknown[name] for name in ("row", "balance_if_not", "proposal", "why")] == ["3", "", "", ""]
    assert in_doubt(ListingLedger([credited(1), credited(2)]), path, {}) is None
    assert not path.exists()


def test_a_verdict_that_was_filled_in_is_not_lost(tmp_path: Path) -> None:
    """Another look finds more, and writes it beside the list that somebody has begun to fill in."""
    path = tmp_path / "march.in-doubt.csv"
    ledger = ListingLedger([doubtful(1), doubtful(2)])
    assert in_doubt(ledger, path, {}) == path
    assert in_doubt(ledger, path, {1: Finding("credited", "seen")}) == path, "what we find out may change"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace(",,,march", ",credited,seen at 14:02,march")
    path.write_text("\n".join(lines))
    assert in_doubt(ledger, path, {}) == tmp_path / "march.in-doubt (2).csv"
    assert path.read_text().splitlines() == lines
    resolved = ListingLedger([doubtful(1), credited(2)])
    assert in_doubt(resolved, path, {}) == path, "that verdict was given back"


def test_what_was_credited_is_listed_to_be_taken_back(tmp_path: Path) -> None:
    """Credited rows alone, with what finds them at the provider."""
    path = tmp_path / "march.to-reverse.csv"
    ledger = ListingLedger([credited(1, units="5"), doubtful(2), rejected(3), credited(4), credited(5)])
    assert write_to_reverse(as_reader(ledger), batch_of(5), path) == path
    rows = read(path)
    assert [row["row"] for row in rows] == ["1", "4", "5"]
    assert tuple(rows[0]) == TO_REVERSE_COLUMNS
    assert rows[0] == {
        "provider": "clicksend",
        "account": "1001",
        "amount": "12.5",
        "currency": "USD",
        "reference": "",
        "row": "1",
        "sent_at": "2023-11-14T22:13:20.123Z",
        "units": "5",
        "balance_after": "170.728701",
        "transfer_id": "t-ledgerone-1",
        "batch": "march-12ab34cd",
    }


def test_lists_stand_beside_the_results(tmp_path: Path) -> None:
    """Those of a rehearsal can be told by their name, as its results can."""
    results = tmp_path / "elsewhere" / "out.parquet"
    assert list_path(results, batch_of(1), "to-fix", sandbox=True) == (
        results.parent / "sandbox-march-12ab34cd.to-fix.csv"
    )
