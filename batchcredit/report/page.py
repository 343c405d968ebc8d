"""The page of a report: one HTML file that needs no network, lets no text of a stranger run, and prints.

It may use its own style and script and nothing else: a policy in it names both by their hashes.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from batchcredit.report import charts, figures
from batchcredit.report.headline import headline
from batchcredit.report.model import (
    FROM_LEDGER,
    TEST,
    MoneyFigures,
    NeedsSomeone,
    PauseFigures,
    Report,
    RequestSeries,
)
from batchcredit.report.statuses import SHOWN, URGENCY
from batchcredit.transfer import STATUSES

#: So many charts of a kind; the others are named in words.
_DRAWN: Final = 12

#: So many things to do are listed above the rows.
_TASKS: Final = 12

#: A page that is shown while rows are sent asks for itself again so often.
_REFRESH_MS: Final = 5_000


#: What the templates say figures with.
_FUNCTIONS: Final[tuple[Callable[..., str], ...]] = (
    figures.exact,
    figures.quantity,
    figures.signed,
    figures.as_typed,
    figures.when,
    figures.duration,
    figures.milliseconds,
)


class Renderer(Protocol):
    """What draws a report. `live`: the page asks its server for itself again, every few seconds."""

    def __call__(self, report: Report, *, live: bool = False) -> str: ...


class Task(NamedTuple):
    """What a person does about so many of the rows that are shown."""

    status: str
    sentence: str
    rows: int


@dataclass(frozen=True, slots=True)
class Step:
    """What to type once these are done; "" where no command helps."""

    command: str
    tasks: tuple[Task, ...]

    @property
    def lead(self) -> str:
        """What comes before it, where it takes a file back."""
        mends = all(task.status in ("rejected", "invalid") for task in self.tasks)
        if not mends or not self.command:
            return ""
        if self.command.startswith("batchcredit results "):
            return "Their list is not there any more; this writes it again:"
        return "When the rows of this file are corrected:"


@dataclass(frozen=True, slots=True)
class NeedRow:
    """A row that needs somebody, and where it stands when the table is sorted by one of its columns."""

    row: NeedsSomeone
    ranks: Mapping[str, int]
    command: str  # "" where it is listed above the table


@dataclass(frozen=True, slots=True)
class PaceFigure:
    """Requests over time of one lane in one run, with the pauses in it, drawn."""

    series: RequestSeries
    pace: charts.Pace
    pauses: tuple[PauseFigures, ...]
    drawing: Markup


def render(report: Report, *, live: bool = False) -> str:
    """The whole page as text, to be written as UTF-8."""
    style, script = _asset("style.css"), _asset("page.js")
    if live:
        script += _asset("live.js")
    zone = ZoneInfo(report.zone)
    steps = _steps(report.needs)
    return _template().render(
        report=report,
        live=live,
        refresh_ms=_REFRESH_MS,
        policy=_policy(style, script, live=live),
        style=style,
        script=script,
        headline=headline(report),
        zone=zone,
        statuses=[status for status in STATUSES if report.counts.get(status)],
        money=_money(report),
        shared=_shared(report),
        places=_places(report),
        steps=steps,
        needs=_need_rows(report.needs, {step.command for step in steps}),
        drawn=_DRAWN,
        shares=charts.shares(_money(report)[:_DRAWN]),
        paces=[_pace(report, series, zone) for series in report.series[:_DRAWN] if series.counts],
        latencies=[
            (latency, charts.latency(latency)) for latency in report.latencies[:_DRAWN] if latency.buckets
        ],
    )


def _policy(style: Markup, script: Markup, *, live: bool) -> str:
    """Content-Security-Policy: this style, this script, and where the page is live its own server."""
    own = f"style-src {_hash(style)}; script-src {_hash(script)}; img-src data:"
    connect = "; connect-src 'self'" if live else ""
    return f"default-src 'none'; {own}{connect}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> Markup:
    return Markup(files("batchcredit.report").joinpath("templates", name).read_text(encoding="utf-8"))  # noqa: S704 - ours


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("batchcredit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=figures.fit,
    )
    environment.globals.update(shown=SHOWN, TEST=TEST, FROM_LEDGER=FROM_LEDGER)
    environment.globals.update({function.__name__: function for function in _FUNCTIONS})
    return environment.get_template("page.html")


def _places(report: Report) -> dict[str, int]:
    """By currency, with how many decimals its amounts line up."""
    places: dict[str, int] = {}
    for money in (*report.totals, *_money(report)):
        amounts = (money.asked.amount, *(found.amount for found in money.by_status.values()))
        places[money.currency] = max(places.get(money.currency, 0), figures.aligned(amounts))
    return places


def _money(report: Report) -> list[MoneyFigures]:
    return [money for lane in report.lanes for money in lane.money]


def _shared(report: Report) -> list[MoneyFigures]:
    """The totals of currencies that several providers have."""
    used = Counter(money.currency for money in _money(report))
    return [total for total in report.totals if used[total.currency] > 1]


def _pace(report: Report, series: RequestSeries, zone: ZoneInfo) -> PaceFigure:
    pace = charts.Pace.of(series)
    pauses = tuple(
        one
        for one in report.pauses
        if one.provider == series.provider and one.until > pace.began and one.began < pace.ended
    )
    return PaceFigure(series, pace, pauses, charts.pace(pace, pauses, zone))


def _steps(needs: Sequence[NeedsSomeone]) -> list[Step]:
    """What there is to do, the most urgent first."""
    counted = Counter((need.command, need.status, need.next_step) for need in needs)
    steps: dict[str, list[Task]] = {}
    for (command, status, sentence), rows in islice(counted.items(), _TASKS):
        steps.setdefault(command, []).append(Task(status, sentence, rows))
    return [Step(command, tuple(tasks)) for command, tasks in steps.items()]


def _need_rows(needs: Sequence[NeedsSomeone], listed: set[str]) -> Iterator[NeedRow]:
    keys: Mapping[str, list[tuple[Any, ...]]] = {
        "client": [(need.account.casefold(), need.provider) for need in needs],
        "amount": [_by_value(need) for need in needs],
        "status": [(URGENCY.index(need.status), need.reason) for need in needs],
        "sent": [(need.sent_at is None, need.sent_at or 0) for need in needs],
    }
    ranks = {name: _ranks(column) for name, column in keys.items()}
    for place, need in enumerate(needs):
        own = {name: column[place] for name, column in ranks.items()} | {"row": need.row}
        yield NeedRow(need, own, "" if need.command in listed else need.command)


def _by_value(need: NeedsSomeone) -> tuple[Any, ...]:
    """Numbers by value, and what is no number behind them."""
    value = figures.value_of(need.amount)
    return (1, need.amount) if value is None else (0, value)


def _ranks(keys: Sequence[tuple[Any, ...]]) -> list[int]:
    """The place of each key among all of them: exact, whatever they are made of."""
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    return [places[key] for key in keys]
