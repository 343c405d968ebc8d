"""history: what a client ever got, from the command line."""

import csv

from command_line import CommandLine, refused, run

ROWS = [
    ("clicksend", "10001", "1.50", "USD", "=r1"),
    ("fastmessage", "Shop1", "20", "KES", "r2"),
    ("clicksend", "20001", "3", "USD", "r3"),
]


def test_a_client_is_found_in_any_spelling_and_the_file_has_them_all(shop: CommandLine) -> None:
    """One account on the screen and in JSON, with who ran it; the whole ledger in a file."""
    assert run(shop, shop.write("batch.csv", ROWS)).code == 0
    (sold,) = shop("history", "SHOP1", "--json").json["transfers"]
    assert (sold["account"], sold["amount"], sold["currency"]) == ("Shop1", "20", "KES")
    assert (sold["status"], sold["settled_by"], sold["reference"]) == ("credited", "provider", "r2")
    assert sold["user"]
    shown = shop("history", "--limit", 1, "--from", "2020-01-01").stdout
    assert "... and 2 more" in shown
    ended = shop("history", "--out", "all.csv", "--to", "2999-12-31", "--json")
    with (shop.folder / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ended.json["results"] == str(shop.folder / "all.csv")
    assert sorted(row["reference"] for row in rows) == ["'=r1", "r2", "r3"]
    assert shop("history", "--out", "batch.csv").stdout.strip() == str(shop.folder / "batch (2).csv")
    assert "it is no day" in refused(shop("history", "--to", "31.3.", "--json"), "usage")
