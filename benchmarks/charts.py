"""The two charts: how fast each tool is, and how many clients it pays twice."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import altair
import vl_convert

from benchmarks.table import ToolLine, figure

INK = "#1f2328"
FAINT = "#d1d9e0"
OURS = "#0969da"
OTHERS = "#8c959f"

#: Where a page is dark its own colours are the wrong ones; a picture on GitHub is asked too.
DARK = {INK: "#e6edf3", FAINT: "#30363d", OURS: "#58a6ff", OTHERS: "#768390"}

#: A browser's letters are wider than those that the labels were measured with.
PADDING = {"left": 26, "right": 12, "top": 12, "bottom": 12}

WIDTH = 460
BAR = 22
FEWEST_SHOWN = 10.0
POWERS = [10, 100, 1_000, 10_000, 100_000]


def speed_chart(lines: Sequence[ToolLine]) -> str:
    """Rows per second by tool on a log scale, a panel for each width; SVG."""
    rows = [
        _bar(line.tool, statistics.median(speed.sending)) | {"panel": f"{speed.concurrency} at a time"}
        for line in lines
        for speed in line.speeds
    ]
    rows = [row | {"from": FEWEST_SHOWN} for row in rows]
    scale = altair.Scale(type="log", domainMin=FEWEST_SHOWN, nice=False)
    axis = altair.Axis(values=POWERS, format=",")
    return _svg(rows, "Rows per second while sending (log scale)", scale, axis, facet="panel")


def payment_chart(lines: Sequence[ToolLine]) -> str:
    """Clients paid twice, by tool; SVG."""
    known = [(line.tool, line.payments) for line in lines if line.payments]
    rows = [_bar(tool, payments.twice) for tool, payments in known]
    clients = max((payments.clients for _, payments in known), default=0)
    title = f"Clients paid twice, of {clients:,}: 1 % of the answers lost, killed once, started again"
    return _svg([row | {"from": 0.0} for row in rows], title, altair.Scale(domainMin=0), altair.Axis())


def _bar(tool: str, value: float) -> dict[str, Any]:
    return {"tool": tool, "value": value, "label": figure(value), "ours": tool == "batchcredit"}


def _svg(
    rows: Sequence[Mapping[str, Any]], title: str, scale: altair.Scale, axis: altair.Axis, facet: str = ""
) -> str:
    order = list(dict.fromkeys(row["tool"] for row in rows))
    base = altair.Chart(altair.InlineData(values=list(rows))).encode(
        y=altair.Y("tool:N", sort=order, title=None),
        x=altair.X("value:Q", scale=scale, axis=axis, title=None),
    )
    color = altair.condition("datum.ours", altair.value(OURS), altair.value(OTHERS))
    bars = base.mark_bar(size=BAR - 8).encode(x2="from:Q", color=color)
    labels = base.mark_text(align="left", dx=5, color=INK).encode(text="label:N")
    chart: Any = altair.layer(bars, labels).properties(width=WIDTH, height=altair.Step(BAR))
    if facet:
        chart = chart.facet(row=altair.Row(f"{facet}:N", title=None, sort=_panels(rows, facet)))
    drawn = vl_convert.vegalite_to_svg(_styled(chart.properties(title=title)).to_dict())
    return _with_dark_colours(drawn)


def _panels(rows: Sequence[Mapping[str, Any]], facet: str) -> list[str]:
    return list(dict.fromkeys(row[facet] for row in rows))


def _styled(chart: Any) -> Any:
    axis = {"labelColor": INK, "domain": False, "ticks": False, "labelLimit": 300, "labelFontSize": 12}
    return (
        chart.configure(background="transparent", font="sans-serif", padding=PADDING)
        .configure_axis(**axis, gridColor=FAINT)
        .configure_axisY(grid=False)
        .configure_view(stroke=None)
        .configure_title(color=INK, anchor="start", fontSize=14)
        .configure_text(fontSize=12)
        .configure_header(labelColor=INK, labelFontSize=12, labelOrient="top", labelAnchor="start")
    )


def _with_dark_colours(svg: str) -> str:
    rules = "".join(
        f'[{what}="{light}"]{{{what}:{dark}}}' for light, dark in DARK.items() for what in ("fill", "stroke")
    )
    head, closed, rest = svg.partition(">")
    return f"{head}{closed}<style>@media (prefers-color-scheme: dark){{{rules}}}</style>{rest}\n"
