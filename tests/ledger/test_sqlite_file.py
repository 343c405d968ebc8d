"""A ledger's file: who may read it, who holds it, what it survives, and what is refused with the reason."""

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import apsw
import pytest
from ledger_parts import SHOP, Clock, Row, SqliteHome, a_claim, begin, enrol, refusal, states

from batchcredit import host
from batchcredit.errors import BatchcreditError, RefusedError, StorageError
from batchcredit.ledger import registry
from batchcredit.ledger.base import Claim, Claimed, Ledger, Slots, Tidings
from batchcredit.ledger.journal import open_journal
from batchcredit.ledger.sqlite import file as sqlite_file
from batchcredit.ledger.sqlite import schema as sqlite_schema
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.ledger.sqlite.reader import SqliteReader
from batchcredit.transfer import State

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> SqliteHome:
    """What is asked here is asked of a file."""
    return SqliteHome(tmp_path / "ledger.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is going to be."""
    return tmp_path / "data" / "ledger.db"


def hold(path: Path, command: str = "run march.csv") -> SqliteLedger:
    return SqliteLedger.hold(path, command)


def refused(path: Path) -> BatchcreditError:
    """How holding this ledger fails."""
    with pytest.raises(BatchcreditError) as caught:
        hold(path)
    return caught.value


def python(code: str) -> list[str]:
    """A process that imports this very package and the small parts of these tests."""
    paths = [str(ROOT), str(Path(__file__).parent)]
    start = f"import sys; sys.path[:0] = {paths}\nfrom ledger_parts import *\n"
    return [sys.executable, "-c", start + textwrap.dedent(code)]


@contextmanager
def process(code: str, **how: object) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has written its first line when this begins; it is killed in the end."""
    child = subprocess.Popen(python(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)  # type: ignore[call-overload]
    assert child.stdout
    try:
        if not child.stdout.readline():
            raise AssertionError(child.communicate()[1])
        yield child
    finally:
        child.kill()
        child.communicate()


def holder(path: Path, more: str = "") -> str:
    return f"""
        from pathlib import Path
        ledger = SqliteHome(Path({str(path)!r})).hold("run march.csv --yes")
        {more}
        print("held", flush=True)
        import time; time.sleep(60)
    """


# who may read it


def test_file_and_folder_are_the_owners(path: Path) -> None:
    """Names of clients and amounts are nobody else's business: nor in the log beside the file."""
    ledger = hold(path)
    enrol(ledger, "b", [Row()])
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    ledger.close()
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_committed_is_synced(path: Path) -> None:
    """Asked of the very connection that writes: a log that is synced at each commit, and constraints that
    hold."""
    ledger = hold(path)
    ask = ledger._connection.pragma
    assert [ask(name) for name in ("journal_mode", "synchronous", "foreign_keys")] == ["wal", 2, 1]
    assert (ask("fullfsync"), ask("checkpoint_fullfsync"), ask("cache_size")) == (1, 1, -32768)
    ledger.close()
    reader = SqliteReader.open(path)
    assert reader._connection.pragma("cache_size") == -32768
    reader.close()


def test_closing_leaves_one_file(path: Path) -> None:
    """The log is folded in: a copy of a closed ledger's file is a copy of the ledger."""
    ledger = hold(path)
    batch = enrol(ledger, "b", [Row()])
    ledger.close()
    assert [found.name for found in path.parent.iterdir()] == ["ledger.db"]
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    reader = SqliteReader.open(copy)
    assert reader.batches() == [batch]
    reader.close()


# one holder


def test_the_second_process_is_told_who_holds_it(path: Path) -> None:
    """Its pid, what it was called with, and since when."""
    with process(holder(path)) as child:
        error = refused(path)
        assert (type(error), error.reason) == (RefusedError, "ledger_held")
        assert f"process {child.pid} (run march.csv --yes, by {host.user()} on {host.name()}" in str(error)
        assert re.search(r"since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(error))


@pytest.mark.parametrize("name", ["hard", "soft", "relative", "folder"])
def test_it_is_the_same_lock_under_any_name(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, a relative path, or a link to the folder lead to the same file and so to the same lock."""
    with process(holder(path)) as child:
        other = path.with_name("other.db")
        if name == "hard":
            other.hardlink_to(path)
        elif name == "soft":
            other.symlink_to(path)
        elif name == "folder":
            path.parent.with_name("link").symlink_to(path.parent)
            other = path.parent.with_name("link") / path.name
        else:
            monkeypatch.chdir(path.parent)
            other = Path("../data/ledger.db")
        error = refused(other)
        assert error.reason == "ledger_held"
        assert f"process {child.pid} " in str(error)


def test_the_same_process_is_refused_too_and_keeps_its_locks(path: Path) -> None:
    """A second descriptor that is closed would drop SQLite's locks, so it is not even opened."""
    ledger = hold(path)
    error = refused(path)
    assert error.reason == "ledger_held"
    assert f"process {os.getpid()} " in str(error)
    assert has_posix_lock(path)
    ledger.close()
    hold(path).close()


def test_two_threads_at_once_drop_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes too late has opened no second descriptor in between."""
    refusals: list[RefusedError] = []
    late = threading.Thread(target=lambda: refusals.append(refused(path)))
    held, lock = threading.Event(), host.lock

    def slowly(descriptor: int) -> bool:
        if late.ident is None:
            late.start()
            late.join(0.2)
        else:
            held.wait(20)
        return lock(descriptor)

    monkeypatch.setattr(host, "lock", slowly)
    ledger = hold(path)
    held.set()
    late.join(20)
    assert [error.reason for error in refusals] == ["ledger_held"]
    assert has_posix_lock(path)
    ledger.close()


def has_posix_lock(path: Path) -> bool:
    """Whether SQLite's shared lock on the file stands (/proc/locks, where there is one)."""
    locks = Path("/proc/locks")
    if not locks.exists():
        return True
    mine = f":{path.stat().st_ino} "
    return any("POSIX" in line and mine in line for line in locks.read_text().splitlines())


def test_the_lock_dies_with_its_holder(path: Path) -> None:
    """After kill -9 the next one holds it at once, and what was being sent is in doubt."""
    sending = 'batch = enrol(ledger, "b", [Row(), Row(account="B")]); drive(ledger, batch, [State.SENDING])'
    with process(holder(path, sending)) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        ledger = hold(path)
        assert states(ledger, ledger.batches()[0]) == [State.IN_DOUBT, State.PENDING]
        ledger.close()


def test_who_sends_is_told_as_long_as_it_lives(path: Path) -> None:
    """What it has in flight too; asking takes no lock from it, and drops none of the reader's own."""
    sending = 'batch = enrol(ledger, "b", [Row()]); drive(ledger, batch, [State.SENDING])'
    with process(holder(path, sending)) as child:
        reader = SqliteReader.open(path)
        [told] = reader.senders()
        assert reader.senders() == [told]
        assert (told.pid, told.user, told.host) == (child.pid, host.user(), host.name())
        assert (told.id, told.batch, told.sending, told.driver) == (0, "b", 1, None)
        assert told.oldest_intent_ms is not None
        assert told.started_ms <= told.oldest_intent_ms <= host.now_ms()
        assert has_posix_lock(path)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert reader.senders() == []
        with process(holder(path)):  # the lock that was looked at is free
            assert len(reader.senders()) == 1
        assert has_posix_lock(path)
        reader.close()


def test_the_holder_is_its_own_sender_and_evicts_nobody(path: Path) -> None:
    """In its process no second descriptor is opened: closing that would drop SQLite's locks."""
    ledger = hold(path)
    reader = SqliteReader.open(path)
    assert [sender.pid for sender in ledger.senders()] == [os.getpid()]
    assert reader.senders() == ledger.senders()
    with pytest.raises(RefusedError) as refusal:
        ledger.evict(0, "it hangs")
    assert refusal.value.reason == "no_sender"
    reader.close()
    assert has_posix_lock(path)
    ledger.close()


def test_the_lock_is_not_inherited(path: Path) -> None:
    """A child that outlives its parent holds nothing."""
    ledger = hold(path)
    with process("print('there', flush=True); import time; time.sleep(60)", close_fds=False):
        ledger.close()
        hold(path).close()


def test_a_reader_works_while_another_process_writes(path: Path) -> None:
    """It sees what was committed, all of it, and never half a transaction."""
    code = """
        from pathlib import Path
        ledger = SqliteHome(Path(PATH)).hold("run")
        for number in range(10_000):
            enrol(ledger, f"b{number}", [Row(account=name, amount=str(number + 1)) for name in "abc"])
            if number == 2: print("writing", flush=True)
    """.replace("PATH", repr(str(path)))
    with process(code) as child:
        reader, seen = SqliteReader.open(path), set[int]()
        while len(seen) < 20:
            assert child.poll() is None
            found = reader.batches()
            seen.add(len(found))
            [tally] = reader.tallies(found[0].id)
            assert tally.rows == 3
            assert tally.amount == 3 * Decimal(found[0].name[1:]) + 3
        [told] = reader.senders()
        reader.close()
    assert (told.pid, told.command) == (child.pid, "run")


def test_a_reader_can_not_write(path: Path) -> None:
    """Who asks changes nothing, not even by a defect."""
    hold(path).close()
    reader = SqliteReader.open(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("UPDATE meta SET value = 'x'")
    reader.close()


def test_a_half_made_ledger_is_held_and_read_as_such(path: Path) -> None:
    """While the first holder makes the tables, the second is refused and a reader finds no ledger yet."""
    path.parent.mkdir()
    with process(f"""
        import apsw, fcntl, time
        file = open({str(path)!r}, "w")
        fcntl.flock(file, fcntl.LOCK_EX)
        apsw.Connection({str(path)!r}).pragma("journal_mode", "wal")
        print("locked", flush=True); time.sleep(60)
    """):
        assert registry.exists(f"sqlite:///{path}")
        assert refused(path).reason == "ledger_held"
        with pytest.raises(RefusedError) as caught:
            registry.read(f"sqlite:///{path}")
        assert caught.value.reason == "no_ledger"


# files that are no ledger of ours


def test_a_foreign_database_is_left_alone(path: Path) -> None:
    """Somebody else's tables are neither used nor changed."""
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert refused(path).reason == "ledger_foreign"
    with pytest.raises(RefusedError):
        SqliteReader.open(path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["ledger.db"]


@pytest.mark.parametrize("content", [b"provider,account\n" * 100, b"\x00" * 8192, os.urandom(4096), b"x"])
def test_a_file_that_is_no_database_is_left_alone(content: bytes, path: Path) -> None:
    """A CSV named by mistake, or a damaged file, is refused as it stands."""
    path.parent.mkdir()
    path.write_bytes(content)
    error = refused(path)
    assert (type(error), error.reason) == (StorageError, "ledger_damaged")
    with pytest.raises(BatchcreditError):
        SqliteReader.open(path)
    assert path.read_bytes() == content


def test_a_damaged_page_is_an_error_of_storage(path: Path) -> None:
    """Bytes that rotted on the disk stop the command with the file's name."""
    ledger = hold(path)
    batch = enrol(ledger, "b", [Row(account=f"{number:0100}") for number in range(500)])
    ledger.close()
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 100)
    with pytest.raises(StorageError) as caught:
        states(SqliteReader.open(path), batch)
    assert caught.value.reason == "ledger_damaged"
    assert str(path) in str(caught.value)


def test_a_newer_ledger_is_refused(path: Path) -> None:
    """Its rows may mean what this version does not know."""
    hold(path).close()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    error = refused(path)
    assert error.reason == "ledger_newer"
    assert "version 99" in str(error)
    with pytest.raises(RefusedError):
        SqliteReader.open(path)


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    """A path that is a folder, or leads through a file, is an error of storage."""
    assert refused(tmp_path).reason == "ledger_unusable"
    (tmp_path / "file").write_text("x")
    assert refused(tmp_path / "file" / "ledger.db").reason == "ledger_unusable"


def test_a_network_file_system_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SQLite's log and locks are not to be trusted there; a local file beside it is fine."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {path.parent} nfs4 rw 0 0\n")
    real = host.file_system
    monkeypatch.setattr(host, "file_system", lambda where: real(where, mounts))
    error = refused(path)
    assert (type(error), error.reason) == (RefusedError, "ledger_on_network")
    assert not path.exists()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert refused(link).reason == "ledger_on_network"
    hold(tmp_path / "ledger.db").close()


# permissions; root may do anything, so another user is asked

NOBODY = 65534


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder in which a process without rights can work; tests of root become that process."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    folder.chmod(0o700)
    for found in folder.iterdir():
        found.unlink()
    folder.rmdir()


def without_rights(code: str) -> str:
    """The last line that the code prints, run by somebody whom permissions bind."""
    warm = (
        "SqliteHome(pathlib.Path(tempfile.mkdtemp()) / 'l').hold('x').close()\n"  # all that is imported late
    )
    prefix = warm + (f"os.setgid({NOBODY}); os.setuid({NOBODY})\n" if os.geteuid() == 0 else "")
    whole = python("")[2] + "import os, pathlib, tempfile\n" + prefix + textwrap.dedent(code)
    ended = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o400, 0o700), (0o600, 0o500), (0o000, 0o700)])
def test_what_may_not_be_written_is_not_held(
    file_mode: int, folder_mode: int, folder_of_nobody: Path
) -> None:
    """A file or a folder without the right to write is an error of storage, found before anything is sent."""
    told = without_rights(f"""
        path = pathlib.Path({str(folder_of_nobody / "ledger.db")!r})
        SqliteHome(path).hold("run").close()
        path.chmod({file_mode}); path.parent.chmod({folder_mode})
        try:
            SqliteHome(path).hold("run")
        except Exception as error:
            print(type(error).__name__, error.reason)
    """)
    assert told == "StorageError ledger_unusable"


# a full disk


def full(ledger: SqliteLedger) -> int:
    """Leave the file no page more than it has; how many those are."""
    pages = int(ledger._connection.pragma("page_count"))
    return int(ledger._connection.pragma("max_page_count", pages))


def test_a_full_disk_takes_back_the_whole_group(path: Path) -> None:
    """What could not be written never was, not even a part; with room again the same command works."""
    ledger = hold(path)
    batch = enrol(ledger, "b", [Row(account=f"c{number}") for number in range(200)])
    begin(ledger, batch)
    lane = ledger.batch_lanes(batch.id)[0].lane.id
    claims = [Claim(batch.id, lane, transfer) for transfer, _ in ledger.candidates(batch.id, lane, 0, 200)]
    full(ledger)
    for attempt in (lambda: ledger.commit(claims), lambda: enrol(ledger, "more", [Row()] * 5000)):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert caught.value.reason == "disk_full"
        assert set(states(ledger, batch)) == {State.PENDING}
        assert [known.name for known in ledger.batches()] == ["b"]
    ledger._connection.pragma("max_page_count", 10**6)
    assert {type(answer) for answer in ledger.commit(claims)} == {Claimed}
    assert enrol(ledger, "more", [Row(account="x" * 100)] * 5000).rows == 5000
    ledger.close()


def test_a_file_that_may_not_grow_is_an_error_of_storage(path: Path) -> None:
    """A real write that fails in the middle of a group: the group is gone, what was committed before stands,
    and the next process goes on."""
    code = f"""
        import resource, signal
        from pathlib import Path
        ledger = SqliteHome(Path({str(path)!r})).hold("run")
        batch = enrol(ledger, "b", [Row(account=f"c{{n}}") for n in range(400)])
        begin(ledger, batch)
        assert refusal(ledger, batch, 1) == ""
        lane = ledger.batch_lanes(batch.id)[0].lane.id
        claims = [Claim(batch.id, lane, found) for found, _ in ledger.candidates(batch.id, lane, 0, 400)]
        size = Path({str(path)!r} + "-wal").stat().st_size
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
        try:
            ledger.commit(claims)
        except Exception as error:
            print(type(error).__name__, getattr(error, "reason", error), flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(sorted(set(state.value for state in states(ledger, batch)[1:])), flush=True)
        print(len([answer for answer in ledger.commit(claims) if isinstance(answer, Claimed)]), flush=True)
    """
    ended = subprocess.run(python(code), capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines() == ["StorageError ledger_unusable", "['pending']", "399"], ended.stderr
    ledger = hold(path)
    assert set(states(ledger, ledger.batches()[0])) == {State.IN_DOUBT}
    ledger.close()


# errors


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (apsw.FullError, "disk_full"),
        (apsw.NotADBError, "ledger_damaged"),
        (apsw.CorruptError, "ledger_damaged"),
        (apsw.FormatError, "ledger_damaged"),
        (apsw.IOError, "ledger_unusable"),
        (apsw.ReadOnlyError, "ledger_unusable"),
        (apsw.CantOpenError, "ledger_unusable"),
        (apsw.BusyError, "ledger_unusable"),
        (apsw.LockedError, "ledger_unusable"),
        (apsw.ProtocolError, "ledger_unusable"),
        (apsw.PermissionsError, "ledger_unusable"),
        (apsw.NoLFSError, "ledger_unusable"),
        (OSError, "ledger_unusable"),
    ],
)
def test_errors_of_the_disk_are_errors_of_storage(error: type[Exception], reason: str, path: Path) -> None:
    """They stop the command with exit code 5, the file's name and a cure."""
    with pytest.raises(StorageError) as caught, sqlite_file.storage_errors(path):
        raise error("words of SQLite")
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    assert caught.value.cure


@pytest.mark.parametrize(
    "error",
    [
        apsw.ConstraintError,
        apsw.SQLError,
        apsw.MisuseError,
        apsw.InterruptError,
        apsw.ThreadingViolationError,
        apsw.BindingsError,
        apsw.SchemaChangeError,
        KeyError,
    ],
)
def test_our_own_mistakes_are_not_taken_for_the_disks(error: type[Exception], path: Path) -> None:
    """A defect stays one: nobody is sent to look at a disk that is well."""
    with pytest.raises(error), sqlite_file.storage_errors(path):
        raise error("ours")


def test_an_exception_inside_takes_the_transaction_back(path: Path) -> None:
    """Whatever it is; and the ledger can be used afterwards."""
    ledger = hold(path)
    for error in (ValueError, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(error), ledger._transaction():
            raise_after(ledger, error)
        assert not ledger._connection.in_transaction
        assert ledger._all("SELECT * FROM lane") == []
    assert ledger.accept_lane(SHOP).identity == SHOP
    ledger.close()


def raise_after(ledger: SqliteLedger, error: type[BaseException]) -> None:
    ledger._change("INSERT INTO lane (kind, base_url, login, accepted_at) VALUES ('k', 'b', 'l', 0)")
    raise error


def test_use_by_two_threads_at_once_is_an_error(path: Path) -> None:
    """SQLite guards the connection with a mutex of its own: a defect can't damage memory."""
    ledger = hold(path)
    assert ledger._connection.open_flags & apsw.SQLITE_OPEN_FULLMUTEX
    assert not ledger._connection.open_flags & apsw.SQLITE_OPEN_NOMUTEX
    ledger.close()


# versions


def test_a_new_file_takes_every_step(path: Path) -> None:
    """From an empty file to the newest version, which is what the file says of itself."""
    path.parent.mkdir()
    path.touch(0o600)
    ledger = hold(path)
    steps = sqlite_file.migrations()
    assert ledger._connection.pragma("user_version") == len(steps) > 0
    assert ledger._connection.pragma("application_id") == sqlite_schema.APPLICATION_ID
    ledger_id = ledger.id
    ledger.close()
    again = hold(path)
    assert again.id == ledger_id
    again.close()


def test_steps_are_taken_in_order_and_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older ledger takes only the steps that it lacks, and keeps its rows."""
    ledger = hold(path)
    batch = enrol(ledger, "b", [Row()])
    ledger.close()
    old = sqlite_file.migrations()
    added = ["CREATE TABLE second (x)", "INSERT INTO second VALUES (3); CREATE TABLE third (x)"]
    monkeypatch.setattr(sqlite_file, "migrations", lambda: [*old, *added])
    for _ in range(2):
        ledger = hold(path)
        assert ledger._all("SELECT x FROM second") == [(3,)]
        assert ledger._connection.pragma("user_version") == len(old) + 2
        assert ledger.batches() == [batch]
        ledger.close()


def test_a_step_that_fails_is_not_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps before it stand, it leaves nothing behind, and a mended one goes through."""
    old = sqlite_file.migrations()
    broken = [*old, "CREATE TABLE second (x)", "CREATE TABLE third (x); INSERT INTO nowhere VALUES (1)"]
    monkeypatch.setattr(sqlite_file, "migrations", lambda: broken)
    with pytest.raises(apsw.SQLError):
        hold(path)
    connection = apsw.Connection(str(path))
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert connection.pragma("user_version") == len(old) + 1
    assert "second" in tables
    assert "third" not in tables
    connection.close()
    monkeypatch.setattr(sqlite_file, "migrations", lambda: [*broken[:-1], "CREATE TABLE third (x)"])
    hold(path).close()


def test_a_process_killed_while_it_makes_the_tables(path: Path) -> None:
    """The next one finds either nothing or all of them."""
    code = f"""
        import os, apsw
        from pathlib import Path
        from batchcredit.ledger.sqlite import file as sqlite_file
        sqlite_file.migrations = lambda: [step + "; SELECT die()" for step in real()]
        make = sqlite_file._connection
        def dying(path, access):
            made = make(path, access)
            made.create_scalar_function("die", lambda: os.kill(os.getpid(), 9))
            return made
        sqlite_file._connection = dying
        SqliteHome(Path({str(path)!r})).hold("run")
    """.replace(
        "\n        sqlite_file.migrations =",
        "\n        real = sqlite_file.migrations\n        sqlite_file.migrations =",
    )
    ended = subprocess.run(python(code), capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with pytest.raises(RefusedError):
        SqliteReader.open(path)
    ledger = hold(path)
    assert enrol(ledger, "b", [Row()]).rows == 1
    ledger.close()


def test_a_process_killed_while_it_enrols(path: Path) -> None:
    """Half a file is never visible, holds nothing up, and is gone at the next start."""
    code = holder(
        path,
        """
        import time
        from batchcredit.ledger.base import EnrolChunk
        lane = Lanes(ledger)["shop"]
        def chunks():
            for number in range(1, 10**6):
                if number == 100: print("half", flush=True); time.sleep(60)
                texts = (str(number), str(number), "1", "USD", None, "pending", "", "")
                yield EnrolChunk(number, [(number, lane, "shop", *texts)], b"")
        ledger.enrol(NewBatch("half", b"h", "", "", {}, {"shop": lane}, False), chunks())
        """,
    )
    with process(code) as child:
        reader = SqliteReader.open(path)
        assert (
            reader._all("SELECT batch.state, count(*) FROM batch JOIN transfer ON batch = batch.id")[0][0]
            == "loading"
        )
        assert reader.batches() == reader.batches_of(b"h") == []
        reader.close()
        child.kill()
        child.wait()
        ledger = hold(path)
        for table in ("batch", "transfer", "cells", "batch_lane"):
            assert ledger._all(f"SELECT * FROM {table}") == []
        begin(ledger, batch := enrol(ledger, "half", [Row(account="1")]))
        assert refusal(ledger, batch) == ""
        ledger.close()


async def test_nobody_sends_beside_the_holder(ledger: Ledger) -> None:
    """It has all rows and the whole rate for itself, and no tidings."""
    batch = enrol(ledger, "b", [Row(), Row(account="B")])
    begin(ledger, batch)
    lane = a_claim(ledger, batch).lane
    async with open_journal(ledger) as journal:
        assert not journal.is_shared
        assert await journal.tidings(batch.id) == Tidings()
        reserved = await journal.reserve(lane, 3, 50_000, 10**6, 100_000)
        assert reserved.slots == Slots((0.1, 0.15, 0.2))
        assert host.boot_s() - 5 < reserved.asked_s <= reserved.heard_s <= host.boot_s()
        rows = await journal.candidates(batch.id, lane, 0, 10, own=True)
    assert [transfer.row for transfer, _ in rows] == [1, 2]
