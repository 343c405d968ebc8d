"""Fast Message's side of a transfer: `POST /api/services/credit`, stated from the vendor's own page."""

import json
import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from math import ceil
from typing import Any

from batchcredit.sandbox.accounts import EXACT, Account
from batchcredit.sandbox.answers import Answer, Headers, Refusal, html_answer, json_answer, retry_headers
from batchcredit.sandbox.book import Order
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.json_text import WireNumber, parse_object, wire_text
from batchcredit.sandbox.names import folded
from batchcredit.sandbox.simulation import Grant, Simulation

KIND = "fastmessage"
TRANSFER_PATH = "/fastmessage/api/services/credit"
BALANCE_PATH = "/fastmessage/api/services/getbalance"
CURRENCY = "KES"

_AMOUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,2})?")
_CENTS = Decimal("0.01")
_ROUNDING = {"half_up": ROUND_HALF_UP, "down": ROUND_DOWN, "up": ROUND_UP}
_INVALID_CHILD = "The child acount is invalid. Kindly verify the details"


def coded(status: int, code: int, description: str) -> Answer:
    return json_answer(status, {"response-code": code, "response-description": description})


_FAILING = {
    Fault.STATUS_401: coded(401, 1006, "Invalid credentials"),
    Fault.STATUS_403: html_answer(403, "403 Forbidden"),
    Fault.STATUS_404: html_answer(404, "404 Not Found"),
    Fault.STATUS_500_BEFORE: coded(500, 1007, "System error"),
    Fault.STATUS_500_AFTER: coded(500, 1007, "System error"),
    Fault.STATUS_503: html_answer(503, "503 Service Temporarily Unavailable"),
}


class FastMessage:
    """Takes transfers for any partner and any client that the settings let in."""

    method = "POST"
    path = TRANSFER_PATH

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def read(self, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[Order, Refusal | None]:
        fields = parse_object(body)
        if fields is None:
            return Order(KIND, "", "", "", "", CURRENCY), self._refusal(1009, "Unsupported data type")
        child = wire_text(fields.get("childID"))
        amount = wire_text(fields.get("amount"))
        order = Order(KIND, wire_text(fields.get("partnerID")), child, folded(child), amount, CURRENCY)
        return order, self.stranger(fields) or self._malformed(fields, order)

    def stranger(self, fields: dict[str, Any]) -> Refusal | None:
        """Why these credentials are not let in, on any call."""
        partner, key = wire_text(fields.get("partnerID")), wire_text(fields.get("apikey"))
        if not partner:
            return self._refusal(4091, "No partner ID is set")
        if not key:
            return self._refusal(4092, "No API KEY was provided")
        logins = self._simulation.settings.logins
        if logins is not None and logins.get(partner) != key:
            return self._refusal(1006, "Invalid credentials")
        return None

    def execute(self, order: Order, arrived_at: float, fault: str) -> Answer | Refusal:
        simulation = self._simulation
        account = simulation.accounts.account(KIND, order.login, order.key)
        units = self._units(Decimal(order.amount))
        refusal = self._refused(order, account, units)
        if refusal is not None:
            return refusal
        before = self._shown_balance(order, account)
        simulation.move(order, account, units, units, arrived_at, fault)
        return _success(order.login, before, units, self._shown_balance(order, account))

    def own_balance(self, partner: str) -> Answer:
        balance = self._simulation.accounts.wallet(KIND, partner).balance
        return json_answer(
            200, {"response-code": 200, "credit": _two_decimals(balance), "partner-id": partner}
        )

    def failing(self, fault: Fault) -> Answer:
        if fault is Fault.STATUS_429:
            settings = self._simulation.settings
            return self.throttled(retry_headers(settings.retry_after_form, ceil(settings.retry_after_s)))
        return _FAILING[fault]

    def throttled(self, headers: Headers) -> Answer:
        return html_answer(429, "429 Too Many Requests")._replace(headers=headers)

    def rate_headers(self, grant: Grant) -> Headers:
        return ()

    def mangled(self, fault: Fault, answer: Answer) -> Answer:
        if fault is Fault.INNER_ERROR:
            return coded(200, 4090, "Internal error, please try again after 5 minutes")
        content = json.loads(answer.body)
        if content["response-code"] != 200:
            return answer
        if fault is Fault.WRONG_USER:
            content["response-description"] = content["response-description"].replace(
                "Partner ID ", "Partner ID 9"
            )
        else:
            content["new-balance"] = _two_decimals(Decimal(content["new-balance"]) + 1)
        return json_answer(200, content)

    def _malformed(self, fields: dict[str, Any], order: Order) -> Refusal | None:
        if any(
            isinstance(fields.get(name), WireNumber) for name in ("apikey", "partnerID", "childID", "amount")
        ):
            return self._refusal(1009, "Unsupported data type")
        if not _AMOUNT.fullmatch(order.amount) or not Decimal(order.amount):
            return self._refusal(1009, "Unsupported data type")
        return None if order.account else self._invalid_child()

    def _units(self, shillings: Decimal) -> Decimal:
        settings = self._simulation.settings
        step = Decimal(1).scaleb(-settings.fastmessage_unit_decimals)
        units = EXACT.divide(shillings, settings.sms_rate)
        return units.quantize(step, _ROUNDING[settings.fastmessage_rounding], EXACT)

    def _refused(self, order: Order, account: Account, units: Decimal) -> Refusal | None:
        if account.state == "unknown":
            return self._invalid_child()
        if account.state == "closed":
            return self._refusal(4093, "Details not found")
        if units > self._simulation.accounts.wallet(KIND, order.login).balance:
            return self._refusal(self._simulation.settings.fastmessage_poor_code, "Low bulk credits")
        return None

    def _invalid_child(self) -> Refusal:
        return self._refusal(self._simulation.settings.fastmessage_unknown_code, _INVALID_CHILD)

    def _refusal(self, code: int, description: str) -> Refusal:
        return Refusal(
            str(code), coded(self._simulation.settings.fastmessage_error_status, code, description)
        )

    def _shown_balance(self, order: Order, account: Account) -> Decimal:
        if self._simulation.settings.fastmessage_balances == "client":
            return account.balance
        return self._simulation.accounts.wallet(KIND, order.login).balance


def _two_decimals(number: Decimal) -> str:
    return f"{EXACT.quantize(number, _CENTS):f}"


def _shortest(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _success(partner: str, before: Decimal, units: Decimal, after: Decimal) -> Answer:
    shown = _shortest(units)
    return json_answer(
        200,
        {
            "response-code": 200,
            "response-description": f"Partner ID {partner} has been credited with {shown} units",
            "prev-balance": _two_decimals(before),
            "sms-units": shown,
            "new-balance": _two_decimals(after),
        },
    )
