"""What a person sees while rows are on their way: on screens of all sizes, and where nobody watches."""

import json
import re
import signal
from collections.abc import Callable

import pytest
from command_line import CommandLine, Sandbox, wait_for
from terminal import CTRL_C, screen

FAST = {"rate": "20/s", "timeout": 10}


def rows_of(lanes: dict[str, int]) -> list[tuple[object, ...]]:
    """So many rows for each profile; some clients of each are unknown."""
    money = {"clicksend": ("2.50", "USD"), "fastmessage": ("20.25", "KES")}
    return [
        (profile, _account(profile, number), *money[profile])
        for profile, rows in lanes.items()
        for number in range(rows)
    ]


def _account(profile: str, number: int) -> str:
    if profile == "clicksend":
        return f"{number + 1}0404" if number % 7 == 3 else f"{number + 1000}"
    return f"closed{number}" if number % 7 == 3 else f"jane{number}"


@pytest.fixture
def slow(shop: CommandLine, sandbox: Sandbox) -> CommandLine:
    """The shop, with a limit to each lane."""
    shop.configure(sandbox.address, sandbox.login, clicksend=FAST, fastmessage=FAST | {"rate": "600/min"})
    return shop


def begins(*words: str) -> Callable[[list[str]], object]:
    """Whether these stand one after another in a line of the screen."""
    pattern = re.compile(r"\s+".join(words))
    return lambda rows: any(pattern.search(row) for row in rows)


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
def test_bars_on_a_screen(size: tuple[int, int], slow: CommandLine) -> None:
    """Each lane has its rows, its rate against its limit, its amounts; no line is wrapped, none is left."""
    path = slow.write("march.csv", rows_of({"clicksend": 160, "fastmessage": 50}))
    with screen(slow, "run", path, "--yes", "--batch", "march", size=size) as person:
        known = person.until(begins(r"clicksend\s+█*░*\s*\d+/160.*\d+ s left"))
        assert any(re.search(r"^fastmessage\s+█*░*\s*\d+/50", row) for row in known)
        assert any(re.search(r"\d+\.\d/20 per s", row) for row in known)
        assert any(re.search(r"/600 per min", row) for row in known)
        assert any(re.search(r"\d refused, [\d.]+ USD credited", row) for row in known)
        assert any(re.search(r"^all: \d+ of 210 rows, \d+ s left$", row) for row in known)
        assert sum(row.startswith("clicksend ") and "/160" in row for row in known) == 1
        assert person.end() == 1
        assert not any("░" in row or "left" in row for row in person.rows)


def test_a_screen_that_becomes_narrower(slow: CommandLine) -> None:
    """After it, each lane stands there once, and the command ends as ever."""
    path = slow.write("march.csv", rows_of({"clicksend": 100}))
    with screen(slow, "run", path, "--yes", size=(120, 30)) as person:
        person.until(begins(r"clicksend\s+.*\d+ s left"))
        person.resize(70, 24)
        person.until(lambda rows: any(row.startswith("clicksend") and 60 < len(row) < 70 for row in rows))
        assert person.end() == 1


def test_a_pause_counts_down(slow: CommandLine, sandbox: Sandbox) -> None:
    """What the provider asks for is shown as it passes."""
    sandbox.control.set(retry_after_s=4)
    path = slow.write("march.csv", rows_of({"clicksend": 30}))
    with screen(slow, "run", path, "--yes") as person:
        person.until(begins(r"clicksend .*\d+/30"))
        sandbox.control.script("*", ["status_429"])
        for left in (4, 3, 2):
            person.until(begins(rf"paused by the provider: {left} s"))
        assert person.end() == 1


def test_steps_before_and_after(slow: CommandLine) -> None:
    """Also where nothing is sent yet something is said: of what is done, and with how many rows."""
    path = slow.write("march.csv", [("clicksend", 1000 + n, "1", "USD") for n in range(40_000)])
    with screen(slow, "run", path, "--yes", "--limit", 1) as person:
        assert person.end(60) == 4
        written = person.written.decode()
    for said in ("reading march.csv", "comparing the rows with the ledger", "own balance", "entering rows"):
        assert said in written
    assert re.search(r"writing march-[0-9a-f]{8}.results.csv: [\d,]+ of 40,000 rows", written)
    assert not any("writing" in row or "entering" in row for row in person.rows)


@pytest.mark.parametrize(
    ("env", "shows"),
    [
        ({"LANG": "C", "NO_COLOR": "1"}, "#"),
        ({"LANG": "", "LC_ALL": "en_US.UTF-8"}, "█"),
    ],
)
def test_terminals_without_such_letters(env: dict[str, str], shows: str, slow: CommandLine) -> None:
    """Bars are made of what the terminal's locale has; NO_COLOR leaves them, and takes the colours."""
    path = slow.write("march.csv", rows_of({"clicksend": 30}))
    with screen(slow, "run", path, "--yes", env=env) as person:
        person.until(begins(rf"clicksend\s+{shows}+"))
        assert person.end() == 1
        assert person.written.isascii() == (shows == "#")
        assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]m", person.written)) == ("NO_COLOR" not in env)


def test_a_terminal_that_can_only_scroll(slow: CommandLine) -> None:
    """TERM=dumb gets lines, and nothing that moves a cursor."""
    path = slow.write("march.csv", rows_of({"clicksend": 10}))
    with screen(slow, "run", path, "--yes", env={"TERM": "dumb"}) as person:
        assert person.end() == 1
        assert b"\x1b" not in person.written


def test_whoever_is_killed_leaves_the_terminal_as_it_was(slow: CommandLine) -> None:
    """The cursor is there, at the start of a line below the bars."""
    path = slow.write("march.csv", rows_of({"clicksend": 100}))
    with screen(slow, "run", path, "--yes") as person:
        person.until(begins(r"clicksend .*[1-9]\d*/100"))
        person.signal(signal.SIGKILL)
        assert person.end() == -signal.SIGKILL
        assert b"\x1b[?25l" not in person.written
        assert person.cursor_column == 0


def test_a_stop_is_shown(slow: CommandLine) -> None:
    """Ctrl-C says what happens now; the bars go and the summary stays."""
    path = slow.write("march.csv", rows_of({"clicksend": 100}))
    with screen(slow, "run", path, "--yes", size=(160, 40)) as person:
        person.until(begins(r"clicksend .*[1-9]\d*/100"))
        person.type(CTRL_C)
        assert person.end() == 4
        text = "\n".join(person.rows)
        assert "stopping: what is in flight is heard out" in text
        assert "resume march" in text


def test_progress_as_json(slow: CommandLine) -> None:
    """An event a lane soon after the start, with all that a bar shows."""
    path = slow.write("march.csv", rows_of({"clicksend": 200}))
    running = slow.start("run", path, "--yes", "--log-format", "json")
    wait_for(lambda: '"progress"' in running.stderr)
    running.signal(signal.SIGINT)
    ended = running.end()
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    (progress,) = [line for line in told if line["event"] == "progress"]
    assert (progress["profile"], progress["rows"], progress["limit"]) == ("clicksend", 200, "20/s")
    assert progress["left"] == 200 - progress["done"]
    assert progress.keys() >= {"state", "credited", "refused", "in_doubt", "requests_per_s", "seconds_left"}
