"""A client that does nothing by itself: one connection, one request, whatever comes back."""

import base64
import http.client
import json
from types import TracebackType
from typing import Any, NamedTuple, Self

from batchcredit.sandbox import SandboxAddress

TRANSFER = "/clicksend/v3/reseller/transfer-credit"
CREDIT = "/fastmessage/api/services/credit"
JSON = {"content-type": "application/json"}


class Heard(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def basic(username: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()}


class Line:
    """One connection to a sandbox; the balance is given as JSON text, so that no digit is lost on the way."""

    def __init__(self, address: SandboxAddress, timeout_s: float = 10.0) -> None:
        self._connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Heard:
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        return Heard(answer.status, answer.headers, answer.read())

    def clicksend(
        self,
        account: str,
        balance: str = "1",
        currency: str = "USD",
        login: tuple[str, str] = ("shop", "key"),
    ) -> Heard:
        body = f'{{"balance": {balance}, "client_user_id": {account}, "currency": "{currency}"}}'
        return self.ask("PUT", TRANSFER, body, JSON | basic(*login))

    def fastmessage(self, child: str, amount: str = "1", login: tuple[str, str] = ("7", "key")) -> Heard:
        body = {"apikey": login[1], "partnerID": login[0], "childID": child, "amount": amount}
        return self.ask("POST", CREDIT, json.dumps(body), JSON)

    def transfer(self, kind: str, account: str) -> Heard:
        return self.clicksend(account) if kind == "clicksend" else self.fastmessage(account)

    def read(self, path: str, login: tuple[str, str] = ("shop", "key")) -> Heard:
        return self.ask("GET", "/clicksend/v3" + path, headers=basic(*login))
