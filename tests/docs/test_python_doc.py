"""docs/python.md: its examples run, and its table names each call."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

from command_line import SECRETS, CommandLine, command_line
from documents import ROOT, quoted, table_behind

import batchcredit

_TEXT = (ROOT / "docs" / "python.md").read_text()


def test_the_examples_run(tmp_path: Path) -> None:
    """Pasted one after the other into a file, they rehearse, and print what they promise."""
    blocks = re.findall(r"^```python\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    with command_line(tmp_path) as cli:
        for name in SECRETS:
            del cli.env[name]  # of profiles that nobody has configured
        (cli.folder / "example.py").write_text("\n".join(blocks))
        ended = _run(cli)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("0 {'credited': 3}\n")
    assert "SANDBOX 1 rows 1500 KES" in ended.stdout
    assert "done=3" in ended.stdout or "done=1" in ended.stdout
    assert ended.stderr == ""


def _run(cli: CommandLine) -> subprocess.CompletedProcess[str]:
    return cli.program(sys.executable, "example.py")


def test_each_call_and_each_part_of_an_outcome_is_told() -> None:
    """No name of the package is left out."""
    told = {
        quoted(row[0])[0].removeprefix("await ").partition("(")[0]
        for row in table_behind("docs/python.md", "## The calls")
    }
    assert told == {name for name in batchcredit.__all__ if inspect.isfunction(getattr(batchcredit, name))}
    parts = set(batchcredit.Outcome.__dataclass_fields__) - {"_frame"}
    assert [part for part in parts if f"`{part}`" not in _TEXT] == []
