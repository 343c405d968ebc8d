"""Make the pictures of docs/pictures: `make pictures`. It takes tmux, and for the pages a Chromium."""

from pathlib import Path

import make_diagrams
import make_screens

PICTURES = Path(__file__).parent / "pictures"

TITLES = {
    "running": "A terminal: a bar for each provider, with its rate, while a file is sent",
    "ended": "The same terminal at the end: how many are credited, who needs somebody, and the next command",
}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "states.svg").write_text(make_diagrams.states())
    (PICTURES / "flow.svg").write_text(make_diagrams.flow())
    for name, shown in make_screens.rehearsal().items():
        (PICTURES / f"{name}.svg").write_text(make_screens.screen(shown, TITLES[name]))


if __name__ == "__main__":
    main()
