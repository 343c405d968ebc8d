"""A command line in a home of its own, and a sandbox that every test finds as new."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, command_line
from forked_program import ForkedProgram

from batchcredit.sandbox import SandboxAddress, SandboxSettings, sandbox_process

_NUMBERS = itertools.count(1)


@pytest.fixture
def cli(tmp_path: Path, forks: ForkedProgram | None) -> Iterator[CommandLine]:
    """`cli("run", path, "--yes", "--json")` runs `python -m batchcredit` to its end."""
    with command_line(tmp_path, forks) as line:
        yield line


@pytest.fixture(scope="session")
def sandbox_address() -> Iterator[SandboxAddress]:
    """One sandbox for all tests of a pytest process; use `sandbox`."""
    with sandbox_process() as address:
        yield address


@pytest.fixture
def sandbox(sandbox_address: SandboxAddress) -> Iterator[Sandbox]:
    """The shared sandbox under a login of this test; its settings and faults are taken back afterwards."""
    sandbox = Sandbox(sandbox_address, f"shop{next(_NUMBERS)}")
    yield sandbox
    sandbox.control.clear_script()
    sandbox.control.set(**SandboxSettings().model_dump(mode="json"))


@pytest.fixture
def shop(cli: CommandLine, sandbox: Sandbox) -> CommandLine:
    """`cli` with profiles `clicksend` and `fastmessage` on `sandbox`."""
    cli.configure(sandbox.address, sandbox.login)
    return cli
