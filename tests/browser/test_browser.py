"""The browser of the tests: it is real, it reaches this machine alone, and that it is missing is loud."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chromium import CHOICE

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]


def _asked(program: list[str], **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_page_runs_its_script_and_prints(page: "Page", tmp_path: Path) -> None:
    """What the tests rest on: a script runs where nothing forbids it, and paper is not empty."""
    page.set_content("<h1>before</h1><script>document.querySelector('h1').textContent = 'after'</script>")
    assert page.inner_text("h1") == "after"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_no_name_is_looked_up(page: "Page") -> None:
    """A request of a page to another machine fails before it is one."""
    from playwright.sync_api import Error

    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        page.goto("http://example.com/")


def test_a_missing_browser_is_loud_and_a_failure_where_it_is_required() -> None:
    """The tests are left out with a line at the very end; with REQUIRE_BROWSER=1 both steps fail."""
    script, tests = ["tests/browser/chromium.py"], ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests.append("tests/browser/test_browser.py::test_no_name_is_looked_up")
    nowhere = {CHOICE: str(ROOT / "no-such-browser"), "REQUIRE_BROWSER": "0"}
    assert _asked(script, **nowhere).returncode == 0
    left_out = _asked(tests, **nowhere)
    assert left_out.returncode == 0
    assert left_out.stdout.rstrip().splitlines()[-1].startswith("*** NOT TRIED IN A BROWSER, 1 TESTS: ")
    nowhere["REQUIRE_BROWSER"] = "1"
    assert _asked(script, **nowhere).returncode == 1
    assert _asked(tests, **nowhere).returncode == 1


def test_debians_is_installed_where_that_is_allowed(tmp_path: Path) -> None:
    """Where there is no browser, but apt and the right to use it, there is one afterwards."""
    (tmp_path / "env").symlink_to("/usr/bin/env")
    for name, does in {
        "apt-get": f'case "$*" in *install*) cp "$0" {tmp_path}/chromium;; esac',
        "sudo": 'shift; exec "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{does}\n")
        (tmp_path / name).chmod(0o755)
    alone = {"PATH": str(tmp_path), "REQUIRE_BROWSER": "1"}
    assert _asked(["tests/browser/chromium.py"], **alone).returncode == 0
    assert (tmp_path / "chromium").exists()
    (tmp_path / "chromium").unlink()
    (tmp_path / "apt-get").unlink()
    assert _asked(["tests/browser/chromium.py"], **alone).returncode == 1
