"""A batch in a ledger that a cluster shares, and what can be asked of it from outside."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from books import payment
from command_line import CommandLine, Running, Sandbox, command_line, wait_for
from postgres_server import Server
from ray_cluster import Cluster, admission

from batchcredit.sandbox import SandboxAddress

#: Requests that all senders together have in flight at each provider.
AT_ONCE = 4

#: A secret of the driver.
KEY = "Marked-1-clicksend"


class SharedBatch:
    """`rows` rows of two providers, each for a client of its own, so that all of them could go at once."""

    def __init__(self, cli: CommandLine, cluster: Cluster, sandbox: Sandbox, rows: int) -> None:
        self.cli = cli
        self.cluster = cluster
        self.control = sandbox.control
        self._sandbox = sandbox
        self.rows = rows
        half = range(1, rows // 2 + 1)
        clicksend = [("clicksend", number, f"{number}.5", "USD") for number in half]
        fastmessage = [("fastmessage", f"c{number}", f"{number}.25", "KES") for number in half]
        self._path = cli.write("batch.csv", [*clicksend, *fastmessage])

    def run(self, *flags: str) -> Running:
        """The command that begins it, and goes on with it."""
        flags = flags or ("--senders", "2")
        return self.cli.start("run", self._path, "--batch", "march", *self._how("batch"), *flags)

    def resume(self, out: str, *flags: str) -> Running:
        """Another driver, with results of its own."""
        return self.cli.start("resume", "march", *self._how(out), *flags)

    def _how(self, out: str) -> tuple[str, ...]:
        return ("--yes", "--json", "--ray", self.cluster.address, "--out", f"{out}.results.csv")

    def write_results(self) -> None:
        """As the ledger knows them now."""
        assert self.cli("results", "march", "--out", "batch.results.csv").code == 0

    def arrived(self) -> list[dict[str, Any]]:
        """The transfers that reached the providers."""
        return self._sandbox.arrivals()

    def executed(self) -> Counter[tuple[str, ...]]:
        """How often each payment was made."""
        return Counter(payment(entry) for entry in self._sandbox.book())

    def until_under_way(self, running: Running, *, rows: int = 5 * AT_ONCE) -> None:
        """Until so many rows have ended; others are in flight then."""
        wait_for(lambda: running.has_ended or len(self.executed()) > rows, 180)
        assert not running.has_ended, running.end()

    def stands(self) -> Counter[str]:
        """How many rows have each status, held against what was paid: none of it twice or falsely."""
        rows, executed = self.cli.results(), self.executed()
        assert len(rows) == self.rows
        assert set(executed.values()) <= {1}
        for row in rows:
            was_paid = payment(row) in executed
            assert row["status"] in (("credited", "in_doubt") if was_paid else ("not_sent", "in_doubt")), row
        return Counter(row["status"] for row in rows)


@contextmanager
def shared_batch(
    folder: Path, cluster: Cluster, postgres: Server, address: SandboxAddress, rows: int
) -> Iterator[SharedBatch]:
    """Not begun yet, with logins and a ledger of its own."""
    login = folder.name
    with command_line(folder) as cli:
        keys = {"concurrency": AT_ONCE}
        path = cli.configure(address, login, clicksend=keys, fastmessage=keys)
        path.write_text("".join(line for line in path.read_text().splitlines(True) if "sqlite" not in line))
        cli.env.update(admission())
        cli.env["BATCHCREDIT_LEDGER"] = postgres.fresh_url()
        cli.env["BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY"] = KEY
        yield SharedBatch(cli, cluster, Sandbox(address, login), rows)
