"""Progress for people: a bar for each lane where a terminal has room for it, elsewhere one sentence."""

from collections.abc import Sequence

from rich.text import Text

from batchcredit.console.progress import Standing, all_left_s
from batchcredit.engine.lane import LaneState
from batchcredit.engine.limiter import Rate
from batchcredit.wording import in_money, visible

#: A bar is so long at the most, and left out where there is no room for one of the other length.
BAR_MOST, BAR_LEAST = 40, 6

#: What a bar is made of, and where a terminal may know only ASCII.
BLOCKS, ASCII = ("█", "░"), ("#", "-")

_GAP = "  "
_STYLES = {
    LaneState.SENDING: "green",
    LaneState.PAUSED: "yellow",
    LaneState.PROBING: "yellow",
    LaneState.SHORT: "yellow",
    LaneState.CAREFUL: "yellow",
    LaneState.HALTED: "red",
}
_PERIODS = {1: "s", 60: "min", 3600: "h"}


def lines(standings: Sequence[Standing], width: int, height: int, marks: tuple[str, str]) -> list[Text]:
    """What stands on a screen: two lines a lane or more, one where there is no room, and those that are
    through left out where there is no room for one either."""
    total = [_total(standings)] if len(standings) > 1 else []
    shown = [line for group in _groups(standings, width, marks) for line in group]
    if len(shown) + len(total) > height:
        shown = [group[0] for group in _groups(standings, width, marks, short=True)]
    if len(shown) + len(total) > height:
        most = max(0, height - len(total) - 1)
        first = sorted(range(len(shown)), key=lambda number: not standings[number].goes_on)[:most]
        rest = Text(f"and {len(shown) - most} more lanes", "dim")
        shown = [*(shown[number] for number in sorted(first)), rest]
    return [*shown, *total][:height]


def counted(what: str, rows: int, of: int) -> str:
    """What is being done, and how far it is."""
    if of:
        return f"{what}: {rows:,} of {of:,} rows"
    return f"{what}: {rows:,} rows" if rows else what


def sentence(standings: Sequence[Standing]) -> str:
    """The same in one line of plain text, with everything in it."""
    return "; ".join(map(_told, standings)) + _all_told(standings)


def _all_told(standings: Sequence[Standing]) -> str:
    return f"; {_total(standings).plain}" if len(standings) > 1 else ""


def _told(one: Standing) -> str:
    parts = [f"{one.done:,} of {one.rows:,} rows", _rate(one), *_events(one), f"{one.left:,} left"]
    return f"{one.profile}: " + ", ".join(filter(None, [*parts, _time(one)]))


def _groups(
    standings: Sequence[Standing], width: int, marks: tuple[str, str], *, short: bool = False
) -> list[list[Text]]:
    names = [one.profile for one in standings]
    counts = [f"{one.done:,}/{one.rows:,}" for one in standings]
    rates = [_rate(one) for one in standings]
    times = [_brief(one) if short else _time(one) for one in standings]
    columns = [_padded(names, left=True), _padded(counts), _padded(rates), _padded(times, left=True)]
    has_rate = width - _taken(columns) - len(_GAP) >= BAR_LEAST
    if not has_rate:
        columns.pop(2)
    bar = min(BAR_MOST, width - _taken(columns) - len(_GAP))
    groups = []
    for one, *cells in zip(standings, *columns, strict=True):
        if bar >= BAR_LEAST:
            cells.insert(1, _bar(one, bar, marks))
        head = Text(_GAP.join(cells).rstrip())
        head.highlight_words([marks[0]], _STYLES[one.state])
        groups.append([head, *_wrapped(_events(one) if has_rate else [_rate(one), *_events(one)], width)])
    return groups


def _padded(cells: Sequence[str], *, left: bool = False) -> list[str]:
    width = max(map(len, cells))
    return [cell.ljust(width) if left else cell.rjust(width) for cell in cells]


def _taken(columns: Sequence[Sequence[str]]) -> int:
    return sum(len(column[0]) for column in columns) + len(_GAP) * (len(columns) - 1)


def _bar(one: Standing, length: int, marks: tuple[str, str]) -> str:
    full = length * min(one.done, one.rows) // one.rows if one.rows else length
    return marks[0] * full + marks[1] * (length - full)


def _wrapped(phrases: Sequence[str], width: int) -> list[Text]:
    """Phrases in as few lines as they need, none of them broken."""
    found: list[str] = []
    for phrase in phrases:
        if found and len(found[-1]) + len(phrase) + 3 <= width:
            found[-1] += f", {phrase}"
        else:
            found.append(f"{_GAP}{phrase}")
    return [Text(line, "dim") for line in found]


def _events(one: Standing) -> list[str]:
    """What became of its rows, the most urgent first."""
    said = [
        _state(one),
        f"{one.in_doubt:,} in doubt" if one.in_doubt else "",
        f"{one.refused:,} refused" if one.refused else "",
        *(f"{in_money(amount)} {visible(currency)} credited" for currency, amount in one.credited.items()),
    ]
    return [phrase for phrase in said if phrase]


def _state(one: Standing) -> str:
    pause = brief_time(one.pause_s) if one.pause_s else ""
    match one.state:
        case LaneState.HALTED:
            return f"halted: {' '.join(visible(one.why).split())}"
        case LaneState.PROBING:
            return f"unreachable: next try in {pause}" if pause else "unreachable: trying one row"
        case LaneState.SHORT:
            return "own account is empty: waiting for funds"
        case LaneState.PAUSED:
            return f"paused by the provider: {pause}"
    if one.stopping:
        return "stopping: what is in flight is heard out"
    return "one at a time after a doubtful answer" if one.state is LaneState.CAREFUL else ""


def _brief(one: Standing) -> str:
    """The most urgent of it in a few words."""
    if one.state is LaneState.PAUSED:
        return f"paused {brief_time(one.pause_s)}"
    if one.state is not LaneState.SENDING:
        return one.state.value
    return f"{one.in_doubt:,} in doubt" if one.in_doubt else _time(one)


def _rate(one: Standing) -> str:
    """Requests lately, in the unit of the lane's limit."""
    if one.rate is None:
        return f"{_figure(one.per_s)} per s"
    # answers come in less even steps than requests leave, and those keep to the limit
    per_period = None if one.per_s is None else min(one.per_s * one.rate.period_s, float(one.rate.count))
    return f"{_figure(per_period)}/{_limit(one.rate)}"


def _limit(rate: Rate) -> str:
    return f"{rate.count:f} per {_PERIODS[rate.period_s]}"


def _figure(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:.1f}" if number < 99.95 else f"{number:,.0f}"


def _time(one: Standing) -> str:
    if not one.left:
        return "done"
    return f"{brief_time(one.left_s)} left" if one.goes_on and one.left_s is not None else ""


def _total(standings: Sequence[Standing]) -> Text:
    done, rows = sum(one.done for one in standings), sum(one.rows for one in standings)
    left_s = all_left_s(standings)
    time = f", {brief_time(left_s)} left" if left_s else ""
    return Text(f"all: {done:,} of {rows:,} rows{time}")


def brief_time(seconds: float) -> str:
    """A duration in few letters: 42 s, 12 min, 1 h 03 min, 2 d 5 h."""
    whole = round(seconds)
    if whole < 100:
        return f"{max(1, whole)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    if minutes < 2880:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{hours // 24} d {hours % 24} h"
