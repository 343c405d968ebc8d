"""Temporary folders: nobody else reads them, and they go even when their process was killed."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchcredit.private_folder import PrivateFolder

HOLDS = """
import sys, time
from pathlib import Path
from batchcredit.private_folder import PrivateFolder
folder = PrivateFolder(Path(sys.argv[1]))
(folder.path / "clients.csv").write_text("1000001,25.00")
print(folder.path, flush=True)
time.sleep(60)
"""

Holder = tuple[subprocess.Popen[str], Path]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[], Holder]]:
    """Starts a process that has a folder in `tmp_path`, as often as it is called."""
    started: list[subprocess.Popen[str]] = []

    def start() -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_a_killed_process_left_goes_with_the_next(holder: Callable[[], Holder], tmp_path: Path) -> None:
    """And what a living one has stays."""
    (killed, left), (_, lives) = holder(), holder()
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert (left / "clients.csv").exists()
    with PrivateFolder(tmp_path) as folder, PrivateFolder(tmp_path) as beside:
        assert sorted(tmp_path.iterdir()) == sorted([lives, folder.path, beside.path])
    assert [*tmp_path.iterdir()] == [lives]
    assert (lives / "clients.csv").exists()


def test_nothing_else_is_swept(tmp_path: Path) -> None:
    """Neither other folders, nor what a link leads to, nor what is named so and no folder."""
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / ".held").write_text("")
    (tmp_path / "batchcredit-link").symlink_to(aside)
    (tmp_path / "batchcredit-bench-1").mkdir()
    (tmp_path / "batchcredit-file").write_text("")
    os.mkfifo(tmp_path / "batchcredit-pipe")
    before = sorted(tmp_path.rglob("*"))
    PrivateFolder(tmp_path).remove()
    assert sorted(tmp_path.rglob("*")) == before


def test_only_the_owner_looks_in(tmp_path: Path) -> None:
    """As for any temporary folder."""
    with PrivateFolder(tmp_path) as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert not folder.path.exists()
    folder.remove()  # once more is no error
