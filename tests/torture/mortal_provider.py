"""Both simulated providers in a process that is killed, frozen and started again, and what outlives it.

The book of a sandbox dies with it. Here each arrival and each execution is written down before anybody hears
of it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from batchcredit.sandbox import SandboxAddress, SandboxSettings
from batchcredit.sandbox.accounts import Account
from batchcredit.sandbox.book import Order
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.server import HOST, SandboxServer, _bound
from batchcredit.sandbox.simulation import Simulation

#: Divides a page, so the kernel has all of an entry or nothing, whenever its writer is killed.
ENTRY_BYTES = 256


class Entry(NamedTuple):
    """A transfer that arrived, or that was executed."""

    event: str
    provider: str
    account: str
    amount: str
    currency: str
    fault: str


class JournalledSimulation(Simulation):
    """Enters what happens in a file to which every life of the providers appends."""

    def __init__(self, settings: SandboxSettings, journal: Path) -> None:
        super().__init__(settings)
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def arrive(self, order: Order, arrived_at: float) -> Fault | None:
        fault = super().arrive(order, arrived_at)
        self._enter("arrived", order, fault or "")
        return fault

    def move(
        self, order: Order, account: Account, cost: Decimal, credited: Decimal, arrived_at: float, fault: str
    ) -> None:
        self._enter("executed", order, fault)
        super().move(order, account, cost, credited, arrived_at, fault)

    def _enter(self, event: str, order: Order, fault: str) -> None:
        entry = Entry(event, order.provider, order.account, order.amount, order.currency, fault)
        line = json.dumps(entry).encode()
        assert len(line) < ENTRY_BYTES
        os.write(self._journal, line.ljust(ENTRY_BYTES - 1) + b"\n")


class MortalProvider:
    """The providers behind one port, which stays ours between two of their lives."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.journal.touch()
        self._complaints: IO[bytes] = (folder / "provider.err").open("ab")
        self._claim = _bound(0)
        self.address = SandboxAddress(HOST, self._claim.getsockname()[1])
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._complaints.close()
        self._claim.close()

    def start(self, settings: SandboxSettings) -> None:
        """Begin a life; whoever comes before it listens is refused."""
        self.kill()
        self._child = subprocess.Popen(
            [sys.executable, __file__, str(self.address.port), self.journal, settings.model_dump_json()],
            stdin=subprocess.PIPE,
            stderr=self._complaints,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def kill(self) -> None:
        """kill -9, frozen or not."""
        if self._child:
            self._child.kill()
            self._child.wait()
            assert self._child.stdin
            self._child.stdin.close()
        self._child = None

    def freeze(self) -> None:
        assert self._child
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on, with all that came meanwhile."""
        assert self._child
        self._child.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        """Whether anybody listens yet."""
        try:
            return bool(self.address.control().totals())
        except OSError:
            return False

    @property
    def written(self) -> int:
        """How much the journal has: it grows with each request."""
        return self.journal.stat().st_size

    def entries(self, event: str) -> list[Entry]:
        """All that ever happened, in order."""
        return [entry for entry in self._entries() if entry.event == event]

    def _entries(self) -> Iterator[Entry]:
        with self.journal.open() as lines:
            for line in lines:
                yield Entry(*json.loads(line))


def _end_with_stdin() -> None:
    """However the torturer ends, its end of the pipe closes."""
    sys.stdin.read()
    os._exit(0)


def main(port: str, journal: str, settings: str) -> None:
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    simulation = JournalledSimulation(SandboxSettings.model_validate_json(settings), Path(journal))
    server = SandboxServer(simulation, int(port), lambda bound: None)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.run_until_stopped())


if __name__ == "__main__":
    main(*sys.argv[1:])
