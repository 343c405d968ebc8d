"""What bench measured: a table and a sentence for each profile, or JSON."""

import os
from typing import Any

from batchcredit.console.base import spoken
from batchcredit.console.tables import table, text
from batchcredit.engine.meter import percentile
from batchcredit.runner.bench import Bench, Limit, Measured
from batchcredit.settings import Profile, Rate
from batchcredit.wording import in_words

_TITLES = ("profile", "at a time", "rows", "rows/s", "p50 ms", "p95 ms", "p99 ms", "CPU us/row")


def shown(bench: Bench) -> str:
    """For people: figures, what limits each profile, and the next command."""
    peak = f"peak memory {bench.peak_bytes / 1e6:,.0f} MB; the sandbox shared the {os.cpu_count()} cores"
    last = spoken(bench.next) if bench.next else "batchcredit check FILE, which tells how long a file takes"
    return text(
        table(_TITLES, map(_row, bench.measured)), peak, "", *map(_verdict, bench.measured), f"next: {last}"
    )


def _row(one: Measured) -> tuple[str, ...]:
    speed = one.summary.speed
    durations = (percentile(speed.latencies, part) for part in (0.50, 0.95, 0.99))
    latencies = ("" if ms is None else f"{ms}" for ms in durations)
    rows = (f"{one.profile.concurrency}", f"{speed.rows:,}", f"{one.rows_per_s:,.0f}")
    return (one.profile.name, *rows, *latencies, f"{one.cpu_us_per_row:,.0f}")


def _verdict(one: Measured) -> str:
    if one.summary.exit_code:
        ended = ", ".join(f"{number} {reason}" for reason, number in one.summary.reasons.items())
        return f"{one.profile.name}: not every row was credited ({ended}), so its figures say little"
    says = {Limit.RATE: _rate_limits, Limit.LATENCY: _latency_limits, Limit.MACHINE: _machine_limits}
    return f"{one.profile.name}: {says[one.limit](one)}"


def _rate_limits(one: Measured) -> str:
    rate, rows = one.profile.rate, one.summary.rows
    assert rate is not None
    takes = f"{rows:,} rows take {in_words(rows / rate.per_second)}"
    if one.rate_kept:
        return f"the rate of {rate} was kept and is the limit: {takes}"
    could = f"this machine could send {one.rows_per_s:,.0f}/s"
    if one.latency_s:
        could += f" when an answer takes {_ms(one.latency_s)}"
    else:
        could += f". {_patience(one.profile, rate)}"
    return f"the rate of {rate} will be the limit: {takes}; {could}"


def _patience(profile: Profile, rate: Rate) -> str:
    """How long an answer may take before the concurrency, and no longer the rate, is the limit."""
    longest_s = min(profile.timeout_s, profile.concurrency / rate.per_second)
    return (
        f"{profile.concurrency} at a time keep that up as long as an answer takes less than {longest_s:.2g} s"
    )


def _latency_limits(one: Measured) -> str:
    many, latency_s = one.profile.concurrency, one.latency_s
    return (
        f"the latency is the limit: {many} at a time and {_ms(latency_s)} for each make "
        f"{many / latency_s:,.1f}/s at the most; more at a time make more"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:g} ms"


def _machine_limits(one: Measured) -> str:
    speed, rate = one.summary.speed, one.profile.rate
    allowed = f"the rate of {rate} would allow more" if rate else "no rate is set"
    return (
        f"this machine is the limit, with {one.cpu_s / speed.seconds:.0%} of a core in this process: "
        f"{speed.rows:,} rows take {in_words(speed.seconds)}; {allowed}"
    )


def as_json(bench: Bench) -> dict[str, Any]:
    """The keys of the other commands for all profiles together, and an object for each of them."""
    return bench.whole.as_json() | {
        "batch": None,
        "peak_memory_mb": round(bench.peak_bytes / 1e6, 1),
        "cores": os.cpu_count(),
        "profiles": [_profile_as_json(one) for one in bench.measured],
        "skipped": list(bench.skipped),
    }


def _profile_as_json(one: Measured) -> dict[str, Any]:
    profile, summary = one.profile, one.summary.as_json()
    figures = ("rows", "counts", "reasons", "seconds", "rows_per_s", "latency_ms")
    return {
        "profile": profile.name,
        "kind": profile.kind,
        "transport": "httpx" if profile.uses_httpx else "direct",
        "concurrency": profile.concurrency,
        "rate": str(profile.rate) if profile.rate else None,
        "rate_kept": one.rate_kept,
        "simulated_latency_s": one.latency_s,
        **{key: summary[key] for key in figures},
        "cpu_us_per_row": round(one.cpu_us_per_row, 1),
        "limit": one.limit.value,
    }
