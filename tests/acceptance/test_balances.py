"""What a run keeps of the balances around it."""

from contextlib import closing
from decimal import Decimal

from command_line import CommandLine, Sandbox

from batchcredit.ledger import registry
from batchcredit.ledger.base import LedgerReader

ROWS = [
    ("clicksend", "10001", "12.50", "USD"),
    ("clicksend", "10002", "2", "USD"),
    ("fastmessage", "anna", "5", "KES"),
]


def ledger_of(shop: CommandLine) -> LedgerReader:
    return registry.read(f"sqlite:///{shop.ledger}")


def test_own_balances_are_kept_around_each_run(shop: CommandLine, sandbox: Sandbox) -> None:
    """Before and after, of each run and each lane that it needs."""
    sandbox.control.set(wallet_currency="USD")
    path = shop.write("march.csv", ROWS)
    assert shop("run", path, "--yes", "--batch", "march", "--limit", 1).code == 4
    assert shop("run", path, "--yes", "--batch", "march").code == 0
    with closing(ledger_of(shop)) as ledger:
        batch = ledger.batches("march")[0]
        told = ledger.own_balances(batch.id)
        profiles = {lane.lane.id: lane.profile for lane in ledger.batch_lanes(batch.id)}
    moments = [one.moment for one in told]
    assert 3 <= moments.count("before") == moments.count("after")
    spent: dict[str, Decimal] = {}
    for lane, profile in profiles.items():
        mine = [one for one in told if one.lane == lane]
        spent[profile] = mine[0].amount - mine[-1].amount
        assert {one.currency for one in mine} == {"USD" if profile == "clicksend" else ""}
    assert "clicksend: adds up" in shop("show", "march").stdout
    clicksend, fastmessage = shop("show", "march", "--json").json["money"]["accounts"]
    assert (clicksend["difference"], clicksend["explained"]) == ("0", True)
    assert (fastmessage["expected"], fastmessage["currency"]) == (None, "")
    assert spent == {"clicksend": sandbox.sums()["USD"], "fastmessage": sandbox.sums()["KES"]}


def test_a_snapshot_keeps_what_the_clients_had(shop: CommandLine, sandbox: Sandbox) -> None:
    """On demand, of the clients of the file, where the provider has a list."""
    openings = {"10001": "100", "10002": "7", "10003": "1", "anna": "1"}
    sandbox.control.set(accounts={name: {"opening": opening} for name, opening in openings.items()})
    path = shop.write("march.csv", ROWS)
    ended = shop("run", path, "--yes", "--batch", "march", "--snapshot")
    assert ended.code == 0
    assert "fastmessage: the provider has no list of clients" in ended.stderr
    with closing(ledger_of(shop)) as ledger:
        lane = next(lane.lane.id for lane in ledger.batch_lanes(1) if lane.profile == "clicksend")
        kept = {name: [told.amount for told in ledger.snapshots(lane, name)] for name in openings}
    assert kept == {"10001": [Decimal(100)], "10002": [Decimal(7)], "10003": [], "anna": []}
    both = ("--snapshot", "--skip-preflight")
    assert shop("run", path, "--yes", "--json", "--batch", "m2", *both).refusal == (2, "usage")
