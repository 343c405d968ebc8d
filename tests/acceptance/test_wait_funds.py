"""`--wait-funds`: the wallet runs empty half-way, and somebody fills it, or nobody does."""

import signal

from command_line import CommandLine, Sandbox, wait_for

ROWS = [("clicksend", row, 5, "AUD") for row in range(1, 9)]
OTHERS = [("fastmessage", f"shop{row}", 1, "KES") for row in range(6)]
FLAGS = ("--yes", "--json", "--out", "batch.results.csv", "--wait-funds")


def halves(sandbox: Sandbox) -> int:
    """Make the wallet last for half of the rows."""
    sandbox.control.set(wallet="22")
    return 4


def test_it_goes_on_by_itself(shop: CommandLine, sandbox: Sandbox) -> None:
    """The other lane goes on, the sum that is missing is said, and after the top-up each row goes once."""
    half = halves(sandbox)
    running = shop.start("run", shop.write("batch.csv", [*ROWS, *OTHERS]), *FLAGS, "2m")
    wait_for(lambda: "18 AUD are missing for what is left, there are 2 AUD" in running.stderr)
    assert len(sandbox.book()) == half + len(OTHERS)
    assert not running.has_ended
    sandbox.control.set(wallet="1000")
    ended = running.end()
    assert (ended.code, ended.counts) == (0, {"credited": 14}), ended
    assert len(sandbox.book()) == 14
    assert "once they are spent it waits for a top-up" in ended.stderr


def test_a_signal_ends_the_wait_with_results(shop: CommandLine, sandbox: Sandbox) -> None:
    """Nobody has to wait out the time: what was not sent stands in the results as such."""
    half = halves(sandbox)
    running = shop.start("run", shop.write("batch.csv", ROWS), *FLAGS, "2h")
    wait_for(lambda: "are missing" in running.stderr)
    running.signal(signal.SIGINT)
    ended = running.end(10)
    assert (ended.code, ended.counts) == (4, {"credited": half, "not_sent": 4}), ended
    assert len(shop.results()) == 8


def test_when_the_time_is_over_the_lane_halts(shop: CommandLine, sandbox: Sandbox) -> None:
    """As without the flag: exit 4, the rows wait for the same command."""
    half = halves(sandbox)
    path = shop.write("batch.csv", ROWS)
    ended = shop("run", path, *FLAGS, "3s")
    assert (ended.code, ended.json["reasons"]) == (4, {"wallet_empty": 4}), ended
    assert len(sandbox.book()) == half
    sandbox.control.set(wallet="1000")
    assert shop("run", path, *FLAGS, "3s").code == 0
    assert len(sandbox.book()) == 8
