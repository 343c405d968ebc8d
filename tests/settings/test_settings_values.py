"""The forms in which an operator writes a value."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.settings import Limits, Settings, latency_s, rate
from batchcredit.settings.values import base_url, duration_s, is_loopback, limit, proxy, thousands, timezone

HOSTS = st.sampled_from(
    ["REST.Clicksend.com", "sms.example.co.ke", "a_b.example", "xn--bcher-kva.example", "[::2]"]
)
ZONES = [
    "UTC",
    "Africa/Nairobi",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/Havana",
]


@given(
    host=HOSTS,
    port=st.sampled_from(["", ":443", ":8443"]),
    path=st.sampled_from(["", "/", "/v3", "/v3/", "/A//"]),
)
def test_an_address_has_one_normal_form(host: str, port: str, path: str) -> None:
    """Case of the host, the default port and closing slashes make no other lane, and normalising is final."""
    normal = base_url(f"HTTPS://{host}{port}{path}")
    assert normal == base_url(normal)
    assert normal == f"https://{host.lower()}{port if port == ':8443' else ''}{path.rstrip('/')}"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://[::ffff:127.0.0.1]",
        "https://user@example.com",
        "https://:secret@example.com",
        "https://example.com?a=b",
        "https://example.com/v3?",
        "https://example.com#",
        "https://exa mple.com",
        "https://example.com\n",
        "https://b\u00fccher.example",
        "https://example.com:0",
        "https://example.com:99999",
        "https://",
        "https:///v3",
        "https://[::1",
        "ftp://example.com",
        "example.com",
        "",
        7,
    ],
)
def test_an_address_that_is_unsafe_or_unclear_is_refused(url: object) -> None:
    """Plain http elsewhere, credentials, queries and what can't be read stop the program."""
    with pytest.raises(ValueError, match=r"write|end it|keep"):
        base_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8080", True),
        ("http://127.8.9.1", True),
        ("https://[::1]:1", True),
        ("https://localhost.example.com", False),
        ("https://128.0.0.1", False),
        ("https://[::2]", False),
    ],
)
def test_loopback_is_this_machine_only(url: str, expected: bool) -> None:
    """Only addresses that can be no other machine count as loopback, and all of them may be plain http."""
    assert is_loopback(base_url(url)) is expected


@given(
    count=st.decimals(min_value="0.000001", max_value=999999, places=6),
    unit=st.sampled_from(["s", "min", "h"]),
)
def test_a_rate_is_kept_exactly(count: Decimal, unit: str) -> None:
    """What is written is what is meant, to the last digit, and can be written again."""
    read = rate(f"{count:f}/{unit}")
    assert read is not None
    assert read.exact_per_s == Fraction(count) / {"s": 1, "min": 60, "h": 3600}[unit]
    assert rate(str(read)) == read


@pytest.mark.parametrize(
    "value", ["0/s", "0.0/min", "-1/s", "10", "10/d", "1e3/s", "10 /s", "1/s ", "", 10, None, "None"]
)
def test_what_is_no_rate_is_refused(value: object) -> None:
    """A rate without a unit, of zero, or of another form stops the program."""
    with pytest.raises(ValueError, match="10/s"):
        rate(value)


@given(count=st.integers(0, 3650), unit=st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_a_duration_is_its_seconds(count: int, unit: tuple[str, int]) -> None:
    """Each unit stands for its seconds."""
    assert duration_s(f"{count}{unit[0]}") == count * unit[1]


@pytest.mark.parametrize("value", ["6", "6w", "-1d", "1.5h", "4000d", 6, True, "", "6 d", "\u0666d"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    """A number without a unit, or a time without end, stops the program."""
    with pytest.raises(ValueError, match="write"):
        duration_s(value)


@given(amount=st.decimals(min_value="0.01", max_value="999999999", places=2))
def test_a_limit_is_exact(amount: Decimal) -> None:
    """A limit's text is its value."""
    assert limit(f"{amount:f}") == amount


@pytest.mark.parametrize("value", [500.0, "0", 0, "-5", "1,000", "1e3", "NaN", True, None, "\u0665"])
def test_an_inexact_or_empty_limit_is_refused(value: object) -> None:
    """A float, which may have been rounded already, and a limit that allows nothing are refused."""
    with pytest.raises(ValueError, match="quotes"):
        limit(value)


@pytest.mark.parametrize("value", [".", "5", "", ",,", "-", "a", "\n", 5])
def test_only_a_plain_character_groups_thousands(value: object) -> None:
    """What could be part of a number does not group its digits."""
    with pytest.raises(ValueError, match="one character"):
        thousands(value)


@pytest.mark.parametrize("value", ["ftp://p", "http://p/path", "p:8080", "http://p?x"])
def test_what_is_no_proxy_is_refused(value: str) -> None:
    """A proxy is a host and a port."""
    with pytest.raises(ValueError, match=r"write|end it"):
        proxy(value)


@pytest.mark.parametrize(
    ("value", "likely"), [("africa/nairobi", "Africa/Nairobi"), ("Africa/Nairoby", "Africa/Nairobi")]
)
def test_a_misspelt_zone_is_answered_with_the_nearest(value: str, likely: str) -> None:
    """An unknown zone is refused with the one that was likely meant."""
    with pytest.raises(ValueError, match=f"did you mean {likely}"):
        timezone(value)


def settings_in(zone: str) -> Settings:
    """Settings of which only the zone matters."""
    none: MappingProxyType[str, Any] = MappingProxyType({})
    return Settings(None, None, 0, 0, 0, 0, ZoneInfo(zone), Limits(none, none, none, none), none)


@given(zone=st.sampled_from(ZONES), at_ms=st.integers(1_262_304_000_000, 1_893_456_000_000))
def test_a_day_begins_before_each_of_its_moments(zone: str, at_ms: int) -> None:
    """The start is never later, lies on the same date, and is the first moment of that date."""
    settings, zone_info = settings_in(zone), ZoneInfo(zone)
    start_ms = settings.day_start_ms(at_ms)

    def date(ms: int) -> object:
        return datetime.fromtimestamp(ms / 1000, zone_info).date()

    assert 0 <= at_ms - start_ms < 25.5 * 3_600_000
    assert date(start_ms) == date(at_ms)
    assert date(start_ms - 1) != date(at_ms)
    assert settings.day_start_ms(start_ms) == start_ms


@pytest.mark.parametrize(
    ("zone", "at", "start"),
    [
        # midnight does not exist on this day: the clocks went from 24:00 to 1:00
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z"),
        ("Africa/Cairo", "2024-04-26T12:00:00Z", "2024-04-25T22:00:00Z"),
        # midnight comes twice on this day: the clocks went from 1:00 back to 0:00
        ("America/Havana", "2023-11-05T12:00:00Z", "2023-11-05T04:00:00Z"),
    ],
)
def test_a_day_whose_midnight_is_missing_or_twice_begins_once(zone: str, at: str, start: str) -> None:
    """Where the clocks change at midnight, the day begins at its first moment."""
    at_ms, start_ms = (
        int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000) for text in (at, start)
    )
    assert settings_in(zone).day_start_ms(at_ms) == start_ms


@pytest.mark.parametrize(("text", "seconds"), [("200ms", 0.2), ("1.5s", 1.5), ("0ms", 0), ("600s", 600)])
def test_latencies(text: str, seconds: float) -> None:
    """Milliseconds or seconds, up to ten minutes."""
    assert latency_s(text) == seconds


@pytest.mark.parametrize("text", ["", "200", "ms", "-1s", "1m", "1 s", "1e3ms", "600.001s", "\u0661s"])
def test_what_is_no_latency(text: str) -> None:
    """Everything else is refused with a form that would do."""
    with pytest.raises(ValueError, match=r": write "):
        latency_s(text)
