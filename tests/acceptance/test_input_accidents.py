"""What spreadsheets and exports do to a batch file, and what a person is told about it."""

import csv
import gzip
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from command_line import CommandLine, Ended, Sandbox

HEADER = "provider,account,amount,currency,reference\n"
GOOD = "clicksend,11,1.50,USD,\n"


def refused(ended: Ended, sandbox: Sandbox) -> str:
    """Everything a command said that was refused before anything was sent."""
    assert ended.code == 2, ended
    assert sandbox.arrivals() == []
    return ended.stderr


def said_of(shop: CommandLine, sandbox: Sandbox, name: str, content: bytes, *flags: str) -> str:
    (shop.folder / name).write_bytes(content)
    return refused(shop("run", name, "--yes", *flags), sandbox)


def two_rows(*cells: str) -> bytes:
    return (HEADER + GOOD + "".join(f"{cell}\n" for cell in cells)).encode()


WHOLE_FILES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "empty": ("a.csv", b"", ("a.csv: the file is empty", "check that the export ended")),
    "only a header": ("a.csv", HEADER.encode(), ("a.csv: there is a header and no data row",)),
    "twice a column": (
        "a.csv",
        b"provider,account,amount,amount\nclicksend,11,1,1\n",
        ("line 1", "names a column twice: 'amount'", "rename or delete"),
    ),
    "two columns for one": (
        "a.csv",
        b"provider,account,client_user_id,amount,currency\nclicksend,11,11,1,USD\n",
        ("columns 'account' and 'client_user_id' could both be account",),
    ),
    "utf-16": ("a.csv", (HEADER + GOOD).encode("utf-16"), ("UTF-16", "save it again as 'CSV UTF-8'")),
    "latin-1": (
        "a.csv",
        (HEADER + GOOD + "fastmessage,Jos\u00e9,5,KES,\n").encode("latin-1"),
        ("line 3: the text is not UTF-8, near", "Jos", "CSV UTF-8"),
    ),
    "NUL": ("a.csv", two_rows("clicksend,1\0002,5,USD,"), ("line 3: a NUL byte", "CSV UTF-8")),
    "short row": (
        "a.csv",
        two_rows("clicksend,12,5"),
        ("row 2 (line 3) has 3 cells, the header names 5", "mend the row"),
    ),
    "long row": (
        "a.csv",
        two_rows("clicksend,12,1,234.50,USD,"),
        ("row 2 (line 3) has 6 cells, the header names 5", "double quotes"),
    ),
    "unclosed quote": (
        "a.csv",
        two_rows('clicksend,"12,5,USD,', GOOD.strip()),
        ("row 2 (line 3), column 2: a quote is opened and not closed", "close the quote"),
    ),
    "text behind a quote": (
        "a.csv",
        two_rows('clicksend,"12"x,5,USD,'),
        ("row 2 (line 3), column 2: text follows a closing quote",),
    ),
    "nearly a column": (
        "a.csv",
        b"provider,account,amount,currency,referance\nclicksend,11,1,USD,A\n",
        ("line 1: column 'referance': did you mean reference?", "--map my_reference=referance"),
    ),
    "no such column": (
        "a.csv",
        b"provider,client,amount\nclicksend,11,1\n",
        (
            "there is no column account; the columns are 'provider', 'client', 'amount'",
            "--map account=THEIR_NAME",
        ),
    ),
    "a column of ours": (
        "a.csv",
        b"provider,account,amount,currency,status\nclicksend,11,1,USD,new\n",
        ("column 'status' has the name of a column of the results", "--map my_status=status"),
    ),
    "a total line": (
        "a.csv",
        two_rows("clicksend,12,2,USD,", "clicksend,13,3.50,USD,"),
        ("row 3 (line 4): the last amount, 3.5, is the sum of the others", "delete it"),
    ),
    "a damaged gz": (
        "a.csv.gz",
        gzip.compress((HEADER + GOOD * 500).encode())[:60],
        ("a.csv.gz: the compressed file is damaged", "copy it here again"),
    ),
    "a workbook": (
        "a.xls",
        b"PK",
        ("files of the kind '.xls' are not read", "save it as an Excel workbook (.xlsx), or as CSV (UTF-8)"),
    ),
    "a damaged workbook": (
        "a.xlsx",
        b"PK",
        ("a.xlsx: this can not be read as a workbook", "open it in a spreadsheet program"),
    ),
    "another kind": (
        "a.txt",
        HEADER.encode(),
        ("files of the kind '.txt' are not read", ".csv, .csv.gz, .parquet"),
    ),
    "no parquet": ("a.parquet", b"PAR1 not at all", ("can not be read as Parquet", "save it")),
}


@pytest.mark.parametrize("accident", WHOLE_FILES)
def test_a_file_that_can_be_no_batch(shop: CommandLine, sandbox: Sandbox, accident: str) -> None:
    """File, line, column and cure are named, nothing is sent, and --skip-invalid changes nothing of it."""
    name, content, words = WHOLE_FILES[accident]
    said = said_of(shop, sandbox, name, content, "--skip-invalid")
    for word in (name, *words):
        assert word in said


FLOATS = {"provider": ["clicksend"], "account": ["11"], "amount": [12.1], "currency": ["USD"]}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (FLOATS, ("column 'amount' holds Float64, not amounts", "decimal or as text")),
        (
            FLOATS | {"account": [11.0], "amount": ["1"]},
            ("column 'account' holds Float64", "save the column as text"),
        ),
        (
            FLOATS | {"amount": ["1"], "tags": [["a", "b"]]},
            ("column 'tags' holds List", "leave the column out"),
        ),
    ],
)
def test_a_parquet_column_of_a_wrong_kind(
    shop: CommandLine, sandbox: Sandbox, columns: dict[str, Sequence[object]], words: Sequence[str]
) -> None:
    """A float has lost what the cell said, and a list fits no cell: refused with the cure."""
    pl.DataFrame(columns).write_parquet(shop.folder / "a.parquet")
    said = refused(shop("run", "a.parquet", "--yes"), sandbox)
    for word in words:
        assert word in said


def test_a_file_that_is_not_there(shop: CommandLine, sandbox: Sandbox) -> None:
    """A wrong path is said with the folder that was looked in; a folder is no file."""
    assert "there is no such file" in refused(shop("run", "march.csv", "--yes"), sandbox)
    (shop.folder / "folder.csv").mkdir()
    assert "this is a folder" in refused(shop("run", "folder.csv", "--yes"), sandbox)


#: What a row says, and the word and column of what is wrong with it.
BAD_ROWS: list[tuple[str, str, str]] = [
    (",12,5,USD", "provider_missing", "provider"),
    ("clicksnd,12,5,USD", "unknown_provider", "provider"),
    ("clicksend,,5,USD", "account_missing", "account"),
    ("clicksend,3.00E+06,5,USD", "account_exponent", "account"),
    ("clicksend,#N/A,5,USD", "account_error", "account"),
    ("clicksend, 12,5,USD", "account_spaces", "account"),
    ("clicksend,0012,5,USD", "account_form", "account"),
    ("clicksend,12345678901234567890,5,USD", "account_form", "account"),
    ("fastmessage,ja\u200bne,5,KES", "account_hidden", "account"),
    (f"fastmessage,{'x' * 129},5,KES", "account_long", "account"),
    ("clicksend,12,,USD", "amount_missing", "amount"),
    ("clicksend,12,#REF!,USD", "amount_error", "amount"),
    ("clicksend,12,1.2E+05,USD", "amount_exponent", "amount"),
    ("clicksend,12,-5,USD", "amount_negative", "amount"),
    ("clicksend,12,(5),USD", "amount_negative", "amount"),
    ("clicksend,12,5 ,USD", "amount_spaces", "amount"),
    ("clicksend,12,$5,USD", "amount_symbol", "amount"),
    ('clicksend,12,"1,234.50",USD', "amount_thousands", "amount"),
    ('clicksend,12,"1.234,50",USD', "amount_comma", "amount"),
    ("clicksend,12,1234567890123,USD", "amount_long", "amount"),
    ("clicksend,12,five,USD", "amount_form", "amount"),
    ("clicksend,12,\u0665,USD", "amount_form", "amount"),
    ("clicksend,12,+5,USD", "amount_form", "amount"),
    ("clicksend,12,.5,USD", "amount_form", "amount"),
    ("clicksend,12,0.00,USD", "amount_zero", "amount"),
    ("clicksend,12,0.00001,USD", "amount_decimals", "amount"),
    ("fastmessage,jane,99.999,KES", "amount_decimals", "amount"),
    ("clicksend,12,5,", "currency_missing", "currency"),
    ("clicksend,12,5,usd", "currency_form", "currency"),
    ("clicksend,12,5,ZZZ", "currency_unknown", "currency"),
    ("fastmessage,jane,5,USD", "currency_not_taken", "currency"),
]


def test_every_bad_row_is_told_at_once(shop: CommandLine, sandbox: Sandbox) -> None:
    """Each kind with row, line, account, amount, cell and cure; all of them in a file beside the input."""
    lines = [HEADER.strip(), *(f"{row}," for row, _, _ in BAD_ROWS), GOOD.strip(), ",,,,"]
    (shop.folder / "march.csv").write_text("\r\n".join(lines), newline="")
    said = refused(shop("run", "march.csv", "--yes"), sandbox)
    assert f"{len(BAD_ROWS) + 1} of {len(BAD_ROWS) + 2} rows are invalid; nothing was sent" in said
    assert "march.invalid.csv has them all" in said
    assert "--skip-invalid" in said
    with (shop.folder / "march.invalid.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["problem"] for row in listed] == [word for _, word, _ in BAD_ROWS] + ["row_empty"]
    assert [int(row["line"]) for row in listed] == [*range(2, len(BAD_ROWS) + 2), len(BAD_ROWS) + 3]
    for row, (text, word, column) in zip(listed, BAD_ROWS, strict=False):
        cells = next(csv.reader([text]))
        assert [row[name] for name in ("provider", "account", "amount", "currency")] == cells
        assert row["column"] == column
        assert row["cure"]
        assert f"{word} (" in said
        (told,) = (line for line in said.splitlines() if f" row {row['row']} (line {row['line']}): " in line)
        for name, cell in zip(("account", "amount"), cells[1:3], strict=True):
            shown = cell.replace("\u200b", "\ufffd")[:40] + "\u2026" * (len(cell) > 40)
            assert f"{name} {shown}" in told or f"{name} {shown!r}" in told
    for cure in ("Did you mean clicksend?", "fastmessage takes 2 decimals", "fastmessage takes KES"):
        assert cure in said


def test_twenty_of_each_kind_are_shown(shop: CommandLine, sandbox: Sandbox) -> None:
    """The screen holds the first twenty of a kind and the number of the rest; the file holds all."""
    rows = [("clicksend", 100 + n, "-1", "USD") for n in range(25)]
    rows += [("clicksend", 200 + n, "x", "USD") for n in range(3)]
    said = refused(shop("run", shop.write("march.csv", rows), "--yes"), sandbox)
    assert "amount_negative (25 rows)" in said
    assert said.count("amount '-1'") == 20
    assert "... and 5 more" in said
    assert said.count("amount 'x'") == 3
    with (shop.folder / "march.invalid.csv").open(newline="") as file:
        assert [row["account"] for row in csv.DictReader(file)] == [str(row[1]) for row in rows]


def test_the_rest_can_be_sent(shop: CommandLine, sandbox: Sandbox) -> None:
    """With --skip-invalid good rows go, and the results hold every row in its place."""
    rows = [
        ("clicksend", "11", "1.50", "USD", "A"),
        ("clicksend", "012", "2", "USD", "B"),
        ("fastmessage", "jane", "5", "KES"),
        ("clicksend", "13", "1,5", "USD"),
    ]
    ended = shop(
        "run", shop.write("march.csv", rows), "--yes", "--json", "--skip-invalid", "--batch", "march"
    )
    assert ended.code == 1, ended
    assert ended.json["reasons"] == {"account_form": 1, "amount_comma": 1}
    assert ended.json["amounts"] == {"USD": {"credited": "1.5"}, "KES": {"credited": "5"}}
    found = shop.results("march.results.csv")
    assert [(row["account"], row["amount"], row["status"], row["reason"]) for row in found] == [
        ("11", "1.50", "credited", ""),
        ("012", "2", "invalid", "account_form"),
        ("jane", "5", "credited", ""),
        ("13", "1,5", "invalid", "amount_comma"),
    ]
    assert all(row["transfer_id"] and row["seal"] for row in found)
    assert [row["attempts"] for row in found] == ["1", "0", "1", "0"]
    assert len(sandbox.book()) == 2


def test_a_mended_list_of_invalid_rows_is_a_batch(shop: CommandLine, sandbox: Sandbox) -> None:
    """What was invalid can be corrected in the .invalid.csv and run from there."""
    rows = [("clicksend", "11", "1.50", "USD"), ("clicksend", "12", "-2", "USD")]
    shop("run", shop.write("march.csv", rows), "--yes", "--skip-invalid")
    invalid = shop.folder / "march.invalid.csv"
    invalid.write_text(invalid.read_text().replace("-2", "2"))
    ended = shop("run", invalid, "--yes", "--json")
    assert (ended.code, ended.json["counts"]["credited"]) == (0, 1), ended
    assert [entry["account"] for entry in sandbox.book()] == ["11", "12"]


SEPARATED: dict[str, Callable[[Path], object]] = {
    "semicolon": lambda path: path.write_text((HEADER + GOOD).replace(",", ";")),
    "tab": lambda path: path.write_text((HEADER + GOOD).replace(",", "\t")),
    "bom": lambda path: path.write_text(HEADER + GOOD, "utf-8-sig"),
    "blank lines": lambda path: path.write_text(f"\n{HEADER}\n\n{GOOD}\n\n"),
    "old macintosh": lambda path: path.write_text((HEADER + GOOD).replace("\n", "\r"), newline=""),
    "no end of line": lambda path: path.write_text((HEADER + GOOD).rstrip()),
    "capitals": lambda path: path.write_text((HEADER + GOOD).replace("account,amount", "Account,AMOUNT")),
    "their names": lambda path: path.write_text(
        (HEADER + GOOD).replace("account,amount", "client_user_id,balance")
    ),
}


def test_what_works_as_it_is(shop: CommandLine, sandbox: Sandbox) -> None:
    """Separators, BOM, blank lines, line ends, capitals and the providers' names all read as the same row."""
    batches = set()
    for name, write in SEPARATED.items():
        path = shop.folder / f"{name}.csv"
        write(path)
        ended = shop("run", path, "--yes", "--json")
        assert ended.code == 0, (name, ended)
        batches.add(ended.json["batch"])
        if name == "their names":
            assert "column 'client_user_id' is read as account" in ended.stderr
            assert "column 'balance' is read as amount" in ended.stderr
    assert len(batches) == 1
    assert [(entry["account"], entry["amount"]) for entry in sandbox.book()] == [("11", "1.5")]


def test_flags_say_what_the_file_does_not(shop: CommandLine, sandbox: Sandbox) -> None:
    """--provider, --map, --thousands and --currency complete a file that another system has written."""
    header = ("Kunde", "Betrag", "note")
    path = shop.write("export.csv", [("11", "1,234.50", "x"), ("12", "99", "1,5")], header)
    ended = shop(
        *("run", path, "--yes", "--json", "--batch", "export"),
        *("--provider", "clicksend", "--map", "account=Kunde", "--map", "amount=Betrag"),
        *("--thousands", ",", "--currency", "USD"),
    )
    assert ended.code == 0, ended
    sent = [(entry["account"], Decimal(entry["amount"]), entry["currency"]) for entry in sandbox.book()]
    assert sorted(sent) == [("11", Decimal("1234.5"), "USD"), ("12", Decimal(99), "USD")]
    found = shop.results("export.results.csv")
    assert list(found[0])[:3] == list(header)
    assert [(row["Kunde"], row["Betrag"], row["note"]) for row in found] == [
        ("11", "1,234.50", "x"),
        ("12", "99", "1,5"),
    ]


def test_a_profile_says_what_its_files_do_not(shop: CommandLine, sandbox: Sandbox) -> None:
    """thousands and currency of a profile stand for its rows, and no flag may contradict a cell."""
    keys = {"currency": "USD", "thousands": "'"}
    shop.configure(sandbox.address, sandbox.login, clicksend=keys)
    path = shop.write(
        "march.csv",
        [("clicksend", "11", "1'234.5"), ("clicksend", "12", "1", "AUD"), ("fastmessage", "jane", "5")],
    )
    ended = shop("run", path, "--yes", "--json")
    assert ended.code == 0, ended
    sent = {(entry["account"], Decimal(entry["amount"]), entry["currency"]) for entry in sandbox.book()}
    assert sent == {("11", Decimal("1234.5"), "USD"), ("12", Decimal(1), "AUD"), ("jane", Decimal(5), "KES")}
    said = shop("run", path, "--yes", "--currency", "USD", "--batch", "other").stderr
    assert "currency_conflict (1 row)" in said
    assert "currency_not_taken (1 row)" in said


def test_a_profile_renames_columns(shop: CommandLine, sandbox: Sandbox) -> None:
    """`map` of a profile is understood in files, and what was understood is said."""
    table = (
        f'[providers.shop]\nkind = "clicksend"\nbase_url = "{sandbox.address.clicksend_url}"\nrate = "none"\n'
    )
    names = 'username = "other"\nmap = { account = "Kunde", amount = "Betrag" }\n'
    shop.configure(sandbox.address, sandbox.login, tables=table + names)
    env = {"BATCHCREDIT_PROVIDERS__SHOP__API_KEY": "key"}
    shop.env |= env
    other = Sandbox(sandbox.address, "other")
    path = shop.write("march.csv", [("11", "7", "USD")], ("Kunde", "Betrag", "currency"))
    ended = shop("run", path, "--yes", "--provider", "shop", "--json")
    assert ended.code == 0, ended
    assert "column 'Kunde' is read as account" in ended.stderr
    assert [(entry["account"], entry["amount"]) for entry in other.book()] == [("11", "7")]


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--provider", "nobody"], "--provider nobody: no profile of that name is configured"),
        (["--provider", "fastmessage"], "provider_conflict (1 row)"),
        (["--map", "account=Kunde"], "--map account=Kunde: the file has no column 'Kunde'"),
        (["--map", "account"], "--map account: it is written --map account=THEIR_NAME"),
        (["--thousands", "."], "--thousands '.': this can not stand between thousands"),
        (["--currency", "AUD"], "currency_conflict (1 row)"),
    ],
)
def test_a_flag_that_does_not_fit_the_file(
    shop: CommandLine, sandbox: Sandbox, flags: list[str], word: str
) -> None:
    """A flag that contradicts the file, or could not be meant, is refused and not ignored."""
    assert word in said_of(shop, sandbox, "a.csv", two_rows(), *flags)


def test_other_columns_are_carried_through(shop: CommandLine, sandbox: Sandbox) -> None:
    """Cells that are none of ours come out as they went in, whatever stands in them."""
    header = ("provider", "account", "amount", "currency", "Note; \u00e4", "zip", "empty", "^.*$")
    cells = [
        (" spaces ", "00420", "", "1e5"),
        ('a "quote", and\na line', "NULL", "", "\u2028"),
        ("\U0001f680", "N/A", "", "true"),
        ("x" * 5000, "1.10", "", "2026-03-31"),
    ]
    rows = [("clicksend", 11 + n, "1", "USD", *each) for n, each in enumerate(cells)]
    ended = shop(
        "run", shop.write("march.csv", rows, header), "--yes", "--batch", "march", "--allow-duplicates"
    )
    assert ended.code == 0, ended
    found = shop.results("march.results.csv")
    assert list(found[0])[: len(header)] == list(header)
    assert [tuple(row[name] for name in header[4:]) for row in found] == cells
