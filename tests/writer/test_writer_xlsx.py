"""Results as a spreadsheet: what people open and save comes back whole."""

from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_ledger import MemoryLedger, as_reader, batch_of, credited, result_row
from sheet_file import read_xlsx

from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger.base import ResultRow
from batchcredit.transfer import State
from batchcredit.writer import pack, refuse_rows, seal, write_results

HOSTILE = ("=1+1", "'=1+1", "<r><t>a</t></r>", "_x0041_", "https://a.b", "007", "1e5", "TRUE", "2026-01-02")
TEXT = st.sampled_from(HOSTILE) | st.text(
    st.characters(codec="utf-8", exclude_characters="\r\0\ufffe\uffff", min_codepoint=9), max_size=8
)


@st.composite
def known_rows(draw: st.DrawFn) -> list[ResultRow]:
    states = draw(st.lists(st.sampled_from(list(State)), min_size=1, max_size=6))
    amounts = st.decimals(min_value="0.0001", max_value=999_999_999_999, places=4)
    return [
        result_row(
            row,
            state=state,
            account=draw(st.from_regex("0{0,4}[1-9][0-9]{0,18}", fullmatch=True)),
            amount=f"{draw(amounts):f}",
            reference=draw(st.none() | st.sampled_from(HOSTILE)),
            message=draw(TEXT),
            balance_after=draw(st.none() | amounts.map("{:f}".format)),
        )
        for row, state in enumerate(states, 1)
    ]


@settings(max_examples=10, deadline=None)
@given(known=known_rows(), note=TEXT)
def test_what_another_program_saves_again_comes_back_whole(known: list[ResultRow], note: str) -> None:
    """Texts stay as they are, amounts by value, and every seal still holds."""
    ledger, batch = MemoryLedger(known, 100), batch_of(len(known))
    cells = pl.DataFrame(
        {
            "account": [row.account for row in known],
            "amount": [row.amount for row in known],
            "reference": [row.reference for row in known],
            "note": [note] * len(known),
        },
        schema_overrides={"reference": pl.String},
    )
    ledger.blocks = [(1, len(known), pack(cells))]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.results.xlsx"
        write_results(as_reader(ledger), batch, path)
        before = read_xlsx(path)
        openpyxl.load_workbook(path).save(path)
        found = read_xlsx(path)
    assert before["note"].to_list() == [note or None] * len(known)
    whole = pl.all().exclude("note", "message")  # that program does not write what XML can't hold
    assert found.select(whole).equals(before.select(whole))
    for line, row in zip(found.iter_rows(named=True), known, strict=True):
        assert line["account"] == row.account
        assert (line["reference"] or None) == row.reference
        assert line["seal"] == seal(
            *(batch.name, batch.rows, int(line["row"]), row.provider, line["account"], line["amount"]),
            *(row.currency, line["reference"], line["status"], line["transfer_id"]),
        )


def test_cells_are_what_people_expect(tmp_path: Path) -> None:
    """Money is numbers with its decimals, ids are text, each row has its colour, nothing is a formula."""
    path = tmp_path / "m.xlsx"
    rows = [credited(1, account="0042", units="5.00"), result_row(2, state=State.REJECTED)]
    rows.append(credited(3, balance_after="1234567890123.4567"))
    write_results(as_reader(MemoryLedger(rows)), batch_of(3), path)
    sheet = openpyxl.load_workbook(path).active
    at = {cell.value: cell.column - 1 for cell in sheet[1]}
    first, second, third = ([*each] for each in sheet.iter_rows(min_row=2))
    assert (first[at["amount"]].value, first[at["amount"]].number_format) == (12.5, "0.00")
    assert (first[at["balance_after"]].value, first[at["balance_after"]].number_format) == (
        170.728701,
        "0.000000",
    )
    assert (first[at["account"]].value, first[at["account"]].number_format) == ("0042", "@")
    assert third[at["balance_after"]].value == "1234567890123.4567"
    assert first[at["sent_at"]].value == "2023-11-14T22:13:20.123Z"
    colours = [each[at["status"]].fill.fgColor.rgb for each in (first, second, third)]
    assert colours[0] == colours[2] != colours[1]
    assert all(cell.data_type in "ns" for each in (first, second, third) for cell in each)
    assert (sheet.freeze_panes, sheet.auto_filter.ref[:3]) == ("A2", "A1:")


def test_what_a_sheet_can_not_hold_is_refused(tmp_path: Path) -> None:
    """Nothing is cut; rows are counted before anything is sent."""
    refuse_rows(tmp_path / "m.xlsx", 1_048_575)
    refuse_rows(tmp_path / "m.csv", 1_048_576)
    with pytest.raises(RefusedError) as caught:
        refuse_rows(tmp_path / "m.xlsx", 1_048_576)
    assert caught.value.reason == "out_rows"
    long = as_reader(MemoryLedger([result_row(1, message="x" * 32_768)]))
    with pytest.raises(StorageError) as stopped:
        write_results(long, batch_of(1), tmp_path / "m.xlsx")
    assert stopped.value.reason == "out_format"
    assert not list(tmp_path.iterdir())
