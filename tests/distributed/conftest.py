"""One Ray cluster for all tests of a pytest process that ask for it.

Ray reads how it is let in when it is imported: so that is said before any test is.
"""

import os
from collections.abc import Iterator

import pytest
from ray_cluster import Cluster, admission, ray_cluster

os.environ.update(admission())


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """With `PLACES` places."""
    with ray_cluster() as started:
        yield started
