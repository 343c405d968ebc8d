"""--on-finish: a program of the user's own is told how a run has ended, and changes nothing about it."""

import errno
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine, Ended, Sandbox, wait_for

from batchcredit.cli import on_finish
from batchcredit.console import TerminalConsole

ROWS = [("clicksend", 11, "1.50", "USD", "a"), ("clicksend", 20404, "2", "USD", "b")]

KEEPING = """
import json, os, sys
with open("told.json", "w") as file:
    json.dump({"said": json.loads(sys.stdin.read()), "env": dict(os.environ), "argv": sys.argv[1:]}, file)
"""


def keeping(shop: CommandLine) -> str:
    """A command that keeps what it is told."""
    (shop.folder / "keep.py").write_text(KEEPING)
    return shlex.join([sys.executable, str(shop.folder / "keep.py"), "a b", "$HOME", ";ls"])


def told(shop: CommandLine) -> dict[str, Any]:
    """What it was told."""
    found: dict[str, Any] = json.loads((shop.folder / "told.json").read_text())
    return found


def test_it_is_told_what_json_prints(shop: CommandLine, sandbox: Sandbox) -> None:
    """The same object, once the results are there; its words reach it as they are: no shell."""
    path = shop.write("batch.csv", ROWS)
    ended = shop("run", path, "--yes", "--json", "--batch", "march", "--on-finish", keeping(shop))
    assert ended.code == 1
    assert told(shop)["said"] == ended.json
    assert Path(told(shop)["said"]["results"]).exists()
    assert told(shop)["argv"] == ["a b", "$HOME", ";ls"]
    (shop.folder / "told.json").unlink()
    assert shop("resume", "march", "--yes", "--include", "rejected", "--on-finish", keeping(shop)).code == 1
    assert told(shop)["said"]["batch"] == "march"


def test_it_is_given_none_of_our_secrets(shop: CommandLine, sandbox: Sandbox) -> None:
    """No setting, no password of a ledger, no header for a collector; the rest is there."""
    shop.env |= {"PGPASSWORD": "hidden-1", "OTEL_EXPORTER_OTLP_HEADERS": "key=hidden-2", "KEPT": "yes"}
    shop.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:hidden-4@127.0.0.1:9"}
    shop.env |= {"batchcredit_providers__clicksend__api_key": "hidden-3"}
    shop("run", shop.write("batch.csv", ROWS), "--yes", "--on-finish", keeping(shop))
    env = told(shop)["env"]
    assert env["KEPT"] == "yes"
    assert not [name for name in env if "BATCHCREDIT" in name.upper()]
    assert not [
        text for text in env.values() if "hidden" in text or text in ("clicksend-key", "fastmessage-key")
    ]


def test_it_is_told_of_every_ending(shop: CommandLine, sandbox: Sandbox) -> None:
    """Refused before anything was sent, or stopped by a signal: whenever a run has begun."""
    assert shop("run", "missing.csv", "--yes", "--on-finish", keeping(shop)).code == 2
    assert (told(shop)["said"]["exit_code"], told(shop)["said"]["error"]["reason"]) == (2, "no_file")

    sandbox.control.set(latency_s=0.2)
    path = shop.write("many.csv", [("clicksend", number, 1, "USD") for number in range(1, 100)])
    running = shop.start("run", path, "--yes", "--on-finish", keeping(shop))
    wait_for(lambda: sandbox.book())
    running.signal(signal.SIGTERM)
    assert running.end().code == 4
    assert told(shop)["said"]["exit_code"] == 4


def test_a_program_that_is_not_there_is_refused_before_anything_is_sent(
    shop: CommandLine, sandbox: Sandbox
) -> None:
    """Not found when it is too late."""
    path = shop.write("batch.csv", ROWS)
    for wrong in ("no-such-program", "", "sh -c 'open"):
        assert shop("run", path, "--yes", "--json", "--on-finish", wrong).refusal == (2, "usage")
    assert sandbox.arrivals() == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "ended with exit code 3"),
        ("echo out; echo err >&2", "on-finish: err"),
        ("printf '\\033[2Jhidden'", "on-finish: \ufffd[2Jhidden"),
        ("exec 1>&- 2>&-; sleep 0.2; exit 7", "ended with exit code 7"),
        ("(sleep 30 &) ; echo left something running", "on-finish: left something"),
    ],
)
def test_how_it_ends_is_told_and_changes_nothing(
    script: str, said: str, shop: CommandLine, sandbox: Sandbox
) -> None:
    """Its exit code and its words are on stderr, harmless to a terminal; stdout and exit code are ours."""
    path = shop.write("batch.csv", ROWS[:1])
    flags = ("--batch", "march", "--on-finish", shlex.join(["sh", "-c", script]))
    started = time.monotonic()
    ended: Ended = shop("run", path, "--yes", *flags)
    assert (ended.code, ended.stdout) == (0, f"{shop.folder / 'march.results.csv'}\n")
    assert said in ended.stderr
    assert "\033[2J" not in ended.stderr
    assert time.monotonic() - started < 20


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is needed, and more than a pipe holds reaches it; one that does not read is no trouble."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    said = {"message": "x" * 1_000_000}
    for script in ("wc -c", "true"):
        on_finish.finish(("sh", "-c", script), said, TerminalConsole())
    assert f"on-finish: {len(json.dumps(said)) + 1}" in capsys.readouterr().err


def test_what_it_has_left_running_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where its first process heeds the wish to end, and another one does not."""
    monkeypatch.setattr(on_finish, "MOST_S", 0.5)
    monkeypatch.setattr(on_finish, "_GRACE_S", 0.3)
    script = "(trap '' TERM; echo $$ > group; sleep 60; sleep 60) & wait"
    monkeypatch.chdir(tmp_path)
    on_finish.finish(("sh", "-c", script), {}, TerminalConsole())
    group = int((tmp_path / "group").read_text())
    wait_for(lambda: not _lives(group))


def _lives(group: int) -> bool:
    stats = Path("/proc").glob("[0-9]*/stat")
    for stat in stats:
        with suppress(OSError):
            state, _, of, *_ = stat.read_text().rpartition(")")[2].split()
            if int(of) == group and state != "Z":
                return True
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it is left, indeed
def test_one_that_may_not_be_ended_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs as another user, by sudo, can't be signalled: the end of ours is no traceback."""
    monkeypatch.setattr(on_finish, "MOST_S", 0.3)
    monkeypatch.setattr(on_finish, "_GRACE_S", 0.1)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refused)
    started = time.monotonic()
    on_finish.finish(("sleep", "2"), {}, TerminalConsole())
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM; sleep 60 & wait; sleep 60", "yes"])
def test_one_that_hangs_is_ended_with_all_that_it_started(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its time is limited, and so is what is kept of its words."""
    monkeypatch.setattr(on_finish, "MOST_S", 0.5)
    monkeypatch.setattr(on_finish, "_GRACE_S", 0.3)
    started = time.monotonic()
    on_finish.finish(("sh", "-c", script), {}, TerminalConsole())
    assert time.monotonic() - started < 10
    shown = capsys.readouterr().err
    assert "was ended" in shown
    assert len(shown) < 2 * 12 * 4000
