"""Wheel and sdist as somebody else would build them, and environments that hold nothing but the wheel."""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: A moment that the archives carry instead of the time of the build.
EPOCH = "1767225600"

_LONGEST_S = 240


@dataclass(frozen=True, slots=True)
class Distributions:
    """What one build made."""

    wheel: Path
    sdist: Path

    @classmethod
    def found(cls, folder: Path) -> "Distributions":
        """The only two in a folder."""
        (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
        return cls(wheel, sdist)


def run(argv: Sequence[object], folder: Path, env: Mapping[str, str] | None = None, expected: int = 0) -> str:
    """What a program said on stdout; an AssertionError with all that it said when it ends otherwise."""
    ended = subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env=dict(env if env is not None else os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert ended.returncode == expected, f"{argv}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def build(source: Path, out: Path) -> Distributions:
    """Wheel and sdist of a source folder, without a registry; the wheel is made from the sdist."""
    env = os.environ | {"SOURCE_DATE_EPOCH": EPOCH}
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source], out.parent, env)
    return Distributions.found(out)


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with a wheel and what it needs, far from the checkout, and a home of its own."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "env" / "bin"

    @property
    def work(self) -> Path:
        """Where commands run: an empty folder, unless they wrote something."""
        return self.folder / "work"

    def batchcredit(self, *arguments: object, expected: int = 0) -> str:
        """What the installed command says on stdout."""
        return self.program("batchcredit", *arguments, expected=expected)

    def program(self, name: str, *arguments: object, expected: int = 0) -> str:
        """The same of any program of the environment."""
        return run([self.bin / name, *arguments], self.work, clean_environment(self.folder), expected)


def install(wheel: Path, folder: Path, extras: str = "") -> Installed:
    """The wheel in an empty environment below `folder`, in the versions that the gate runs with."""
    venv.create(folder / "env", symlinks=True)
    (folder / "work").mkdir()
    pip = [sys.executable, "-m", "pip", "--python", folder / "env", "--disable-pip-version-check", "install"]
    flags = ["--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt"]
    run([*pip, *flags, f"{wheel}{extras}"], folder)
    return Installed(folder)


def clean_environment(home: Path) -> dict[str, str]:
    """Ours, without what leads to the checkout or to the settings and ledgers of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BATCHCREDIT_", "PYTHON", "VIRTUAL_ENV", "XDG_"))
    }
    return kept | {"HOME": str(home)}
