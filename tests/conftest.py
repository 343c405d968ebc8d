"""One sandbox for each test module that asks for it, one PostgreSQL, and the profile of `make fuzz`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from batchcredit.sandbox import Control, SandboxAddress, SandboxSettings, sandbox_process

if TYPE_CHECKING:
    from forked_program import ForkedProgram
    from postgres_server import Server

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


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Server]":
    """One PostgreSQL for all tests of a pytest process, which leave it running; ask it for a `fresh_url`."""
    from postgres_server import postgres_server  # psycopg is for those who ask

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ForkedProgram]":
    """The program for all tests of a pytest process; a module whose commands need processes of their own says
    so in a fixture of this name."""
    from command_line import environment
    from forked_program import forked_program

    with forked_program(environment(tmp_path_factory.mktemp("program"))) as program:
        yield program
