"""The wheel, installed far from the checkout: what somebody has who only typed `pip install`."""

import csv
import json
import sys
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
from wheel_parts import ROOT, Installed, run

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

#: Extras of those who work on batchcredit, and two without which a run goes on.
NOT_ASKED_FOR = {"bench", "dev", "fast", "fuzz", "otel"}

SHARED = ("--ledger", "postgresql://shop@127.0.0.1/ledgers")

#: What needs an extra, and the extra.
NEEDING = [
    ("postgres", ["show", *SHARED]),
    ("report", ["report", "month_end", "--sandbox"]),
    ("ray", ["run", "month_end.csv", "--yes", "--ray", "auto", *SHARED]),
]

IN_A_HURRY = """
[providers.clicksend]
kind = "clicksend"
username = "reseller@example.com"
rate = "1000/s"

[providers.fastmessage]
kind = "fastmessage"
base_url = "https://sms.example.co.ke"
partner_id = "123"
rate = "1000/s"
"""


def test_it_comes_from_the_wheel(installed: Installed) -> None:
    """Not from the checkout that built it; with its version and each command of its help."""
    where = installed.program("python", "-c", "import batchcredit; print(batchcredit.__file__)")
    assert Path(where.strip()).is_relative_to(installed.folder / "env")
    assert installed.batchcredit("--version").strip() == version("batchcredit")
    helped = installed.batchcredit("--help")
    assert all(f" {name} " in helped for name in ("run", "check", "resume", "reconcile"))


def test_it_finds_its_own_adapters(installed: Installed) -> None:
    """The built-in providers come through the same entry points as anybody's."""
    told = installed.batchcredit("providers")
    assert [line.split()[0] for line in told.splitlines()[1:3]] == ["clicksend", "fastmessage"]


def test_it_sends_a_sample_to_the_sandbox(installed: Installed) -> None:
    """From the file to the results with the base install alone: its tables are made, its rows paid."""
    (installed.work / "batchcredit.toml").write_text(IN_A_HURRY)
    (installed.work / "month_end.csv").write_bytes((ROOT / "samples" / "month_end.csv").read_bytes())
    said = installed.batchcredit("run", "month_end.csv", "--sandbox", "--yes", "--json", expected=1)
    assert json.loads(said)["rows"] == 320
    (results,) = installed.work.glob("sandbox-month_end-*.results.csv")
    with results.open(newline="") as file:
        assert Counter(row["status"] for row in csv.DictReader(file)) == {"credited": 315, "rejected": 5}


@pytest.mark.parametrize(("extra", "arguments"), NEEDING, ids=[extra for extra, _ in NEEDING])
def test_what_needs_an_extra_says_which(installed: Installed, extra: str, arguments: list[str]) -> None:
    """A refusal with the command that installs it, and no traceback."""
    said = json.loads(installed.batchcredit(*arguments, "--json", expected=2))
    cure = said["error"]["cure"]
    assert cure.startswith(f"{installed.bin / 'python'} -m pip install 'batchcredit[{extra}]'")


def test_every_extra_is_asked_for_by_something() -> None:
    """The list above is whole."""
    assert {extra for extra, _ in NEEDING} == EXTRAS.keys() - NOT_ASKED_FOR


def test_its_types_reach_a_type_checker(installed: Installed, tmp_path: Path) -> None:
    """Somebody's program is checked against ours: a wrong amount is found."""
    program = tmp_path / "program.py"
    program.write_text(
        "from batchcredit.transfer import shortest\nfrom decimal import Decimal\n"
        'reveal_type(shortest(Decimal("1.50")))\nshortest(1.5)\n'
    )
    python = installed.bin / "python"
    flags = ["--strict", "--python-executable", python, "--cache-dir", tmp_path / "cache"]
    told = run([sys.executable, "-m", "mypy", *flags, program], tmp_path, expected=1)
    assert 'Revealed type is "str"' in told
    assert '"float"; expected "Decimal"' in told
    assert "Found 1 error" in told
