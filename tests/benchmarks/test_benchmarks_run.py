"""The benchmarks work from end to end, with few rows: real tools, real provider, real files."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import payments, processes, throughput
from benchmarks.__main__ import write
from benchmarks.bench import QUICK, Bench
from benchmarks.machine import machine
from benchmarks.table import Results
from benchmarks.tools import HTTPX, OURS, Tool

TINY = replace(QUICK, tool_share=0.005, payment_rows=80)
ABSENT = Tool("absent", "nothing", lambda job: [], 100, lambda: "not installed (by nobody)")
TOOLS = (OURS, HTTPX, ABSENT)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Two tools and an absent one, fast and under faults."""
    bench = Bench(tmp_path_factory.mktemp("bench"), TINY, Results("python -m benchmarks --quick", machine()))
    throughput.measure(bench, TOOLS)
    payments.measure(bench, TOOLS)
    return bench


def test_each_tool_is_measured_at_each_width(bench: Bench) -> None:
    """Rates are above zero, and the absent one has none."""
    speeds = {name: line.speeds for name, line in bench.results.tools.items()}
    for name in (OURS.name, HTTPX.name):
        assert [speed.concurrency for speed in speeds[name]] == [64, 512]
        assert all(min(speed.sending) > 0 and speed.cpu_us_per_row > 0 for speed in speeds[name])
    assert speeds["absent"] == []


def test_the_oracle_tells_who_pays_twice(bench: Bench) -> None:
    """A script that is killed pays again what was in flight; we do not."""
    ours, script = (bench.results.tools[name].payments for name in (OURS.name, HTTPX.name))
    assert ours is not None
    assert script is not None
    assert ours.twice == 0
    assert ours.left_open >= ours.never
    assert script.twice > 0
    assert script.never == 0


def test_table_and_charts_are_written(bench: Bench, tmp_path: Path) -> None:
    """Markdown, JSON and SVG: whole, and without a path of this machine."""
    write(bench, tmp_path / "out")
    texts = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert texts.keys() == {"results.md", "results.json", "rows_per_s.svg", "paid_twice.svg"}
    assert "absent: **not installed (by nobody)**" in texts["results.md"]
    assert {line["tool"] for line in json.loads(texts["results.json"])["tools"]} == {
        tool.name for tool in TOOLS
    }
    for name in ("rows_per_s.svg", "paid_twice.svg"):
        shown = "".join(ElementTree.fromstring(texts[name]).itertext())
        assert OURS.name in shown
        assert HTTPX.name in shown
    for text in texts.values():
        assert str(bench.folder) not in text
        assert str(processes.ROOT) not in text


def test_a_failing_tool_is_told(tmp_path: Path) -> None:
    """A figure of a tool that went wrong would be a lie."""
    with pytest.raises(RuntimeError, match="ended with 7"):
        processes.run([sys.executable, "-c", "raise SystemExit(7)"], tmp_path)


def test_a_process_that_ends_too_early_is_told(tmp_path: Path) -> None:
    """Who was not killed did not show what becomes of a kill."""
    with pytest.raises(RuntimeError, match="before it was killed"):
        processes.kill_when([sys.executable, "-c", ""], tmp_path, lambda: False)
