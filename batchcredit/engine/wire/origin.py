"""Where a base_url leads: from its text to what a dial and a Host header need."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """`host` is what is dialled and what the certificate must name; `path` goes before every request's."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, base_url: str) -> "Origin":
        """Raises ValueError for what is no http(s) address."""
        parts = urlsplit(base_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("not an http or https address")
        path = parts.path.rstrip("/")
        return cls(parts.scheme, _ascii(parts.hostname), parts.port or _PORTS[parts.scheme], path)

    @property
    def authority(self) -> str:
        """As the Host header has it (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def _ascii(host: str) -> str:
    return host if host.isascii() else idna.encode(host, uts46=True).decode()
