"""The machine: clocks, mounts, the lock on a file, signals."""

import asyncio
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit import host


def test_the_wall_clock_counts_milliseconds() -> None:
    """Whole milliseconds since 1970, between two looks at the system's own clock."""
    before = int(time.time() * 1000)
    assert before <= host.now_ms() <= time.time() * 1000 + 1


@given(st.integers(0, 4_102_444_800_000))
def test_moments_read_back(ms: int) -> None:
    """A moment as people read it is the same moment, in UTC, to the millisecond."""
    text = host.iso(ms)
    assert text.endswith("Z")
    assert len(text) == len("2026-03-10T12:00:00.000Z")
    back = datetime.fromisoformat(text)
    assert back.tzinfo == UTC
    assert round(back.timestamp() * 1000) == ms


_PEAK = """
import sys
from pathlib import Path
from batchcredit import host

status = Path(sys.argv[1])
before = host.peak_memory_bytes(status)
held = bytearray(b"x" * (before + 50_000_000))
peak = host.peak_memory_bytes(status)
assert before + 50_000_000 < peak < 3 * before + 200_000_000, (before, peak)
held.clear()
assert host.peak_memory_bytes(status) >= peak
"""


@pytest.mark.parametrize("status", [host.STATUS, Path("/nowhere")])
def test_the_peak_of_memory_stays(status: Path) -> None:
    """What was once held counts, in bytes, after it was given back too; with the kernel's file or without.

    In a small process that a small one has started: this one may have held gigabytes, and hands that on.
    """
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    subprocess.run([*shell, sys.executable, "-c", _PEAK, status], check=True, timeout=60)


def test_ages_count_suspended_time() -> None:
    """The clock of ages never goes back and is that of the machine's start, sleep included."""
    first = host.boot_s()
    assert first <= host.boot_s() < first + 60
    if sys.platform == "linux":
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
        assert abs(host.boot_s() - uptime_s) < 5


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the system may have no name for whoever runs this."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    assert host.user() == str(os.getuid())


def test_user_and_machine_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds a ledger, and where."""
    monkeypatch.setenv("LOGNAME", "anna")
    assert host.user() == "anna"
    assert host.name() == socket.gethostname() != ""


MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw 0 0
systemd-1 /auto autofs rw 0 0
server:/auto /auto nfs4 rw 0 0
//server/share /mnt/with\040blank\134and\011more cifs rw 0 0
/dev/vdb /mnt/with\040blank\134and\011more/local xfs rw 0 0
me@there:/x /home/me/far fuse.sshfs rw 0 0
C:\134 /mnt/c 9p rw 0 0
server:/one /data/ledger.db nfs rw 0 0
 /unnamed tmpfs rw 0 0
nonsense

""".lstrip()


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A table of mounts as Linux shows it."""
    table = tmp_path / "mounts"
    table.write_text(MOUNTS)
    return table


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/ledger.db", "ext4"),
        ("/runner/ledger.db", "ext4"),  # begins like a mount point, but is none
        ("/run/user/ledger.db", "tmpfs"),
        ("/auto/ledger.db", "nfs4"),  # mounted over another one
        ("/mnt/with blank\\and\tmore/ledger.db", "cifs"),
        ("/mnt/with blank\\and\tmore/local/ledger.db", "xfs"),
        ("/home/me/far/deep/er/ledger.db", "fuse.sshfs"),
        ("/mnt/c/Users/ledger.db", "9p"),
        ("/data/ledger.db", "nfs"),  # one file, mounted into a container
        ("/data/other.db", "ext4"),
        ("/unnamed/ledger.db", "tmpfs"),
    ],
)
def test_the_deepest_and_latest_mount_holds_a_path(path: str, kind: str, mounts: Path) -> None:
    """Whatever is mounted where, in which order, under which odd name."""
    assert host.file_system(Path(path), mounts) == kind


def test_links_are_followed_to_their_file_system(tmp_path: Path) -> None:
    """A link to a file on the network is a file on the network."""
    far = tmp_path / "far"
    far.mkdir()
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {far} nfs rw 0 0\n")
    link, folder = tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(far / "ledger.db")
    folder.symlink_to(far)
    assert host.file_system(link, table) == "nfs"
    assert host.file_system(folder / "ledger.db", table) == "nfs"
    assert host.file_system(tmp_path / "ledger.db", table) == "ext4"


def test_a_machine_that_does_not_tell_is_not_asked_twice(tmp_path: Path) -> None:
    """Without a table of mounts the kind is unknown, which is no network."""
    assert host.file_system(tmp_path, tmp_path / "nothing") == ""
    (tmp_path / "empty").touch()
    assert host.file_system(tmp_path, tmp_path / "empty") == ""


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ext4", "tmpfs", "overlay", ""]
)
def test_network_file_systems_are_known(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on which locks and a log can't be trusted; local ones and unknown ones are let pass."""
    monkeypatch.setattr(host, "file_system", lambda _: kind)
    assert host.is_network_file_system(Path("/x")) == (kind not in ("ext4", "tmpfs", "overlay", ""))


def test_a_lock_is_taken_once(tmp_path: Path) -> None:
    """The lock is the inode's: a second descriptor, of another name too, gets it once it is free."""
    path, other = tmp_path / "file", tmp_path / "other"
    path.touch()
    other.hardlink_to(path)
    first, second = (os.open(name, os.O_RDWR) for name in (path, other))
    assert host.lock(first)
    assert not host.lock(second)
    os.close(first)
    assert host.lock(second)
    os.close(second)


def test_an_error_of_the_lock_is_not_taken_for_a_holder() -> None:
    """A descriptor that can't be locked is an error, and no sign of another process."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        host.lock(10_000)


def test_a_folder_is_synced(tmp_path: Path) -> None:
    """A folder works; a file or nothing is an error, and no descriptor is left."""
    before = len(list(Path("/dev/fd").iterdir()))
    host.sync_folder(tmp_path)
    (tmp_path / "file").touch()
    for wrong, error in (("file", NotADirectoryError), ("nothing", FileNotFoundError)):
        with pytest.raises(error):
            host.sync_folder(tmp_path / wrong)
    assert len(list(Path("/dev/fd").iterdir())) == before


# signals


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever ran here before, signals are heard; whatever a test does, the handlers are as before."""
    monkeypatch.setattr(host, "_deaf", [])
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    after = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, before[number])
    assert after == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_signal_calls_and_does_not_end(number: signal.Signals, handlers: None) -> None:
    """Within the loop each signal is one call; afterwards the handlers are as they were."""
    calls: list[int] = []
    called = asyncio.Event()

    def call() -> None:
        calls.append(number)
        called.set()

    with host.on_stop_signals(call):
        for _ in range(2):
            called.clear()
            os.kill(os.getpid(), number)
            await asyncio.wait_for(called.wait(), 10)
    assert calls == [number, number]


def ask(number: signal.Signals) -> None:
    """A question that nobody answers, in the middle of which a signal comes."""
    os.kill(os.getpid(), number)
    time.sleep(5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_does_not_wait_for_the_loop(number: signal.Signals, handlers: None) -> None:
    """While a person is asked in the middle of a loop, a signal ends the question at once."""
    with pytest.raises(KeyboardInterrupt), host.interrupted_by_stop_signals():
        ask(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_not_interrupted(number: signal.Signals, handlers: None) -> None:
    """Whoever presses on does not keep the first one from being told."""
    with host.interrupted_by_stop_signals():
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except KeyboardInterrupt:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            told = True
    assert told


def test_stop_signals_stand_back_inside_an_interruption(handlers: None) -> None:
    """What goes on inside of the other puts back what it found."""
    with host.interrupted_by_stop_signals():
        outer = signal.getsignal(signal.SIGINT)

        async def within() -> None:
            with host.on_stop_signals(lambda: None):
                assert signal.getsignal(signal.SIGINT) is not outer

        asyncio.run(within())
        assert signal.getsignal(signal.SIGINT) is outer


def test_nothing_interrupts_what_has_been_told() -> None:
    """Once the outcome stands no signal interrupts or ends the process: its exit code is its own."""
    code = """
import os, signal, sys
from batchcredit import host
with host.interrupted_by_stop_signals():
    host.deafen()
    os.kill(os.getpid(), signal.SIGINT)
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(4)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 4


def test_no_moment_without_a_handler(monkeypatch: pytest.MonkeyPatch, handlers: None) -> None:
    """From the first handler until the outcome is told, no signal meets the system's own end of a process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    installed: list[object] = []
    install = signal.signal

    def noting(number: int, handler: Any) -> Any:
        installed.append(handler)
        return install(number, handler)

    async def within() -> None:
        with host.on_stop_signals(lambda: None):
            await asyncio.sleep(0)
        host.deafen()

    monkeypatch.setattr(signal, "signal", noting)
    with host.interrupted_by_stop_signals():
        asyncio.run(within())
    assert len(installed) >= 6
    assert signal.SIG_DFL not in installed
    assert installed[-1] == signal.SIG_IGN
    monkeypatch.undo()
    with host.interrupted_by_stop_signals():
        pass  # hears again what was not to be heard any more
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, before[number])


def test_a_signal_that_wakes_no_read_is_noticed() -> None:
    """One that another thread is given, or that comes just before a read, does not end that read; the wait
    for a line notices it all the same."""
    controller, terminal = pty.openpty()

    def strike_and_press_enter_much_later() -> None:
        time.sleep(0.3)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        if not noticed.wait(5):
            os.write(controller, b"\n")

    noticed = threading.Event()
    thread = threading.Thread(target=strike_and_press_enter_much_later)
    with os.fdopen(terminal) as stream, host.interrupted_by_stop_signals():
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            host.wait_until_readable(stream)
        in_time = not select.select([terminal], [], [], 0)[0]
        noticed.set()
        thread.join()
    os.close(controller)
    assert in_time


def test_the_zone_of_the_machine_is_told_by_its_name(tmp_path: Path) -> None:
    """The link that a machine keeps names it; anything else counts as UTC."""
    local = tmp_path / "localtime"
    assert host.zone_name(local) == "UTC"
    for target, name in (
        ("zoneinfo/Africa/Nairobi", "Africa/Nairobi"),
        ("zoneinfo/Etc/UTC", "UTC"),
        ("zoneinfo/x", "UTC"),
    ):
        local.unlink(missing_ok=True)
        local.symlink_to(tmp_path / target)
        assert host.zone_name(local) == name
