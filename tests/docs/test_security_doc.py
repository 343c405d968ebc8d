"""docs/SECURITY.md names tests that are there, and every file of the review."""

import re

from documents import ROOT

TEXT = (ROOT / "docs" / "SECURITY.md").read_text()
NAMED = re.findall(r"`([a-z_]+/test_\w+\.py)(?:::(\w+))?`", TEXT)


def test_every_named_test_exists() -> None:
    """A defence whose test was renamed or removed is a claim."""
    assert len(NAMED) > 40
    for file, name in NAMED:
        source = (ROOT / "tests" / file).read_text()
        assert re.search(rf"^(?:async )?def {name}\(", source, re.MULTILINE) if name else source, (file, name)


def test_every_file_of_the_review_is_named() -> None:
    """What is tested for the sake of security is told."""
    files = {f"security/{path.name}" for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert files <= {file for file, _ in NAMED}
