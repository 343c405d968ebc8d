"""A small synchronous client of the control API, for tests and demos."""

import http.client
import json
from collections.abc import Iterable
from typing import Any

from batchcredit.sandbox.faults import Fault

_TIMEOUT_S = 30.0
_PAGE_ROWS = 10_000


class Control:
    """Each call is one request on a connection of its own. Raises OSError, or ValueError for a refusal."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def book(self, after: int = 0) -> list[dict[str, Any]]:
        """Every execution with a seq above `after`, in order; see `sandbox.book.Execution`."""
        return self._all("book", after)

    def arrivals(self, after: int = 0) -> list[dict[str, Any]]:
        """Every transfer request that arrived complete, in order; see `sandbox.book.Arrival`."""
        return self._all("arrivals", after)

    def accounts(self) -> list[dict[str, Any]]:
        """Every client that was named so far, with opening, balance and counts."""
        return self._all("accounts", 0)

    def totals(self) -> dict[str, Any]:
        return self._ask("GET", "totals")

    def settings(self) -> dict[str, Any]:
        """As they stand, without the logins, accounts and list."""
        return self._ask("GET", "settings")

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change some settings, from the next request on; Decimals may come as text."""
        return self._ask("PUT", "settings", settings)

    def script(self, account: str, faults: Iterable[Fault | str]) -> None:
        """Lay out faults for the next requests of `account` (`*`: whoever comes); "none" lets one through."""
        self._ask("POST", "faults", {"account": account, "faults": [str(fault) for fault in faults]})

    def clear_script(self) -> None:
        self._ask("DELETE", "faults")

    def refuse(self, seconds: float) -> None:
        """Nobody listens on the port for so long, and idle connections are closed; then all is as before."""
        self._ask("POST", "refuse", {"seconds": seconds})

    def _all(self, name: str, after: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while page := self._ask("GET", f"{name}?after={after}&limit={_PAGE_ROWS}")["rows"]:
            rows += page
            after = page[-1]["seq"]
        return rows

    def _ask(self, method: str, name: str, content: Any = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            body = None if content is None else json.dumps(content, default=str)
            connection.request(method, f"/_sandbox/{name}", body, {"connection": "close"})
            answer = connection.getresponse()
            said: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(said.get("error", f"the sandbox answered {answer.status}"))
        return said
