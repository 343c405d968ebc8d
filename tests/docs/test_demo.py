"""`make demo` shows what it promises, as a process, and leaves nothing behind."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, whole_table_behind

TIMEOUT_S = 60


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the samples alone, so that tests side by side have a `.demo` each."""
    (tmp_path / "samples").mkdir()
    for name in ("demo.py", "month_end.csv", "accidents.csv"):
        shutil.copy(ROOT / "samples" / name, tmp_path / "samples" / name)
    return tmp_path


def played(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The demo in a checkout; without the variables of whoever runs the tests but for the search path."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, str(checkout / "samples" / "demo.py")],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def files(folder: Path) -> dict[Path, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in found}


def test_the_demo_ends_as_expected_whatever_settings_a_user_has(checkout: Path, tmp_path: Path) -> None:
    """It begins with an empty folder, reads no settings of the user's, and touches only `.demo`."""
    home = tmp_path / "home"
    (home / ".config" / "batchcredit").mkdir(parents=True)
    (home / ".config" / "batchcredit" / "batchcredit.toml").write_text("not even = TOML")
    (checkout / ".demo").mkdir()
    (checkout / ".demo" / "left.over").touch()
    before = files(checkout / "samples"), files(home)
    ended = played(
        checkout,
        HOME=str(home),
        BATCHCREDIT_LEDGER=f"sqlite:///{home}/ledger.db",
        BATCHCREDIT_PROVIDERS__CLICKSEND__RATE="1/h",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (files(checkout / "samples"), files(home)) == before
    assert not (checkout / ".demo" / "left.over").exists()
    for shown in ("run samples/month_end.csv --sandbox --yes", "balance_after", "rejected", "--skip-invalid"):
        assert shown in ended.stdout + ended.stderr
    assert_excerpt_is_real(checkout)


def assert_excerpt_is_real(checkout: Path) -> None:
    """The rows of results in docs/files.md are the demo's own, but for the ledger's id, which is drawn."""
    (results,) = (checkout / ".demo" / "samples").glob("sandbox-*.results.csv")
    with results.open(encoding="utf-8", newline="") as file:
        written = {row["row"]: row for row in csv.DictReader(file)}
    names, _, *excerpt = whole_table_behind("docs/files.md", "<!-- results excerpt -->")
    assert (len(excerpt), names[-1]) == (3, "transfer_id")
    for cells in excerpt:
        row = written[cells[names.index("row")]]
        assert cells[:-1] == [row[name] for name in names[:-1]]
        assert cells[-1].rpartition("-")[2] == row["transfer_id"].rpartition("-")[2]


MENDED = {
    "1030404": "1030405",
    "1090403": "1090405",
    "1150404": "1150405",
    "unknown_shop": "shop_one",
    "closed_salon": "salon_one",
}


def test_the_demo_fails_where_a_command_ends_otherwise(checkout: Path) -> None:
    """A sample of which the sandbox refuses nothing is not what the demo promises, and it says so."""
    month_end = checkout / "samples" / "month_end.csv"
    text = month_end.read_text()
    for refused, taken in MENDED.items():
        text = text.replace(refused, taken)
    month_end.write_text(text)
    ended = played(checkout, HOME=str(checkout))
    assert ended.returncode == 1
    assert "`run` ended with 0, not with 1" in ended.stdout
