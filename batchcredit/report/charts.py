"""The charts of a report, as SVG in the page's own colours. Figures are rounded for drawing only."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import altair
from markupsafe import Markup

from batchcredit.report.drawing import drawn
from batchcredit.report.model import Latency, MoneyFigures, PauseFigures, RequestSeries
from batchcredit.transfer import STATUSES
from batchcredit.wording import visible

#: Each chart is drawn for wide pages and paper, and for narrow ones; the style sheet shows the one that fits.
_WIDTHS: Final[Mapping[str, int]] = {"wide": 920, "narrow": 310}
_HEIGHT: Final = 170
_PADDING: Final = {
    "left": 4,
    "top": 4,
    "bottom": 2,
    "right": 18,
}  # letters may be wider than the library thinks
_BAR: Final = 14
_BAND: Final = 44
_LONGEST_NAME: Final = 40

#: Room beside the first and the last bar of a log scale, as a factor.
_MARGIN: Final = 1.5

#: So many steps a chart shows at most. A step of a long one has so many units at the least, since each is
#: dated when it is written down, and leaves a moment later.
_STEPS: Final = 120
_CALM: Final = 5

_INK, _FAINT, _FILL, _LIMIT, _PAUSE = (
    "var(--ink)",
    "var(--line)",
    "var(--chart)",
    "var(--limit)",
    "var(--pause)",
)


class Step(NamedTuple):
    """So many requests of a lane began within `seconds` from `began`; `rate` is said as its limit is."""

    began: datetime
    seconds: float
    requests: int
    rate: float


@dataclass(frozen=True, slots=True)
class Pace:
    """The requests of one lane in one run, so many a `unit`: a minute where less than one a second may."""

    unit: str
    limit: float | None
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, series: RequestSeries) -> "Pace":
        """In steps that a chart can show."""
        per_s = None if series.limit_per_s is None else float(series.limit_per_s)
        unit, unit_s = ("minute", 60) if per_s is not None and per_s < 1 else ("second", 1)
        limit = None if per_s is None else per_s * unit_s
        return cls(unit, limit, tuple(_steps(series, unit_s)))

    @property
    def began(self) -> datetime:
        return self.steps[0].began

    @property
    def ended(self) -> datetime:
        return self.steps[-1].began + timedelta(seconds=self.steps[-1].seconds)

    @property
    def highest(self) -> float:
        return max(step.rate for step in self.steps)


def _steps(series: RequestSeries, unit_s: int) -> Iterator[Step]:
    """Steps of whole units: what was kept in each second must not look exceeded in half of one."""
    merged = _merged(series, unit_s * 1000)
    for first in range(0, len(series.counts), merged):
        counts = series.counts[first : first + merged]
        began = series.began + timedelta(milliseconds=series.width_ms) * first
        seconds = len(counts) * series.width_ms / 1000
        yield Step(began, seconds, sum(counts), sum(counts) * unit_s / max(seconds, unit_s))


def _merged(series: RequestSeries, unit_ms: int) -> int:
    """How many pieces make a step: where there is time enough, so many that a moment is not seen."""
    whole = math.lcm(series.width_ms, unit_ms) // series.width_ms
    fewest = math.ceil(len(series.counts) / _STEPS / whole)
    return whole * max(fewest, _CALM if len(series.counts) >= _CALM * _CALM * whole else 1)


def shares(money: Sequence[MoneyFigures]) -> Markup:
    """What became of the rows of each provider and currency, as shares of their rows."""
    found = [
        {"line": line, "status": status, "order": STATUSES.index(status), "rows": sum_.rows}
        for line, figures in enumerate(money)
        for status, sum_ in figures.by_status.items()
    ]
    names = [{"line": line, "name": _label(figures)} for line, figures in enumerate(money)]
    y = altair.Y("line:O", axis=None)
    colours = altair.Scale(domain=list(STATUSES), range=[f"var(--{status})" for status in STATUSES])
    bars = _of("found").mark_bar(size=_BAR, stroke="var(--paper)", strokeWidth=1)
    counted = bars.encode(
        x=altair.X(
            "rows:Q", stack="normalize", title=None, axis=altair.Axis(format="%", tickCount=5, grid=False)
        ),
        y=y,
        order=altair.Order("order:Q"),
        color=altair.Color("status:N", scale=colours, legend=None),
    )
    words = _of("names").mark_text(align="left", dx=1, dy=-_BAR, color=_INK, fontSize=12)
    above = words.encode(x=altair.value(0), y=y, text="name:N")
    return _drawn(altair.layer(counted, above), _BAND * len(names), found=found, names=names)


def pace(found: Pace, pauses: Sequence[PauseFigures], zone: ZoneInfo) -> Markup:
    """Requests over time, with the limit, and the pauses that the provider asked for."""
    began, ended = _wall(found.began, zone), _wall(found.ended, zone)
    steps = [{"at": _wall(step.began, zone).isoformat(), "rate": step.rate} for step in found.steps]
    steps.append({"at": ended.isoformat(), "rate": found.steps[-1].rate})
    top = max(found.highest, found.limit or 0.0, 1e-9) * 1.15
    x = altair.X(
        "at:T",
        title=None,
        scale=altair.Scale(type="utc", domain=[_date(began), _date(ended)]),
        axis=altair.Axis(
            format=_clock(ended - began), tickCount=altair.ExprRef("width < 400 ? 3 : 8"), grid=False
        ),
    )
    y = altair.Y(
        "rate:Q",
        title=f"requests a {found.unit}",
        scale=altair.Scale(domain=[0, top], nice=False),
        axis=altair.Axis(tickCount=5),
    )
    area = _of("steps").mark_area(
        interpolate="step-after", color=_FILL, fillOpacity=0.35, line={"color": _FILL, "strokeWidth": 1.2}
    )
    limits = [] if found.limit is None else [{"rate": found.limit, "name": f"limit {found.limit:g}"}]
    return _drawn(
        altair.layer(_bands(), area.encode(x=x, y=y), *_limits()),
        _HEIGHT,
        steps=steps,
        pauses=[_band(one, began, ended, zone) for one in pauses],
        limits=limits,
    )


def latency(found: Latency) -> Markup:
    """How many requests took how long, on a log scale, with the percentiles."""
    bars = [
        {"from": max(bucket.from_ms, 0.5), "below": max(bucket.below_ms, 1), "requests": bucket.requests}
        for bucket in found.buckets
    ]
    low, high = bars[0]["from"] / _MARGIN, bars[-1]["below"] * _MARGIN
    ticks = [2**power for power in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    scale = altair.Scale(type="log", base=2, domain=[low, high], nice=False)
    axis = altair.Axis(values=ticks, labelExpr=_MS_LABEL, grid=False, labelOverlap=True)
    counted = (
        _of("bars")
        .mark_rect(color=_FILL, fillOpacity=0.45, stroke=_FILL)
        .encode(
            x=altair.X("from:Q", scale=scale, axis=axis, title="how long a request took"),
            x2="below:Q",
            y=altair.Y("requests:Q", title="requests", axis=altair.Axis(tickCount=5, format=",")),
            y2=altair.datum(0),
        )
    )
    named = (("half", found.p50_ms), ("95 %", found.p95_ms), ("99 %", found.p99_ms))
    lines = [
        {"from": min(max(ms, low), high), "name": name, "line": number}
        for number, (name, ms) in enumerate(named)
    ]
    marks = _of("lines").encode(x=altair.X("from:Q", scale=scale))
    rules = marks.mark_rule(color=_INK, strokeDash=[3, 3])
    words = marks.mark_text(align="left", dx=4, color=_INK, fontSize=11).encode(
        text="name:N", y=altair.Y("line:Q", axis=None, scale=altair.Scale(domain=[12, -1]))
    )
    chart = altair.layer(altair.layer(counted, rules), words).resolve_scale(y="independent")
    return _drawn(chart, _HEIGHT, bars=bars, lines=lines)


_MS_LABEL: Final = "datum.value < 1000 ? datum.value + ' ms' : round(datum.value / 1000) + ' s'"


def _of(name: str) -> Any:
    """A chart of the values that `_drawn` gets under this name."""
    return altair.Chart(altair.NamedData(name=name))


def _bands() -> Any:
    x = altair.X("at:T", scale=altair.Scale(type="utc"))
    return _of("pauses").mark_rect(color=_PAUSE, opacity=0.25).encode(x=x, x2="until:T")


def _band(pause: PauseFigures, began: datetime, ended: datetime, zone: ZoneInfo) -> dict[str, str]:
    """As much of a pause as the chart has."""
    at, until = max(_wall(pause.began, zone), began), min(_wall(pause.until, zone), ended)
    return {"at": at.isoformat(), "until": until.isoformat()}


def _limits() -> tuple[Any, Any]:
    line = _of("limits")
    rule = line.mark_rule(color=_LIMIT, strokeDash=[6, 3], strokeWidth=1.5).encode(y="rate:Q")
    name = line.mark_text(color=_LIMIT, align="left", baseline="bottom", dx=4, dy=-2, fontSize=11)
    return rule, name.encode(x=altair.value(0), y="rate:Q", text="name:N")


def _label(figures: MoneyFigures) -> str:
    name = visible(f"{figures.provider} {figures.currency}".strip())
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows: the drawing library knows no zones."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _date(wall: datetime) -> altair.DateTime:
    return altair.DateTime(
        year=wall.year,
        month=wall.month,
        date=wall.day,
        hours=wall.hour,
        minutes=wall.minute,
        seconds=wall.second,
        milliseconds=wall.microsecond // 1000,
        utc=True,
    )


def _clock(length: timedelta) -> str:
    if length > timedelta(hours=20):
        return "%-d %b %H:%M"
    return "%H:%M" if length > timedelta(minutes=8) else "%H:%M:%S"


def _drawn(chart: Any, height: int, **values: Sequence[Mapping[str, object]]) -> Markup:
    """The chart at both widths, of these values."""
    common = _styled(chart).to_dict() | {"height": height, "datasets": values}
    return Markup("").join(drawn(common | {"width": width}, name) for name, width in _WIDTHS.items())


def _styled(chart: Any) -> Any:
    axis = {"labelColor": _INK, "titleColor": _INK, "labelFontSize": 11, "titleFontSize": 11}
    lines = {"gridColor": _FAINT, "domainColor": _FAINT, "tickColor": _FAINT, "titleFontWeight": "normal"}
    sized = chart.properties(autosize={"type": "fit", "contains": "padding"})
    styled = sized.configure(background="transparent", padding=_PADDING).configure_axis(**axis, **lines)
    return styled.configure_view(stroke=None)
