"""Files that are broken as files: each works, or is refused with file, row, line and cure."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_reading import read

from batchcredit.errors import RefusedError

HEAD = "provider,account,amount,currency\n"
GOOD = "clicksend,11,5.00,USD\n"


def test_short_rows_are_refused(refusal: Callable[..., RefusedError]) -> None:
    """A row with a cell too few names row, line and both widths."""
    error = refusal(HEAD + GOOD + '"click\nsend",1,1,USD\n' + "clicksend,12,5.00\n")
    assert str(error) == "batch.csv: row 3 (line 5) has 3 cells, the header names 4"
    assert error.reason == "row_length"
    assert "separator" in error.cure


def test_long_rows_are_refused_even_if_the_cells_add_up(refusal: Callable[..., RefusedError]) -> None:
    """A cell too many here is not made good by a cell too few there."""
    error = refusal(HEAD + "clicksend,1,234.00,USD,x\n" + "clicksend,12,5.00\n" + GOOD)
    assert str(error) == "batch.csv: row 1 (line 2) has 5 cells, the header names 4"


def test_a_bad_row_far_down_is_named_exactly(refusal: Callable[..., RefusedError]) -> None:
    """Rows and lines are counted on over the blocks."""
    many = "".join(f"clicksend,{n},5.00,USD\n" for n in range(1, 250_001))
    error = refusal(HEAD + many + "clicksend,1\n")
    assert str(error) == "batch.csv: row 250001 (line 250002) has 2 cells, the header names 4"


def test_an_unclosed_quote_is_found_where_it_opened(refusal: Callable[..., RefusedError]) -> None:
    """Not at the end of the file, where the parser gave up."""
    error = refusal(HEAD + GOOD + 'clicksend,"12,5.00,USD\n' + GOOD * 3)
    assert str(error).startswith("batch.csv: row 2 (line 3), column 2: a quote is opened and not closed")
    assert error.reason == "quote"


def test_an_unclosed_quote_in_a_large_file_does_not_take_the_memory(
    refusal: Callable[..., RefusedError],
) -> None:
    """A record has to end within a bound."""
    error = refusal(HEAD + GOOD + 'clicksend,"12,5.00,USD\n' + GOOD * 300_000)
    assert str(error).startswith("batch.csv: row 2 (line 3) does not end within 1 MiB")
    assert "a quote is opened and not closed" in str(error)


def test_text_behind_a_closing_quote_is_refused(refusal: Callable[..., RefusedError]) -> None:
    """Programs disagree about what it means."""
    error = refusal(HEAD + 'clicksend,"1"2,5.00,USD\n')
    assert "row 1 (line 2), column 2: text follows a closing quote" in str(error)


def test_a_quote_inside_a_bare_cell_is_text(batch: Callable[..., Any]) -> None:
    """5\" is a size."""
    read = batch('provider,account,amount,currency,size\nclicksend,11,5,USD,5" x 3"\nclicksend,12,6,USD,4"\n')
    assert [cells["size"] for cells in read.cells] == ['5" x 3"', '4"']


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_are_passed_over_and_counted(batch: Callable[..., Any], end: str) -> None:
    """Before the header, between rows and at the end; the lines still are those of the file."""
    text = "\n\n" + HEAD + "\n" + GOOD + "\n\n" + "clicksend,12,6,USD" + "\n\n"
    read = batch(text.replace("\n", end))
    assert [(row["row"], row["line"], row["account"]) for row in read.rows] == [(1, 5, "11"), (2, 8, "12")]


def test_a_row_of_separators_is_invalid_and_not_lost(batch: Callable[..., Any]) -> None:
    """Spreadsheets save them; each is shown."""
    read = batch(HEAD + GOOD + ",,,\n" + "clicksend,12,6,USD\n")
    assert read.problems == [None, "row_empty", None]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_work(batch: Callable[..., Any], separator: str) -> None:
    """A spreadsheet in a language with decimal commas writes `;`, and can't be told not to."""
    read = batch((HEAD + GOOD).replace(",", separator))
    assert read.survey.valid == 1


def test_a_byte_order_mark_is_no_part_of_the_first_name(batch: Callable[..., Any]) -> None:
    """'CSV UTF-8' begins with one."""
    assert batch(b"\xef\xbb\xbf" + (HEAD + GOOD).encode()).survey.valid == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_refused_by_name(refusal: Callable[..., RefusedError], encoding: str) -> None:
    """With its mark or without."""
    error = refusal((HEAD + GOOD).encode(encoding))
    assert error.reason == "encoding"
    assert "UTF-16" in str(error)
    assert "CSV UTF-8" in error.cure


def test_latin_1_is_refused_with_its_line(refusal: Callable[..., RefusedError]) -> None:
    """The line and the word are shown, and how to save it."""
    text = "provider,account,amount,currency,name\nclicksend,11,5,USD,a\nclicksend,12,6,USD,Müller\n"
    error = refusal(text.encode("cp1252"))
    assert str(error).startswith("batch.csv: line 3: the text is not UTF-8, near ")
    assert "Müller" in str(error)
    assert "CSV UTF-8" in error.cure


def test_a_nul_byte_is_refused_with_its_line(refusal: Callable[..., RefusedError]) -> None:
    """No text has one."""
    error = refusal((HEAD + GOOD).encode() + b"clicksend,1\x002,5,USD\n")
    assert str(error) == "batch.csv: line 3: a NUL byte, which no text has"


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "empty_file"), ("\n\n", "empty_file"), (HEAD, "no_rows"), (HEAD + "\n\n", "no_rows")],
)
def test_a_file_without_rows_is_refused(
    refusal: Callable[..., RefusedError], content: str, reason: str
) -> None:
    """Empty, blank, or nothing but a header."""
    assert refusal(content).reason == reason


def test_a_total_line_is_refused(refusal: Callable[..., RefusedError]) -> None:
    """The last amount is the sum of the others, grouped or not, with an account or without."""
    rows = "clicksend,11,1000,USD\nclicksend,12,234.5,USD\n"
    for last in ('Total,,"1,234.50",\n', "clicksend,13,1234.5,USD\n"):
        error = refusal(HEAD + rows + last)
        assert error.reason == "total_line"
        assert str(error).startswith("batch.csv: row 3 (line 4): the last amount, 1")


def test_a_total_line_of_one_currency_is_refused(refusal: Callable[..., RefusedError]) -> None:
    """A total may be that of its own currency's rows."""
    rows = "clicksend,11,10,USD\nkenya,x,7,KES\nclicksend,12,5,USD\nclicksend,13,15,USD\n"
    assert refusal(HEAD + rows).reason == "total_line"


def test_two_equal_amounts_are_no_total(batch: Callable[..., Any]) -> None:
    """Of two rows each is the sum of the others."""
    assert batch(HEAD + "clicksend,11,5,USD\nclicksend,12,5,USD\n").survey.valid == 2


def test_gzip_is_read(batch: Callable[..., Any]) -> None:
    """A compressed file is the same batch."""
    plain = batch(HEAD + GOOD)
    packed = batch(gzip.compress((HEAD + GOOD).encode()), "batch.csv.gz")
    assert packed.survey.content == plain.survey.content


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"no gzip at all", lambda data: data[:40] + b"\xff" * 40]
)
def test_damaged_gzip_is_refused(
    refusal: Callable[..., RefusedError], damage: Callable[[bytes], bytes]
) -> None:
    """Cut off, overwritten, or not gzip: never half a batch."""
    data = gzip.compress("".join([HEAD, *(f"clicksend,{n},5,USD\n" for n in range(1, 5000))]).encode())
    assert refusal(damage(data), "batch.csv.gz").reason == "file_damaged"


def test_a_gzip_bomb_is_refused(refusal: Callable[..., RefusedError]) -> None:
    """A record has to end within a bound, however small the file is."""
    bomb = gzip.compress(HEAD.encode() + b"x" * (64 << 20))
    assert "does not end within 1 MiB" in str(refusal(bomb, "batch.csv.gz"))


@pytest.mark.parametrize("name", ["batch.xls", "batch.txt", "batch"])
def test_other_kinds_are_refused_with_what_works(refusal: Callable[..., RefusedError], name: str) -> None:
    """The cure for a workbook is to save it as CSV."""
    error = refusal(HEAD + GOOD, name)
    assert error.reason == "file_kind"
    assert "csv" in error.cure.lower()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and a pipe are told apart, and none blocks."""
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, words in (("none", "no such file"), ("folder", "a folder"), ("pipe", "no regular file")):
        with pytest.raises(RefusedError, match=words):
            read(tmp_path / f"{name}.csv")


def test_a_results_file_is_refused_with_the_command(refusal: Callable[..., RefusedError]) -> None:
    """What is printed can be typed."""
    error = refusal(
        "provider,account,amount,currency,row,status,transfer_id,batch,seal\n"
        "clicksend,11,5,USD,1,credited,t-1,june-1a2b3c4d,s-1\n"
    )
    assert error.reason == "results_file"
    assert "batchcredit resume june-1a2b3c4d" in error.cure
