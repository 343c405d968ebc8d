"""The machine: clocks, signals, memory, the lock on a file, who and where we are.

Everything that would differ on another operating system stands here.
"""

import asyncio
import contextlib
import ctypes
import datetime
import fcntl
import getpass
import logging
import os
import re
import resource
import select
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: Where a lock or a write-ahead log can't be trusted (sqlite.org/wal.html).
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "ceph", "glusterfs", "lustre", "webdav"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.juicefs", "afpfs"}
    | {"fuse.ceph", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.goofys", "fuse.blobfuse2", "beegfs", "gpfs"}
)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_PR_SET_DUMPABLE = 4  # linux/prctl.h

LOCAL_TIME = Path("/etc/localtime")
MOUNTS = Path("/proc/self/mounts")
STATUS = Path("/proc/self/status")


def now_ms() -> int:
    """The wall clock in whole milliseconds since 1970, UTC: what is written down."""
    return time.time_ns() // 1_000_000


def utc_now() -> datetime.datetime:
    """The same moment as a date."""
    return datetime.datetime.fromtimestamp(now_ms() / 1000, datetime.UTC)


def iso(ms: int) -> str:
    """A moment as people and programs read it: ISO 8601, UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(ms: int, zone: datetime.tzinfo) -> str:
    """A moment in the operator's time zone, which is shown."""
    return datetime.datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def zone_name(local: Path = LOCAL_TIME) -> str:
    """The machine's time zone by its IANA name, UTC where it does not tell."""
    parts = local.resolve().parts
    name = "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else ""
    try:
        return ZoneInfo(name).key.removeprefix("Etc/")
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return "UTC"


def boot_s() -> float:
    """Seconds since the machine started, suspended time included: what ages are measured by."""
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # macOS counts suspended time in this one
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def user() -> str:
    """The login name of whoever runs this, or their number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def environment_of_a_child() -> dict[str, str]:
    """What a helper process of ours is given: none of our settings, since it has no business with real keys,
    and the package that runs here, whatever the working directory."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("BATCHCREDIT_")}
    package_root = str(Path(__file__).resolve().parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, kept.get("PYTHONPATH")]))
    return kept


def to_install(extra: str) -> str:
    """The command that adds an extra to the environment that runs this.

    It names that environment's Python: the `pip` of a path may belong to another one, which has no
    batchcredit and would ask an index for whatever is called so there.
    """
    return f"{shlex.quote(sys.executable or 'python3')} -m pip install 'batchcredit[{extra}]'"


def name() -> str:
    """The machine's own name."""
    return socket.gethostname()


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of file system that holds `path`, links followed, or "" where the machine does not tell."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real = path.resolve()
    inside = [
        (len(fields[1]), number, fields[2])  # the deepest one, and of several on one place the last
        for number, fields in enumerate(line.split(" ") for line in lines)  # a device may have no name
        if len(fields) > 2 and real.is_relative_to(_unescaped(fields[1]))
    ]
    return max(inside)[2] if inside else ""


def _unescaped(mount_point: str) -> str:
    """Blanks, tabs, line ends and backslashes are written in octal (proc_mounts(5))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount_point)


def is_network_file_system(path: Path) -> bool:
    """Whether `path`, or the place where it would be made, is on a file system shared over a network."""
    return file_system(path) in NETWORK_FILE_SYSTEMS


def peak_memory_bytes(status: Path = STATUS) -> int:
    """The most memory that this program has held so far."""
    try:
        found = re.search(r"^VmHWM:\s*([0-9]+) kB$", status.read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found:  # ru_maxrss begins there with what the parent held when it started us
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def keep_secrets_in() -> None:
    """Let no core dump hold the secrets of this program, no log of TLS keys be written, no library quote one
    on stderr (what it warns of is raised as well), and, on Linux, no other program of the same user read its
    memory: only root can look in then."""
    for library in ("asyncio", "psycopg"):
        logging.getLogger(library).disabled = True
    os.environ.pop("SSLKEYLOGFILE", None)  # with it whoever listens can read; Python's ssl heeds it
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def lock(descriptor: int) -> bool:
    """Take the one lock on this open file's inode, at once or not at all; it dies with its holder."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Give back what `lock` took."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def on_stop_signals(call: Callable[[], None]) -> Iterator[None]:
    """Within the running event loop, SIGINT and SIGTERM call `call` instead of ending the process.

    The loop calls it, so what does not wait is not disturbed. The loop's own way to handle signals is not
    used: when it is taken back, a signal would end the process for a moment.
    """
    loop = asyncio.get_running_loop()
    with _handling(lambda *_: loop.call_soon_threadsafe(call)):
        yield


@contextlib.contextmanager
def interrupted_by_stop_signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt at once, in an event loop too, whose own handler would wait
    for the next await while a person is asked or a large file is read.

    The first one does: another in the middle of what follows would hide the outcome. None after `deafen`.
    """
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if not (interrupted or _deaf):
            interrupted = True
            raise KeyboardInterrupt

    _deaf.clear()
    with _handling(interrupt):
        yield


def wait_until_readable(stream: TextIO) -> None:
    """Return when a line can be read from a terminal; a signal is noticed within 0.2 s.

    A plain read would miss until Enter one that comes just before it sleeps, or that another thread is given.
    """
    while not select.select([stream], [], [], 0.2)[0]:
        pass


def deafen() -> None:
    """From now on `interrupted_by_stop_signals` interrupts nothing: the outcome stands and has to be told."""
    _deaf.append(True)


_deaf: list[bool] = []


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """From one handler to the other and back without a moment in between that has none."""
    before = {number: signal.signal(number, handler) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, kept in before.items():
            # once it has told its outcome the process only has to end
            signal.signal(number, signal.SIG_IGN if _deaf else kept)
