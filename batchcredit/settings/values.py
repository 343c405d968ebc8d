"""The forms in which an operator writes a value, each turned into what it means or refused with the cure.

Every function here raises ValueError with a sentence that ends in what to write instead.
"""

import re
from decimal import Decimal
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from batchcredit.engine.limiter import Rate

_DURATION = re.compile(r"([0-9]{1,7})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 3650 * 86_400

_LATENCY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s)")
_LATENCY_MOST_S = 600

_RATE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)/(s|min|h)")
_PERIOD_S = {"s": 1, "min": 60, "h": 3600}

_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_PORTS = {"https": 443, "http": 80}


def nearest(word: str, known: list[str]) -> str:
    """The known word that was likely meant, or ""."""
    return next(iter(get_close_matches(word.lower(), known, n=1, cutoff=0.6)), "")


def duration_s(value: object) -> int:
    """`30s`, `15m`, `2h`, `6d`."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('it is no duration: write a whole number and s, m, h or d, such as "15m"')
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST_S:
        raise ValueError("it is longer than ten years: write a shorter time")
    return seconds


def latency_s(value: str) -> float:
    """`200ms`, `1.5s`."""
    found = _LATENCY.fullmatch(value)
    if found is None:
        raise ValueError('it is no latency: write a number and ms or s, such as "200ms"')
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
    if seconds > _LATENCY_MOST_S:
        raise ValueError("it is longer than ten minutes: write a shorter time")
    return seconds


def rate(value: object) -> Rate | None:
    """`10/s`, `20/min`, `0.5/h`; `none` is None."""
    if value == "none":
        return None
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not Decimal(found[1]):
        raise ValueError('it is no rate: write a number above 0 and /s, /min or /h, such as "10/s"')
    return Rate(Decimal(found[1]), _PERIOD_S[found[2]])


def number(value: object) -> object:
    """A number, or its text as an environment variable has it; `true` counts as 1 nowhere."""
    if isinstance(value, bool):
        raise ValueError("it is true or false: write a number")  # noqa: TRY004  pydantic reads ValueError
    return value


def limit(value: object) -> Decimal:
    """An amount above 0, as exact text or a whole number. A float has been rounded before we see it."""
    if isinstance(value, float):
        raise ValueError('it is not exact as a bare number: write it in quotes, such as "500.25"')  # noqa: TRY004
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _AMOUNT.fullmatch(text) or not Decimal(text):
        raise ValueError('it is no amount above 0: write digits in quotes, such as "500" or "0.25"')
    return Decimal(text)


def currency(value: object) -> str:
    """An ISO 4217 code."""
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise ValueError("it is no currency code: write three capitals, such as USD")
    return value


def thousands(value: object) -> str:
    """The one character that groups the digits of an amount."""
    if not isinstance(value, str) or len(value) != 1 or value.isalnum() or value in '.+-"\t\r\n\0':
        raise ValueError('it can not separate thousands: write one character, such as ","')
    return value


def timezone(value: object) -> ZoneInfo:
    """A name of the IANA time zone database."""
    if isinstance(value, str) and value in available_timezones():
        return ZoneInfo(value)
    likely = _nearest_zone(value) if isinstance(value, str) else ""
    cure = f"did you mean {likely}?" if likely else "write a name such as Africa/Nairobi, or UTC"
    raise ValueError(f"it is no time zone that this machine knows: {cure}")


def _nearest_zone(name: str) -> str:
    by_lower = {zone.lower(): zone for zone in sorted(available_timezones())}
    return by_lower.get(nearest(name, list(by_lower)), "")


def base_url(value: object) -> str:
    """https, or http to this machine itself; without user, query and fragment; in its one normal form."""
    parts = _split(value)
    if parts.scheme not in _PORTS:
        raise ValueError("it is no web address: write https:// and the host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user or a password: keep those in keys of their own")
    if parts.query or parts.fragment or str(value).endswith(("?", "#")):
        raise ValueError("it has a query or a fragment: end it before ? and #")
    host = _host(parts)
    if parts.scheme == "http" and not _is_loopback_host(host):
        raise ValueError("plain http is for this machine's own addresses only: write https://")
    return f"{parts.scheme}://{_authority(host, parts)}{parts.path.rstrip('/')}"


def proxy(value: object) -> str:
    """An http or https proxy, which may have a user and a password in it."""
    parts = _split(value)
    if parts.scheme not in _PORTS:
        raise ValueError("it is no proxy that can be used: write http:// or https:// and the host")
    _host(parts)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("it has a path: end it after the host and the port")
    return str(value)


def is_loopback(url: str) -> bool:
    """Whether this address can be no other machine: localhost, 127.0.0.0/8, ::1."""
    return _is_loopback_host((urlsplit(url).hostname or "").lower())


def _split(value: object) -> SplitResult:
    if not isinstance(value, str) or not value.isprintable() or not value.isascii() or " " in value:
        raise ValueError("it is no web address: write it in ASCII without spaces, beginning with https://")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its host or port can not be read: write https://host or https://host:port")
    return parts


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower().removesuffix(".")
    if ":" in host:
        return _ipv6(host)
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("it has no host that can be read: write https://host")
    return host


def _ipv6(host: str) -> str:
    try:
        return ip_address(host).compressed
    except ValueError:
        raise ValueError("its host is no IPv6 address: write it as https://[::1]") from None


def _authority(host: str, parts: SplitResult) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in (None, _PORTS[parts.scheme]) else f"{shown}:{parts.port}"


def _is_loopback_host(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    # ::ffff:127.0.0.1 and the like are left out: one way to write it is enough
    return address.is_loopback and (address.version == 4 or address.compressed == "::1")
