"""Parts of the other folders are used here as well: wires, servers, the command line as a process."""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, command_line

from batchcredit.sandbox import Control, SandboxAddress

for folder in ("engine", "writer", "ledger"):
    sys.path.append(str(Path(__file__).parents[1] / folder))

from wires import ca, loop_factories, make  # noqa: E402, F401 (fixtures; the folder has to be known first)

_NUMBERS = itertools.count(1)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On the loop that the product runs on, and on the one that it falls back to."""
    return loop_factories()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """`cli("run", path, "--yes", "--json")` runs `python -m batchcredit` to its end."""
    with command_line(tmp_path) as line:
        yield line


@pytest.fixture
def sandbox(address: SandboxAddress, control: Control) -> Sandbox:
    """The module's sandbox under a login of this test."""
    return Sandbox(address, f"shop{next(_NUMBERS)}")


@pytest.fixture
def shop(cli: CommandLine, sandbox: Sandbox) -> CommandLine:
    """`cli` with profiles `clicksend` and `fastmessage` on `sandbox`."""
    cli.configure(sandbox.address, sandbox.login)
    return cli
