"""What is installed beside us is what was looked at."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import batchcredit

ROOT = Path(batchcredit.__file__).parents[1]
EXTRAS = ("dev", "fast", "bench")


def normal(name: str) -> str:
    """One spelling for each package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line) for line in lines]
    assert all(found), "each line pins one version"
    versions = {normal(match[1]): match[2] for match in found if match}
    assert len(versions) == len(lines), "a package has two versions"
    return versions


def needed(package: str) -> set[str]:
    """The packages that one asks for; those of other systems and of its own extras are left out."""
    try:
        lines = requires(package) or []
    except PackageNotFoundError:
        return set()
    wanted = EXTRAS if package == "batchcredit" else ()
    kept = [
        line
        for line in lines
        if "extra ==" not in line or any(f'"{e}"' in line.replace("'", '"') for e in wanted)
    ]
    kept = [
        line
        for line in kept
        if not re.search(r"python_version <|win32|Windows|os_name == .nt|emscripten|PyPy", line)
    ]
    return {normal(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in kept}  # type: ignore[index]


def test_every_dependency_has_one_version() -> None:
    """Also those that our dependencies bring: none may come in a version that nobody ran the gate with."""
    versions = pinned()
    open_ends, seen = {"batchcredit"}, set[str]()
    while open_ends:
        seen |= open_ends
        open_ends = {name for package in open_ends for name in needed(package)} - seen
    assert len(seen) > 40
    assert seen - {"batchcredit"} <= versions.keys()
