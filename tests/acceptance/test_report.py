"""report: held against what the providers executed, from the ledger and from each form of results file."""

import csv
import os
import re
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Ended, Sandbox, refused, run, wait_for

ROWS = [
    *batch_rows(24, 9, refused_every=5),
    ("clicksend", "77", "3", "USD", "doubtful"),
    ("clicksend", "not-a-number", "2", "USD", "bad"),
]


def figures_of(ended: Ended) -> dict[str, Any]:
    """What the page is drawn from."""
    assert ended.code == 0, ended
    figures: dict[str, Any] = ended.json["figures"]
    return figures


def credited(figures: dict[str, Any]) -> dict[str, Decimal]:
    """Credited amounts by currency."""
    return {
        total["currency"]: Decimal(total["by_status"]["credited"]["amount"]) for total in figures["totals"]
    }


@pytest.fixture
def ran(shop: CommandLine, sandbox: Sandbox) -> CommandLine:
    """Credited, refused, doubtful and invalid rows of two currencies, in `batch.results.csv`."""
    sandbox.control.script("77", ["half_answer"])
    path = shop.write("batch.csv", ROWS)
    more = ("--skip-invalid", "--batch", "march", "--out", "batch.results.csv", "--expect-rows", len(ROWS))
    assert run(shop, path, *more).code == 3
    return shop


def test_a_report_says_what_the_providers_did(ran: CommandLine, sandbox: Sandbox) -> None:
    """Rows and sums by status are those of the results, with which the book agrees; open rows are named."""
    valid = [row if row[4] != "bad" else ("clicksend", "not-a-number", "2", "USD") for row in ROWS]
    counts = assert_truthful(valid, ran.results(), sandbox.book())
    figures = figures_of(ran("report", "march", "--json"))
    doubtful = Decimal(3) if any(entry["account"] == "77" for entry in sandbox.book()) else Decimal(0)
    assert figures["counts"] == counts
    assert credited(figures) == {**sandbox.sums(), "USD": sandbox.sums()["USD"] - doubtful}
    assert all(
        Decimal(balance["enrolled"]) == sum(map(Decimal, balance["by_status"].values()))
        for balance in figures["conservation"]
    )
    assert {balance["what"] for balance in figures["conservation"]} == {"rows", "USD", "KES"}
    open_rows = [row["row"] for row in ran.results() if row["status"] in ("in_doubt", "rejected", "invalid")]
    assert sorted(need["row"] for need in figures["needs"]) == sorted(map(int, open_rows))
    assert figures["needs"][0]["status"] == "in_doubt"
    assert figures["controls"] == [{"what": "rows", "expected": "26", "had": "26", "run": 1}]
    assert (
        figures["requests"] == len(sandbox.arrivals()) == sum(int(row["attempts"]) for row in ran.results())
    )
    assert sum(sum(series["counts"]) for series in figures["series"]) == figures["dated"]
    assert [made["settings"]["clicksend.concurrency"] for made in figures["runs"]] == ["16"]


def test_a_results_file_tells_the_same(ran: CommandLine) -> None:
    """On another machine, without settings or ledger: what both know is equal, the rest is said to be
    absent."""
    by_ledger = figures_of(ran("report", "march", "--json"))
    forms = ("csv", "csv.gz", "parquet", "xlsx")
    for form in forms:
        assert ran("results", "march", "--out", f"again.{form}").code == 0
    for left in (ran.folder / "batchcredit.toml", ran.ledger):
        left.unlink()
    ran.env = {name: value for name, value in ran.env.items() if not name.startswith("BATCHCREDIT_")}
    for form in forms:
        _tells_the_same(ran("report", f"again.{form}", "--json"), by_ledger)


def _tells_the_same(ended: Ended, by_ledger: dict[str, Any]) -> None:
    by_file = figures_of(ended)
    same = ("batch", "rows", "counts", "totals", "reasons", "attempts", "requests", "dated", "needs_total")
    assert {name: by_file[name] for name in same} == {name: by_ledger[name] for name in same}
    known = ("row", "account", "amount", "currency", "reference", "status", "reason", "message", "sent_at")
    assert [[need[name] for name in known] for need in by_file["needs"]] == [
        [need[name] for name in known] for need in by_ledger["needs"]
    ]
    assert sum(sum(series["counts"]) for series in by_file["series"]) == by_file["dated"]
    assert (by_file["mode"], by_file["runs"], by_file["pauses"], by_file["own_accounts"]) == ("", [], [], [])
    assert len(by_file["absent"]) >= 3
    page = Path(ended.json["report"]).read_text()
    assert "Control totals stand in the ledger only." in page
    assert "run 0" not in page


def rewritten(path: Path, change: Any) -> None:
    """The file with its rows changed by `change`."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), list(reader.fieldnames or ())
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(change(rows))


def _with(row: int, column: str, text: str) -> Any:
    return lambda rows: [one | {column: text} if one["row"] == str(row) else one for one in rows]


EDITS = {
    "an amount": (_with(3, "amount", "300"), "row 3 (line 4)"),
    "a status": (_with(5, "status", "credited"), "row 5 (line 6)"),
    "an account": (_with(6, "account", "1"), "row 6 (line 7)"),
    "no status at all": (_with(7, "status", "paid"), "row 7 (line 8)"),
    "another batch": (_with(8, "batch", "april"), "row 8 (line 9)"),
    "a row twice": (lambda rows: [*rows[:-1], rows[0]], "row 1 (line 27)"),
    "a row gone": (lambda rows: rows[1:], "rows are missing"),
}


def test_a_file_that_was_edited_is_not_reported_of(ran: CommandLine) -> None:
    """A report states nothing that nobody wrote: the row is named, and no page appears."""
    path = ran.folder / "batch.results.csv"
    written = path.read_bytes()
    for change, named in EDITS.values():
        rewritten(path, change)
        assert named in refused(ran("report", path.name, "--json"), "edited_row")
        path.write_bytes(written)
    assert not list(ran.folder.glob("*.html"))


def test_a_sorted_file_is_the_same_file(ran: CommandLine) -> None:
    """People sort what they read; a note in a cell that no seal covers is no edit either."""
    before = figures_of(ran("report", "batch.results.csv", "--json"))
    rewritten(ran.folder / "batch.results.csv", lambda rows: sorted(rows, key=lambda row: row["status"]))
    rewritten(ran.folder / "batch.results.csv", _with(2, "message", "asked Anna"))
    after = figures_of(ran("report", "batch.results.csv", "--json"))
    for same in ("counts", "totals", "conservation", "requests"):
        assert after[same] == before[same]


def test_a_report_of_a_run_that_was_killed(shop: CommandLine, sandbox: Sandbox) -> None:
    """While rows are sent, and after a kill: every row is in it, and what may have been paid is named."""
    rows = [("clicksend", number, 5, "USD") for number in range(1, 400)]
    path = shop.write("batch.csv", rows)
    sandbox.control.set(latency_s=1)
    running = shop.start("run", path, "--yes", "--out", "batch.results.csv")
    wait_for(lambda: running.has_ended or len(sandbox.book()) > 3)
    under_way = figures_of(shop("report", "batch", "--json"))
    running.kill()
    assert under_way["standing"]["running"]
    assert sum(under_way["counts"].values()) == 399
    sandbox.control.set(latency_s=0)
    assert run(shop, path).code in (3, 4)
    figures = figures_of(shop("report", "batch", "--json"))
    assert not figures["standing"]["running"]
    assert [made["stop_reason"] for made in figures["runs"]] == ["interrupted", ""]
    assert Decimal(sandbox.sums()["USD"]) - credited(figures)["USD"] <= 5 * figures["counts"]["in_doubt"]
    assert figures["counts"] == Counter(row["status"] for row in shop.results())


def test_a_report_takes_the_place_of_its_own_kind_alone(ran: CommandLine) -> None:
    """Ours is written anew; what somebody else has there stays, and the second name is said."""
    ended = ran("report", "march")
    page = Path(ended.stdout.strip())
    assert page == ran.folder / "march.report.html"
    assert re.search(r"<title>march: .* rows were credited", page.read_text())
    foreign = page.read_text().replace("report of march", "report of april")
    page.write_text(foreign)
    other = ran("report", "march")
    assert other.stdout.strip().endswith("march.report (2).html"), other
    assert "march.report (2).html" in other.stderr
    assert page.read_text() == foreign
    page.unlink()
    os.mkfifo(page)  # whoever opens it to look would wait for ever
    assert ran("report", "march", timeout_s=30).stdout == other.stdout
    before = (ran.folder / "batch.csv").read_text()
    assert refused(ran("report", "march", "--out", "march.csv", "--json"), "out_format")
    assert (ran.folder / "batch.csv").read_text() == before
    unwritable = ran("report", "march", "--out", "nowhere/march.html", "--json")
    assert unwritable.code == 5
    assert "batchcredit report march --out" in unwritable.json["error"]["cure"]


def test_a_ledger_that_does_not_add_up_is_shown_and_told(ran: CommandLine) -> None:
    """Somebody has taken a row out of the ledger: the page shows what is missing, and scripts hear of it."""
    with sqlite3.connect(ran.ledger) as connection:
        connection.execute("DELETE FROM transfer WHERE row = 1")
    connection.close()
    ended = ran("report", "march", "--json")
    assert (ended.code, ended.refusal[1]) == (70, "conservation")
    assert "This does not add up" in (ran.folder / "march.report.html").read_text()


def test_what_can_not_be_reported_of(ran: CommandLine) -> None:
    """A batch that is not there, a file that is no results file, flags that are about none."""
    assert refused(ran("report", "april", "--json"), "no_batch")
    assert refused(ran("report", "batch.csv", "--json"), "not_returned")
    assert refused(ran("report", "march", "--currency", "USD", "--json"), "usage")
    header = ran.write("cut.csv", [], list(ran.results()[0]))
    assert refused(ran("report", header, "--json"), "no_rows")
    to_fix = next(path.name for path in ran.folder.glob("*.to-fix.csv"))
    assert refused(ran("report", to_fix, "--json"), "not_whole")


def test_a_batch_that_was_handed_over_goes_on_elsewhere(shop: CommandLine) -> None:
    """The ledger that gave it away names no command, which it would refuse; its file names itself."""
    path = shop.write("batch.csv", batch_rows(4, 4))
    assert run(shop, path, "--batch", "march", "--limit", 2).code == 4
    assert shop("results", "march", "--hand-over", "--out", "given.csv", "--yes").code == 0
    given = figures_of(shop("report", "march", "--json"))
    assert {(need["next_step"], need["command"]) for need in given["needs"]} == {
        ("It goes on where it was handed over to.", "")
    }
    file = figures_of(shop("report", "given.csv", "--json", "--out", "given.html"))
    assert {need["command"] for need in file["needs"]} == {"batchcredit resume given.csv"}
    assert file["standing"]["closed"]
