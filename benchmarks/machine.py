"""On what it was measured: enough to compare, nothing that names the machine."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "batchcredit",
    "uvloop",
    "httptools",
    "apsw",
    "polars",
    "httpx",
    "aiohttp",
    "aiometer",
    "requests",
    "uvicorn",
)


def machine() -> Mapping[str, str]:
    """System, cores, Python, and the versions that matter."""
    known = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
    }
    return known | {name: found for name in PACKAGES if (found := _version(name))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
