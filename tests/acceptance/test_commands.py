"""Every command and flag, as a person or a script meets them."""

from decimal import Decimal

from command_line import CommandLine, Sandbox


def test_run_credits_each_row(shop: CommandLine, sandbox: Sandbox) -> None:
    """A run credits each row once and says so on stdout."""
    path = shop.write("batch.csv", [("clicksend", 7, "1.50", "USD"), ("fastmessage", "jane", "20", "KES")])
    ended = shop("run", path, "--yes", "--json")
    assert ended.code == 0, ended
    assert ended.json["counts"]["credited"] == 2
    assert sandbox.sums() == {"USD": Decimal("1.50"), "KES": Decimal(20)}
