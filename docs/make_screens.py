"""Screens of docs/pictures: what a terminal shows of a real run, in a real terminal."""

import re
import shutil
import subprocess
import sys
import time
from html import escape
from io import StringIO
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

#: Colours of a terminal: background, foreground, the eight, the eight bright ones. None stands there twice,
#: so that the styles of both pictures have the same names.
_LIGHT = (
    "ffffff 1f2328",
    "24292f cf222e 116329 7d4e00 0969da 8250df 1b7c83 6e7781",
    "57606a a40e26 1a7f37 9a6700 218bff a475f9 3192aa 8c959f",
)
_DARK = (
    "0d1117 e6edf3",
    "484f58 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf b1bac4",
    "6e7681 ffa198 56d364 e3b341 79c0ff d2a8ff 56d4dd f0f6fc",
)

_SCREEN = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
role="img" aria-label="TITLE">
<style>
.page {{ fill: #f6f8fa }}
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
font-size: {char_height}px }}
{styles}
@media (prefers-color-scheme: dark) {{
.page {{ fill: #0d1117 }}
IN_THE_DARK
}}
</style>
<defs>{lines}</defs>
<rect class="page" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, 24)"><g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""

#: A terminal, in characters, and the file that is sent in it.
_COLUMNS, _LINES = 110, 32
_SAMPLE = Path(__file__).parents[1] / "samples" / "month_end.csv"
_SETTINGS = Path(__file__).parents[1] / "samples" / "batchcredit.toml"


def screen(shown: str, title: str) -> str:
    """What a terminal shows, with its colours as escapes, as SVG for light and dark."""
    dark = _exported(shown, _DARK, "{styles}")
    return _exported(shown, _LIGHT, _SCREEN.replace("TITLE", escape(title))).replace("IN_THE_DARK", dark)


def _exported(shown: str, colours: tuple[str, str, str], form: str) -> str:
    console = Console(
        record=True, width=_COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(shown), end="")
    (background, foreground), normal, bright = (
        [tuple(bytes.fromhex(colour)) for colour in line.split()] for line in colours
    )
    theme = TerminalTheme(background, foreground, normal, bright)
    return console.export_svg(theme=theme, code_format=form, unique_id="t")


def rehearsal(work: Path) -> dict[str, str]:
    """What a terminal shows of a rehearsal, in its middle and at its end, by the pictures' names.

    `work` is an empty folder; the report of the batch is in it afterwards, as report.html.
    """
    shutil.copy(_SAMPLE, work / "month_end.csv")
    shutil.copy(_SETTINGS, work / "batchcredit.toml")
    with _Tmux(work) as terminal:
        terminal.type("batchcredit run month_end.csv --sandbox")
        terminal.wait_for("type the number of rows")
        terminal.type("320")
        time.sleep(14)
        running = terminal.shown()
        terminal.wait_for("next: ", timeout_s=60)
        ended = terminal.shown()
        terminal.type("clear; batchcredit report month_end --sandbox --out report.html && echo written")
        terminal.wait_for("\nwritten", timeout_s=60)
        return {"running": running, "ended": ended}


class _Tmux:
    """A terminal with a shell in it, in a home of its own."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def __enter__(self) -> Self:
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        home = [f"{name}={self._work}" for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")]
        shell = ["env", "-i", *home, f"PATH={path}", "TERM=tmux-256color", "LANG=C.UTF-8", "PS1=$ ", "sh"]
        self._ask("new-session", "-d", "-x", str(_COLUMNS), "-y", str(_LINES), "-c", str(self._work), *shell)
        return self

    def __exit__(self, *error: object) -> None:
        self._ask("kill-server")

    def type(self, text: str) -> None:
        """A line, and Enter."""
        self._ask("send-keys", "-l", text)
        self._ask("send-keys", "Enter")

    def shown(self) -> str:
        """The lines of the screen with their colours; places of this machine are a user's."""
        text = self._ask("capture-pane", "-p", "-e").rstrip()
        return re.sub(re.escape(str(self._work)), "/home/anna/topups", text)

    def wait_for(self, text: str, timeout_s: float = 20) -> None:
        """Until it is on the screen."""
        deadline = time.monotonic() + timeout_s
        while text not in self._ask("capture-pane", "-p"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} was not shown:\n{self.shown()}")
            time.sleep(0.1)

    def _ask(self, *words: str) -> str:
        argv = ["tmux", "-S", str(self._work / "tmux"), "-f", "/dev/null", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout
