"""The site of the documents: it builds without a warning, and is read and searched offline."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from documents import DOCUMENTS, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: What a browser loads without being asked to.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it: a broken link, anchor or picture is a failure."""
    folder = tmp_path_factory.mktemp("site")
    told = subprocess.run(
        [*(sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"), ROOT / "docs", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return folder


class Loads(HTMLParser):
    """The addresses that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "link" and known.get("rel") in ("search", "next", "prev", "index"):
            return
        self.addresses += [known.get(LOADED.get(tag, "")) or ""]


def test_the_site_asks_no_other_host(site: Path, page: "Page") -> None:
    """Neither in its pages nor in its styles; and its search finds a word with nothing but its files."""
    for document in site.rglob("*.html"):
        loads = Loads()
        loads.feed(document.read_text())
        assert not [address for address in loads.addresses if re.match(r"(https?:)?//", address)], document
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", style.read_text()), style
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{(site / 'search.html').as_uri()}?q=idempotent")
    page.get_by_role("link", name="Why a PUT can pay twice").first.wait_for()
    assert asked
    assert not [url for url in asked if not url.startswith("file:")]


def test_nothing_is_left_of_a_merge() -> None:
    """What a merge could not decide is shown by every reader of a page as if it were meant."""
    for document in DOCUMENTS:
        assert not re.search("^(<{7}|={7}$|>{7})", document.read_text(), re.MULTILINE), document


def test_every_page_is_in_the_contents(site: Path) -> None:
    """Each document has its page, and the sidebar leads to it."""
    start = (site / "index.html").read_text()
    for document in (ROOT / "docs").rglob("*.md"):
        name = document.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert name == "index.html" or f'href="{name}"' in start
