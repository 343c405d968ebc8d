"""Several senders of one batch on a PostgreSQL ledger, each a command of its own."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psycopg
from command_line import CommandLine, Ended, Launch, Running, launch
from postgres_server import PASSWORD, Server

BATCH = "march"
RESULTS = "batch.results.csv"

#: What a command may end with that has sent something.
ENDS = {0, 1, 3, 4}

_HASTY = Path(__file__).with_name("hasty_program.py")


def hasty(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a command that gives up on a silent or lost line within seconds."""
    return subprocess.Popen(
        [sys.executable, _HASTY, *argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=env
    )


class Crowd:
    """Starts senders of the batch `BATCH` with a ledger of their own on `server`."""

    def __init__(self, cli: CommandLine, server: Server) -> None:
        self.cli = cli
        self.server = server
        self.url = server.fresh_url()
        self.members: list[Running] = []
        cli.env["BATCHCREDIT_LEDGER"] = self.url

    def run(self, path: Path, how: Launch | None = None, port: int | None = None, **flags: int) -> Running:
        """Send a file, over another port than the server's own where one is named."""
        return self._start(how, port, flags, "run", path, "--batch", BATCH, "--out", RESULTS)

    def resume(self, **flags: int) -> Running:
        """Join in."""
        return self._start(None, None, flags, "resume", BATCH)

    def finish(self) -> Ended:
        """Send what is left, alone."""
        return self.resume().end()

    def _start(
        self, how: Launch | None, port: int | None, flags: Mapping[str, int], *argv: object
    ) -> Running:
        asked = [f"--{name}={value}" for name, value in flags.items()]
        words = [str(each) for each in (*argv, *asked, "--yes", "--json", "--skip-preflight")]
        env = {**self.cli.env, "BATCHCREDIT_LEDGER": self.url_at(port or self.server.port)}
        outputs = self.cli.home / f"sender-{len(self.members)}"
        member = Running(how or self.cli.forks or launch, words, self.cli.folder, env, outputs)
        self.members.append(member)
        return member

    def url_at(self, port: int) -> str:
        """The ledger's address by way of another port."""
        return self.url.replace(f":{self.server.port}/", f":{port}/")

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What the ledger's user is answered in the ledger's schema."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            schema = self.url.rpartition("schema=")[2]
            connection.execute(f"SET search_path = {schema}".encode())
            answer = connection.execute(sql.encode(), values or None)
            return answer.fetchall() if answer.description else []

    def sender_of(self, member: Running) -> int:
        """Its newest number; 0 before it has one."""
        ((number,),) = self.ask("SELECT coalesce(max(id), 0) FROM sender WHERE pid = %s", member.pid)
        return int(number)

    def end_session_of(self, member: Running) -> None:
        """As an operator or an idle timeout does."""
        self.ask(
            """SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory'
            AND l.objsubid = 2 AND l.granted AND l.objid = CAST(%s AS oid)""",
            self.sender_of(member),
        )

    def states(self) -> dict[str, int]:
        """How many rows the ledger has in each state."""
        return dict(self.ask("SELECT state, count(*) FROM transfer GROUP BY state"))  # type: ignore[arg-type]

    def end_all(self) -> None:
        for member in self.members:
            member.kill()

    def assert_no_secret(self) -> None:
        """Nothing that was said holds the ledger's password."""
        for member in self.members:
            assert PASSWORD not in member.stdout + member.stderr


@contextmanager
def crowd(cli: CommandLine, server: Server) -> Iterator[Crowd]:
    """A crowd whose members have all ended when the context does."""
    made = Crowd(cli, server)
    try:
        yield made
    finally:
        made.end_all()
    made.assert_no_secret()
