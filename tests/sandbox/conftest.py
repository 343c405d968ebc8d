"""A line to the module's sandbox for each test."""

from collections.abc import Iterator

import pytest
from sandbox_client import Line

from batchcredit.sandbox import SandboxAddress


@pytest.fixture
def line(address: SandboxAddress) -> Iterator[Line]:
    with Line(address) as line:
        yield line
