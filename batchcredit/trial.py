"""A decoder of strangers' files runs in a process that may fail: it is bounded in memory and in time.

A damaged file can make a decoder panic, and a small one can ask for more memory than there is.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

#: Memory beyond what the process has at its start. Linux keeps to it; macOS does not.
_MEMORY_BYTES = 1 << 30
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[1])
_PROGRAM = "import importlib, sys; importlib.import_module(sys.argv[1]).main(*sys.argv[2:])"


def tried(module: str, *arguments: str, patience_s: float) -> tuple[bool, str]:
    """Runs `main(*arguments)` of a module of ours in a process of its own: whether it came to its end within
    `patience_s`, and what it said on stdout, or else why not."""
    try:
        done = subprocess.run(  # noqa: S603  a fixed program; the arguments are a file of ours and a name
            [sys.executable, "-P", "-c", _PROGRAM, module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a panic writes pages
            env=_environment(),
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, "its decoder does not end"
    said = done.stdout.decode(errors="replace")
    if done.returncode and not said:
        said = "its decoder gives up, or asks for too much memory"
    return not done.returncode, said


def _environment() -> dict[str, str]:
    """Ours without the settings of batchcredit: what reads a stranger's file needs no secret."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHCREDIT_")}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [_PACKAGE_ROOT, kept.get("PYTHONPATH")]))
    return kept


def limit_memory() -> None:
    """From now on this process is refused memory far beyond what it has."""
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    limit = pages * resource.getpagesize() + _MEMORY_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
