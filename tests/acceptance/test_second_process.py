"""One ledger, two processes: whoever sends or decides is alone, and who only reads is let in."""

import re
from collections.abc import Iterator

import pytest
from command_line import CommandLine, Ended, Running, Sandbox, wait_for


@pytest.fixture
def sending(shop: CommandLine, sandbox: Sandbox) -> Iterator[Running]:
    """A run that is under way and stays so: its first answers are late."""
    sandbox.control.set(latency_s=30)
    path = shop.write("batch.csv", [("clicksend", number, 5, "USD", f"r{number}") for number in range(1, 9)])
    running = shop.start("run", path, "--yes", "--batch", "march", "--out", "batch.results.csv")
    wait_for(lambda: running.has_ended or len(sandbox.arrivals()) == 8)
    assert not running.has_ended, running.end()
    yield running
    running.kill()


def assert_refused(ended: Ended, holder: Running) -> None:
    """Exit 2, naming the pid, the command and the start of the process that has the ledger."""
    assert ended.refusal == (2, "ledger_held"), ended
    message = ended.json["error"]["message"]
    assert f"process {holder.pid} (run " in message
    assert "batch.csv" in message
    assert re.search(r"since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", message), message
    assert message in ended.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "command",
    [
        ("run", "batch.csv", "--yes"),
        ("run", "other.csv", "--yes"),
        ("resume", "march", "--yes"),
        ("resolve", "march", "--row", 1, "--as", "credited", "--note", "x", "--account", 1, "--yes"),
        ("cancel", "march", "--note", "x", "--yes"),
    ],
)
def test_whoever_sends_or_decides_is_alone(
    command: tuple[object, ...], sending: Running, shop: CommandLine, sandbox: Sandbox
) -> None:
    """A second run, resume, resolve or cancel is refused, and sends nothing."""
    shop.write("other.csv", [("clicksend", 99, 5, "USD")])
    assert_refused(shop(*command, "--json"), sending)
    assert len(sandbox.arrivals()) == 8
    assert not sending.has_ended


def link(shop: CommandLine, kind: str) -> str:
    """The URL of the same ledger under a second name."""
    path = shop.home / "linked.db"
    path.hardlink_to(shop.ledger) if kind == "hard" else path.symlink_to(shop.ledger)
    return f"sqlite:///{path}"


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_a_second_name_of_the_file_meets_the_same_lock(
    kind: str, sending: Running, shop: CommandLine
) -> None:
    """The lock is on the file, whatever it is called."""
    shop.write("other.csv", [("clicksend", 99, 5, "USD")])
    assert_refused(shop("run", "other.csv", "--yes", "--json", "--ledger", link(shop, kind)), sending)


def test_a_hard_link_is_refused(sending: Running, shop: CommandLine, sandbox: Sandbox) -> None:
    """SQLite names its write-ahead log after the path: under another name the newest rows would be missing,
    and would be sent again."""
    sending.kill()
    ended = shop("resume", "march", "--yes", "--json", "--ledger", link(shop, "hard"))
    assert ended.refusal == (2, "ledger_linked"), ended
    assert len(sandbox.arrivals()) == 8


def test_who_only_reads_is_let_in(sending: Running, shop: CommandLine) -> None:
    """show, results, check and providers work while rows are sent, and tell how it stands."""
    shop.write("other.csv", [("clicksend", 99, 5, "USD")])
    assert shop("show", "--json").json["batches"][0]["counts"]["in_doubt"] == 8
    shown = shop("show", "march", "--json")
    assert (shown.code, shown.json["counts"]["in_doubt"]) == (0, 8)
    written = shop("results", "march", "--json")
    assert written.code == 0, written
    assert [row["status"] for row in shop.results()] == ["in_doubt"] * 8
    checked = shop("check", "other.csv", "--json")
    assert (checked.code, checked.json["counts"]["not_sent"]) == (0, 1)
    assert shop("providers", "--json").code == 0
    assert shop("providers", "test", "clicksend", "--json").code == 0
    assert not sending.has_ended


def test_another_ledger_is_another_matter(sending: Running, shop: CommandLine, sandbox: Sandbox) -> None:
    """Two ledgers are two worlds: the second run goes through."""
    sandbox.control.set(latency_s=0)
    path = shop.write("other.csv", [("clicksend", 99, 5, "USD")])
    ended = shop("run", path, "--yes", "--json", "--ledger", f"sqlite:///{shop.home / 'second.db'}")
    assert ended.code == 0, ended
    assert not sending.has_ended


def test_the_lock_dies_with_its_holder(sending: Running, shop: CommandLine) -> None:
    """After kill -9 the next command is let in, and what was in flight is in doubt."""
    sending.kill()
    ended = shop("resume", "march", "--yes", "--json")
    assert (ended.code, ended.json["counts"]["in_doubt"]) == (3, 8), ended


def test_it_is_told_who_sends_and_that_nobody_else_ends_it(sending: Running, shop: CommandLine) -> None:
    """The holder with what it has in flight; evicting it is refused with the kill that would end it."""
    [told] = shop("senders", "--json").json["senders"]
    assert (told["sender"], told["batch"], told["pid"]) == (0, "march", sending.pid)
    assert (told["in_flight"], told["driver"]) == (8, None)
    assert told["oldest_s"] >= 0
    evicted = shop("evict", 0, "--note", "it hangs", "--yes", "--json")
    assert evicted.refusal == (2, "not_shared")
    assert f"kill {sending.pid}" in evicted.json["error"]["cure"]
    sending.kill()
    assert shop("senders").stdout.strip() == "nobody is sending with this ledger"
    assert shop("evict", 0, "--note", "x", "--yes", "--json").refusal == (2, "no_sender")
