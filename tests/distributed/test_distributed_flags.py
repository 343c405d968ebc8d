"""What --ray and --senders are refused for, before anything is read."""

import json
import socket

import pytest

from batchcredit.cli.app import run

SHARED = ("--ledger", "postgresql://shop@127.0.0.1:9/ledgers")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--senders", "2", *SHARED), "--senders is for --ray"),
        (("--ray", "auto"), "a ledger that several machines share"),
        (("--ray", "auto", "--sandbox", *SHARED), "a rehearsal stays on this machine"),
        (("--ray", "auto", "--limit", "5", *SHARED), "do not know of each other"),
        (("--ray", "auto", "--senders", "0", *SHARED), "it has to be 1 or more"),
        (("--ray", "auto", "--senders", "257", *SHARED), "256 at the most"),
        # each of these would start a cluster of its own, which inherits our environment, or leave the machine
        (("--ray", "local", *SHARED), "--ray auto or --ray HOST:PORT"),
        (("--ray", "ray://host:10001", *SHARED), "--ray auto or --ray HOST:PORT"),
        (("--ray", "", *SHARED), "--ray auto or --ray HOST:PORT"),
    ],
)
@pytest.mark.parametrize("command", ["run", "resume"])
def test_what_makes_no_sense_is_refused(
    command: str, flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a matter of usage, with exit code 2."""
    assert run([command, "march.csv", "--yes", "--json", *flags]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["reason"] == "usage"
    assert said in error["message"]


def test_where_no_cluster_answers_it_is_refused_soon(capsys: pytest.CaptureFixture[str]) -> None:
    """Ray alone would try for minutes, and could not be stopped."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(["run", "march.csv", "--yes", "--json", "--ray", address, *SHARED]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["reason"] == "no_cluster"
    assert address in error["message"]
