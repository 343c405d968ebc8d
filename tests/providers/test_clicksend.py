"""ClickSend: the request to the letter, and each line of the table of judgement."""

import base64
import json
from decimal import Decimal

import pytest

from batchcredit.providers.base import Answer, Balance, Client, ClientPage, Judgement, Refusal, Ruling
from batchcredit.providers.clicksend import ClickSend, ClickSendSettings
from batchcredit.transfer import Transfer

KEY = "C9B4AFBA-BDBA-E343-950B-2C63BF6E7902"
TRANSFER = Transfer(1, 1, "60", "60", "12", "USD", "")

#: The example on the vendor's page, shortened by fields that say nothing about money or people.
PAGE_ANSWER = b"""{
    "data": {
        "_currency": {"currency_name_long": "Australian Dollars", "currency_name_short": "AUD"},
        "_subaccount": {
            "access_billing": 1,
            "api_key": "C9B4AFBA-BDBA-E343-950B-2C63BF6E7901",
            "api_username": "a4CQgqG4lS",
            "email": "fZpbUQfzE0@NQ9Nt.com",
            "first_name": "John19k46",
            "phone_number": "+61353787898",
            "subaccount_id": 70
        },
        "account_billing_email": "fZpbUQfzE0@NQ9Nt.com",
        "active": 0,
        "auto_recharge_amount": "20.00",
        "balance": "170.728701",
        "banned": 0,
        "user_email": "MEynjL6C3A@2YtIn.com",
        "user_id": 60,
        "username": "FHJatAkKXD"
    },
    "http_code": 200,
    "response_code": "SUCCESS",
    "response_msg": "Your balance has been successfully transferred."
}"""


def clicksend() -> ClickSend:
    return ClickSend(ClickSend.default_base_url, ClickSendSettings(username="reseller", api_key=KEY))


def envelope(http_code: object, code: object, message: str = "Words.", data: object = None) -> bytes:
    said = {"http_code": http_code, "response_code": code, "response_msg": message, "data": data}
    return json.dumps(said).encode()


def success(**data: object) -> bytes:
    return envelope(200, "SUCCESS", data=data)


def judged(status: int, body: bytes) -> Judgement:
    return clicksend().judge(TRANSFER, Answer(status, {}, body))


def test_the_request_of_the_page() -> None:
    """The page's example goes out as it stands there, with the login in Basic form."""
    request = clicksend().transfer(TRANSFER)
    token = base64.b64encode(f"reseller:{KEY}".encode()).decode()
    assert (request.method, request.path) == ("PUT", "/reseller/transfer-credit")
    assert dict(request.headers) == {
        "Authorization": f"Basic {token}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }
    assert json.loads(request.body) == {"balance": 12, "client_user_id": 60, "currency": "USD"}
    assert clicksend().secrets == (KEY, token)


@pytest.mark.parametrize("amount", ["0.0001", "12.1", "100", "999999999999.9999", "0.1"])
def test_amounts_are_bare_numbers_digit_by_digit(amount: str) -> None:
    """The balance is a JSON number whose digits are those of the amount: no float rounds it on the way."""
    account = "9223372036854775807"
    body = clicksend().transfer(Transfer(1, 1, account, account, amount, "AUD", "")).body
    assert body == f'{{"client_user_id":{account},"balance":{amount},"currency":"AUD"}}'.encode()


def test_the_answer_of_the_page_credits() -> None:
    """The page's example credits, and nothing of the client's account is kept but the balance."""
    assert judged(200, PAGE_ANSWER) == Judgement(
        Ruling.CREDITED,
        provider_code="SUCCESS",
        message="Your balance has been successfully transferred.",
        balance_after=Decimal("170.728701"),
    )


@pytest.mark.parametrize("user_id", [60, "60"])
def test_the_client_is_named_as_number_or_text(user_id: object) -> None:
    """The page types the id as text and shows a number; both name the client."""
    assert judged(200, success(user_id=user_id, balance="1.5")).balance_after == Decimal("1.5")


@pytest.mark.parametrize("balance", [None, "", "many", "1,000.00", [], "1e5", "9" * 99])
def test_an_unreadable_balance_credits_without_it(balance: object) -> None:
    """What proves the transfer does not need the balance, so one that can not be read is only left out."""
    judgement = judged(200, success(user_id=60, balance=balance))
    assert (judgement.ruling, judgement.balance_after) == (Ruling.CREDITED, None)


DOUBTS = [
    (200, envelope(200, "SUCCESS"), "not_readable"),
    (200, envelope(200, "SUCCESS", data=[{"user_id": 60}]), "not_readable"),
    (200, success(balance="1"), "not_readable"),
    (200, success(user_id=60.0), "not_readable"),
    (200, success(user_id=True), "not_readable"),
    (200, success(user_id="060"), "not_readable"),
    (200, success(user_id=61), "other_account"),
    (200, success(user_id="600"), "other_account"),
    (200, envelope("200", "SUCCESS", data={"user_id": 60}), "not_readable"),
    (200, envelope(201, "SUCCESS", data={"user_id": 60}), "does_not_add_up"),
    (201, envelope(201, "SUCCESS", data={"user_id": 60}), "does_not_add_up"),
    (200, envelope(400, "BAD_REQUEST"), "does_not_add_up"),
    (200, envelope(401, "UNAUTHORIZED"), "does_not_add_up"),
    (200, envelope(200, "success", data={"user_id": 60}), "unknown_code"),
    (200, envelope(200, "THROTTLED"), "unknown_code"),
    (402, envelope(402, "PAYMENT_REQUIRED"), "unknown_code"),
    (400, envelope(200, "SUCCESS", data={"user_id": 60}), "does_not_add_up"),
    (400, envelope(400, "SUCCESS"), "does_not_add_up"),
    (401, envelope(401, "SUCCESS"), "does_not_add_up"),
    (400, envelope(200, "INSUFFICIENT_CREDIT"), "does_not_add_up"),
    (401, envelope(403, "UNAUTHORIZED"), "does_not_add_up"),
    (200, envelope(500, "INSUFFICIENT_CREDIT"), "does_not_add_up"),
    (200, envelope(429, "INSUFFICIENT_CREDIT"), "does_not_add_up"),
    (200, envelope(408, "INSUFFICIENT_CREDIT"), "does_not_add_up"),
    (200, envelope(200, "INTERNAL_ERROR", data={"user_id": 60}), "provider_error"),
    (400, envelope(400, "INTERNAL_ERROR"), "provider_error"),
    (401, envelope(401, "SOMETHING_IS_WRONG"), "provider_error"),
    (500, envelope(500, "INSUFFICIENT_CREDIT"), "provider_error"),
    (408, envelope(408, "REQUEST_TIMEOUT"), "provider_error"),
    (429, envelope(429, "HTTP_TOO_MANY_REQUESTS"), "throttled"),
    (200, b"<html>OK</html>", "not_readable"),
    (204, b"", "not_readable"),
]


@pytest.mark.parametrize(("status", "body", "reason"), DOUBTS)
def test_what_proves_nothing_is_doubtful(status: int, body: bytes, reason: str) -> None:
    """Each answer that leaves open whether the client was credited is doubtful, and the lane goes on."""
    judgement = judged(status, body)
    assert (judgement.ruling, judgement.reason, judgement.halts) == (Ruling.DOUBTFUL, reason, False)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 413, 418, 422])
@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"blocked by policy"}',
        envelope(True, "X"),
        envelope("400", "X"),
        envelope(400, 7),
        b"<html>",
    ],
)
def test_an_answer_of_somebody_else_halts(status: int, body: bytes) -> None:
    """A redirect, or a 4xx without the envelope, is no answer of the vendor's: the lane halts at once."""
    judgement = judged(status, body)
    assert (judgement.ruling, judgement.reason, judgement.halts) == (Ruling.DOUBTFUL, "foreign_answer", True)


LANE_REFUSALS = [
    (401, 401, "UNAUTHORIZED", "Authorization failed.", "credentials"),
    (401, 401, "MISSING_CREDENTIALS", "Words.", "credentials"),
    (403, 403, "FORBIDDEN", "Words.", "suspended"),
    (403, 403, "INVALID_CREDENTIALS", "Words.", "credentials"),
    (400, 400, "ACCOUNT_NOT_ACTIVATED", "Words.", "credentials"),
    (400, 400, "ACCOUNT_SUSPENDED", "Words.", "suspended"),
    (400, 400, "INSUFFICIENT_CREDIT", "Words.", "wallet_empty"),
    (402, 402, "INSUFFICIENT_CREDIT", "Words.", "wallet_empty"),
    (404, 404, "INSUFFICIENT_CREDIT", "Words.", "wallet_empty"),
    (200, 200, "INSUFFICIENT_CREDIT", "Words.", "wallet_empty"),
    (200, 400, "INSUFFICIENT_CREDIT", "Words.", "wallet_empty"),
    (200, 401, "INVALID_CREDENTIALS", "Words.", "credentials"),
    (404, 404, "NOT_FOUND", "Invalid endpoint. Please try again.", "wrong_address"),
]


@pytest.mark.parametrize(("status", "http_code", "code", "words", "reason"), LANE_REFUSALS)
def test_what_concerns_every_row_refuses_the_lane(
    status: int, http_code: int, code: str, words: str, reason: str
) -> None:
    """The vendor's own refusal of login, wallet or address is no fault of the row."""
    expected = Judgement(Ruling.LANE_REFUSED, reason=reason, provider_code=code, message=words)
    assert judged(status, envelope(http_code, code, words)) == expected


REJECTIONS = [
    (400, "BAD_REQUEST", "bad_request"),
    (400, "MISSING_REQUIRED_FIELDS", "bad_request"),
    (404, "NOT_FOUND", "unknown_account"),
    (405, "METHOD_NOT_ALLOWED", "bad_request"),
    (409, "ALREADY_EXISTS", "bad_request"),
    (413, "TOO_LARGE", "bad_request"),
    (415, "UNSUPPORTED", "bad_request"),
    (422, "UNPROCESSABLE", "bad_request"),
]


@pytest.mark.parametrize(("status", "code", "reason"), REJECTIONS)
def test_what_concerns_one_row_rejects_it(status: int, code: str, reason: str) -> None:
    """The vendor's own refusal of a request rejects that row, with the vendor's words."""
    body = envelope(status, code, "No such client.", data={"client_user_id": "mail a@b.example"})
    expected = Judgement(Ruling.REJECTED, reason=reason, provider_code=code, message="No such client.")
    assert judged(status, body) == expected


def test_own_balance_is_read_with_its_currency() -> None:
    """The reseller's account gives the own balance; nothing moves."""
    request = clicksend().own_balance()
    body = success(balance="1500.250000", _currency={"currency_name_short": "USD"})
    assert (request.method, request.path, request.body) == ("GET", "/account", b"")
    expected = Balance(Decimal("1500.25"), "USD")
    assert clicksend().read_own_balance(Answer(200, {}, body)) == expected


@pytest.mark.parametrize(
    ("status", "body", "reason", "final"),
    [
        (401, envelope(401, "UNAUTHORIZED"), "credentials", True),
        (403, envelope(403, "FORBIDDEN"), "suspended", True),
        (404, envelope(404, "NOT_FOUND"), "unknown_account", True),
        (404, envelope(404, "NOT_FOUND", "Invalid endpoint."), "wrong_address", False),
        (429, envelope(429, "HTTP_TOO_MANY_REQUESTS"), "throttled", False),
        (500, b"", "provider_error", False),
        (302, b"", "foreign_answer", False),
        (403, b"<html>", "foreign_answer", False),
        (200, b"<html>", "not_readable", False),
        (200, success(), "not_readable", False),
        (200, success(balance="5"), "not_readable", False),
        (200, envelope(200, "SUCCESS", data=[]), "not_readable", False),
    ],
)
def test_a_probe_that_is_refused_says_why(status: int, body: bytes, reason: str, final: bool) -> None:
    """Only a refused login or account is final; all else may pass."""
    refusal = clicksend().read_own_balance(Answer(status, {}, body))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.final) == (reason, final)


def test_a_client_is_read() -> None:
    """One client's account tells id, name, balance, currency and ban, and no more of a person."""
    assert clicksend().client("60").path == "/reseller/accounts/60"
    client = clicksend().read_client(Answer(200, {}, PAGE_ANSWER))
    assert client == Client("60", Decimal("170.728701"), "AUD", banned=False, name="FHJatAkKXD")
    banned = clicksend().read_client(Answer(200, {}, success(user_id="61", banned="1")))
    assert banned == Client("61", banned=True)


def test_an_account_can_not_leave_its_place_in_the_path() -> None:
    """What is no plain id is quoted, so that it stays one segment."""
    assert clicksend().client("../account?x").path == "/reseller/accounts/..%2Faccount%3Fx"


def test_clients_are_read_page_by_page() -> None:
    """A page of clients comes with the number of the last page."""
    rows = [{"user_id": 60, "balance": "1.00"}, {"user_id": "61", "banned": 1}]
    answer = Answer(200, {}, success(data=rows, last_page=3))
    assert clicksend().clients(2).path == "/reseller/accounts?page=2&limit=100"
    expected = ClientPage((Client("60", Decimal("1.00")), Client("61", banned=True)), 3)
    assert clicksend().read_clients(answer) == expected


@pytest.mark.parametrize(
    "data",
    [
        {"data": [{"user_id": 60}]},
        {"data": [{"name": "?"}], "last_page": 1},
        {"data": {}, "last_page": 1},
        {"last_page": 1},
        {"data": [], "last_page": "1"},
        {"data": [], "last_page": 0},
    ],
)
def test_a_list_with_a_hole_is_no_list(data: dict[str, object]) -> None:
    """A page with one unreadable client is refused: a client that is overlooked looks like an unknown one."""
    assert isinstance(clicksend().read_clients(Answer(200, {}, success(**data))), Refusal)


@pytest.mark.parametrize("username", ["", "a:b", "a\nb"])
def test_a_username_that_basic_auth_can_not_carry_is_refused(username: str) -> None:
    """A colon would end the username early on the wire."""
    with pytest.raises(ValueError, match="username"):
        ClickSendSettings(username=username, api_key=KEY)
