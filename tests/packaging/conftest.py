"""Built once and installed once, however many processes run the tests."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wheel_parts import ROOT, Distributions, Installed, build, install


@contextmanager
def made_once(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, name: str
) -> Iterator[tuple[Path, bool]]:
    """A folder that all workers of a test run share, and whether it is this process that has to fill it."""
    base = factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / name
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".done"
        yield folder, not done.exists()
        done.touch()


@pytest.fixture(scope="session")
def distributions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Wheel and sdist of this checkout."""
    with made_once(request, tmp_path_factory, "distributions") as (folder, empty):
        if empty:
            (folder / "dist").mkdir(parents=True)
            build(ROOT, folder / "dist")
        return Distributions.found(folder / "dist")


@pytest.fixture(scope="session")
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, distributions: Distributions
) -> Installed:
    """The wheel in an environment that has nothing else but what it needs."""
    with made_once(request, tmp_path_factory, "installed") as (folder, empty):
        if empty:
            folder.mkdir()
            install(distributions.wheel, folder)
        return Installed(folder)
