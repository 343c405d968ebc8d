"""A batch file in one call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_reading import Reading, read

from batchcredit.errors import RefusedError


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., Reading]:
    """Writes text or bytes to a file and examines it."""

    def write_and_read(content: str | bytes, name: str = "batch.csv", **options: Any) -> Reading:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read(path, **options)

    return write_and_read


@pytest.fixture
def refusal(batch: Callable[..., Reading]) -> Callable[..., RefusedError]:
    """The refusal of a file; its message, a blank and its cure are what a person reads."""

    def refused(content: str | bytes, name: str = "batch.csv", **options: Any) -> RefusedError:
        with pytest.raises(RefusedError) as caught:
            batch(content, name, **options)
        return caught.value

    return refused
