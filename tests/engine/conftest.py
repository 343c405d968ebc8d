"""An engine in front of the module's sandbox for each test; every wire, on every loop the product runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import trustme
from rig import Rig, held_ledger
from wires import WIRES, Authority, MakeWire

from batchcredit.sandbox import SandboxAddress

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """The wire's tests run on uvloop as well, where it is installed."""
    loops: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name.startswith("test_wire_"):
        try:
            import uvloop
        except ImportError:
            pass
        else:
            loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
async def rig(address: SandboxAddress, tmp_path: Path) -> AsyncIterator[Rig]:
    with held_ledger(tmp_path) as ledger:
        rig = Rig(ledger, address)
        yield rig
        await rig.close()


@pytest.fixture(params=WIRES.values(), ids=WIRES)
def make(request: pytest.FixtureRequest) -> MakeWire:
    factory: MakeWire = request.param
    return factory


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem")
    authority.ca.cert_pem.write_to_path(str(authority.file))
    return authority
