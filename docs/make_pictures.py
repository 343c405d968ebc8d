"""Make the pictures of docs/pictures: `make pictures`.

The states are drawn from the table of moves; a test fails when that picture is stale.
"""

from collections import defaultdict
from collections.abc import Iterator
from html import escape
from math import hypot
from pathlib import Path

from batchcredit.transfer import MOVES, Event, State

PICTURES = Path(__file__).parent / "pictures"

#: What only corrections of verdicts, restored copies and shared ledgers do; docs/ARCHITECTURE.md has it all.
RARE = {
    Event.RETRACT,
    Event.RESTORE,
    Event.LATE_CREDIT,
    Event.LATE_REFUSAL,
    Event.LATE_MISS,
}

_WIDTH, _HEIGHT = 880, 480
_BOX_WIDTH, _BOX_HEIGHT = 128, 40

#: Where the middle of each state is.
_PLACES = {
    State.PENDING: (270, 200),
    State.SENDING: (530, 200),
    State.CREDITED: (790, 60),
    State.IN_DOUBT: (790, 200),
    State.REJECTED: (790, 340),
    State.INVALID: (80, 200),
    State.ALREADY_CREDITED: (270, 60),
    State.UNSENT: (270, 340),
    State.CANCELLED: (270, 440),
}

#: How far the middle of an arrow is from the straight line, to the right of its way.
_BENDS = {
    (State.SENDING, State.PENDING): 40,
    (State.IN_DOUBT, State.PENDING): 105,
    (State.PENDING, State.UNSENT): -36,
    (State.UNSENT, State.PENDING): -36,
    (State.REJECTED, State.PENDING): -30,
    (State.PENDING, State.CANCELLED): 150,
}

_COLOURS = {State.CREDITED: "good", State.IN_DOUBT: "doubt", State.REJECTED: "bad"}

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; text-anchor: middle }
.event { font-size: 12px; fill: #57606a; paint-order: stroke; stroke: #fff; stroke-width: 5px }
rect { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.3 }
rect.page { fill: #fff; stroke: none }
.good { fill: #dafbe1; stroke: #1a7f37 } .doubt { fill: #fff8c5; stroke: #9a6700 }
.bad { fill: #ffebe9; stroke: #cf222e }
path { fill: none; stroke: #57606a; stroke-width: 1.3 } marker path { fill: #57606a; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .event { fill: #9da7b1; stroke: #0d1117 }
rect { fill: #161b22; stroke: #9da7b1 } rect.page { fill: #0d1117 }
.good { fill: #12361e; stroke: #3fb950 } .doubt { fill: #3b2e06; stroke: #d29922 }
.bad { fill: #48191c; stroke: #f85149 }
path { stroke: #9da7b1 } marker path { fill: #9da7b1 }
}
"""


def states() -> str:
    """The states of a transfer as SVG, an arrow for each way from one to another."""
    arrows: dict[tuple[State, State], list[str]] = defaultdict(list)
    for (before, event), after in MOVES.items():
        if event not in RARE:
            arrows[before, after].append(event.value)
    return "\n".join(_drawing(arrows))


def _drawing(arrows: dict[tuple[State, State], list[str]]) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="title">'
    )
    yield '<title id="title">The states of a transfer, and what moves it from one to another</title>'
    yield f"<style>{_STYLE}</style>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8Z"/></marker></defs>'
    )
    yield f'<rect class="page" width="{_WIDTH}" height="{_HEIGHT}"/>'
    labels = []
    for (before, after), events in arrows.items():
        path, (x, y) = _arrow(before, after)
        yield f'<path d="{path}" marker-end="url(#tip)"/>'
        labels.append(f'<text class="event" x="{x:.0f}" y="{y + 4:.0f}">{escape(", ".join(events))}</text>')
    yield from labels
    for state, (x, y) in _PLACES.items():
        left, top = x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2
        yield (
            f'<rect class="{_COLOURS.get(state, "")}" x="{left:.0f}" y="{top:.0f}" width="{_BOX_WIDTH}" '
            f'height="{_BOX_HEIGHT}" rx="6"/><text x="{x}" y="{y + 5}">{state.value}</text>'
        )
    yield "</svg>\n"


def _arrow(before: State, after: State) -> tuple[str, tuple[float, float]]:
    """A curve from the edge of one box to that of another, and the place of its words."""
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    length = hypot(x2 - x1, y2 - y1)
    bend = 2 * _BENDS.get((before, after), 0) / length
    control = (x1 + x2) / 2 + (y1 - y2) * bend, (y1 + y2) / 2 + (x2 - x1) * bend
    start, end = _edge((x1, y1), control), _edge((x2, y2), control)
    middle = tuple((a + 2 * c + b) / 4 for a, b, c in zip(start, end, control, strict=True))
    points = " ".join(f"{value:.0f}" for value in (*start, *control, *end)).split()
    return f"M{points[0]} {points[1]}Q{' '.join(points[2:])}", (middle[0], middle[1])


def _edge(middle: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where a line from the middle of a box leaves it."""
    (x, y), (dx, dy) = middle, (towards[0] - middle[0], towards[1] - middle[1])
    shares = [(_BOX_WIDTH / 2 + 2) / abs(dx)] if dx else []
    shares += [(_BOX_HEIGHT / 2 + 2) / abs(dy)] if dy else []
    share = min(shares)
    return x + dx * share, y + dy * share


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "states.svg").write_text(states())


if __name__ == "__main__":
    main()
