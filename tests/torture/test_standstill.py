"""A command that stood still for longer than a request may take, as on a laptop that slept."""

import time
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from books import assert_truthful, batch_rows
from command_line import command_line, wait_for
from mortal_provider import ENTRY_BYTES, MortalProvider

from batchcredit.sandbox import SandboxSettings


def test_answers_that_came_meanwhile_are_heard(tmp_path: Path) -> None:
    """They lie there when it goes on, though the time of each request is over: no row is in doubt."""
    given = batch_rows(200, accounts=100)
    with command_line(tmp_path) as cli, MortalProvider(tmp_path) as provider:
        provider.start(SandboxSettings(latency_s=0.2))
        wait_for(provider.answers)
        cli.configure(provider.address, clicksend={"timeout": 1}, fastmessage={"timeout": 1})
        path = cli.write("batch.csv", given)
        running = cli.start("run", path, "--yes", "--json", "--out", "batch.results.csv")
        wait_for(lambda: provider.written > 2 * 50 * ENTRY_BYTES, every_s=0.005)
        running.signal(SIGSTOP)
        time.sleep(2)
        running.signal(SIGCONT)
        ended = running.end()
        book = [entry._asdict() for entry in provider.entries("executed")]
        assert assert_truthful(given, cli.results(), book) == {"credited": 200}
    assert ended.code == 0, ended
