"""A shop on the module's sandbox, and the reader's own parts."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, command_line
from forked_program import ForkedProgram

from batchcredit.sandbox import Control, SandboxAddress

sys.path.append(str(Path(__file__).parents[1] / "reader"))

_NUMBERS = itertools.count(1)


@pytest.fixture
def sandbox(address: SandboxAddress, control: Control) -> Sandbox:
    """The module's sandbox under a login of this test."""
    return Sandbox(address, f"files{next(_NUMBERS)}")


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox, forks: ForkedProgram) -> Iterator[CommandLine]:
    """The command line with both profiles on `sandbox`."""
    with command_line(tmp_path, forks) as line:
        line.configure(sandbox.address, sandbox.login)
        yield line
