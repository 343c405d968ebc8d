"""A fork of the program is what a process of its own would be."""

import signal
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, command_line, run, wait_for
from forked_program import ForkedProgram


@pytest.mark.parametrize(
    "arguments", [("--version",), ("providers", "--json"), ("run", "no.csv", "--json"), ("?",)]
)
def test_a_fork_says_what_a_process_says(
    cli: CommandLine, tmp_path: Path, forks: ForkedProgram, arguments: tuple[str, ...]
) -> None:
    assert cli.forks is forks
    (tmp_path / "other").mkdir()
    with command_line(tmp_path / "other") as other:
        other.folder, other.env = cli.folder, cli.env
        assert cli(*arguments) == other(*arguments)


def test_a_fork_has_its_own_environment_and_leaves_nothing_of_it(shop: CommandLine) -> None:
    elsewhere = shop.home / "elsewhere.db"
    shop.env["BATCHCREDIT_LEDGER"] = f"sqlite:///{elsewhere}"
    assert str(elsewhere) in shop("show", "--json").stdout
    del shop.env["BATCHCREDIT_LEDGER"]
    assert str(elsewhere) not in shop("show", "--json").stdout


def test_what_an_interpreter_reads_at_its_start_takes_a_process(
    cli: CommandLine, forks: ForkedProgram
) -> None:
    assert forks.can_have(cli.env | {"BATCHCREDIT_LEDGER": "x", "COLUMNS": "40"})
    for name in ("PYTHONPATH", "PYTHONUTF8", "LC_ALL", "TZ"):
        assert not forks.can_have(cli.env | {name: "other"})


def test_a_fork_is_killed_with_its_requests_in_flight(shop: CommandLine, sandbox: Sandbox) -> None:
    sandbox.control.set(latency_s=5)
    path = shop.write("batch.csv", [("clicksend", 1, 5, "USD")])
    running = shop.start("run", path, "--yes")
    wait_for(lambda: running.has_ended or sandbox.arrivals())
    with pytest.raises(subprocess.TimeoutExpired):
        running._process.wait(0.01)
    running.signal(signal.SIGKILL)
    assert running.end().code == -signal.SIGKILL
    running.kill()  # once more, and nobody else has its pid
    assert run(shop, path).counts == {"in_doubt": 1}
