"""senders, evict and prune on a ledger that several processes share: a real PostgreSQL, real processes."""

from typing import TYPE_CHECKING

import pytest
from command_line import CommandLine, Sandbox, refused, wait_for

if TYPE_CHECKING:
    from postgres_server import Server


@pytest.fixture
def ledger(postgres: "Server", shop: CommandLine) -> str:
    """A new ledger that every command uses."""
    url = postgres.fresh_url()
    shop.env["BATCHCREDIT_LEDGER"] = url
    return url


@pytest.mark.usefixtures("ledger")
def test_an_evicted_sender_leaves_doubt_and_never_comes_back(shop: CommandLine, sandbox: Sandbox) -> None:
    """Who is sending is told, and ended for good; a later run sends nothing that it may have sent."""
    sandbox.control.set(latency_s=30)
    path = shop.write("batch.csv", [("clicksend", number, 5, "USD", f"r{number}") for number in range(1, 5)])
    running = shop.start("run", path, "--yes", "--json", "--batch", "march")
    wait_for(lambda: running.has_ended or len(sandbox.arrivals()) == 4)
    [told] = shop("senders", "--json").json["senders"]
    assert (told["batch"], told["pid"], told["in_flight"]) == ("march", running.pid, 4)
    evicted = shop("evict", told["sender"], "--note", "it hangs", "--yes", "--json")
    assert (evicted.code, evicted.json["in_doubt"]) == (0, 4), evicted
    assert shop("senders", "--json").json["senders"] == []
    assert shop("show", "march", "--json").json["counts"]["in_doubt"] == 4
    assert "no sender" in refused(
        shop("evict", told["sender"], "--note", "x", "--yes", "--json"), "no_sender"
    )
    assert "it hangs" in shop("audit").stdout
    assert running.end().code != 0
    sandbox.control.set(latency_s=0)
    shop("resume", "march", "--yes", "--json")
    assert len(sandbox.arrivals()) == 4


def test_archives_of_a_shared_ledger_need_a_place(shop: CommandLine, ledger: str) -> None:
    """Nobody else would find a folder on one of many machines."""
    shop.write("batch.csv", [("clicksend", 1, 5, "USD")])
    assert shop("run", "batch.csv", "--yes", "--json").code == 0
    flags = ("--older-than", "100d", "--yes", "--json")
    assert "a shared ledger" in refused(shop("prune", *flags), "usage")
    told = shop("prune", *flags, "--out", "kept")
    assert (told.code, told.json["pruned"]) == (0, []), told
