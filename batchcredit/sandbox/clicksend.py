"""ClickSend's side of a transfer: `PUT /v3/reseller/transfer-credit`, stated from the vendor's own page."""

import base64
import binascii
import json
import re
from decimal import Decimal
from math import ceil
from operator import itemgetter
from sys import intern
from typing import Any

from batchcredit.sandbox.accounts import EXACT, Account, mark_of, to_micros
from batchcredit.sandbox.answers import Answer, Headers, Refusal, html_answer, json_answer, retry_headers
from batchcredit.sandbox.book import Order
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.json_text import WireNumber, parse_object, wire_text
from batchcredit.sandbox.simulation import Grant, Simulation

KIND = "clicksend"
TRANSFER_PATH = "/clicksend/v3/reseller/transfer-credit"

_ACCOUNT = re.compile(r"[1-9][0-9]{0,18}")
_AMOUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]+))?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MICROS = Decimal("0.000001")
_LOGINS_REMEMBERED = 1024
_CURRENCY_NAMES = {
    "AUD": "Australian Dollars",
    "USD": "US Dollars",
    "EUR": "Euros",
    "GBP": "British Pounds",
    "NZD": "New Zealand Dollars",
}


def envelope(status: int, code: str, message: str, data: Any = None) -> Answer:
    """Every answer of this vendor has these four members."""
    return json_answer(
        status, {"http_code": status, "response_code": code, "response_msg": message, "data": data}
    )


UNAUTHORIZED = Refusal("UNAUTHORIZED", envelope(401, "UNAUTHORIZED", "Authorization failed."))
NO_ENDPOINT = envelope(404, "NOT_FOUND", "Invalid endpoint. Please try again.")

_FAILING = {
    Fault.STATUS_401: UNAUTHORIZED.answer,
    Fault.STATUS_403: envelope(403, "FORBIDDEN", "Your account is suspended."),
    Fault.STATUS_404: NO_ENDPOINT,
    Fault.STATUS_500_BEFORE: envelope(500, "INTERNAL_SERVER_ERROR", "Something went wrong."),
    Fault.STATUS_500_AFTER: envelope(500, "INTERNAL_SERVER_ERROR", "Something went wrong."),
    Fault.STATUS_503: html_answer(503, "503 Service Temporarily Unavailable"),
}


def _client_template() -> str:
    """A client's account as the vendor's page prints it, with a slot for each value that differs."""
    subaccount = {
        **dict.fromkeys(("access_billing",), 1),
        **dict.fromkeys(("access_contacts", "access_email", "access_fax", "access_post"), 0),
        "access_reporting": 1,
        "access_reseller": 0,
        "access_settings": 1,
        "access_sms": 0,
        "access_users": 1,
        "access_voice": 0,
        "api_key": "%(api_key)s",
        "api_username": "api%(name)s",
        "email": "%(name)s@client.example",
        "first_name": "John%(name)s",
        "last_name": "Doe%(name)s",
        "phone_number": "+61%(phone)s",
        "subaccount_id": "#subaccount_id",
    }
    client = {
        "_currency": {
            "currency_name_long": "%(currency_name)s",
            "currency_name_short": "%(currency)s",
            "currency_prefix_c": "c",
            "currency_prefix_d": "$",
        },
        "_subaccount": subaccount,
        "account": 0,
        "account_billing_email": "%(name)s@client.example",
        "account_billing_mobile": "+61%(phone)s",
        "account_name": "John%(name)s",
        "active": "#active",
        "auto_recharge": 0,
        "auto_recharge_amount": "20.00",
        "balance": "%(balance)s",
        "banned": "#banned",
        "country": "AU",
        "default_country_sms": "AU",
        "delivery_to": "%(name)s",
        "low_credit_amount": "1.50",
        "reply_to": "originalemail",
        "setting_beta": 0,
        "setting_email_sms_subject": 0,
        "setting_fix_sender_id": 0,
        "setting_sms_message_char_limit": 140,
        "setting_unicode_sms": 0,
        "unsubscribe_mail": 0,
        "user_email": "%(name)s@client.example",
        "user_first_name": "John%(name)s",
        "user_id": "#user_id",
        "user_last_name": "Doe%(name)s",
        "user_phone": "+61%(phone)s",
        "username": "%(username)s",
    }
    return re.sub(r'"#(\w+)"', r"%(\1)s", json.dumps(client, separators=(",", ":")))


_PIECES = re.split(r"%\((\w+)\)s", _client_template())  # text and slot by turns
_in_order = itemgetter(*_PIECES[1::2])
_SUCCESS = (
    '{"data":%s,"http_code":200,"response_code":"SUCCESS",'
    '"response_msg":"Your balance has been successfully transferred."}'
)


def client_json(
    user_id: str, username: str, mark: str, micros: int, currency: str, *, closed: bool = False
) -> str:
    """An account as it is shown after a transfer and by the reads; `user_id` a plain number."""
    values = {
        "api_key": f"{mark[:8]}-{mark[8:12]}-{mark[12:16]}-{mark[16:20]}-{mark[20:]}".upper(),
        "name": mark[:9],
        "phone": str(int(mark[9:17], 16)),
        "subaccount_id": str(int(mark[17:23], 16)),
        "currency": currency,
        "currency_name": _CURRENCY_NAMES.get(currency, currency),
        "balance": f"{micros // 1_000_000}.{micros % 1_000_000:06}",
        "active": "0" if closed else "1",
        "banned": "1" if closed else "0",
        "user_id": user_id,
        "username": username,
    }
    pieces = _PIECES.copy()
    pieces[1::2] = _in_order(values)
    return "".join(pieces)


class ClickSend:
    """Takes transfers for any login and any client that the settings let in."""

    method = "PUT"
    path = TRANSFER_PATH

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._credentials: dict[bytes, tuple[str, str]] = {}

    def login(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        """Whose request it is; None when the credentials are missing or wrong."""
        username, secret = self._basic(_first(headers, b"authorization"))
        logins = self._simulation.settings.logins
        welcome = bool(username) if logins is None else logins.get(username) == secret
        return username if welcome else None

    def read(self, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[Order, Refusal | None]:
        login = self.login(headers)
        fields = parse_object(body) if _is_json(_first(headers, b"content-type")) else None
        if fields is None:
            fields = {}
        account = wire_text(fields.get("client_user_id"))
        amount = wire_text(fields.get("balance"))
        order = Order(KIND, login or "", account, account, amount, wire_text(fields.get("currency")))
        if login is None:
            return order, UNAUTHORIZED
        wrong = self._wrong(order, fields)
        return order, _bad_request(wrong) if wrong else None

    def execute(self, order: Order, arrived_at: float, fault: str) -> Answer | Refusal:
        simulation = self._simulation
        account = simulation.accounts.account(KIND, order.login, order.key)
        cost = self._cost(order)
        refusal = self._refused(order, account, cost)
        if refusal is not None:
            return refusal
        credited = self._credited(order, account, cost)
        simulation.move(order, account, cost, credited, arrived_at, fault)
        account.currency = self._fixed_currency(order.key) or intern(order.currency)
        return Answer(200, (_SUCCESS % self.shown(order.key, account)).encode())

    def shown(self, user_id: str, account: Account) -> str:
        settings = self._simulation.settings
        mark = mark_of(settings.seed, KIND, account.lane.login, account.name)
        currency = account.currency or settings.wallet_currency
        closed = account.state == "closed"
        return client_json(user_id, f"client{user_id}", mark, account.micros, currency, closed=closed)

    def own_account(self, login: str) -> str:
        """The reseller's own account, in the shape of a client's."""
        mark = mark_of(self._simulation.settings.seed, KIND, login)
        balance = to_micros(self._simulation.accounts.wallet(KIND, login).balance)
        user_id, username = str(int(mark[:5], 16) + 1), json.dumps(login)[1:-1]
        return client_json(user_id, username, mark, balance, self._simulation.settings.wallet_currency)

    def failing(self, fault: Fault) -> Answer:
        if fault is Fault.STATUS_429:
            settings = self._simulation.settings
            return self.throttled(retry_headers(settings.retry_after_form, ceil(settings.retry_after_s)))
        return _FAILING[fault]

    def throttled(self, headers: Headers) -> Answer:
        answer = envelope(429, "HTTP_TOO_MANY_REQUESTS", "Too many requests. Please try again later.")
        return answer._replace(headers=headers)

    def rate_headers(self, grant: Grant) -> Headers:
        limit, remaining = str(grant.limit).encode(), str(grant.remaining).encode()
        headers = ((b"x-ratelimit-limit", limit), (b"x-ratelimit-remaining", remaining))
        # What a refused request is told about the reset is a setting: see retry_headers.
        return (*headers, (b"ratelimit-reset", str(grant.reset_s).encode())) if grant.allowed else headers

    def mangled(self, fault: Fault, answer: Answer) -> Answer:
        if fault is Fault.INNER_ERROR:
            return envelope(500, "INTERNAL_ERROR", "An internal error occurred.")._replace(status=200)
        content = json.loads(answer.body)
        if content["http_code"] != 200:
            return answer
        client = content["data"]
        if fault is Fault.WRONG_USER:
            client["user_id"] += 1
        else:
            client["balance"] = f"{Decimal(client['balance']) + 1:f}"
        return json_answer(200, content)

    def _basic(self, authorization: bytes) -> tuple[str, str]:
        known = self._credentials.get(authorization)
        if known is None:
            if len(self._credentials) >= _LOGINS_REMEMBERED:
                self._credentials.clear()
            known = self._credentials[authorization] = _decoded(authorization)
        return known

    def _wrong(self, order: Order, fields: dict[str, Any]) -> dict[str, list[str]]:
        wrong: dict[str, list[str]] = {}
        if not is_account(order.account):
            wrong["client_user_id"] = ["The client user id must be an integer."]
        if not isinstance(fields.get("balance"), WireNumber) or not self._is_amount(order.amount):
            wrong["balance"] = ["The balance must be a number."]
        if not _CURRENCY.fullmatch(order.currency):
            wrong["currency"] = ["The currency is invalid."]
        return wrong

    def _is_amount(self, text: str) -> bool:
        match = _AMOUNT.fullmatch(text)
        if match is None or not Decimal(text):
            return False
        settings = self._simulation.settings
        fraction = (match[2] or "").rstrip("0")
        if settings.clicksend_fractions == "refused" and fraction:
            return False
        if settings.clicksend_fractions == "truncated" and not int(match[1]):
            return False
        return len(fraction) <= settings.clicksend_decimals

    def _cost(self, order: Order) -> Decimal:
        if self._simulation.settings.clicksend_fractions == "truncated":
            return Decimal(order.amount.partition(".")[0])
        return Decimal(order.amount)

    def _fixed_currency(self, client: str) -> str | None:
        settings = self._simulation.settings
        if settings.accounts is None:
            return settings.currency
        configured = settings.accounts.get(client)
        return (configured.currency if configured else None) or settings.currency

    def _refused(self, order: Order, account: Account, cost: Decimal) -> Refusal | None:
        settings = self._simulation.settings
        if account.state == "unknown":
            code = settings.clicksend_unknown_code
            return Refusal(
                code, envelope(settings.clicksend_unknown_status, code, "The client was not found.")
            )
        if account.state == "closed":
            return _bad_request({"client_user_id": ["The client is banned."]}, "The client is banned.")
        if settings.clicksend_mismatch == "refuse" and self._mismatched(order):
            return _bad_request({"currency": ["The currency is not the client's."]})
        if cost > self._simulation.accounts.wallet(KIND, order.login).balance:
            code = settings.clicksend_poor_code
            return Refusal(
                code, envelope(settings.clicksend_poor_status, code, "You do not have enough credit.")
            )
        return None

    def _mismatched(self, order: Order) -> bool:
        return self._fixed_currency(order.key) not in {None, order.currency}

    def _credited(self, order: Order, account: Account, cost: Decimal) -> Decimal:
        if self._simulation.settings.clicksend_mismatch != "convert" or not self._mismatched(order):
            return cost
        rates = self._simulation.settings.rates
        theirs = rates.get(account.currency or "", Decimal(1))
        return EXACT.quantize(EXACT.divide(cost * rates.get(order.currency, Decimal(1)), theirs), _MICROS)


def is_account(text: str) -> bool:
    return _ACCOUNT.fullmatch(text) is not None


def _first(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    for name, value in headers:
        if name == wanted:
            return value
    return b""


def _is_json(content_type: bytes) -> bool:
    return content_type.lower().startswith(b"application/json")


def _decoded(authorization: bytes) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return "", ""
    try:
        username, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, secret


def _bad_request(wrong: dict[str, list[str]], message: str = "The request is invalid.") -> Refusal:
    return Refusal("BAD_REQUEST", envelope(400, "BAD_REQUEST", message, wrong))
