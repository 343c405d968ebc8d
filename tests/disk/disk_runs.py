"""Commands on a disk that a test can break."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from command_line import CommandLine, Ended, Sandbox, command_line, environment
from fragile_disk import Act, Trouble

from batchcredit.sandbox import SandboxAddress

_LAUNCHER = Path(__file__).with_name("disk_launcher.py")
_NUMBERS = itertools.count(1)


class Run(NamedTuple):
    """A command that has ended, and what it did to the disk, in order."""

    ended: Ended
    acts: list[Act]

    @property
    def failed(self) -> list[Act]:
        """What the disk refused."""
        return [act for act in self.acts if act.failed]


@dataclass
class DiskLauncher:
    """Starts commands one after the other; see disk_launcher.py."""

    _process: subprocess.Popen[str]
    _started: int = field(default=0)

    def __call__(
        self,
        cli: CommandLine,
        *arguments: object,
        trouble: Trouble | None = None,
        sync_s: float = 0.0,
        synchronous: str = "",
    ) -> Run:
        """Run a command to its end on a disk that fails as `trouble` says.

        `sync_s`: each sync takes so long. `synchronous`: the ledger's pragma, instead of FULL.
        """
        self._started += 1
        outputs = cli.home / f"disk-{self._started}"
        order = {
            "argv": [str(each) for each in arguments],
            "folder": str(cli.folder),
            "env": cli.env,
            "root": str(cli.folder.parent.resolve()),
            "outputs": str(outputs),
            "trouble": trouble and trouble._replace(kinds=sorted(trouble.kinds)),
            "sync_s": sync_s,
            "synchronous": synchronous,
        }
        code = self._told(order)
        said, complained = (outputs.with_suffix(end).read_text() for end in (".out", ".err"))
        acts = [Act(*act) for act in json.loads(outputs.with_suffix(".acts").read_text() or "[]")]
        return Run(Ended(tuple(order["argv"]), code, said, complained), acts)

    def _told(self, order: dict[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def disk_launcher(home: Path) -> Iterator[DiskLauncher]:
    """A launcher until the context ends."""
    process = subprocess.Popen(
        [sys.executable, str(_LAUNCHER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(home) | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield DiskLauncher(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait(60)


class Shop(NamedTuple):
    """A command line on a folder of its own, and what the sandbox sees of it."""

    cli: CommandLine
    sandbox: Sandbox

    @property
    def temporary(self) -> Path:
        """Where its commands keep what they need for a while."""
        return Path(self.cli.env["TMPDIR"])


@contextmanager
def new_shop(folder: Path, address: SandboxAddress, concurrency: int = 1) -> Iterator[Shop]:
    """A new folder below `folder` with profiles for both providers, so many requests in flight at each."""
    number = next(_NUMBERS)
    root = folder / f"{number}"
    (root / "tmp").mkdir(parents=True)
    with command_line(root) as cli:
        cli.env["TMPDIR"] = str(root / "tmp")
        lane = {"concurrency": concurrency}
        cli.configure(address, f"disk{number}", clicksend=lane, fastmessage=lane)
        yield Shop(cli, Sandbox(address, f"disk{number}"))
