"""An engine in front of the module's sandbox for each test; every wire, on every loop the product runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from rig import Rig, held_ledger
from wires import ca, loop_factories, make  # noqa: F401 (fixtures)

from batchcredit.sandbox import SandboxAddress

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """The wire's tests run on uvloop as well, where it is installed."""
    if item.path.name.startswith("test_wire_"):
        return loop_factories()
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def rig(address: SandboxAddress, tmp_path: Path) -> AsyncIterator[Rig]:
    with held_ledger(tmp_path) as ledger:
        rig = Rig(ledger, address)
        yield rig
        await rig.close()
