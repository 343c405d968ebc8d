"""The command line as a process in a home of its own, a sandbox before it, and what both leave behind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from forked_program import Fork, ForkedProgram

from batchcredit.sandbox import Control, SandboxAddress

PROGRAM = (sys.executable, "-m", "batchcredit")
HEADER = ("provider", "account", "amount", "currency", "reference")

SECRETS = {
    "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY": "clicksend-key",
    "BATCHCREDIT_PROVIDERS__FASTMESSAGE__APIKEY": "fastmessage-key",
}
"""What `CommandLine.configure` leaves out of the settings file."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended by itself."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object that --json prints."""
        lines = self.stdout.splitlines()
        assert len(lines) == 1, f"--json prints one line: {self}"
        said: dict[str, Any] = json.loads(lines[0])
        return said

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each status, where there are any."""
        return {status: number for status, number in self.json["counts"].items() if number}

    @property
    def refusal(self) -> tuple[int, str]:
        """The exit code and the reason of a command that did not go through."""
        return self.code, self.json["error"]["reason"]


Launch = Callable[
    [Sequence[str], Path, Mapping[str, str], IO[bytes], IO[bytes]], Fork | subprocess.Popen[bytes]
]


def launch(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a command as a user does, in a process of its own."""
    return subprocess.Popen(
        [*PROGRAM, *argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=env
    )


class Running:
    """A command under way. Its output goes to files, so that no pipe can fill up and hold it."""

    def __init__(
        self, launch: Launch, argv: Sequence[str], folder: Path, env: Mapping[str, str], outputs: Path
    ) -> None:
        self.argv = tuple(argv)
        self._stdout, self._stderr = outputs.with_suffix(".out"), outputs.with_suffix(".err")
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self._process = launch(argv, folder, env, out, err)
        self.pid = self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def end(self, timeout_s: float = 60) -> Ended:
        """Wait for its own end; an AssertionError with what it said when it does not come."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.argv} did not end within {timeout_s} s: {self.stderr}") from None
        return Ended(self.argv, code, self.stdout, self.stderr)

    @property
    def stdout(self) -> str:
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()


@dataclass(slots=True)
class CommandLine:
    """Runs batchcredit in `folder`, with a home, data and config directory of its own.

    `env` may be changed by a test; what it holds counts from the next command on. With `forks`, commands are
    forks of one process wherever that makes no difference to them.
    """

    folder: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    forks: ForkedProgram | None = None
    _started: list[Running] = field(default_factory=list)

    def __call__(self, *arguments: object, timeout_s: float = 60) -> Ended:
        """Run a command to its end, with nobody at a terminal."""
        return self.start(*arguments).end(timeout_s)

    def start(self, *arguments: object) -> Running:
        """Start a command; whatever still runs at the end of the test is killed."""
        outputs = self.home / f"command-{len(self._started)}"
        how = self.forks if self.forks and self.forks.can_have(self.env) else launch
        running = Running(how, [str(each) for each in arguments], self.folder, self.env, outputs)
        self._started.append(running)
        return running

    def program(self, *argv: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run another program to its end where the commands run: their folder, their environment."""
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.env,
            timeout=timeout_s,
            check=False,
        )

    def end_all(self) -> None:
        for running in self._started:
            running.kill()

    @property
    def ledger(self) -> Path:
        """Where `configure` puts the ledger."""
        return self.home / "ledger.db"

    def configure(
        self,
        address: SandboxAddress,
        login: str = "shop",
        *,
        clicksend: Mapping[str, object] | None = None,
        fastmessage: Mapping[str, object] | None = None,
        top: str = "",
        tables: str = "",
    ) -> Path:
        """Write batchcredit.toml with the profiles `clicksend` and `fastmessage` on a sandbox.

        Both have no rate and 16 requests in flight, unless the mappings say otherwise; a value None leaves
        a key out. `top` is TOML for the keys before the first table, `tables` for more tables.
        """
        defaults = {"rate": "none", "concurrency": 16, "timeout": 10}
        profiles: dict[str, dict[str, object]] = {
            "clicksend": {
                "kind": "clicksend",
                "base_url": address.clicksend_url,
                "username": login,
                **defaults,
                **(clicksend or {}),
            },
            "fastmessage": {
                "kind": "fastmessage",
                "base_url": address.fastmessage_url,
                "partner_id": login,
                **defaults,
                **(fastmessage or {}),
            },
        }
        parts = [f"ledger = {json.dumps(f'sqlite:///{self.ledger}')}", top, tables]
        for name, keys in profiles.items():
            parts.append(f"[providers.{name}]")
            parts += [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
        path = self.folder / "batchcredit.toml"
        path.write_text("\n".join(parts) + "\n")
        return path

    def write(self, name: str, rows: Iterable[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
        """A CSV file in the working directory; rows may be shorter than the header."""
        path = self.folder / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows([*row, *[""] * (len(header) - len(row))] for row in rows)
        return path

    def results(self, name: str = "batch.results.csv") -> list[dict[str, str]]:
        """The rows of a results file."""
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))


def environment(home: Path, secrets: Mapping[str, str] = SECRETS) -> dict[str, str]:
    """Ours, with every directory of the user inside `home` and no setting of batchcredit but the secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHCREDIT_")}
    places = {"HOME": "", "XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state"}
    package_root = str(Path(__file__).resolve().parents[2])
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, [package_root, kept.get("PYTHONPATH")]))}
    return kept | {name: str(home / place) for name, place in places.items()} | paths | dict(secrets)


class Sandbox:
    """What one test sees of the sandbox that its process shares: only requests of its own `login`."""

    def __init__(self, address: SandboxAddress, login: str) -> None:
        self.address = address
        self.login = login
        self.control: Control = address.control()
        seen = self.control.totals()
        self._arrivals, self._executions = seen["arrivals"], seen["executions"]

    def book(self) -> list[dict[str, Any]]:
        """What the providers executed for this test, in order: the truth."""
        return [entry for entry in self.control.book(self._executions) if entry["login"] == self.login]

    def arrivals(self) -> list[dict[str, Any]]:
        """Transfers that reached the providers, executed or not, in order."""
        return [entry for entry in self.control.arrivals(self._arrivals) if entry["login"] == self.login]

    def sums(self) -> dict[str, Decimal]:
        """Executed amounts by currency."""
        sums: dict[str, Decimal] = {}
        for entry in self.book():
            currency = entry["currency"]
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(entry["amount"])
        return sums


def run(cli: CommandLine, path: Path, *flags: object) -> Ended:
    """Run a file to its end, without a question."""
    return cli("run", path, "--yes", "--json", *flags)


def refused(ended: Ended, reason: str) -> str:
    """What a command said that was refused for this reason."""
    assert ended.code == 2, ended
    assert ended.refusal == (2, reason), ended
    return f"{ended.json['error']['message']}\n{ended.json['error']['cure']}"


def wait_for(condition: Callable[[], object], timeout_s: float = 20, every_s: float = 0.02) -> None:
    """Come back when `condition` holds; an AssertionError when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(every_s)


@contextmanager
def command_line(tmp_path: Path, forks: ForkedProgram | None = None) -> Iterator[CommandLine]:
    """A command line whose home and working directory are new folders of `tmp_path`."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    cli = CommandLine(folder, home, environment(home), forks)
    try:
        yield cli
    finally:
        cli.end_all()
