"""What is built is sound, whole, the same each time, and says who it is."""

import email.message
import email.parser
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from wheel_parts import ROOT, Distributions, build, run

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]

#: What the wheel has from other folders.
INCLUDED = {*PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].values()}


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def names_in_sdist(sdist: Path) -> set[str]:
    """The files of an sdist, without the folder that holds them all."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


def test_what_is_built_passes_the_checkers(distributions: Distributions) -> None:
    """twine takes both, with a description that can be shown; the wheel holds nothing foreign."""
    both = [distributions.wheel, distributions.sdist]
    run([sys.executable, "-m", "twine", "check", "--strict", *both], ROOT)
    run([sys.executable, "-m", "check_wheel_contents", distributions.wheel], ROOT)


def test_built_twice_it_is_the_same(distributions: Distributions, tmp_path: Path) -> None:
    """Byte by byte, wheel and sdist: whoever has the source can see what an archive was made of."""
    again = build(ROOT, tmp_path)
    assert again.wheel.read_bytes() == distributions.wheel.read_bytes()
    assert again.sdist.read_bytes() == distributions.sdist.read_bytes()


def test_the_wheel_holds_all_of_the_package(distributions: Distributions) -> None:
    """Each file of the folder: modules, migrations, templates, the mark of its types."""
    with zipfile.ZipFile(distributions.wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in (ROOT / "batchcredit").rglob("*") if path.is_file())
    ours = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    assert packed - INCLUDED == ours
    assert {
        "batchcredit/py.typed",
        "batchcredit/ledger/migrations/sqlite/0001_first.sql",
    } | INCLUDED <= packed


def test_the_sdist_holds_what_the_tests_need_and_nothing_private(distributions: Distributions) -> None:
    """What is in version control, but for what is this repository's alone."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout: there is nothing to compare with")
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    packed = names_in_sdist(distributions.sdist)
    assert tracked - packed == {".ci/run"}
    assert packed - tracked <= {"PKG-INFO"} | untracked()


def untracked() -> set[str]:
    """What is about to be added: a checkout in which somebody works has such files."""
    argv = ["git", "ls-files", "--others", "--exclude-standard"]
    return set(subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())


def test_the_version_stands_in_one_place(distributions: Distributions) -> None:
    """pyproject.toml; the program asks what is installed, and the changelog has an entry for it."""
    told = PROJECT["version"]
    assert metadata(distributions.wheel)["Version"] == told == version("batchcredit")
    modules = (ROOT / "batchcredit").rglob("*.py")
    assert not [path for path in modules if re.search(rf"[\"'v]{re.escape(told)}[\"']", path.read_text())]
    assert f"\n## [{told}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_metadata_say_what_it_is(distributions: Distributions) -> None:
    """Licence, Python, types and extras, as a package index shows them; no address that leads nowhere."""
    told = metadata(distributions.wheel)
    assert told["License-Expression"] == "MIT"
    assert "Typing :: Typed" in told.get_all("Classifier", [])
    assert set(told.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    assert told.get_all("Project-URL") is None
