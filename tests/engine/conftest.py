"""A sandbox for each worker's module, and an engine in front of it for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from rig import Rig, held_ledger

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


@pytest.fixture
async def rig(address: SandboxAddress, tmp_path: Path) -> AsyncIterator[Rig]:
    with held_ledger(tmp_path) as ledger:
        rig = Rig(ledger, address)
        yield rig
        await rig.close()
