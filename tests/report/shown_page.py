"""A report in a browser: written to a file, opened, and watched for whatever it should not do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


@dataclass
class Watched:
    """What a page did beside being shown: requests but the one for itself, and what it complained of."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def opened(page: "Page", html: str, folder: Path) -> Watched:
    """Open a page as a person does, from a file."""
    file = folder / "some.report.html"
    file.write_text(html, encoding="utf-8")
    seen = Watched()
    page.context.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda message: seen.errors.append(message.text))
    page.on("dialog", lambda dialog: seen.errors.append(dialog.message))
    page.goto(file.as_uri())
    seen.requests.remove(file.as_uri())
    return seen


def table(page: "Page", caption: str) -> list[list[str]]:
    """The cells of the table whose caption begins so, headers first."""
    found: list[list[str]] = page.evaluate(
        """(caption) => {
          const table = [...document.querySelectorAll("table")]
            .find((one) => one.caption.textContent.trim().startsWith(caption));
          return [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells]
            .map((cell) => cell.textContent.replace(/\\s+/g, " ").trim()));
        }""",
        caption,
    )
    return found


def column(page: "Page", caption: str, name: str) -> list[str]:
    """One column of it, without its header."""
    head, *rows = table(page, caption)
    place = head.index(name)
    return [row[place] for row in rows]


#: The contrast of each text that is seen with what lies behind it: [ratio, is large, text].
CONTRASTS = """() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), element = walk.currentNode.parentElement;
    if (!text || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const colour = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(parts(colour)), light(behind(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    found.push([(a + 0.05) / (b + 0.05), size >= 24 || (size >= 18.66 && style.fontWeight >= 700), text]);
  }
  return found;
}"""


def contrasts(page: "Page") -> list[tuple[float, bool, str]]:
    """How each text stands out: its ratio, whether it is large, and the text."""
    found: list[Any] = page.evaluate(CONTRASTS)
    return [(ratio, large, text) for ratio, large, text in found]
