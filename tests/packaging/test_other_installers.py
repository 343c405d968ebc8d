"""The long way round: other installers, each extra by itself, and what the sdist alone can do."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from wheel_parts import ROOT, Distributions, build, clean_environment, install, run

pytestmark = pytest.mark.torture

#: Extra -> what it brings, imported through the module of ours that wants it.
BROUGHT = {
    "fast": "import uvloop; from batchcredit.engine import loop",
    "otel": "import opentelemetry.sdk; from batchcredit.console import telemetry",
    "postgres": "import psycopg; from batchcredit.ledger import postgres",
    "ray": "import ray, nacl; from batchcredit.distributed import crew",
    "report": "from batchcredit.report import renderer; renderer()",
}


def test_pipx_installs_it(distributions: Distributions, tmp_path: Path) -> None:
    """A command on the path, in a home of its own."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "pipx"], check=True, timeout=60)
    python, home = tmp_path / "pipx" / "bin" / "python", tmp_path / "home"
    home.mkdir()
    env = clean_environment(home) | {"PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(home / "bin")}
    env["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    run([python, "-m", "pip", "install", "--quiet", "pipx==1.18.4"], home)
    run([python, "-m", "pipx", "install", distributions.wheel], home, env)
    assert run([home / "bin" / "batchcredit", "--version"], home, env).strip() == version("batchcredit")


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not at hand")
def test_uv_installs_it(distributions: Distributions, tmp_path: Path) -> None:
    """The same by uv."""
    env = clean_environment(tmp_path) | {"UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    run(["uv", "tool", "install", distributions.wheel], tmp_path, env)
    assert run([tmp_path / "bin" / "batchcredit", "--version"], tmp_path, env).strip() == version(
        "batchcredit"
    )


@pytest.mark.parametrize("extra", BROUGHT)
def test_an_extra_by_itself_is_enough(distributions: Distributions, tmp_path: Path, extra: str) -> None:
    """What wants it works with the base install and this one extra, and the rest still does."""
    installed = install(distributions.wheel, tmp_path, f"[{extra}]")
    installed.program("python", "-c", BROUGHT[extra])
    (installed.work / "batch.csv").write_text("provider,account,amount,currency\nclicksend,7,1.50,USD\n")
    said = installed.batchcredit("run", "batch.csv", "--sandbox", "--yes", "--json")
    assert json.loads(said)["counts"]["credited"] == 1


def unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def test_the_sdist_builds_the_same_wheel(distributions: Distributions, tmp_path: Path) -> None:
    """Without version control around it."""
    source = unpacked(distributions.sdist, tmp_path / "source")
    (tmp_path / "dist").mkdir()
    again = build(source, tmp_path / "dist")
    assert again.wheel.read_bytes() == distributions.wheel.read_bytes()


def test_the_tests_of_the_sdist_run(distributions: Distributions, tmp_path: Path) -> None:
    """Those that look at files of the repository most: documents, samples, packages."""
    source = unpacked(distributions.sdist, tmp_path)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["PYTHONPATH"] = str(source)
    told = run([sys.executable, "-c", "import batchcredit; print(batchcredit.__file__)"], source, env)
    assert Path(told.strip()).is_relative_to(source)
    some = ["tests/docs", "tests/writer", "tests/packaging", "tests/test_transfer.py"]
    run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *some], source, env)
