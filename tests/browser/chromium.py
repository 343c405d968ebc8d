"""A Chromium or Chrome for the tests: found on this machine, or Debian's, installed where that is allowed.

As a program it makes sure that there is one, and says what is left out where there can't be:
`REQUIRE_BROWSER=1` makes that a failure.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Which program it shall be, where somebody cares.
CHOICE = "BATCHCREDIT_CHROMIUM"

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OF_MACOS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)

LEFT_OUT = f"no Chromium or Chrome: install one, or name it in {CHOICE}"

INSTALL_S = 600
WAIT_MS = 10_000

#: Nothing of the browser's own leaves the machine, and no name is looked up.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def find() -> Path | None:
    """The browser of this machine; the one that was chosen, or none, where one was chosen."""
    if chosen := os.environ.get(CHOICE):
        return Path(chosen) if os.access(chosen, os.X_OK) else None
    on_path = (Path(found) for name in NAMES if (found := shutil.which(name)))
    return next(on_path, None) or next((path for path in OF_MACOS if path.exists()), None)


def is_required() -> bool:
    """Whether tests without a browser are failures; `.ci/run` says so."""
    return os.environ.get("REQUIRE_BROWSER") == "1"


@contextmanager
def launched(program: Path) -> Iterator["Browser"]:
    """A headless browser with an empty profile. No asyncio loop can run in this thread meanwhile."""
    from playwright.sync_api import sync_playwright  # for those who ask

    arguments = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments, timeout=WAIT_MS * 3)
        try:
            yield browser
        finally:
            browser.close()


def main() -> int:
    """Make sure of a browser; 1 where there is none and one is required."""
    if find() or (CHOICE not in os.environ and _installed() and find()):
        return 0
    print(f"\n*** THE PAGES ARE NOT TRIED: {LEFT_OUT} ***\n", file=sys.stderr)
    return int(is_required())


def _installed() -> bool:
    """Debian's, by apt, if this user may."""
    root = _as_root()
    if root is None or not shutil.which("apt-get"):
        return False
    print("installing Debian's chromium for the tests of the pages", file=sys.stderr)
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    return _done([*quiet, "update"]) and _done(
        [*quiet, "install", "--yes", "--no-install-recommends", "chromium"]
    )


def _as_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if shutil.which("sudo") and _done(["sudo", "-n", "true"]) else None


def _done(command: list[str]) -> bool:
    quiet = subprocess.DEVNULL
    try:
        return not subprocess.run(
            command, timeout=INSTALL_S, check=False, stdin=quiet, stdout=quiet
        ).returncode
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    sys.exit(main())
