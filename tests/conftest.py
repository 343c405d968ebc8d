"""One sandbox for each test module that asks, one browser, one PostgreSQL, and the profile of `make fuzz`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from batchcredit.sandbox import Control, SandboxAddress, SandboxSettings, sandbox_process

if TYPE_CHECKING:
    from forked_program import ForkedProgram
    from playwright.sync_api import Browser, Page
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


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium for a module, of which no test can be a coroutine: its loop would be another."""
    from chromium import LEFT_OUT, find, is_required, launched  # playwright is for those who ask

    program = find()
    if program is None:
        (pytest.fail if is_required() else pytest.skip)(LEFT_OUT)
    with launched(program) as started:
        yield started


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """An empty page of its own cookies and storage; nothing on it is waited for longer than ten seconds."""
    from chromium import WAIT_MS

    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """What no browser could try is said behind everything else."""
    result = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        from chromium import LEFT_OUT

        left_out = [report for report in reporter.getreports("skipped") if LEFT_OUT in str(report.longrepr)]
        if left_out:
            reporter.write_line(
                f"*** NOT TRIED IN A BROWSER, {len(left_out)} TESTS: {LEFT_OUT} ***", red=True
            )
    return result
