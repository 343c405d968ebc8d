"""prune from the command line: what it archives, what still holds, and who is asked."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
from books import batch_rows
from command_line import CommandLine, Sandbox, refused, run
from terminal import terminal

DAY_MS = 86_400_000


def age(shop: CommandLine, batch: str, days: int) -> None:
    """The same ledger, had the batch been sent so many days ago."""
    ms = days * DAY_MS
    with closing(sqlite3.connect(shop.ledger)) as connection, connection:
        [(number,)] = connection.execute("SELECT id FROM batch WHERE name = ?", (batch,)).fetchall()
        for table, columns, key in (
            ("transfer", ("sent_at", "ended_at"), "batch"),
            ("run", ("started_at", "ended_at"), "batch"),
            ("batch", ("created_at", "finished_at"), "id"),
        ):
            moved = ", ".join(f"{column} = {column} - {ms}" for column in columns)
            connection.execute(f"UPDATE {table} SET {moved} WHERE {key} = {number}")


def prune(shop: CommandLine, *flags: object) -> dict[str, object]:
    ended = shop("prune", "--older-than", "100d", "--note", "half a year", "--yes", "--json", *flags)
    assert ended.code == 0, ended
    return ended.json


def test_an_archived_batch_is_still_known(shop: CommandLine, sandbox: Sandbox) -> None:
    """Its archive has its results, its totals stay, and neither its file nor its references pay again."""
    march = shop.write("march.csv", batch_rows(12, 12, refused_every=5))
    before = run(shop, march, "--batch", "march", "--out", "march.parquet")
    assert before.counts == {"credited": 10, "rejected": 2}
    assert run(shop, shop.write("april.csv", batch_rows(2, 2)[:1]), "--batch", "april").counts == {
        "already_credited": 1
    }
    shown = shop("show", "march", "--json").json
    age(shop, "march", 200)
    [gone] = prune(shop)["pruned"]  # type: ignore[misc]
    path = Path(gone["archive"])
    assert path.parent == shop.ledger.parent / "archive"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == gone["sha256"]
    kept, results = pl.read_parquet(path), pl.read_parquet(shop.folder / "march.parquet")
    moved = [name for name in kept.columns if name != "sent_at"]
    assert kept.select(moved).equals(results.select(moved))
    assert prune(shop)["pruned"] == []

    now = shop("show", "march", "--json").json
    assert [now[key] for key in ("rows", "counts", "amounts", "reasons")] == [
        shown[key] for key in ("rows", "counts", "amounts", "reasons")
    ]
    assert str(path) in shop("show", "march").stdout.replace("\n", "")
    assert shop("ledger").code == 0
    for command in (
        ("results", "march"),
        ("reconcile", "march"),
        ("resume", "march", "--yes"),
        ("resume", "march.parquet", "--yes"),
        ("cancel", "march", "--note", "x", "--yes"),
        ("resolve", "march", "--row", 1, "--as", "credited", "--note", "x", "--account", "20001", "--yes"),
        ("prune", "--older-than", "100d", "--batch", "march", "--yes"),
    ):
        assert str(path) in refused(shop(*command, "--json"), "pruned")
    assert "which was finished on" in refused(run(shop, march), "finished_batch")
    assert str(path) in refused(
        run(shop, shop.write("other.csv", batch_rows(2, 2)), "--batch", "march"), "pruned"
    )
    assert [entry["archive"] for entry in shop("history", "--json").json["archived"]] == [str(path)]
    assert "half a year" in shop("audit", "march").stdout

    again = shop.write("again.csv", batch_rows(12, 12, refused_every=5)[:4])
    assert run(shop, again, "--batch", "again").counts == {"already_credited": 4}
    changed = shop.write("changed.csv", [("clicksend", "20001", "99", "USD", "r1")])
    assert "row 1 of batch march" in refused(run(shop, changed), "reference_taken")
    assert len(sandbox.book()) == 10


def test_a_person_sees_what_goes_and_what_stays(shop: CommandLine) -> None:
    """Both with reasons; after No, everything stays. A batch that was named and has to stay is refused."""
    rows = batch_rows(6, 6)
    assert run(shop, shop.write("old.csv", rows[:2]), "--batch", "old").code == 0
    assert run(shop, shop.write("open.csv", rows[2:4]), "--batch", "open", "--limit", 1).code == 4
    assert run(shop, shop.write("new.csv", rows[4:]), "--batch", "new").code == 0
    for batch in ("old", "open"):
        age(shop, batch, 200)
    folder = shop.folder / "kept"
    with terminal(shop, "prune", "--older-than", "100d", "--out", folder, "--note", "x") as person:
        person.wait_for("open stays: it is not finished: 1 pending")
        person.wait_for("Archive these 1 batches (2 rows)")
        person.type("no\n")
        assert person.end() == 2
    assert not folder.exists()
    told = shop("prune", "--older-than", "100d", "--batch", "open", "--yes", "--json", "--note", "x")
    assert "it is not finished" in refused(told, "not_prunable")
    assert "21d or more" in refused(
        shop("prune", "--older-than", "5d", "--yes", "--json", "--note", "x"), "usage"
    )
    with terminal(shop, "prune", "--older-than", "100d", "--out", folder, "--note", "x") as person:
        person.wait_for("Archive these")
        person.type("yes\n")
        assert person.end() == 0
    assert [path.name.partition(".")[0] for path in folder.iterdir()] == ["old"]
