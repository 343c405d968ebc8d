"""Make the pictures of docs/pictures: `make pictures`. It takes tmux and a Chromium."""

import re
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import make_diagrams
import make_screens

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
import chromium

PICTURES = Path(__file__).parent / "pictures"

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
MONTH_END = datetime.fromisoformat("2026-03-31 09:20:00")

TITLES = {
    "running": "A terminal: a bar for each provider, with its rate, while a file is sent",
    "ended": "The same terminal at the end: how many are credited, who needs somebody, and the next command",
}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "states.svg").write_text(make_diagrams.states())
    (PICTURES / "flow.svg").write_text(make_diagrams.flow())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, shown in make_screens.rehearsal(work).items():
            (PICTURES / f"{name}.svg").write_text(make_screens.screen(shown, TITLES[name]))
        (PICTURES / "report.png").write_bytes(photographed(work / "report.html", folder))


def photographed(page: Path, folder: str) -> bytes:
    """The upper part of a page, as a reader at a desk sees it, with a user's places and times."""
    page.write_text(at_a_month_end(page.read_text().replace(folder, "/home/anna/topups")))
    with chromium.launched(chromium.find() or sys.exit(chromium.LEFT_OUT)) as browser:
        shown = browser.new_page(viewport={"width": 1100, "height": 1000}, reduced_motion="reduce")
        shown.goto(page.as_uri())
        return shown.screenshot()


def at_a_month_end(text: str) -> str:
    """The same times, as far from each other, with the first of them at a month end."""
    later = MONTH_END - min(map(datetime.fromisoformat, TIME.findall(text)))
    return TIME.sub(lambda found: f"{datetime.fromisoformat(found[0]) + later}", text)


if __name__ == "__main__":
    main()
