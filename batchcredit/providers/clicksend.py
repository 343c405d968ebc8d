"""ClickSend REST v3: `PUT /reseller/transfer-credit`, which adds to a client's balance.

Where its page leaves a question open, the judgement takes the doubtful side; docs/providers.md has the table.
"""

import re
from base64 import b64encode
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from batchcredit.providers.base import (
    Answer,
    Balance,
    Client,
    ClientPage,
    Judgement,
    Provider,
    Refusal,
    Request,
    Rules,
    Ruling,
)
from batchcredit.providers.cleaning import cleaned, cleaned_code
from batchcredit.providers.credential import secret_of
from batchcredit.providers.reading import exact, read_object, ruled_by_status, unreadable
from batchcredit.transfer import Transfer

_PAGE_CLIENTS = 100  # the vendor allows 15 to 100
_USER_ID = re.compile("[1-9][0-9]{0,18}")
_CURRENCY = re.compile("[A-Z]{3}")
_NAME_CHARS = 128

_LANE_CODES = {
    "MISSING_CREDENTIALS": "credentials",
    "INVALID_CREDENTIALS": "credentials",
    "ACCOUNT_NOT_ACTIVATED": "credentials",
    "ACCOUNT_SUSPENDED": "suspended",
    "INSUFFICIENT_CREDIT": "wallet_empty",
}
_LANE_STATUSES = {401: "credentials", 403: "suspended"}
_ROW_STATUSES = frozenset({400, 404, 405, 409, 413, 415, 422})
_BROKEN_CODES = frozenset({"INTERNAL_ERROR", "SOMETHING_IS_WRONG"})
_FINAL = frozenset({"credentials", "suspended", "unknown_account"})


class ClickSendSettings(BaseModel):
    """The keys of a profile of kind `clicksend`. The API key comes from exactly one of the last two."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    username: Annotated[str, Field(min_length=1, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    """the API username"""
    api_key: SecretStr | None = None
    """the key, or `api_key_file`"""
    api_key_file: Path | None = None
    """a file that only you can read"""


class _Envelope(NamedTuple):
    """The form that the vendor gives every answer."""

    http_code: int
    code: str
    message: str
    data: object


class ClickSend(Provider):
    """A reseller's login at ClickSend; clients are named by their numeric user id."""

    kind = "clicksend"
    settings = ClickSendSettings
    rules = Rules(
        account=_USER_ID.pattern,
        account_cure="Give the client's ClickSend user id: digits, without a leading zero.",
        decimals=4,
        columns={"client_user_id": "account", "balance": "amount"},
    )
    where_to_look = "the client's account in the dashboard"
    taking_back = "by hand in the dashboard, where a negative amount pulls credit back"
    default_base_url = "https://rest.clicksend.com/v3"
    balances_kept_in = "AUD"
    default_rate = "10/s"
    default_concurrency = 16

    def __init__(self, base_url: str, settings: ClickSendSettings) -> None:
        api_key = secret_of("api_key", settings.api_key, settings.api_key_file)
        token = b64encode(f"{settings.username}:{api_key}".encode()).decode()
        self._username = settings.username
        self._secrets = (api_key, token)
        self._reading = (("Authorization", f"Basic {token}"), ("Accept", "application/json"))
        self._sending = (*self._reading, ("Content-Type", "application/json"))

    @property
    def login(self) -> str:
        return self._username

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._secrets

    def transfer(self, transfer: Transfer) -> Request:
        # Both go out as bare JSON numbers: the id as the integer that it is, the amount as its exact text.
        body = (
            f'{{"client_user_id":{transfer.account},"balance":{transfer.amount},'
            f'"currency":{encode_basestring_ascii(transfer.currency)}}}'
        )
        return Request("PUT", "/reseller/transfer-credit", self._sending, body.encode())

    def judge(self, transfer: Transfer, answer: Answer) -> Judgement:
        if (ruled := ruled_by_status(answer.status)) is not None:
            return ruled
        envelope = _envelope(answer.body)
        if envelope is None:
            return unreadable(answer.status)
        ruling, reason = _verdict(transfer.account, answer.status, envelope)
        return Judgement(
            ruling,
            reason=reason,
            provider_code=cleaned_code(envelope.code, self._secrets),
            message=cleaned(envelope.message, self._secrets),
            balance_after=_balance(envelope.data) if ruling is Ruling.CREDITED else None,
        )

    def own_balance(self) -> Request:
        return Request("GET", "/account", self._reading)

    def read_own_balance(self, answer: Answer) -> Balance | Refusal:
        data = self._data(answer)
        if isinstance(data, Refusal):
            return data
        amount, currency = _balance(data), _currency(data)
        if amount is None or not currency:
            return Refusal("not_readable", "the answer has no balance with its currency")
        return Balance(amount, currency)

    def client(self, account: str) -> Request:
        return Request("GET", f"/reseller/accounts/{quote(account, safe='')}", self._reading)

    def read_client(self, answer: Answer) -> Client | Refusal:
        data = self._data(answer)
        if isinstance(data, Refusal):
            return data
        return _client(data) or Refusal("not_readable", "the answer has no client")

    def clients(self, page: int) -> Request:
        return Request("GET", f"/reseller/accounts?page={page}&limit={_PAGE_CLIENTS}", self._reading)

    def read_clients(self, answer: Answer) -> ClientPage | Refusal:
        data = self._data(answer)
        if isinstance(data, Refusal):
            return data
        rows, last_page = data.get("data"), data.get("last_page")
        clients = [_client(row) for row in rows] if isinstance(rows, list) else [None]
        if not isinstance(last_page, int) or last_page < 1 or None in clients:
            return Refusal("not_readable", "the answer is no list of clients")
        return ClientPage(tuple(client for client in clients if client), last_page)

    def _data(self, answer: Answer) -> dict[str, object] | Refusal:
        """The data of a successful read."""
        ruled = ruled_by_status(answer.status)
        envelope = _envelope(answer.body)
        if ruled is not None or envelope is None:
            return Refusal((ruled or unreadable(answer.status)).reason, f"HTTP status {answer.status}")
        refused = _refused(answer.status, envelope)
        if refused is None and isinstance(envelope.data, dict):
            return envelope.data
        reason = refused[1] if refused else "not_readable"
        return Refusal(reason, cleaned(envelope.message, self._secrets), final=reason in _FINAL)


def _envelope(body: bytes) -> _Envelope | None:
    said = read_object(body)
    if said is None:
        return None
    http_code, code, message = said.get("http_code"), said.get("response_code"), said.get("response_msg", "")
    if isinstance(http_code, bool) or not isinstance(http_code, int):
        return None
    if not isinstance(code, str) or not isinstance(message, str):
        return None
    return _Envelope(http_code, code, message, said.get("data"))


def _verdict(account: str, status: int, envelope: _Envelope) -> tuple[Ruling, str]:
    refused = _refused(status, envelope)
    if refused is not None:
        return refused
    credited = _user_id(envelope.data)
    if credited is None:
        return Ruling.DOUBTFUL, "not_readable"
    return (Ruling.CREDITED, "") if credited == account else (Ruling.DOUBTFUL, "other_account")


def _refused(status: int, envelope: _Envelope) -> tuple[Ruling, str] | None:
    """What stands against success, in the order of weight; None where nothing does."""
    if envelope.code in _BROKEN_CODES:
        return Ruling.DOUBTFUL, "provider_error"
    if reason := _lane_refusal(status, envelope):
        return Ruling.LANE_REFUSED, reason
    if status != envelope.http_code or (envelope.code == "SUCCESS" and status != 200):
        return Ruling.DOUBTFUL, "does_not_add_up"
    if status in _ROW_STATUSES:
        return Ruling.REJECTED, "unknown_account" if status == 404 else "bad_request"
    return None if envelope.code == "SUCCESS" else (Ruling.DOUBTFUL, "unknown_code")


def _lane_refusal(status: int, envelope: _Envelope) -> str:
    """Why no row of this login can be executed, or "". An envelope that contradicts its status is no proof.

    This vendor is known to put an inner error into an HTTP 200, so that pair is no contradiction.
    """
    inner_error = status == 200 and 400 <= envelope.http_code < 500 and envelope.http_code not in (408, 429)
    if envelope.code in _LANE_CODES and (envelope.http_code == status or inner_error):
        return _LANE_CODES[envelope.code]
    if envelope.http_code != status or envelope.code == "SUCCESS":
        return ""
    # The vendor's words for a path that it does not serve: that is no fault of the row.
    if status == 404 and envelope.message.casefold().startswith("invalid endpoint"):
        return "wrong_address"
    return _LANE_STATUSES.get(status, "")


def _client(data: object) -> Client | None:
    """The client that an account object tells of; its other fields are secret or personal, and stay where
    they are."""
    if not isinstance(data, dict) or (account := _user_id(data)) is None:
        return None
    banned = data.get("banned") in (1, "1", True)
    username = data.get("username")
    name = username[:_NAME_CHARS] if isinstance(username, str) else ""
    return Client(account, balance=_balance(data), currency=_currency(data), banned=banned, name=name)


def _user_id(data: object) -> str | None:
    user_id = data.get("user_id") if isinstance(data, dict) else None
    if isinstance(user_id, bool) or not isinstance(user_id, int | str):
        return None
    text = str(user_id)
    return text if _USER_ID.fullmatch(text) else None


def _balance(data: object) -> Decimal | None:
    return exact(data.get("balance")) if isinstance(data, dict) else None


def _currency(data: dict[str, object]) -> str:
    currency = data.get("_currency")
    code = currency.get("currency_name_short") if isinstance(currency, dict) else None
    return code if isinstance(code, str) and _CURRENCY.fullmatch(code) else ""
