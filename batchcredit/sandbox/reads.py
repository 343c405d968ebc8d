"""What both providers can be asked without moving money."""

import json
from math import ceil
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchcredit.sandbox import clicksend, fastmessage
from batchcredit.sandbox.answers import Answer, html_answer, retry_headers
from batchcredit.sandbox.clicksend import NO_ENDPOINT, UNAUTHORIZED, ClickSend, envelope
from batchcredit.sandbox.fastmessage import FastMessage
from batchcredit.sandbox.json_text import parse_object
from batchcredit.sandbox.simulation import Simulation
from batchcredit.sandbox.transfers import BODY_BYTES

_PAGE_ROWS = (15, 100)
_PREFIX = "/clicksend/v3"


def response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.status, headers, answer.content_type.decode())


class ClickSendReads:
    """The reseller's own account and those of its clients."""

    def __init__(self, simulation: Simulation, dialect: ClickSend) -> None:
        self._simulation = simulation
        self._dialect = dialect

    def routes(self) -> list[Route]:
        return [
            Route(f"{_PREFIX}/account", self.own_account, methods=["GET"]),
            Route(f"{_PREFIX}/reseller/accounts", self.accounts, methods=["GET"]),
            Route(f"{_PREFIX}/reseller/accounts/{{client}}", self.account, methods=["GET"]),
            Route(
                f"{_PREFIX}/{{path:path}}", self.nowhere, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]
            ),
        ]

    async def own_account(self, request: Request) -> Response:
        login = self._dialect.login(request.headers.raw)
        if login is None:
            return response(UNAUTHORIZED.answer)
        found = _found("Here's your account", self._dialect.own_account(login))
        return response(self._limited(login, found))

    def _limited(self, login: str, found: Answer) -> Answer:
        """`found`, unless this login asked too often for its own account."""
        settings = self._simulation.settings
        if not settings.account_rate_limit:
            return found
        grant = self._simulation.windows.take(
            (clicksend.KIND, login, "account"),
            settings.account_rate_limit,
            settings.rate_window_s,
            monotonic(),
        )
        headers = self._dialect.rate_headers(grant)
        if grant.allowed:
            return found._replace(headers=headers)
        return self._dialect.throttled(headers + retry_headers(settings.retry_after_form, grant.reset_s))

    async def account(self, request: Request) -> Response:
        login = self._dialect.login(request.headers.raw)
        if login is None:
            return response(UNAUTHORIZED.answer)
        client = request.path_params["client"]
        if not clicksend.is_account(client):
            return response(NO_ENDPOINT)
        account = self._simulation.accounts.account(clicksend.KIND, login, client)
        if account.state == "unknown":
            return response(envelope(404, "NOT_FOUND", "The client was not found."))
        return response(_found("Here is your client.", self._dialect.shown(client, account)))

    async def accounts(self, request: Request) -> Response:
        login = self._dialect.login(request.headers.raw)
        if login is None:
            return response(UNAUTHORIZED.answer)
        page = _whole(request.query_params.get("page", "1"), 1, 10**9)
        limit = _whole(request.query_params.get("limit", str(_PAGE_ROWS[0])), *_PAGE_ROWS)
        if page is None or limit is None:
            wrong = {"limit": ["The limit must be between 15 and 100, the page 1 or more."]}
            return response(envelope(400, "BAD_REQUEST", "The request is invalid.", wrong))
        return response(envelope(200, "SUCCESS", "Here are your clients.", self._page(login, page, limit)))

    async def nowhere(self, request: Request) -> Response:
        if request.url.path in {
            clicksend.TRANSFER_PATH,
            f"{_PREFIX}/account",
            f"{_PREFIX}/reseller/accounts",
        }:
            return response(envelope(405, "METHOD_NOT_ALLOWED", "Method not allowed."))
        return response(NO_ENDPOINT)

    def _page(self, login: str, page: int, limit: int) -> dict[str, Any]:
        names = self._simulation.accounts.listed(clicksend.KIND, login)
        start = (page - 1) * limit
        shown = names[start : start + limit]
        last = max(ceil(len(names) / limit), 1)
        address = f"{_PREFIX}/reseller/accounts?page="
        return {
            "total": len(names),
            "per_page": limit,
            "current_page": page,
            "last_page": last,
            "next_page_url": f"{address}{page + 1}" if page < last else None,
            "prev_page_url": f"{address}{page - 1}" if page > 1 else None,
            "from": start + 1 if shown else None,
            "to": start + len(shown) if shown else None,
            "data": [self._row(login, name) for name in shown],
        }

    def _row(self, login: str, name: str) -> Any:
        account = self._simulation.accounts.account(clicksend.KIND, login, name)
        return json.loads(self._dialect.shown(name, account))


class FastMessageReads:
    """The partner's own units; no call of this provider reads a client's."""

    def __init__(self, dialect: FastMessage) -> None:
        self._dialect = dialect

    def routes(self) -> list[Route]:
        return [
            Route(fastmessage.BALANCE_PATH, self.balance, methods=["POST"]),
            Route(
                "/fastmessage/{path:path}", self.nowhere, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]
            ),
        ]

    async def balance(self, request: Request) -> Response:
        body = await bounded_body(request)
        fields = parse_object(body)
        if fields is None:
            return response(fastmessage.coded(200, 1009, "Unsupported data type"))
        refusal = self._dialect.stranger(fields)
        return response(refusal.answer if refusal else self._dialect.own_balance(fields["partnerID"]))

    async def nowhere(self, request: Request) -> Response:
        return response(html_answer(404, "404 Not Found"))


async def bounded_body(request: Request) -> bytes:
    """At most BODY_BYTES and one piece more; what is longer is cut, and so no JSON."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            break
    return body


def _found(message: str, client: str) -> Answer:
    return envelope(200, "SUCCESS", message, json.loads(client))


def _whole(text: str, low: int, high: int) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1
    return number if low <= number <= high else None
