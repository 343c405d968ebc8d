"""The page while rows are sent: it renews itself and keeps its reader's place."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from report_parts import example, need
from shown_page import column

from batchcredit.report.model import Report, Standing
from batchcredit.report.page import render

if TYPE_CHECKING:
    from playwright.sync_api import Page

NEEDS = "Rows that need someone"
ROWS = tuple(need(row, "rejected", account=f"client-{row}", amount=f"{100 - row}") for row in range(1, 40))


@dataclass
class Served:
    """A server whose page a test changes; `answers` counts what it gave."""

    address: str
    stop: "ThreadingHTTPServer"
    html: str = ""
    answers: list[str] = field(default_factory=list)

    def show(self, report: Report) -> None:
        """From now on this report, which asks again ten times a second."""
        self.html = render(report, live=True).replace('data-refresh-ms="5000"', 'data-refresh-ms="100"')


@pytest.fixture
def served() -> Iterator[Served]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = shown.html.encode()
            shown.answers.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown = Served(f"http://127.0.0.1:{server.server_port}/token/", server)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield shown
    server.shutdown()
    server.server_close()
    thread.join(10)


def _soon(page: "Page", where: str, words: str) -> None:
    """Wait until something says so; the page's policy stops scripts that come as text, a test's too."""
    from chromium import WAIT_MS
    from playwright.sync_api import expect

    expect(page.locator(where)).to_contain_text(words, timeout=WAIT_MS)


def sending(minutes: int, credited: int, needs: int = 30) -> Report:
    """How a batch stands so many minutes later."""
    report = example()
    return replace(
        report,
        counts={"credited": credited, "not_sent": 10_000 - credited},
        made_at=report.made_at + timedelta(minutes=minutes),
        needs=ROWS[:needs],
        needs_total=needs,
        standing=Standing(exit_code=4, next="", running=True),
        series=report.series[:1],
        latencies=(),
    )


def test_figures_change_and_the_reader_keeps_the_place(page: "Page", served: Served) -> None:
    """New figures come in; search, order, focus, scroll and open details stay; nobody else is asked."""
    served.show(sending(1, 1_000))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(served.address)
    assert page.inner_text("#updated") == "updated at 2026-04-01 12:05:05"
    page.fill("#search", "client-3")
    page.click("#needing th[data-sort=amount] button")
    page.click("#pace-1 summary")
    page.focus("#search")
    page.evaluate("scrollTo(0, 700)")
    served.show(sending(2, 2_000, needs=35))
    _soon(page, ".sentence", "2,000 of")
    assert page.inner_text("#updated") == "updated at 2026-04-01 12:06:05"
    assert page.title().endswith("2,000 of 10,000 rows were credited so far.")
    assert page.input_value("#search") == "client-3"
    assert column(page, NEEDS, "Row") == ["35", "34", "33", "32", "31", "30", "3"]
    assert page.inner_text("#found") == "7 of 35 rows"
    assert page.get_attribute("#needing th[data-sort=amount]", "aria-sort") == "ascending"
    assert page.get_attribute("#pace-1", "open") == ""
    assert page.evaluate("document.activeElement.id") == "search"
    assert page.evaluate("scrollY") == 700
    page.keyboard.type("5")
    assert column(page, NEEDS, "Row") == ["35"]
    assert page.locator(".command button").count() == page.locator(".command").count() > 0
    assert set(served.answers) == {"/token/"}
    assert errors == []


def test_what_somebody_selects_stays(page: "Page", served: Served) -> None:
    """While text of it is selected the page waits, and goes on afterwards."""
    served.show(sending(1, 1_000))
    page.goto(served.address)
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.sentence'))")
    served.show(sending(2, 2_000))
    given = len(served.answers)
    while len(served.answers) < given + 3:
        page.wait_for_timeout(20)
    assert page.evaluate("getSelection().toString()").startswith("1,000 of")
    page.evaluate("getSelection().removeAllRanges()")
    _soon(page, ".sentence", "2,000 of")


def test_the_end_is_said_and_the_last_state_stays(page: "Page", served: Served) -> None:
    """It is said that nobody sends, and that the server is gone; hostile text that comes in is text."""
    served.show(sending(1, 9_000))
    page.goto(served.address)
    assert page.inner_text("#live-state") == ""
    ended = replace(sending(2, 9_990), standing=Standing(exit_code=4, next=""))
    served.show(replace(ended, batch="<img src=x onerror=document.title='owned'><script>alert(1)</script>"))
    _soon(page, "#live-state", "Nobody is sending this batch now.")
    assert page.inner_text("h1").startswith("Batch <img src=x")
    assert page.locator("main img, main script").count() == 0
    served.stop.shutdown()
    served.stop.server_close()
    _soon(page, "#live-state", "The run has ended, or its page is out of reach")
    assert "batchcredit report <img" in page.inner_text("#live-state")
    assert page.inner_text(".sentence").startswith("9,990 of 10,000")


def test_only_a_live_page_may_ask() -> None:
    """The file that people keep has neither the script nor the permission to ask anybody."""
    kept, live = render(sending(1, 1_000)), render(sending(1, 1_000), live=True)
    assert "connect-src" in live
    assert "connect-src" not in kept
    assert "fetch(" in live
    assert "fetch(" not in kept


def test_a_run_that_goes_on_has_no_unknown_end() -> None:
    """Where somebody sends, the last run is going on; else nobody knows how it ended."""
    running = render(sending(1, 1_000))
    assert running.count("goes on</span>") == 1
    assert "no end known" not in running
    ended = render(replace(sending(1, 1_000), standing=Standing(exit_code=4, next="")))
    assert "no end known" in ended
    assert "goes on</span>" not in ended
