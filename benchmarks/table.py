"""What was measured, as values; and the one table they become, as Markdown and as JSON."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """What is to be reached, or would be better still (`beyond`): a ratio of ours to theirs, or our value."""

    bound: float
    side: Literal["at least", "at most"]
    of: Literal["ratio", "value"] = "ratio"
    beyond: bool = False

    def __str__(self) -> str:
        sign = ">=" if self.side == "at least" else "<="
        return f"{sign} {self.bound:,g}{' x' if self.of == 'ratio' else ''}"

    def verdict(self, figure: float) -> str:
        """`met`, or by how much not."""
        is_met = figure >= self.bound if self.side == "at least" else figure <= self.bound
        if is_met:
            return "met"
        if not self.bound:
            return f"missed by {figure:,g}"
        return f"missed by {abs(figure / self.bound - 1):.1%}"


@dataclass(frozen=True)
class Measure:
    """One figure beside its peer, which is another tool, a smaller case, or the bound of what is possible.

    `ours` and `theirs` hold one value for each turn; they were taken in turns, and medians count.
    """

    name: str
    what: str
    unit: str
    ours: Sequence[float]
    peer: str
    theirs: Sequence[float]
    targets: Sequence[Target] = ()
    note: str = ""

    @property
    def our_median(self) -> float:
        return statistics.median(self.ours)

    @property
    def their_median(self) -> float:
        return statistics.median(self.theirs)

    @property
    def ratio(self) -> float | None:
        return self.our_median / self.their_median if self.their_median else None

    def judged(self, *, beyond: bool) -> list[str]:
        """Each target of one kind and whether it is met, or by how much not."""
        wanted = [target for target in self.targets if target.beyond is beyond]
        return [f"{target}: {target.verdict(self._figure(target))}" for target in wanted]

    def _figure(self, target: Target) -> float:
        if target.of == "value":
            return self.our_median
        if self.ratio is None:
            raise ValueError(f"{self.what}: no ratio to a peer of 0")
        return self.ratio


@dataclass(frozen=True)
class Speed:
    """Rows/s of one tool with so many at a time: while it sends, and over its whole process."""

    concurrency: int
    rows: int
    sending: Sequence[float]
    whole: Sequence[float]
    cpu_us_per_row: float


@dataclass(frozen=True)
class Payments:
    """What the provider's book says of one tool's clients after lost answers, a kill and a new start."""

    clients: int
    twice: int
    never: int
    left_open: int


@dataclass
class ToolLine:
    """One tool: how fast, and how it pays. `missing` says why there is nothing."""

    tool: str
    own_means: str
    speeds: list[Speed] = field(default_factory=list)
    payments: Payments | None = None
    missing: str = ""
    note: str = ""


@dataclass
class Results:
    """Everything that one run measured."""

    command: str
    machine: Mapping[str, str]
    measures: list[Measure] = field(default_factory=list)
    tools: dict[str, ToolLine] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """Measures that ended in an error: the table has a hole there, and says so."""

    def as_json(self) -> str:
        """The same as the Markdown, with the values of each turn."""
        measures = [asdict(measure) | _judgement(measure) for measure in self.measures]
        tools = [asdict(line) for line in self.tools.values()]
        whole = {"schema": 1, "command": self.command, "machine": dict(self.machine), "failed": self.failed}
        return json.dumps(whole | {"measures": measures, "tools": tools}, indent=2) + "\n"

    def as_markdown(self) -> str:
        """What was measured where, against what, and whether it is enough."""
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        parts = [f"# Measured\n\n`{self.command}`: {facts}\n"]
        if self.failed:
            parts.append(f"**Ended in an error, so not or not wholly measured: {', '.join(self.failed)}**\n")
        if self.measures:
            parts.append(_measures_table(self.measures))
        if self.tools:
            parts.append(_tools_table(list(self.tools.values())))
        return "\n".join(parts)


def _judgement(measure: Measure) -> dict[str, Any]:
    reached, beyond = measure.judged(beyond=False), measure.judged(beyond=True)
    return {"ratio": measure.ratio, "to_reach": reached, "beyond": beyond}


def _measures_table(measures: Sequence[Measure]) -> str:
    head = ("measure", "batchcredit", "beside it", "ratio", "to reach", "beyond that")
    notes = [f"- {measure.what}: {measure.note}" for measure in measures if measure.note]
    table = _table(head, map(_measure_cells, measures))
    return "\n".join(["## Beside its peers", "", *table, "", *notes, ""])


def _measure_cells(measure: Measure) -> tuple[str, ...]:
    ratio = "" if measure.ratio is None else f"{measure.ratio:.3g}"
    return (
        measure.what,
        f"{figure(measure.our_median)} {measure.unit}".strip(),
        f"{figure(measure.their_median)} {measure.unit}: {measure.peer}".replace(" :", ":"),
        ratio,
        "<br>".join(measure.judged(beyond=False)),
        "<br>".join(measure.judged(beyond=True)),
    )


def _tools_table(lines: Sequence[ToolLine]) -> str:
    widths = sorted({speed.concurrency for line in lines for speed in line.speeds})
    head = ("tool", *(f"rows/s, {width} at a time" for width in widths))
    head += ("paid twice", "never paid", "left open", "started again by")
    table = _table(head, (_tool_cells(line, widths) for line in lines))
    notes = [f"- {line.tool}: {line.note}" for line in lines if line.note]
    return "\n".join(["## The tools", "", *table, "", *notes, ""])


def _tool_cells(line: ToolLine, widths: Sequence[int]) -> tuple[str, ...]:
    tool = f"{line.tool}: **{line.missing}**" if line.missing else line.tool
    speeds = {speed.concurrency: f"{figure(statistics.median(speed.sending))}" for speed in line.speeds}
    paid = line.payments
    counts = (paid.twice, paid.never, paid.left_open) if paid else ()
    cells = tuple(f"{count:,} of {paid.clients:,}" for count in counts if paid) or ("", "", "")
    return (tool, *(speeds.get(width, "") for width in widths), *cells, line.own_means)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def figure(value: float) -> str:
    """Three digits that count, and no exponent."""
    if value and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"
