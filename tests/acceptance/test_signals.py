"""SIGINT and SIGTERM: the first lets what is in flight be heard out, the second stops at once."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest
from books import assert_truthful, batch_rows
from command_line import CommandLine, Running, Sandbox, wait_for
from terminal import CTRL_C, terminal

BOTH = pytest.mark.parametrize("number", [SIGINT, SIGTERM])
IN_FLIGHT = 32


@pytest.fixture
def forks() -> None:
    """Signals come from the first line on, so each command is a process of its own."""


def wait_for_arrivals(running: Running, sandbox: Sandbox, number: int) -> None:
    wait_for(lambda: running.has_ended or len(sandbox.arrivals()) >= number)
    assert not running.has_ended, running.end()


@pytest.fixture
def given() -> list[tuple[str, str, str, str, str]]:
    return batch_rows(400, accounts=200)


def start(shop: CommandLine, given: list[tuple[str, str, str, str, str]]) -> Running:
    path = shop.write("batch.csv", given)
    return shop.start("run", path, "--yes", "--json", "--out", "batch.results.csv")


@BOTH
def test_one_signal_hears_out_what_is_in_flight(
    number: Signals, given: list[tuple[str, str, str, str, str]], shop: CommandLine, sandbox: Sandbox
) -> None:
    """No request starts any more, none is in doubt, results are written, and the same command goes on."""
    sandbox.control.set(latency_s=0.5)
    running = start(shop, given)
    wait_for_arrivals(running, sandbox, IN_FLIGHT)
    running.signal(number)
    signalled_at = time.monotonic()
    ended = running.end()

    assert ended.code == 4, ended
    counts = assert_truthful(given, shop.results(), sandbox.book())
    assert counts.keys() == {"credited", "not_sent"}
    assert all(entry["arrived_at"] < signalled_at + 0.2 for entry in sandbox.arrivals())
    assert {row["reason"] for row in shop.results() if row["status"] == "not_sent"} == {"stopped"}
    assert ended.json["next"] == ["batchcredit", "resume", ended.json["batch"]]

    sandbox.control.set(latency_s=0)
    assert shop(*running.argv).code == 0
    assert assert_truthful(given, shop.results(), sandbox.book()) == {"credited": 400}


def test_one_signal_waits_no_longer_than_the_timeout(
    given: list[tuple[str, str, str, str, str]], cli: CommandLine, sandbox: Sandbox
) -> None:
    """Requests that are never answered are given up after their timeout, and are in doubt: exit 3."""
    lane = {"timeout": 2, "in_doubt_limit": 100}
    cli.configure(sandbox.address, sandbox.login, clicksend=lane, fastmessage=lane)
    sandbox.control.set(latency_s=30)
    running = start(cli, given)
    wait_for_arrivals(running, sandbox, IN_FLIGHT)
    signalled_at = time.monotonic()
    running.signal(SIGINT)
    ended = running.end()
    assert ended.code == 3, ended
    assert time.monotonic() - signalled_at < 2 + 3
    counts = assert_truthful(given, cli.results(), sandbox.book())
    assert counts == {"in_doubt": IN_FLIGHT, "not_sent": 400 - IN_FLIGHT}


@BOTH
def test_a_second_signal_stops_at_once(
    number: Signals, given: list[tuple[str, str, str, str, str]], shop: CommandLine, sandbox: Sandbox
) -> None:
    """What was in flight is in doubt and never sent again: exit 3, and the results say so."""
    sandbox.control.set(latency_s=30)
    running = start(shop, given)
    wait_for_arrivals(running, sandbox, IN_FLIGHT)
    signalled_at = time.monotonic()
    running.signal(number)
    time.sleep(0.3)
    assert not running.has_ended
    running.signal(number)
    ended = running.end()
    assert ended.code == 3, ended
    assert time.monotonic() - signalled_at < 5
    counts = assert_truthful(given, shop.results(), sandbox.book())
    assert counts == {"in_doubt": IN_FLIGHT, "not_sent": 400 - IN_FLIGHT}

    sandbox.control.set(latency_s=0)
    assert shop(*running.argv).code == 3
    counts = assert_truthful(given, shop.results(), sandbox.book())
    assert counts == {"in_doubt": IN_FLIGHT, "credited": 400 - IN_FLIGHT}
    assert len(sandbox.arrivals()) == 400


@pytest.fixture
def silence() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def probing(cli: CommandLine, sandbox: Sandbox, silence: socket.socket) -> Iterator[Running]:
    """A run in the middle of its preflight: it waits for an answer that never comes."""
    base_url = f"http://127.0.0.1:{silence.getsockname()[1]}"
    cli.configure(sandbox.address, sandbox.login, clicksend={"base_url": base_url})
    path = cli.write("batch.csv", [("clicksend", 7, 5, "USD")])
    running = cli.start("run", path, "--yes", "--json")
    silence.settimeout(20)
    connection, _ = silence.accept()
    with connection:
        assert connection.recv(65_536)
        yield running


@BOTH
def test_before_anything_is_sent(number: Signals, cli: CommandLine, probing: Running) -> None:
    """A signal during the preflight: exit 2, and neither a batch nor a file is kept."""
    probing.signal(number)
    ended = probing.end(10)
    assert ended.refusal == (2, "stopped"), ended
    assert cli("show", "--json").json["batches"] == []
    assert sorted(file.name for file in cli.folder.iterdir()) == ["batch.csv", "batchcredit.toml"]


@pytest.mark.parametrize("stop", [CTRL_C, SIGTERM])
def test_at_the_question(stop: str | Signals, shop: CommandLine, sandbox: Sandbox) -> None:
    """Ctrl-C instead of an answer: exit 2 at once, nothing sent, and no batch kept."""
    path = shop.write("batch.csv", [("clicksend", 7, 5, "USD")])
    with terminal(shop, "run", path) as person:
        person.wait_for("type the total in USD: ")
        person.signal(stop) if isinstance(stop, Signals) else person.type(stop)
        assert person.end(10) == 2, person.shown
    assert sandbox.arrivals() == []
    assert shop("show", "--json").json["batches"] == []


@pytest.mark.parametrize("stop", [CTRL_C, SIGTERM])
def test_at_the_question_after_the_canary(stop: str | Signals, shop: CommandLine, sandbox: Sandbox) -> None:
    """The first rows have been sent by then: exit 4, and the results tell which."""
    path = shop.write("batch.csv", [("clicksend", 7, 5, "USD"), ("clicksend", 8, 5, "USD")])
    with terminal(shop, "run", path, "--canary", 1, "--out", "batch.results.csv") as person:
        person.wait_for("type the total in USD: ")
        person.type("10\n")
        person.wait_for("Send the rest?")
        person.signal(stop) if isinstance(stop, Signals) else person.type(stop)
        assert person.end(10) == 4, person.shown
    assert [row["status"] for row in shop.results()] == ["credited", "not_sent"]
    assert len(sandbox.arrivals()) == 1


@BOTH
def test_while_results_are_written(number: Signals, shop: CommandLine, sandbox: Sandbox) -> None:
    """A signal that comes when all rows have ended does not cost the results."""
    given = batch_rows(60_000, accounts=5000)
    path = shop.write("batch.csv", given)
    running = shop.start("run", path, "--yes", "--json", "--limit", 5, "--out", "batch.results.csv")
    wait_for(lambda: any(map(_has_rows, shop.folder.glob(".*.part"))), every_s=0.001)
    running.signal(number)
    ended = running.end()
    assert ended.code == 4, ended
    assert assert_truthful(given, shop.results(), sandbox.book())["credited"] == 5


def _has_rows(part: Path) -> bool:
    try:
        return part.stat().st_size > 100_000
    except FileNotFoundError:
        return False  # it was the owner file, or only tried whether a file can be written there


@BOTH
def test_while_a_large_file_is_read(number: Signals, shop: CommandLine) -> None:
    """Nobody has to wait for the end of a file that was named by mistake."""
    path = shop.write("batch.csv", batch_rows(300_000, accounts=5000))
    shop.env["TMPDIR"] = str(shop.home)
    running = shop.start("check", path, "--json")
    wait_for(lambda: running.has_ended or list(shop.home.glob("batchcredit-*/input-*.csv")), every_s=0.001)
    running.signal(number)
    ended = running.end()
    assert ended.refusal == (2, "stopped"), ended


@BOTH
def test_again_while_it_is_being_told(number: Signals, probing: Running) -> None:
    """Whoever presses on gets the exit code that was told: by then the outcome stands."""
    for _ in range(200):
        if probing.has_ended:
            break
        probing.signal(number)
        time.sleep(0.002)
    ended = probing.end(10)
    assert ended.refusal == (2, "stopped"), ended
