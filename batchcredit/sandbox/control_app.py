"""The control API under /_sandbox: what tests and demos ask and set. No provider has anything like it."""

import json
from typing import Any, Protocol

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchcredit.sandbox.accounts import Account
from batchcredit.sandbox.book import Arrival, Execution, page
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.simulation import Simulation

PAGE_ROWS = 10_000
CONTROL_BYTES = 64 * 1024 * 1024
REFUSE_S = 600.0
_MISUNDERSTOOD = (KeyError, TypeError, ValueError)


class Door(Protocol):
    def refuse(self, seconds: float) -> None:
        """Listen to nobody for so long, and let go whoever waits on an idle connection."""


class ControlDesk:
    """Each answer is taken in one step of the loop, so its numbers belong together."""

    def __init__(self, simulation: Simulation, door: Door) -> None:
        self._simulation = simulation
        self._door = door

    def app(self) -> Starlette:
        """The routes below /_sandbox; what cannot be understood is answered with 400 and the reason."""
        return Starlette(routes=self._routes(), exception_handlers=dict.fromkeys(_MISUNDERSTOOD, _refused))

    def _routes(self) -> list[Route]:
        return [
            Route("/book", self.book, methods=["GET"]),
            Route("/arrivals", self.arrivals, methods=["GET"]),
            Route("/accounts", self.accounts, methods=["GET"]),
            Route("/totals", self.totals, methods=["GET"]),
            Route("/settings", self.settings, methods=["GET", "PUT"]),
            Route("/faults", self.faults, methods=["POST", "DELETE"]),
            Route("/refuse", self.refuse, methods=["POST"]),
        ]

    async def book(self, request: Request) -> Response:
        return _rows(Execution, self._simulation.book.executions, request)

    async def arrivals(self, request: Request) -> Response:
        return _rows(Arrival, self._simulation.book.arrivals, request)

    async def accounts(self, request: Request) -> Response:
        """Every client that was named: opening, balance, counts."""
        after, limit = _slice(request)
        wanted = enumerate(self._simulation.accounts.named[after : after + limit], start=after + 1)
        return JSONResponse({"rows": [_account_row(seq, account) for seq, account in wanted]})

    async def totals(self, request: Request) -> Response:
        book = self._simulation.book
        accounts = self._simulation.accounts
        return JSONResponse(
            {
                "arrivals": book.arrived,
                "executions": book.executed,
                "sums": _nested((lane, f"{total:f}") for lane, total in book.sums.items()),
                "rejects": _nested(book.rejects.items()),
                "faults": dict(book.faults),
                "accounts": len(accounts.named),
                "repeated_count": len(accounts.repeated),
                "repeated": [_counts(account) for account in accounts.repeated[:PAGE_ROWS]],
                "wallets": [
                    {
                        "provider": kind,
                        "login": login,
                        "opening": f"{w.opening:f}",
                        "balance": f"{w.balance:f}",
                    }
                    for (kind, login), w in accounts.wallets()
                ],
            }
        )

    async def settings(self, request: Request) -> Response:
        if request.method == "PUT":
            self._simulation.change(await _json(request))
        settings = self._simulation.settings
        return JSONResponse(settings.model_dump(mode="json", exclude={"logins", "accounts", "listed"}))

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._simulation.script.clear()
            return JSONResponse({})
        wanted = await _json(request)
        faults = [None if name == "none" else Fault(name) for name in wanted["faults"]]
        self._simulation.script.add(str(wanted["account"]), faults)
        return JSONResponse({"scripted": len(faults)})

    async def refuse(self, request: Request) -> Response:
        seconds = float((await _json(request))["seconds"])
        if not 0 <= seconds <= REFUSE_S:
            raise ValueError(f"seconds is 0 to {REFUSE_S:.0f}")
        self._door.refuse(seconds)
        return JSONResponse({"seconds": seconds})


def _rows(kind: Any, rows: list[tuple[Any, ...]], request: Request) -> Response:
    return JSONResponse({"rows": [kind._make(row)._asdict() for row in page(rows, *_slice(request))]})


def _slice(request: Request) -> tuple[int, int]:
    after = max(int(request.query_params.get("after", "0")), 0)
    return after, min(max(int(request.query_params.get("limit", PAGE_ROWS)), 1), PAGE_ROWS)


def _account_row(seq: int, account: Account) -> dict[str, Any]:
    return _counts(account) | {
        "seq": seq,
        "state": account.state,
        "currency": account.currency,
        "opening": f"{account.opening:f}",
        "balance": f"{account.balance:f}",
    }


def _counts(account: Account) -> dict[str, Any]:
    return {
        "provider": account.lane.kind,
        "login": account.lane.login,
        "account": account.name,
        "arrivals": account.arrivals,
        "executions": account.executions,
    }


def _nested(items: Any) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for (outer, inner), value in items:
        nested.setdefault(outer, {})[inner] = value
    return nested


async def _json(request: Request) -> dict[str, Any]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > CONTROL_BYTES:
            raise ValueError("the body is too long")
    content = json.loads(body)
    if not isinstance(content, dict):
        raise TypeError("an object is expected")
    return content


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": _said(error)}, 400)


def _said(error: Exception) -> str:
    """pydantic's own text repeats the values, and one of them may be a secret."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
