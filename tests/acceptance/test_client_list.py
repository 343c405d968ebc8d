"""`providers clients NAME --out FILE`: the provider's own list, filled in and given back to `run`."""

import csv
from pathlib import Path

import polars as pl
import pytest
from command_line import CommandLine, Sandbox, refused, run

COLUMNS = ["provider", "account", "account_name", "currency", "client_balance", "amount"]
CLIENTS = {
    **{str(number): {"currency": "USD", "opening": "3.50"} for number in range(1, 121)},
    "200": {"currency": "USD", "state": "closed"},
}


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_list_comes_back_as_a_batch(shop: CommandLine, sandbox: Sandbox) -> None:
    """All pages, the banned left out; the rows that were filled in are paid, names compared."""
    sandbox.control.set(accounts=CLIENTS)
    path = shop.folder / "clients.csv"
    ended = shop("providers", "clients", "clicksend", "--out", "clients.csv")
    assert (ended.code, ended.stdout.strip()) == (0, str(path)), ended
    assert "1 banned clients are left out" in ended.stderr
    rows = listed(path)
    assert [row["account"] for row in rows] == [str(number) for number in range(1, 121)]
    assert list(rows[6].values()) == ["clicksend", "7", "client7", "USD", "3.5", ""]
    assert sandbox.arrivals() == []
    filled = [list((row | {"amount": "5"} if row["account"] in "7 9" else row).values()) for row in rows]
    shop.write("clients.csv", filled, COLUMNS)
    said = refused(run(shop, path), "invalid_rows")
    assert "send the rest with --skip-invalid" in said
    ended = run(shop, path, "--online", "--skip-invalid")
    assert ended.counts == {"credited": 2, "invalid": 118}
    assert {entry["account"] for entry in sandbox.book()} == {"7", "9"}


def test_a_list_overwrites_nothing(shop: CommandLine, sandbox: Sandbox) -> None:
    """Somebody may have filled in the last one: a second name is used and said. Parquet holds the same."""
    sandbox.control.set(accounts=CLIENTS)
    (shop.folder / "clients.parquet").write_text("mine")
    ended = shop("providers", "clients", "clicksend", "--out", "clients.parquet", "--json")
    assert ended.json["results"] == str(shop.folder / "clients (2).parquet")
    assert (ended.json["rows"], ended.json["banned"]) == (120, 1)
    frame = pl.read_parquet(ended.json["results"])
    assert (frame.columns, frame.height, frame["amount"].null_count()) == (COLUMNS, 120, 120)
    assert (shop.folder / "clients.parquet").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "out", "reason"),
    [
        ("fastmessage", "clients.csv", "no_client_list"),
        ("clicksend", "clients.txt", "out_format"),
    ],
)
def test_what_is_not_offered_is_said(name: str, out: str, reason: str, shop: CommandLine) -> None:
    """A provider without a list, and a format that no batch has; no file is left."""
    refused(shop("providers", "clients", name, "--out", out, "--json"), reason)
    assert not (shop.folder / out).exists()
