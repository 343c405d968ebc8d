"""One sandbox for each test module that asks for it."""

from collections.abc import Iterator

import pytest

from batchcredit.sandbox import Control, SandboxAddress, SandboxSettings, sandbox_process


@pytest.fixture(scope="module")
def address() -> Iterator[SandboxAddress]:
    with sandbox_process() as started:
        yield started


@pytest.fixture
def control(address: SandboxAddress) -> Iterator[Control]:
    """The module's sandbox, with the settings and faults of this test taken back afterwards."""
    control = address.control()
    yield control
    control.clear_script()
    control.set(**SandboxSettings().model_dump(mode="json"))
