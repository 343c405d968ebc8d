"""Diagrams of docs/pictures: boxes, and arrows with words between them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from math import hypot

from batchcredit.transfer import MOVES, Event, State

#: What only corrections of verdicts, restored copies and shared ledgers do; docs/ARCHITECTURE.md has it all.
RARE = {
    Event.RETRACT,
    Event.RESTORE,
    Event.LATE_CREDIT,
    Event.LATE_REFUSAL,
    Event.LATE_MISS,
}

_WIDTH = 880
_BOX_WIDTH, _BOX_HEIGHT = 128, 40

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

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes by their names, each with the place of its middle; arrows by the boxes that they join."""

    title: str
    height: int
    boxes: Mapping[str, Point]
    arrows: Mapping[tuple[str, str], str]
    #: How far the middle of an arrow is from the straight line, to the right of its way.
    bends: Mapping[tuple[str, str], float] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)

    def svg(self) -> str:
        """For light and dark; a reader that sees nothing is told the title."""
        return "\n".join(self._parts())

    def _parts(self) -> Iterator[str]:
        size = f'viewBox="0 0 {_WIDTH} {self.height}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">'
        yield f'<title id="title">{escape(self.title)}</title>'
        yield f"<style>{_STYLE}</style>"
        yield (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 8 4 0 8Z"/></marker></defs>'
        )
        yield f'<rect class="page" width="{_WIDTH}" height="{self.height}"/>'
        for joined in self.arrows:
            yield f'<path d="{self._curve(*joined)[0]}" marker-end="url(#tip)"/>'
        for joined, words in self.arrows.items():  # above all lines
            x, y = self._curve(*joined)[1]
            yield f'<text class="event" x="{x:.0f}" y="{y + 4:.0f}">{escape(words)}</text>'
        for name, (x, y) in self.boxes.items():
            left, top, colour = x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2, self.colours.get(name, "")
            yield (
                f'<rect class="{colour}" x="{left:.0f}" y="{top:.0f}" width="{_BOX_WIDTH}" '
                f'height="{_BOX_HEIGHT}" rx="6"/><text x="{x}" y="{y + 5}">{escape(name)}</text>'
            )
        yield "</svg>\n"

    def _curve(self, before: str, after: str) -> tuple[str, Point]:
        """From the edge of one box to that of another, and the place of its words."""
        (x1, y1), (x2, y2) = self.boxes[before], self.boxes[after]
        bend = 2 * self.bends.get((before, after), 0) / hypot(x2 - x1, y2 - y1)
        control = (x1 + x2) / 2 + (y1 - y2) * bend, (y1 + y2) / 2 + (x2 - x1) * bend
        start, end = _edge((x1, y1), control), _edge((x2, y2), control)
        x, y = ((a + 2 * c + b) / 4 for a, b, c in zip(start, end, control, strict=True))
        moves = [f"{a:.0f} {b:.0f}" for a, b in (start, control, end)]
        return f"M{moves[0]}Q{moves[1]} {moves[2]}", (x, y)


def _edge(middle: Point, towards: Point) -> Point:
    """Where a line from the middle of a box leaves it."""
    (x, y), (dx, dy) = middle, (towards[0] - middle[0], towards[1] - middle[1])
    shares = [(_BOX_WIDTH / 2 + 2) / abs(dx)] if dx else []
    shares += [(_BOX_HEIGHT / 2 + 2) / abs(dy)] if dy else []
    share = min(shares)
    return x + dx * share, y + dy * share


def states() -> str:
    """The states of a transfer, an arrow for each way from one to another; from the table of moves."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (before, event), after in MOVES.items():
        if event not in RARE:
            arrows[before.value, after.value].append(event.value)
    return Diagram(
        title="The states of a transfer, and what moves it from one to another",
        height=480,
        boxes={
            State.PENDING.value: (270, 200),
            State.SENDING.value: (530, 200),
            State.CREDITED.value: (790, 60),
            State.IN_DOUBT.value: (790, 200),
            State.REJECTED.value: (790, 340),
            State.INVALID.value: (80, 200),
            State.ALREADY_CREDITED.value: (270, 60),
            State.UNSENT.value: (270, 340),
            State.CANCELLED.value: (270, 440),
        },
        arrows={joined: ", ".join(events) for joined, events in arrows.items()},
        bends={
            ("sending", "pending"): 40,
            ("in_doubt", "pending"): 105,
            ("pending", "unsent"): -36,
            ("unsent", "pending"): -36,
            ("rejected", "pending"): -30,
            ("pending", "cancelled"): 150,
        },
        colours={"credited": "good", "in_doubt": "doubt", "rejected": "bad"},
    ).svg()


def flow() -> str:
    """The way of a file, as a person sees it."""
    return Diagram(
        title="Your file is checked, you agree, each row is written to the ledger, sent once, and reported",
        height=290,
        boxes={
            "your file": (90, 60),
            "you agree": (330, 60),
            "ledger": (560, 60),
            "provider": (790, 60),
            "bad rows": (90, 230),
            "results": (330, 230),
            "to fix": (560, 230),
            "in doubt": (790, 230),
        },
        arrows={
            ("your file", "you agree"): "check",
            ("your file", "bad rows"): "invalid",
            ("you agree", "ledger"): "run",
            ("ledger", "provider"): "sent once",
            ("provider", "ledger"): "answer",
            ("ledger", "results"): "every row",
            ("ledger", "to fix"): "refused",
            ("ledger", "in doubt"): "no answer",
            ("to fix", "ledger"): "resume",
            ("in doubt", "ledger"): "reconcile",
        },
        bends={
            ("ledger", "provider"): -26,
            ("provider", "ledger"): -26,
            ("ledger", "to fix"): 36,
            ("to fix", "ledger"): 36,
            ("ledger", "in doubt"): -24,
            ("in doubt", "ledger"): -24,
        },
        colours={"results": "good", "in doubt": "doubt", "to fix": "bad", "bad rows": "bad"},
    ).svg()
