"""Verdicts of many rows: all of what a person said, exactly where they meant it, or nothing."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import Claim, EnrolChunk, Ledger, NewBatch, Settle
from batchcredit.ledger.base import LaneIdentity as Identity
from batchcredit.runner.options import SendOptions
from batchcredit.runner.settling import verdicts
from batchcredit.runner.settling.verdicts import Said
from batchcredit.settings import Settings, load
from batchcredit.transfer import Event, Outcome, State
from batchcredit.writer import IN_DOUBT_COLUMNS

ROWS = 12

Cells = dict[str, str]


def doubtful(ledger: Ledger, name: str = "march") -> None:
    """A batch of rows in doubt, of which the last was credited."""
    lane = ledger.accept_lane(Identity("clicksend", "http://127.0.0.1:1", "shop")).id
    rows = [
        (n, lane, "shop", f"00{n}", f"00{n}", f"{n}.5", "USD", None, "pending", "", "") for n in range(1, 13)
    ]
    new = NewBatch(name, name.encode(), "", "", {"USD": Decimal(84)}, {"shop": lane}, live=False)
    batch = ledger.enrol(new, [EnrolChunk(1, rows, b"")])
    ledger.begin_run(batch.id, 0, None, rejected=False)
    for transfer, _ in ledger.candidates(batch.id, lane, 0, ROWS):
        ledger.commit([Claim(batch.id, lane, transfer)])
        event = Event.CREDIT if transfer.row == ROWS else Event.DOUBT
        ledger.commit([Settle(batch.id, transfer, Outcome(event), 1)])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "batchcredit.toml"
    config.write_text(f'ledger = "sqlite:///{tmp_path / "ledger.db"}"\n[reconcile]\nquiet = "0s"\n')
    found = load(config, None, {}, tmp_path)
    with closing(registry.hold(found.ledger_url, "test")) as ledger:
        doubtful(ledger)
    return found


@pytest.fixture
def lines(settings: Settings) -> list[Cells]:
    """The list of rows in doubt as it is written, nothing filled in."""
    with closing(registry.read(settings.ledger_url)) as ledger:
        rows = ledger.rows(1, 1, ROWS - 1)
    known = [
        {
            "row": str(row.row),
            "account": row.account,
            "amount": row.amount,
            "currency": row.currency,
            "transfer_id": row.transfer_id,
            "batch": "march",
            "why": "the balance fits",
        }
        for row in rows
    ]
    return [dict.fromkeys(IN_DOUBT_COLUMNS, "") | cells for cells in known]


def write(path: Path, lines: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, IN_DOUBT_COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


def resolve(settings: Settings, said: Said, *, yes: bool = True, **how: Any) -> int:
    options = SendOptions("resolve", yes=yes, **how)
    return verdicts.resolve(said, options, settings, lambda _: False)[0]


def refused(settings: Settings, said: Said, **how: Any) -> tuple[str, str]:
    """Why, and in which words; nothing has changed."""
    before = states(settings)
    with pytest.raises(RefusedError) as caught:
        resolve(settings, said, **how)
    assert states(settings) == before
    return caught.value.reason, str(caught.value)


def states(settings: Settings) -> list[State]:
    with closing(registry.read(settings.ledger_url)) as ledger:
        return [row.state for row in ledger.rows(1, 1, ROWS)]


def sure(rows: str, verdict: str = "credited") -> Said:
    return Said("march", rows, verdict, "seen")


def test_rows_are_named_by_numbers_and_ranges(settings: Settings) -> None:
    """Each once, however often it is named; the sum is the second naming where nobody is asked."""
    assert resolve(settings, sure("3, 5-6,6"), expect_totals={"USD": Decimal("15.50")}) == 3
    assert [row for row, state in enumerate(states(settings), 1) if state is State.CREDITED] == [3, 5, 6, 12]


@pytest.mark.parametrize("rows", ["", "3,", "6-5", "a", "1-2-3", "-3", "0", "\u0663"])
def test_what_names_no_row_is_refused(rows: str, settings: Settings) -> None:
    """Half understood is not understood."""
    assert refused(settings, sure(rows))[0] in ("usage", "no_row")


@pytest.mark.parametrize("rows", ["13", "1-13", f"1-{10**17}"])
def test_a_row_that_the_batch_does_not_have_is_refused(rows: str, settings: Settings) -> None:
    """And a range with it, at once."""
    assert refused(settings, sure(rows))[0] == "no_row"


def test_what_nobody_is_asked_about_is_named_twice(settings: Settings) -> None:
    """The wrong sum, no sum, or the sum of another currency."""
    assert refused(settings, sure("3,5"))[0] == "usage"
    for wrong in ({"USD": Decimal(9)}, {"KES": Decimal(9)}, {"USD": Decimal(9), "KES": Decimal(1)}):
        reason, said = refused(settings, sure("3,4"), expect_totals=wrong)
        assert (reason, "8.0 USD" in said) == ("control_totals", True), said
    assert refused(settings, sure("3,5"), yes=False)[0] == "not_approved"


def test_one_row_that_may_not_be_resolved_stops_all(settings: Settings) -> None:
    """Row 12 has the provider's word; it is named, and the others are left."""
    reason, said = refused(settings, sure("10-12", "not-credited"), expect_totals={"USD": Decimal("34.5")})
    assert (reason, "row 12" in said) == ("verdict", True)


def test_a_list_is_taken_line_by_line(settings: Settings, lines: list[Cells], tmp_path: Path) -> None:
    """In any usual spelling; what is empty or still in doubt is left; what it rests on is kept."""
    words = ["Credited", " NOT CREDITED ", "not_credited", "", "in doubt", "not-credited"]
    for line, word in zip(lines, words, strict=False):
        line |= {"verdict": word, "note": f"seen {line['row']}", "amount": f"0{line['amount']}0"}
    path = write(tmp_path / "back.csv", lines)
    assert resolve(settings, Said("march", path=path)) == 4
    doubt, pending = State.IN_DOUBT, State.PENDING
    assert states(settings)[:7] == [State.CREDITED, pending, pending, doubt, doubt, pending, doubt]
    with closing(registry.read(settings.ledger_url)) as ledger:
        entries = list(ledger.audit("march"))
    assert [(entry.row, entry.note) for entry in entries] == [(n, f"seen {n}") for n in (1, 2, 3, 6)]
    assert '"why": "the balance fits"' in entries[0].known


EDITS = {
    "account": "1",
    "amount": "1.6",
    "currency": "KES",
    "transfer_id": "t-00000000-1",
    "batch": "april",
    "row": "99",
    "verdict": "maybe",
    "note": "",
}


@pytest.mark.parametrize("column", EDITS)
def test_an_edited_line_stops_all(
    column: str, settings: Settings, lines: list[Cells], tmp_path: Path
) -> None:
    """A lost zero, another amount, another batch's line, a word that is no verdict: each is named."""
    for line in lines:
        line |= {"verdict": "credited", "note": "seen"}
    lines[4][column] = EDITS[column]
    reason, said = refused(settings, Said("march", path=write(tmp_path / "back.csv", lines)))
    assert reason == "verdict"
    assert said.count("line ") == said.count("line 6 ") == 1


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(
    order=st.permutations(range(ROWS - 1)),
    shifted=st.sampled_from(["account", "amount", "transfer_id", "row"]),
    by=st.integers(1, ROWS - 2),
)
def test_a_column_that_was_sorted_alone_stops_all(
    order: list[int], shifted: str, by: int, settings: Settings, tmp_path: Path
) -> None:
    """Sorted whole the list is the same list; one column against the others is noticed, filled in or not."""
    with closing(registry.read(settings.ledger_url)) as ledger:
        rows = ledger.rows(1, 1, ROWS - 1)
    filled = []
    for place in order:
        row, other = rows[place], rows[(place + by) % len(rows)]
        known = {"row": row.row, "account": row.account, "amount": row.amount, "transfer_id": row.transfer_id}
        known[shifted] = getattr(other, shifted)
        filled.append(
            dict.fromkeys(IN_DOUBT_COLUMNS, "")
            | {name: str(cell) for name, cell in known.items()}
            | {"currency": "USD", "batch": "march"}
        )
    filled[0] |= {"verdict": "credited", "note": "seen"}
    reason, said = refused(settings, Said("march", path=write(tmp_path / "back.csv", filled)))
    assert (reason, "edited or shifted" in said) == ("verdict", True)


def test_a_row_that_stands_there_twice_stops_all(
    settings: Settings, lines: list[Cells], tmp_path: Path
) -> None:
    """Whatever the second line says of it."""
    lines[0] |= {"verdict": "credited", "note": "seen"}
    path = write(tmp_path / "back.csv", [*lines, lines[0]])
    assert "twice" in refused(settings, Said("march", path=path))[1]


def test_what_is_no_list_or_says_nothing_is_refused(
    settings: Settings, lines: list[Cells], tmp_path: Path
) -> None:
    """Any other file, and the list as it was written."""
    other = tmp_path / "other.csv"
    other.write_text("account,amount\n1,2\n")
    assert refused(settings, Said("march", path=other))[0] == "not_verdicts"
    assert refused(settings, Said("march", path=write(tmp_path / "back.csv", lines)))[0] == "not_verdicts"
