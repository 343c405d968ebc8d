"""Parts of the other folders are used here as well: wires, servers, the command line as a process."""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import trustme
from command_line import CommandLine, Sandbox, command_line

from batchcredit.sandbox import Control, SandboxAddress

for folder in ("engine", "writer", "ledger"):
    sys.path.append(str(Path(__file__).parents[1] / folder))

from wires import WIRES, Authority, MakeWire  # noqa: E402  its folder has to be known first

_NUMBERS = itertools.count(1)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On the loop that the product runs on, and on the one that it falls back to."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        return loops
    return loops | {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=WIRES.values(), ids=WIRES)
def make(request: pytest.FixtureRequest) -> MakeWire:
    factory: MakeWire = request.param
    return factory


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem")
    authority.ca.cert_pem.write_to_path(str(authority.file))
    return authority


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
