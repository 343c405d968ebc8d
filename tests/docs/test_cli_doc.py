"""--help teaches, and docs/cli.md says the same as the commands."""

import os
import subprocess
import sys

import pytest
from documents import ROOT

from batchcredit.cli.app import app

sys.path.insert(0, str(ROOT / "docs"))
from make_reference import CLI, reference

_COMMANDS = [name for name in app if not name.startswith("-") and name != "rerun"]


def helped(*words: str, width: int = 80) -> str:
    """What --help shows on a terminal so wide."""
    ended = subprocess.run(
        [sys.executable, "-m", "batchcredit", *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"COLUMNS": str(width)},
    )
    return ended.stdout


def test_the_reference_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/cli.md is what the commands say of themselves, whatever the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "43")
    monkeypatch.setattr(sys, "argv", ["make_reference.py"])  # cyclopts looks there for the program's name
    assert CLI.read_text() == reference(), "docs/cli.md is stale: make cli-docs"


def test_every_command_has_its_place_and_its_examples() -> None:
    """A command of --help stands under a heading of its own kind, and shows what one types."""
    for name in _COMMANDS:
        command = app[name]
        assert f"batchcredit {name}" in (command.help_epilogue or ""), name
        assert "Help" not in {getattr(group, "name", group) for group in command.group}, name


def test_help_keeps_its_examples_whole() -> None:
    """On a narrow terminal an example still is one line that can be copied."""
    for words in ([], ["run"]):
        shown = helped(*words, width=60)
        assert max(map(len, shown.splitlines())) <= 60
        assert "  batchcredit run march.csv --sandbox" in shown
    for name in _COMMANDS:
        assert max(map(len, app[name].help_epilogue.splitlines())) <= 60, name
    assert max(map(len, app.help_epilogue.splitlines())) <= 60


def test_help_imports_nothing_slow() -> None:
    """Help comes at once: nothing is loaded that only a run needs."""
    slow = ("polars", "httpx", "psycopg", "ray", "xlsxwriter", "pydantic", "apsw", "starlette", "uvicorn")
    told = "sys.stderr.write(repr([name for name in sys.argv[2:] if name in sys.modules]))"
    script = f"import sys; from batchcredit.cli import run; run(['run', '--help']); {told}"
    ended = subprocess.run(
        [sys.executable, "-c", script, "", *slow], capture_output=True, text=True, check=True, timeout=60
    )
    assert "--expect-total CUR=AMOUNT" in ended.stdout
    assert ended.stderr == "[]"


@pytest.mark.parametrize(
    ("words", "said", "cure"),
    [
        (["rum", "a.csv"], 'Did you mean "run"', "batchcredit --help"),
        (["run", "a.csv", "--sandbx"], "Did you mean --sandbox", "batchcredit run --help"),
        (["run"], "INPUT requires an argument", "batchcredit run --help"),
        (["run", "my", "file.csv"], "needs quotes", "batchcredit run --help"),
        (["ledger", "backup"], "FILE requires an argument", "batchcredit ledger backup --help"),
        (["providers", "tst"], "more than the command takes", "batchcredit providers --help"),
    ],
)
def test_a_slip_names_the_help_to_type(
    words: list[str], said: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A usage error says what is wrong, and the help of just that command."""
    from batchcredit.cli import run

    assert run(words) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.rstrip().endswith(f"-> {cure}")
