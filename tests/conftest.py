"""One sandbox for each test module that asks for it, and the profile of `make fuzz`."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from batchcredit.sandbox import Control, SandboxAddress, SandboxSettings, sandbox_process

#: So many that a test takes seconds; `make fuzz` asks again and again, for other ones.
settings.register_profile(
    "fuzz",
    max_examples=400,
    derandomize=False,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


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
