"""The page of a report in a real browser: what it says, finds, sorts and prints, and what it never does."""

import io
import re
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader
from report_parts import HOSTILE, example, large, need, needs_of
from shown_page import column, contrasts, opened, table

from batchcredit.report.model import TEST, Balance, NeedsSomeone
from batchcredit.report.page import render

if TYPE_CHECKING:
    from playwright.sync_api import Page


@cache
def drawn() -> str:
    """The example as a page, with all its charts."""
    return render(example())


def plain(**changes: Any) -> str:
    """The example with changes, without the charts that take their time."""
    return render(replace(example(0), series=(), latencies=(), **changes))


NEEDS = "Rows that need someone"
OWNED = "document.title='owned'"
DASH, MINUS = "\u2013", "\u2212"


def test_a_finance_person_reads_what_happened(page: "Page", tmp_path: Path) -> None:
    """The headline in words, money exactly by provider and currency, and that it adds up."""
    opened(page, drawn(), tmp_path)
    assert page.inner_text(".sentence") == "9,980 of 10,000 rows were credited."
    assert (
        "2 rows are in doubt: the client may have the credit. Do not send or pay it again"
        in page.inner_text(".points")
    )
    assert [" | ".join(row) for row in table(page, "Amounts and rows")[1:]] == [
        "clicksend-au | AUD | 1,234,600.3901 9,704 rows | 1,234,567.8901 9,700 rows"
        f" | 20.0000 2 rows | 12.5000 2 rows | {DASH} | {DASH}",
        f"kenya | KES | 58,800.75 294 rows | 56,000.00 280 rows | {DASH} | {DASH}"
        " | 2,400.75 12 rows | 400.00 2 rows",
    ]
    assert column(page, "Nothing lost", "Adds up?") == ["✓ yes"] * 3
    assert column(page, "Control totals", "Agrees?") == ["✓ yes"] * 2
    assert page.locator(".chart").count() == 1 + 3 + 2
    assert page.locator("#live").count() == 0


def test_a_lost_cent_is_seen_first(page: "Page", tmp_path: Path) -> None:
    """What does not add up stands in the headline, and by how much in the sums."""
    broken = (Balance("AUD", Decimal("1000.01"), {"credited": Decimal(1000)}),)
    opened(page, plain(conservation=broken), tmp_path)
    assert "does not add up" in page.inner_text(".points li:first-child")
    assert column(page, "Nothing lost", "Adds up?") == [f"✕ no, by {MINUS}0.01"]


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"credited": 10_000}, "All 10,000 rows were credited."),
        ({"not_sent": 10_000}, "None of 10,000 rows was credited."),
    ],
)
def test_the_headline_says_it_in_one_sentence(
    page: "Page", tmp_path: Path, counts: dict[str, int], sentence: str
) -> None:
    """All, some, or none; and a rehearsal is no payment."""
    opened(page, plain(counts=counts, mode=TEST), tmp_path)
    assert page.inner_text(".sentence") == sentence
    assert page.inner_text(".rehearsal").startswith("REHEARSAL")
    assert page.locator("#needing").count() == 0


def test_columns_sort_by_click_and_by_key(page: "Page", tmp_path: Path) -> None:
    """Numbers sort as numbers, dates as dates, both ways; the header and a spoken line say which."""
    amounts = ("9.5", "10", "1000000000000.0000000001", "1000000000000.0000000002", "abc", "0.07", "100")
    needs = tuple(need(row, "rejected", amount=amount) for row, amount in enumerate(amounts, 1))
    opened(page, plain(needs=needs, needs_total=len(needs)), tmp_path)
    page.click("#needing th[data-sort=amount] button")
    assert column(page, NEEDS, "Row") == ["6", "1", "2", "7", "3", "4", "5"]
    assert page.get_attribute("#needing th[data-sort=amount]", "aria-sort") == "ascending"
    assert page.inner_text("#sorted") == "sorted by amount, ascending"
    page.focus("#needing th[data-sort=sent] button")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert column(page, NEEDS, "Row") == ["7", "6", "5", "4", "3", "2", "1"]
    assert page.get_attribute("#needing th[data-sort=sent]", "aria-sort") == "descending"
    assert page.get_attribute("#needing th[data-sort=amount]", "aria-sort") is None


def test_search_narrows_and_counts(page: "Page", tmp_path: Path) -> None:
    """All words have to be in a row, in any case and order; amounts with or without commas."""
    needs = (
        need(1, "in_doubt", account="Ärzte", amount="1234.5"),
        need(2, "rejected", account="Bäcker", amount="99"),
        need(3, "rejected", account="bäcker two", amount="1"),
    )
    opened(page, plain(needs=needs, needs_total=3), tmp_path)
    assert page.inner_text("#found") == "3 rows"
    for words, rows in (
        ("BÄCKER refused", ["2", "3"]),
        ("1234.5", ["1"]),
        ("1,234.5 ärzte", ["1"]),
        ("", [*"123"]),
    ):
        page.fill("#search", words)
        assert column(page, NEEDS, "Row") == rows
    page.fill("#search", "nobody")
    assert page.inner_text("#found") == "0 of 3 rows"
    assert page.is_visible("#nothing")


def test_a_command_is_copied(page: "Page", tmp_path: Path) -> None:
    """What stands beside the button is in the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, drawn(), tmp_path)
    page.click("text=Copy >> nth=0")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "batchcredit reconcile march-1a2b3c4d"


def test_paper_has_the_figures(page: "Page", tmp_path: Path) -> None:
    """Printed it has sums, rows, reasons and commands; a long table repeats its header."""
    opened(page, plain(needs=needs_of(90), needs_total=90), tmp_path)
    pages = PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    texts = [one.extract_text() for one in pages]
    whole = re.sub(r"\s+", " ", " ".join(texts))
    for said in ("1,234,567.8901", "9,980 of 10,000 rows", "client-00089", "lost_answer", f"{MINUS}12.4999"):
        assert said in whole
    assert "batchcredit reconcile march-1a2b3c4d" in whole
    assert "Copy" not in whole
    of_rows = [text for text in texts if "client-000" in text]
    assert len(of_rows) > 2
    assert f"1 of {len(pages)}" in texts[0]
    assert all("Status and reason" in text for text in of_rows)
    assert {round(float(one.mediabox.width)) for one in pages} <= {595, 596}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_read_it(page: "Page", tmp_path: Path, scheme: str, width: int) -> None:
    """Nothing is wider than the page, and each text stands out as WCAG AA asks, in both schemes."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, drawn(), tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    found = contrasts(page)
    assert len(found) > 200
    assert [one for one in found if one[0] < (3.0 if one[1] else 4.5)] == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_screen_reader_finds_its_way(page: "Page", tmp_path: Path) -> None:
    """Headings in order, landmarks, names of controls and charts, headers and captions of tables."""
    opened(page, drawn(), tmp_path)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tree = page.locator("body").aria_snapshot()
    assert tree.count("- banner") == tree.count("- main") == 1
    assert '- searchbox "Search these rows"' in tree
    assert re.search(r'img "Requests of clicksend-au in run 1, .* with a limit of 10; 1 pauses', tree)
    assert tree.count('img "') == 6
    assert re.search(r'- button "(Copy)?"\n', tree) is None  # each has a name of its own
    unnamed = "table:not(:has(caption)), th:not([scope]), table:not(:has(thead th))"
    assert page.locator(unnamed).count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def _said(row: int, status: str, cell: str) -> NeedsSomeone:
    """A row of which every cell is the same."""
    return replace(
        need(row, status),
        provider=cell,
        account=cell,
        amount=cell,
        currency=cell,
        reference=cell,
        message=cell,
    )


def _hostile() -> str:
    cells = (*HOSTILE, "A" * 10_000, "\x00\x01\x7f\x9b", "{{ 7 * 191 }}{% for %}")
    needs = tuple(_said(row, "rejected", cell) for row, cell in enumerate(cells, 1))
    lane = example(0).lanes[0]
    money = tuple(replace(lane.money[0], provider=cell, currency=cell) for cell in cells)
    hostile = replace(lane, provider=HOSTILE[2], login=HOSTILE[1], base_url=HOSTILE[5], money=money)
    return plain(needs=needs, needs_total=len(needs), lanes=(hostile,), batch=HOSTILE[0], where=HOSTILE[3])


def test_hostile_text_is_text(page: "Page", tmp_path: Path) -> None:
    """Whatever stands in a cell is shown, does not run, makes no element, hides nothing, asks nobody."""
    seen = opened(page, _hostile(), tmp_path)
    page.wait_for_timeout(200)
    assert seen.requests == seen.errors == []
    assert "owned" not in page.title().replace(OWNED, "")
    assert page.locator("img, iframe, a[href^=javascript], main script, svg[onload]").count() == 0
    clients = column(page, NEEDS, "Client")
    assert all(cell in client for cell, client in zip(HOSTILE[:8], clients, strict=False))
    assert "{{ 7 * 191 }}{% for %}" in clients[-1]
    assert "(10,000 characters)" in clients[-3]
    text = page.inner_text("body")
    assert not {sign for sign in text if not sign.isprintable()} - {"\n", "\t", "\xa0"}


def test_the_policy_stops_what_escaping_missed(page: "Page", tmp_path: Path) -> None:
    """A script, a handler, a style and a picture that got in are stopped; without the policy they are not."""
    bad = f'<script>{OWNED}</script><img src=http://127.0.0.1:9/x onerror="{OWNED}">'
    html = plain().replace("<main ", f"{bad}<b style='color: rgb(1, 2, 3)'>b</b><main ")
    seen = opened(page, html, tmp_path)
    page.wait_for_timeout(200)
    assert page.title() != "owned"
    assert page.evaluate("getComputedStyle(document.querySelector('body > b')).color") != "rgb(1, 2, 3)"
    assert len([error for error in seen.errors if "Content Security Policy" in error]) >= 3
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went', () => 'stopped')") == "stopped"
    assert any("connect" in error for error in seen.errors)
    page.goto("about:blank")
    open_ = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    (tmp_path / "open.html").write_text(open_, encoding="utf-8")
    page.goto((tmp_path / "open.html").as_uri())
    page.wait_for_function("document.title === 'owned'")


def test_a_large_batch_opens_at_once(page: "Page", tmp_path: Path) -> None:
    """200,000 rows, 2,000 of them on the page: small, there in seconds, and it says where the rest is."""
    html = render(large())
    assert len(html.encode()) < 3_000_000
    meter = page.context.new_cdp_session(page)
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})  # others may need the processor, too
    opened(page, html, tmp_path)
    metrics = {one["name"]: one["value"] for one in meter.send("Performance.getMetrics")["metrics"]}
    assert 0 < metrics["TaskDuration"] < 3
    assert "The first 2,000 of 200,000" in page.inner_text("section:has(#needing) p")
    assert "results.csv" in page.inner_text("section:has(#needing) p")
    page.fill("#search", "client-00100")
    assert page.inner_text("#found") == "1 of 2,000 rows"


def test_the_worst_cells_do_not_blow_it_up() -> None:
    """Each cell as long and as costly to escape as it can be: ten kilobytes a row, at the most."""
    needs = tuple(_said(row, "invalid", '"' * 100_000) for row in range(200))
    assert len(plain(needs=needs).encode()) < 200 * 10_000
