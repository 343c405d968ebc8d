"""What limits, and how it is told."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from batchcredit.console.bench import shown
from batchcredit.runner.bench import Bench, Limit, Measured, rehearsing
from batchcredit.runner.summary import Speed, Summary
from batchcredit.sandbox import SandboxAddress
from batchcredit.settings import Rate, default_profile


def measured(
    rows_per_s: float,
    *,
    rows: int = 1000,
    rate: str = "",
    latency_s: float = 0.0,
    kept: bool = False,
    in_doubt: int = 0,
) -> Measured:
    """A run of `rows` with 10 at a time."""
    seconds = rows / rows_per_s
    speed = Speed(seconds, rows, Counter({7: rows}))
    counts = {"credited": rows - in_doubt, "in_doubt": in_doubt}
    reasons = {"timeout": in_doubt} if in_doubt else {}
    summary = Summary("bench", rows, counts, reasons, {}, None, speed, None)
    limit = Rate(Decimal(rate), 1) if rate else None
    profile = replace(default_profile("clicksend"), rate=limit, concurrency=10)
    return Measured(profile, latency_s, kept, summary, cpu_s=seconds / 2)


@pytest.mark.parametrize(
    ("one", "limit"),
    [
        (measured(900), Limit.MACHINE),
        (measured(900, rate="10"), Limit.RATE),
        (measured(900, rate="2000"), Limit.MACHINE),
        (measured(9.9, rate="10", kept=True), Limit.RATE),
        (measured(95, latency_s=0.1), Limit.LATENCY),
        (measured(95, latency_s=0.1, rate="10"), Limit.RATE),
        (measured(60, latency_s=0.1), Limit.MACHINE),
        (measured(54, rows=11, latency_s=0.1), Limit.LATENCY),  # two waves, the second of one row
    ],
)
def test_the_first_ceiling_that_is_reached_limits(one: Measured, limit: Limit) -> None:
    """The rate before the latency, the latency before the machine; a last wave may be small."""
    assert one.limit is limit


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            measured(900),
            "this machine is the limit, with 50% of a core in this process: 1,000 rows take about a second; "
            "no rate is set",
        ),
        (
            measured(900, rate="2000"),
            "this machine is the limit, with 50% of a core in this process: 1,000 rows take about a second; "
            "the rate of 2000/s would allow more",
        ),
        (
            measured(900, rate="10"),
            "the rate of 10/s will be the limit: 1,000 rows take about 2 minutes; "
            "this machine could send 900/s. "
            "10 at a time keep that up as long as an answer takes less than 1 s",
        ),
        (
            measured(95, rate="10", latency_s=0.1),
            "the rate of 10/s will be the limit: 1,000 rows take about 2 minutes; "
            "this machine could send 95/s when an answer takes 100 ms",
        ),
        (
            measured(9.9, rate="10", kept=True),
            "the rate of 10/s was kept and is the limit: 1,000 rows take about 2 minutes",
        ),
        (
            measured(95, latency_s=0.1),
            "the latency is the limit: 10 at a time and 100 ms for each make 100.0/s at the most; "
            "more at a time make more",
        ),
        (
            measured(95, in_doubt=3),
            "not every row was credited (3 timeout), so its figures say little",
        ),
    ],
)
def test_each_limit_has_its_sentence(one: Measured, said: str) -> None:
    """One plain sentence for a profile, and a next command."""
    lines = shown(Bench([one], [], 1, None)).splitlines()
    assert lines[-2] == f"clicksend: {said}"
    assert lines[-1] == "next: batchcredit check FILE, which tells how long a file takes"


def test_the_transport_stays_though_the_proxy_goes() -> None:
    """Nothing leads through a proxy any more, but what it costs to be able to is measured; a CA file and the
    profile's own form of files are left out."""
    own = default_profile("clicksend")
    proxied = replace(own, proxy=SecretStr("http://10.0.0.1:3128"), ca_file=Path("ca.pem"), currency="AUD")
    address = SandboxAddress("127.0.0.1", 8080)
    played = rehearsing(proxied, address)
    assert (played.wire_url, played.proxy, played.ca_file) == (address.clicksend_url, None, None)
    assert (played.uses_httpx, rehearsing(own, address).uses_httpx) == (True, False)
    assert played.currency is None


def test_profiles_are_added_up() -> None:
    """Rows, seconds, latencies, counts and reasons of all of them; the exit code is the worst."""
    whole = Bench([measured(100), measured(50, in_doubt=3)], [], 1, None).whole
    assert (whole.rows, whole.speed.rows, whole.speed.seconds) == (2000, 2000, 30)
    assert (whole.counts["credited"], whole.counts["in_doubt"], whole.reasons) == (1997, 3, {"timeout": 3})
    assert whole.speed.latencies == {7: 2000}
    assert whole.exit_code == 3
