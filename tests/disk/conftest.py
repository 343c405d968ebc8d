"""One process that starts commands on fragile disks, and one sandbox, for each test module."""

from collections.abc import Iterator

import pytest
from disk_runs import DiskLauncher, disk_launcher


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiskLauncher]:
    with disk_launcher(tmp_path_factory.mktemp("launcher")) as launcher:
        yield launcher
