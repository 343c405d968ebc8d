"""Full disks, missing folders, ledgers that are not ours: exit 5 or 2, and nobody is paid twice."""

import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from books import assert_truthful, batch_rows
from command_line import HEADER, PROGRAM, CommandLine, Ended, Sandbox, wait_for

from batchcredit import host
from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger import registry

ROWS = [("clicksend", number, f"{number}.50", "USD", f"r{number}") for number in range(1, 9)]


# the results


@pytest.fixture
def folder(shop: CommandLine, sandbox: Sandbox) -> Iterator[Path]:
    """Where results go; each answer takes a while, so that something can happen to it meanwhile."""
    sandbox.control.set(latency_s=1)
    folder = shop.folder / "out"
    folder.mkdir()
    yield folder
    folder.parent.joinpath("away").exists() and shutil.rmtree(folder.parent / "away")


def test_a_results_folder_that_disappears(folder: Path, shop: CommandLine, sandbox: Sandbox) -> None:
    """Exit 5 once the rows have ended; `results` rebuilds the file, and nothing is sent again."""
    path = shop.write("batch.csv", ROWS)
    running = shop.start("run", path, "--yes", "--json", "--batch", "march", "--out", "out/batch.results.csv")
    wait_for(lambda: running.has_ended or len(sandbox.arrivals()) == 8)
    folder.rename(folder.parent / "away")
    assert running.end().refusal == (5, "out_unwritable")
    assert shop("results", "march", "--json").code == 2  # its folder is still away
    rebuilt = shop("results", "march", "--out", "batch.results.csv", "--json")
    assert rebuilt.code == 0, rebuilt
    assert assert_truthful(ROWS, shop.results(), sandbox.book()) == {"credited": 8}
    assert shop("run", path, "--yes", "--json", "--out", "batch.results.csv").code == 0
    assert len(sandbox.arrivals()) == 8


def limited(shop: CommandLine, file_bytes: int, *arguments: object) -> Ended:
    """Run a command that can write no file beyond a size: to it the disk is full there."""
    argv = [str(each) for each in arguments]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    done = subprocess.run(
        [*PROGRAM, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=shop.folder,
        env=shop.env,
        preexec_fn=limit,
        timeout=60,
        check=False,
    )
    return Ended(tuple(argv), done.returncode, done.stdout, done.stderr)


def test_a_disk_that_is_full_when_results_are_written(shop: CommandLine, sandbox: Sandbox) -> None:
    """Exit 5, what stood there before stays as it was, and `results` rebuilds the file."""
    given = [(*row, "x" * 80_000) for row in ROWS]  # large in the results, and little once it is compressed
    path = shop.write("batch.csv", given, (*HEADER, "remark"))
    out = ("--out", "batch.results.csv")
    first = shop("run", path, "--yes", "--json", "--batch", "march", "--limit", 3, *out)
    assert first.code == 4, first
    before = (shop.folder / "batch.results.csv").read_bytes()

    ended = limited(shop, len(before) // 2, "resume", "march", "--yes", "--json", *out)
    assert ended.refusal == (5, "disk_full"), ended
    assert "batchcredit results" in ended.stderr
    assert (shop.folder / "batch.results.csv").read_bytes() == before
    assert list(shop.folder.glob(".*.part")) == []

    assert shop("results", "march", "--out", "batch.results.csv", "--json").code == 0
    assert assert_truthful(ROWS, shop.results(), sandbox.book()) == {"credited": 8}
    assert len(sandbox.arrivals()) == 8


def test_a_disk_that_is_full_for_the_ledger(shop: CommandLine, sandbox: Sandbox) -> None:
    """Exit 5 in the middle of a run; resumed with room to write, each row is paid once and none is lost."""
    given = batch_rows(1500, accounts=700)
    path = shop.write("batch.csv", given)
    out = ("--out", "batch.results.csv")
    sandbox.control.set(latency_s=0.02)
    first = shop("run", path, "--yes", "--json", "--limit", 5, *out)
    assert first.code == 4, first
    room = shop.ledger.stat().st_size + 40_000

    ended = limited(shop, room, "run", path, "--yes", "--json", *out)
    assert ended.code == 5, ended  # "disk full" from the disk itself; this limit is an I/O error to SQLite
    sent = len(sandbox.arrivals())
    assert 5 < sent < 1500, "the disk should become full while rows are sent"

    ended = shop("run", path, "--yes", "--json", *out)
    assert ended.code in (0, 3), ended
    counts = assert_truthful(given, shop.results(), sandbox.book())
    assert counts["in_doubt"] <= 32
    assert counts["credited"] + counts["in_doubt"] == 1500


def test_a_folder_that_cannot_be_written(shop: CommandLine, sandbox: Sandbox) -> None:
    """Refused before anything is sent, and --out is asked for."""
    path = shop.write("batch.csv", ROWS)
    if os.geteuid() == 0:
        out = Path("/proc/batch.results.csv")  # root may write anywhere else
    else:
        locked = shop.folder / "locked"
        locked.mkdir(mode=0o500)
        out = locked / "batch.results.csv"
    ended = shop("run", path, "--yes", "--json", "--out", out)
    assert ended.refusal == (2, "out_unwritable"), ended
    assert "--out" in ended.stderr
    assert sandbox.arrivals() == []


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("batch.csv", "out_is_input"),
        ("link.csv", "out_is_input"),
        ("./sub/../batch.csv", "out_is_input"),
        ("diary.csv", "out_exists"),
        ("empty.csv", "out_exists"),
        ("results.ods", "out_format"),
        ("results", "out_format"),
        ("missing/results.csv", "out_unwritable"),
    ],
)
def test_out_overwrites_nothing(out: str, reason: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """The input, and files of others, are never overwritten; what can't be written is refused beforehand."""
    path = shop.write("batch.csv", ROWS)
    (shop.folder / "sub").mkdir()
    (shop.folder / "link.csv").symlink_to("batch.csv")
    (shop.folder / "diary.csv").write_text("dear,diary\nday,one\n")
    (shop.folder / "empty.csv").touch()
    before = {file.name: file.read_bytes() for file in shop.folder.iterdir() if file.is_file()}
    ended = shop("run", path, "--yes", "--json", "--out", out)
    assert ended.refusal == (2, reason), ended
    assert {file.name: file.read_bytes() for file in shop.folder.iterdir() if file.is_file()} == before
    assert sandbox.arrivals() == []
    assert shop("show", "--json").json["batches"] == []


def test_results_of_another_ledger_are_in_the_way(shop: CommandLine, sandbox: Sandbox) -> None:
    """A second ledger notices that another one has sent this file, and says which, who and when."""
    path = shop.write("batch.csv", ROWS)
    out = ("--out", "batch.results.csv")
    assert shop("run", path, "--yes", "--json", *out).code == 0
    owner = shop.results()[0]["transfer_id"].split("-")[1]
    other = ("--ledger", f"sqlite:///{shop.home / 'other.db'}")
    ended = shop("run", path, "--yes", "--json", *out, *other)
    assert ended.refusal == (2, "other_ledger"), ended
    for known in (owner, host.user(), host.name()):
        assert known in ended.json["error"]["message"]
    assert len(sandbox.arrivals()) == 8


# the ledger


def use(shop: CommandLine) -> Ended:
    """A run with the configured ledger."""
    return shop("run", shop.write("batch.csv", ROWS), "--yes", "--json")


def test_a_database_that_is_no_ledger(shop: CommandLine, sandbox: Sandbox) -> None:
    """Somebody else's database is refused and left as it is."""
    with sqlite3.connect(shop.ledger) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    before = shop.ledger.read_bytes()
    assert use(shop).refusal == (2, "ledger_foreign")
    assert shop("show", "--json").refusal == (2, "ledger_foreign")
    assert shop.ledger.read_bytes() == before
    assert sandbox.arrivals() == []


def test_a_file_that_is_no_database(shop: CommandLine, sandbox: Sandbox) -> None:
    """A file that is not even a database is refused and left as it is."""
    shop.ledger.write_text("not a database, but a letter to somebody\n" * 100)
    before = shop.ledger.read_bytes()
    assert use(shop).refusal == (5, "ledger_damaged")
    assert shop.ledger.read_bytes() == before
    assert sandbox.arrivals() == []


def test_a_ledger_that_is_newer_than_we_are(shop: CommandLine, sandbox: Sandbox) -> None:
    """Tables of a later version are not touched; the message says to upgrade."""
    assert use(shop).code == 0
    connection = apsw.Connection(str(shop.ledger))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for ended in (use(shop), shop("show", "--json")):
        assert ended.refusal == (2, "ledger_newer"), ended
        assert "pip install" in ended.json["error"]["cure"]
    assert len(sandbox.arrivals()) == 8


def test_a_ledger_that_is_read_only(shop: CommandLine, sandbox: Sandbox) -> None:
    """A ledger that can't be written sends nothing: exit 5."""
    assert use(shop).code == 0
    shop.write("other.csv", [("clicksend", 99, 5, "USD")])
    if os.geteuid() == 0:
        subprocess.run(["chattr", "+i", str(shop.ledger)], check=False, capture_output=True)
        if os.access(shop.ledger, os.W_OK):
            pytest.skip("root may write everywhere here, so no ledger is read-only")
    else:
        shop.ledger.chmod(0o400)
    try:
        ended = shop("run", "other.csv", "--yes", "--json")
        assert ended.refusal == (5, "ledger_unusable"), ended
    finally:
        subprocess.run(["chattr", "-i", str(shop.ledger)], check=False, capture_output=True)
    assert len(sandbox.arrivals()) == 8


def test_a_ledger_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite over NFS and its like is refused; asked of the function, since a test can't mount one."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/share {tmp_path}/net nfs4 rw 0 0\n")
    monkeypatch.setattr(host.file_system, "__defaults__", (mounts,))
    with pytest.raises(RefusedError) as caught:
        registry.hold(f"sqlite:///{tmp_path}/net/ledger.db", "run")
    assert caught.value.reason == "ledger_on_network"
    registry.hold(f"sqlite:///{tmp_path}/ledger.db", "run").close()


def test_the_ledger_is_for_its_owner_alone(shop: CommandLine) -> None:
    """Nobody else may read who was credited how much."""
    assert use(shop).code == 0
    for file in shop.home.glob("ledger.db*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_ledger_in_a_place_that_cannot_be(shop: CommandLine) -> None:
    """A ledger below a file, or a URL that is none, is refused with what to write instead."""
    shop.write("batch.csv", ROWS)
    below = f"sqlite:///{shop.folder / 'batch.csv' / 'ledger.db'}"
    assert shop("run", "batch.csv", "--yes", "--json", "--ledger", below).refusal == (5, "ledger_unusable")
    ended = shop("run", "batch.csv", "--yes", "--json", "--ledger", "ledger.db")
    assert ended.code == 2
    assert "sqlite:///" in ended.stderr
    with pytest.raises(StorageError):
        registry.hold(below, "run")
