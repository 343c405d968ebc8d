"""The results file as its readers find it: columns, order, seals, escapes, statuses, and rebuilding it."""

import csv
import datetime
import gzip
import hashlib
import signal
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from command_line import HEADER, CommandLine, Ended, Sandbox, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from batchcredit.formulas import escaped

COLUMNS = (
    *("row", "status", "reason", "http_status", "provider_code", "message", "units", "balance_before"),
    *("balance_after", "attempts", "sent_at", "duration_ms", "settled_by", "transfer_id", "batch", "seal"),
)

Row = tuple[object, ...]

ROWS: list[Row] = [
    ("clicksend", "11", "1.50", "USD", "A-1"),
    ("clicksend", "10404", "2", "USD"),
    ("clicksend", "12", "3.00", "USD"),
    ("fastmessage", "007", "20", "KES", "A-4"),
    ("fastmessage", "unknown one", "5.25", ""),
    ("clicksend", "13", "-1", "USD"),
]


def run(cli: CommandLine, rows: Sequence[Row], *flags: str, header: Sequence[str] = HEADER) -> Ended:
    """Run rows as the batch march, from march.csv."""
    path = cli.write("march.csv", rows, header)
    return cli("run", path, "--yes", "--json", "--batch", "march", *flags)


def by_value(amount: str) -> str:
    """12.50 and 012.5 are one value; what is no number stays as it is."""
    if not amount.replace(".", "", 1).isdecimal() or not amount.isascii():
        return amount
    return format(Decimal(amount).normalize(), "f")


def sealed(row: dict[str, str], rows: int) -> str:
    """The seal of a row as somebody computes it who only knows the contract."""
    currency = row["currency"] or "KES"  # an empty cell means Fast Message's only one
    parts = (
        *(row["batch"], str(rows), row["row"], row["provider"], row["account"], by_value(row["amount"])),
        *(currency, row["reference"], row["status"], row["transfer_id"]),
    )
    return "s-" + hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def broken_seals(found: Sequence[dict[str, str]]) -> list[str]:
    """The rows whose seals do not hold, given all rows of a file."""
    return [row["row"] for row in found if sealed(row, len(found)) != row["seal"]]


def test_columns_and_rows_stand_as_the_contract_says(shop: CommandLine, sandbox: Sandbox) -> None:
    """The input's columns, then ours; each row once, in order, with what the provider said of it."""
    sandbox.control.script("12", ["close_after"])
    ended = run(shop, ROWS, "--skip-invalid")
    assert ended.code == 3, ended
    assert ended.json["results"] == str(shop.folder / "march.results.csv")
    found = shop.results("march.results.csv")
    assert list(found[0]) == [*HEADER, *COLUMNS]
    assert [row["row"] for row in found] == [str(number) for number in range(1, len(ROWS) + 1)]
    assert [(row["account"], row["amount"]) for row in found] == [row[1:3] for row in ROWS]
    told = [
        tuple(
            row[name]
            for name in ("status", "reason", "http_status", "provider_code", "settled_by", "attempts")
        )
        for row in found
    ]
    assert told == [
        ("credited", "", "200", "SUCCESS", "provider", "1"),
        ("rejected", "unknown_account", "404", "NOT_FOUND", "provider", "1"),
        ("in_doubt", "lost_answer", "", "", "", "1"),
        ("credited", "", "200", "200", "provider", "1"),
        ("rejected", "unknown_account", "200", "1005", "provider", "1"),
        ("invalid", "amount_negative", "", "", "", "0"),
    ]
    for row in found:
        assert bool(row["sent_at"]) == bool(row["duration_ms"]) == (row["attempts"] == "1")
        if row["sent_at"]:
            assert datetime.datetime.fromisoformat(row["sent_at"]).utcoffset() == datetime.timedelta(0)
        assert row["batch"] == "march"
        assert row["transfer_id"].startswith("t-")
    assert len({row["transfer_id"] for row in found}) == len(ROWS)
    assert all(row["message"] for row in found[1:])
    kenyan = found[3]
    assert kenyan["units"] == "20"
    assert Decimal(kenyan["balance_after"]) - Decimal(kenyan["balance_before"]) == 20
    assert found[0]["balance_before"] == ""
    assert Decimal(found[0]["balance_after"]) > 0


def test_every_status_and_its_reason(shop: CommandLine, sandbox: Sandbox) -> None:
    """Rows that were recognised, withdrawn, held back and stopped say so, each with its word."""
    first: list[Row] = [("clicksend", "11", "1", "USD", "A-1"), ("clicksend", "12", "2", "USD")]
    assert shop("run", shop.write("february.csv", first), "--yes").code == 0
    rows: list[Row] = [*first, ("clicksend", "13", "4", "USD"), ("clicksend", "14", "5", "USD")]
    ended = run(shop, rows, "--skip-repeats", "--limit", "1")
    assert ended.code == 4, ended
    assert shop("cancel", "march", "--row", "4", "--note", "not wanted", "--yes").code == 0
    assert shop("results", "march").code == 0
    found = shop.results("march.results.csv")
    assert [(row["status"], row["reason"], row["settled_by"]) for row in found] == [
        ("already_credited", "same_reference", ""),
        ("already_credited", "repeat", ""),
        ("credited", "", "provider"),
        ("cancelled", "cancelled", "person"),
    ]
    assert found[3]["message"] == "not wanted"
    assert broken_seals(found) == []


def test_what_was_not_sent_says_why(shop: CommandLine, sandbox: Sandbox) -> None:
    """A halted lane's rows have its reason and the provider's words; a limit's rows have theirs."""
    sandbox.control.set(wallet="0", wallet_currency="AUD")
    rows: list[Row] = [("clicksend", "11", "1", "USD"), ("clicksend", "12", "2", "USD"), ROWS[3]]
    halted = run(shop, rows, "--concurrency", "1")
    assert (halted.code, halted.json["reasons"]) == (4, {"wallet_empty": 3}), halted
    found = shop.results("march.results.csv")
    assert {row["status"] for row in found} == {"not_sent"}
    assert all(row["message"] for row in found)
    assert [row["attempts"] for row in found] == ["1", "0", "1"]
    sandbox.control.set(wallet="1000", wallet_currency="AUD")
    limited = run(shop, rows, "--limit", "1")
    assert (limited.code, limited.json["reasons"]) == (4, {"limit": 2}), limited


EDITS: dict[str, Callable[[list[dict[str, str]]], object]] = {
    "another amount": lambda rows: rows[0].update(amount="15.0"),
    "another status": lambda rows: rows[1].update(status="credited"),
    "a lost zero": lambda rows: rows[3].update(account="7"),
    "a missing row": lambda rows: rows.pop(2),
    "a row twice": lambda rows: rows.append(dict(rows[0])),
    "another reference": lambda rows: rows[0].update(reference="A-2"),
    "another currency": lambda rows: rows[0].update(currency="AUD"),
    "rows exchanged": lambda rows: rows[0].update(row="2"),
}


def test_seals_notice_what_matters_and_nothing_else(shop: CommandLine, sandbox: Sandbox) -> None:
    """Recomputed by the contract they hold; an edit that matters breaks one, a reformatted balance none."""
    assert run(shop, ROWS, "--skip-invalid").code == 1
    assert broken_seals(shop.results("march.results.csv")) == []
    for name, edit in EDITS.items():
        found = shop.results("march.results.csv")
        edit(found)
        assert broken_seals(found), name
    found = shop.results("march.results.csv")
    found[0] |= {"amount": "01.5", "balance_after": "about 3", "message": "mine", "duration_ms": ""}
    assert broken_seals(found[::-1]) == []


ALIVE = ["=1+1", "+49 170 1", "-x", "@home", "\tx", "\rx", "'quoted", "''twice"]
WILD = [*ALIVE, "-5.25", "+7", "plain", "", "1=2"]


def test_no_cell_is_a_formula_and_one_quote_undoes_it(shop: CommandLine, sandbox: Sandbox) -> None:
    """Cells and column names that a spreadsheet would compute get one ' in front, and nothing else does."""
    header = ("provider", "account", "amount", "currency", "reference", "=note")
    rows = [("fastmessage", f"c{n}", "1", "KES", "", text) for n, text in enumerate(WILD)]
    names = ["=A1", "'jane", "-7"]
    rows += [("fastmessage", name, "2", "KES", f"{name}-{n}", "") for n, name in enumerate(names)]
    ended = run(shop, rows, header=header)
    assert ended.code == 0, ended
    found = shop.results("march.results.csv")
    assert list(found[0])[5] == "'=note"
    notes = [row["'=note"] for row in found[: len(WILD)]]
    assert notes == [f"'{text}" if text in ALIVE else text for text in WILD]
    bare = [{name.removeprefix("'"): cell.removeprefix("'") for name, cell in row.items()} for row in found]
    assert [row["=note"] for row in bare][: len(WILD)] == WILD
    assert [row["account"] for row in found[len(WILD) :]] == ["'=A1", "''jane", "-7"]
    assert [row["account"] for row in bare] == [row[1] for row in rows]
    assert broken_seals(bare) == [], "seals are of the cells as they were"
    assert set(names) <= {entry["account"] for entry in sandbox.book()}


def test_parquet_keeps_its_kinds(shop: CommandLine, sandbox: Sandbox) -> None:
    """A Parquet batch has Parquet results with the input's dtypes; ours are numbers, a time, exact text."""
    day = datetime.date(2026, 3, 31)
    frame = pl.DataFrame(
        {
            "provider": pl.Series(["clicksend", "clicksend"], dtype=pl.Categorical),
            "account": [11, 10404],
            "amount": pl.Series([Decimal("1.50"), Decimal(2)], dtype=pl.Decimal(20, 4)),
            "currency": ["USD", "USD"],
            "day": [day, None],
            "share": [0.1, float("nan")],
            "ok": [True, None],
            "note": ["=1+1", ""],
        }
    )
    frame.write_parquet(shop.folder / "march.parquet")
    ended = shop("run", "march.parquet", "--yes", "--json", "--batch", "march")
    assert ended.code == 1, ended
    found = pl.read_parquet(ended.json["results"])
    assert Path(ended.json["results"]).name == "march.results.parquet"
    assert found.columns == [*frame.columns, *COLUMNS]
    assert dict(found.select(frame.columns).schema) == dict(frame.schema)
    assert found.select(frame.columns).equals(frame, null_equal=True)
    kinds = {
        **dict.fromkeys(("row", "http_status", "attempts", "duration_ms"), pl.Int64()),
        "sent_at": pl.Datetime("ms", "UTC"),
    }
    for name in COLUMNS:
        assert found.schema[name] == kinds.get(name, pl.String()), name
    assert found["status"].to_list() == ["credited", "rejected"]
    rows = [
        {name: "" if cell is None else str(cell) for name, cell in row.items()} | {"reference": ""}
        for row in found.iter_rows(named=True)
    ]
    assert broken_seals(rows) == []


def test_polars_reads_csv_results_without_options(shop: CommandLine, sandbox: Sandbox) -> None:
    """No quoting, separator, null or encoding has to be told; ids and balances come out whole."""
    run(shop, ROWS, "--skip-invalid")
    found = pl.read_csv(shop.folder / "march.results.csv")
    assert found.height == len(ROWS)
    assert found["row"].to_list() == [1, 2, 3, 4, 5, 6]
    assert found.schema["attempts"] == pl.Int64
    assert found["status"].to_list()[:2] == ["credited", "rejected"]
    assert found["reason"][0] is None


@pytest.mark.parametrize(("out", "name"), [(None, "march.results.csv.gz"), ("kept.parquet", "kept.parquet")])
def test_the_format_follows_the_input_or_out(
    shop: CommandLine, sandbox: Sandbox, out: str | None, name: str
) -> None:
    """Results have the input's format beside it, or that of the ending of --out."""
    (shop.folder / "march.csv.gz").write_bytes(gzip.compress(shop.write("x.csv", ROWS[:1]).read_bytes()))
    flags = ["--out", out] if out else []
    ended = shop("run", "march.csv.gz", "--yes", "--json", "--batch", "march", *flags)
    assert ended.code == 0, ended
    path = Path(ended.json["results"])
    assert path == shop.folder / name
    frame = pl.read_parquet(path) if name.endswith("parquet") else pl.read_csv(path)
    assert frame["status"].to_list() == ["credited"]


def test_a_rehearsal_names_its_results(cli: CommandLine) -> None:
    """The results of --sandbox can't be mistaken for real ones."""
    cli.env = {name: value for name, value in cli.env.items() if not name.startswith("BATCHCREDIT_")}
    path = cli.write("march.csv", ROWS[:1])
    ended = cli("run", path, "--yes", "--sandbox", "--json")
    assert ended.code == 0, ended
    results = Path(ended.json["results"])
    assert results.name.startswith("sandbox-march-")
    assert results.exists()


def test_results_can_be_rebuilt_to_the_byte(shop: CommandLine, sandbox: Sandbox) -> None:
    """The ledger alone makes the same file again, here or elsewhere, input or not."""
    ended = run(shop, ROWS, "--skip-invalid")
    results = shop.folder / "march.results.csv"
    written = results.read_bytes()
    results.unlink()
    (shop.folder / "march.csv").unlink()
    again = shop("results", "march", "--json")
    assert (again.code, again.json["results"], again.json["counts"]) == (
        0,
        str(results),
        ended.json["counts"],
    )
    assert results.read_bytes() == written
    assert shop("results", "mar", "--out", "elsewhere.csv").code == 0
    assert (shop.folder / "elsewhere.csv").read_bytes() == written
    assert shop("results", "march").stdout.strip() == str(results)


def test_a_stopped_run_leaves_whole_results(shop: CommandLine, sandbox: Sandbox) -> None:
    """After Ctrl-C every row is in the file once: credited, or not sent because it was stopped."""
    sandbox.control.set(latency_s=0.2)
    rows: list[Row] = [("clicksend", str(1000 + n), "1", "USD") for n in range(200)]
    path = shop.write("march.csv", rows)
    running = shop.start("run", path, "--yes", "--json", "--batch", "march", "--concurrency", "4")
    wait_for(lambda: len(sandbox.book()) >= 8)
    running.signal(signal.SIGINT)
    ended = running.end()
    assert ended.code == 4, ended
    found = shop.results("march.results.csv")
    assert [row["row"] for row in found] == [str(number) for number in range(1, 201)]
    executed = {entry["account"] for entry in sandbox.book()}
    assert {row["account"] for row in found if row["status"] == "credited"} == executed
    left = [row for row in found if row["status"] == "not_sent"]
    assert {row["reason"] for row in left} == {"stopped"}
    assert len(left) + len(executed) == 200
    assert broken_seals(found) == []


@pytest.mark.parametrize(
    ("out", "word"),
    [
        ("march.csv", "the results would overwrite the input"),
        ("other.csv", "another file stands there"),
        ("no/where.csv", "nothing can be written there"),
        ("march.txt", "the format of the results is not known by this ending"),
    ],
)
def test_results_replace_nothing_else(shop: CommandLine, sandbox: Sandbox, out: str, word: str) -> None:
    """Where results can't stand, another name is asked for before anything is sent."""
    other = shop.folder / "other.csv"
    other.write_text("mine\n")
    ended = run(shop, ROWS[:1], "--out", out)
    assert ended.code == 2, ended
    assert word in ended.stderr
    assert "--out" in ended.stderr
    assert other.read_text() == "mine\n"
    assert sandbox.arrivals() == []


@settings(deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_the_readers_rule_is_one_quote(cells: list[str]) -> None:
    """Whoever takes exactly one ' off each cell that has one gets back what was written."""
    frame = pl.DataFrame({"note": cells})
    assert [cell.removeprefix("'") for cell in escaped(frame)["note"]] == cells


def test_the_csv_is_strict(shop: CommandLine, sandbox: Sandbox) -> None:
    """A strict reader finds as many cells in each row as in the header, whatever stood in the input."""
    header = (*HEADER, "note")
    rows = [
        ("clicksend", 11 + n, 1 + n, "USD", "", text) for n, text in enumerate(['"', "a\nb", "a,b", "\r"])
    ]
    assert run(shop, rows, header=header).code == 0
    with (shop.folder / "march.results.csv").open(newline="") as file:
        found = list(csv.reader(file, strict=True))
    assert {len(row) for row in found} == {len(header) + len(COLUMNS)}
    assert [row[5] for row in found[1:]] == ['"', "a\nb", "a,b", "'\r"]
