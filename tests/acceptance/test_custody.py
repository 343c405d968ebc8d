"""ledger, backup, accept, move, audit: from the command line, with the provider's book as judge."""

import shutil
import sqlite3
from contextlib import closing

from books import batch_rows
from command_line import CommandLine, Sandbox, refused, run
from terminal import terminal


def test_a_restored_backup_pays_nothing_twice(shop: CommandLine, sandbox: Sandbox) -> None:
    """Half is sent, backup, the rest is sent, the ledger is lost: what the backup leaves is in doubt."""
    path = shop.write("batch.csv", batch_rows(8, 8))
    assert run(shop, path, "--limit", 4, "--batch", "b").code == 4
    assert shop("ledger", "backup", "monday.db").stdout.strip() == str(shop.folder / "monday.db")
    assert "is not replaced" in refused(shop("ledger", "backup", "monday.db", "--json"), "out_exists")
    assert run(shop, path, "--batch", "b").code == 0
    for left in shop.home.glob("ledger.db*"):
        left.unlink()
    shutil.copy(shop.folder / "monday.db", shop.ledger)
    assert refused(run(shop, path, "--batch", "b"), "ledger_copy")
    known = shop("ledger", "--json").json["ledger"]
    assert known["open"] == ["b"]
    assert known["copied_at"]
    assert refused(shop("ledger", "accept", "--note", "x", "--yes", "--json"), "usage")
    accepted = shop("ledger", "accept", "--note", "disk died", "--yes", "--id", known["id"], "--json")
    assert accepted.json["in_doubt"] == 4, accepted
    assert run(shop, path, "--batch", "b").counts == {"credited": 4, "in_doubt": 4}
    assert len(sandbox.book()) == 8
    assert all(row["status"] == "credited" for row in shop.results("b.results.csv"))
    assert "disk died" in shop("audit", "b").stdout


def test_a_person_moves_the_ledger(shop: CommandLine) -> None:
    """What is asked names both places; afterwards the old one is read and nothing else."""
    path = shop.write("batch.csv", batch_rows(2, 2))
    assert run(shop, path, "--batch", "b").code == 0
    new = shop.home / "new.db"
    with terminal(shop, "ledger", "move", new, "--note", "new machine") as person:
        person.wait_for("closed for ever")
        person.type("yes\n")
        assert person.end() == 0
    assert str(new) in refused(shop("cancel", "b", "--note", "x", "--yes", "--json"), "ledger_moved")
    assert shop("show", "b").code == 0
    shown = shop("ledger", "--ledger", f"sqlite:///{new}")
    assert (shown.code, "no fault was found" in shown.stdout) == (0, True), shown
    assert shop("audit", "--ledger", f"sqlite:///{new}", "--json").json["entries"][0]["note"] == "new machine"


def test_an_edited_ledger_is_found_out(shop: CommandLine) -> None:
    """By the check of the ledger, and by the trail."""
    path = shop.write("batch.csv", batch_rows(2, 2))
    assert run(shop, path, "--batch", "b", "--limit", 1).code == 4
    assert shop("cancel", "b", "--note", "wrong file", "--yes").code == 0
    with closing(sqlite3.connect(shop.ledger)) as connection, connection:
        connection.execute("DROP TRIGGER audit_is_not_changed")
        connection.execute("UPDATE audit SET note = 'right file'")
        connection.execute("UPDATE transfer SET amount = '7' WHERE row = 1")
    assert "entry 1:" in refused(shop("audit", "b", "--json"), "audit_broken")
    shown = shop("ledger")
    assert shown.code == 5
    assert "does not add up" in shown.stdout
    assert "entry 1:" in shown.stdout
