"""The wire formats, against the vendors' own examples, and every open question asked both ways."""

import json
from decimal import Decimal
from typing import Any

import pytest
from sandbox_client import CREDIT, JSON, TRANSFER, Line, basic

from batchcredit.sandbox import Control

# The vendor's sample answer to a transfer, with the values that belong to one client left out.
CLICKSEND_SAMPLE = """{"data": {
  "_currency": {"currency_name_long": "Australian Dollars", "currency_name_short": "AUD",
                "currency_prefix_c": "c", "currency_prefix_d": "$"},
  "_subaccount": {"access_billing": 1, "access_contacts": 0, "access_email": 0, "access_fax": 0,
                  "access_post": 0, "access_reporting": 1, "access_reseller": 0, "access_settings": 1,
                  "access_sms": 0, "access_users": 1, "access_voice": 0, "api_key": "?", "api_username": "?",
                  "email": "?", "first_name": "?", "last_name": "?", "phone_number": "?",
                  "subaccount_id": -1},
  "account": 0, "account_billing_email": "?", "account_billing_mobile": "?", "account_name": "?",
  "active": -1, "auto_recharge": 0, "auto_recharge_amount": "20.00", "balance": "170.728701", "banned": 0,
  "country": "AU", "default_country_sms": "AU", "delivery_to": "?", "low_credit_amount": "1.50",
  "reply_to": "originalemail", "setting_beta": 0, "setting_email_sms_subject": 0, "setting_fix_sender_id": 0,
  "setting_sms_message_char_limit": 140, "setting_unicode_sms": 0, "unsubscribe_mail": 0, "user_email": "?",
  "user_first_name": "?", "user_id": 60, "user_last_name": "?", "user_phone": "?", "username": "?"},
 "http_code": 200, "response_code": "SUCCESS",
 "response_msg": "Your balance has been successfully transferred."}"""

SAMPLE_CLIENT = {"opening": "158.728701", "currency": "AUD"}


def _masked(answer: Any, sample: Any) -> Any:
    """`answer` with `?` for each text, and -1 for each number, that the sample leaves open."""
    if isinstance(sample, dict) and isinstance(answer, dict):
        return {name: _masked(value, sample.get(name)) for name, value in answer.items()}
    leaves_open = (sample == "?" and isinstance(answer, str)) or (sample == -1 and isinstance(answer, int))
    return sample if leaves_open else answer


def test_clicksend_sample_request_gets_the_sample_answer(line: Line, control: Control) -> None:
    """The vendor's own request is answered like the vendor's own answer, member by member and in order."""
    control.set(accounts={"60": SAMPLE_CLIENT})
    answer = line.ask(
        "PUT",
        TRANSFER,
        '{\n    "balance": 12,\n    "client_user_id": 60,\n    "currency": "USD"\n}',
        JSON | basic("a", "b"),
    )
    sample = json.loads(CLICKSEND_SAMPLE)
    assert answer.status == 200
    assert json.dumps(_masked(answer.json, sample)) == json.dumps(sample)


def test_fastmessage_sample_request_gets_the_sample_answer(line: Line, control: Control) -> None:
    """Five shillings at the rate 1, for a client that has 524.00, give the sample's answer word by word."""
    control.set(accounts={"Shop": {"opening": "524.00"}})
    assert line.fastmessage("shop", "5", login=("xxxx", "key")).json == {
        "response-code": 200,
        "response-description": "Partner ID xxxx has been credited with 5 units",
        "prev-balance": "524.00",
        "sms-units": "5",
        "new-balance": "529.00",
    }


def test_fastmessage_sample_refusal(line: Line) -> None:
    """A child that is unknown is refused in the sample's words, its spelling included."""
    answer = line.fastmessage("unknown-shop")
    assert answer.status == 200
    assert answer.json == {
        "response-code": 1005,
        "response-description": "The child acount is invalid. Kindly verify the details",
    }


def test_clicksend_without_credentials(line: Line, control: Control) -> None:
    """Missing and wrong credentials get one and the same 401 envelope."""
    control.set(logins={"shop": "right"})
    expected = {
        "http_code": 401,
        "response_code": "UNAUTHORIZED",
        "response_msg": "Authorization failed.",
        "data": None,
    }
    missing = line.ask("PUT", TRANSFER, "{}", JSON)
    wrong = line.clicksend("61", login=("shop", "wrong"))
    assert (missing.status, missing.json) == (wrong.status, wrong.json) == (401, expected)
    assert line.clicksend("61", login=("shop", "right")).status == 200


def test_fastmessage_without_credentials(line: Line, control: Control) -> None:
    """Each missing or wrong credential has the code of the vendor's table."""
    control.set(logins={"7": "right"})
    codes = [
        line.fastmessage("a", login=login).json["response-code"]
        for login in (("", "right"), ("7", ""), ("7", "wrong"), ("8", "right"), ("7", "right"))
    ]
    assert codes == [4091, 4092, 1006, 1006, 200]


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/clicksend/v3/reseller/nothing", "GET", 404, "NOT_FOUND"),
        (TRANSFER + "/", "PUT", 404, "NOT_FOUND"),
        (TRANSFER, "POST", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_wrong_address(line: Line, path: str, method: str, status: int, code: str) -> None:
    """An address that is not the vendor's is refused in the vendor's envelope."""
    answer = line.ask(method, path, "{}", JSON | basic("a", "b"))
    assert (answer.status, answer.json["http_code"], answer.json["response_code"]) == (status, status, code)


@pytest.mark.parametrize(
    ("account", "balance", "currency", "member"),
    [
        ('"x"', "1", "USD", "client_user_id"),
        ('"060"', "1", "USD", "client_user_id"),
        ("null", "1", "USD", "client_user_id"),
        ("60", "0", "USD", "balance"),
        ("60", "-1", "USD", "balance"),
        ("60", '"1"', "USD", "balance"),
        ("60", "1e3", "USD", "balance"),
        ("60", "0.00001", "USD", "balance"),
        ("60", "1", "usd", "currency"),
    ],
)
def test_clicksend_bad_request_names_the_member(
    line: Line, control: Control, account: str, balance: str, currency: str, member: str
) -> None:
    """A malformed member is named in `data`, and nothing is moved."""
    before = control.totals()["executions"]
    answer = line.clicksend(account, balance, currency)
    assert (answer.status, answer.json["response_code"], list(answer.json["data"])) == (
        400,
        "BAD_REQUEST",
        [member],
    )
    assert control.totals()["executions"] == before


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"balance": NaN}', b"\xff", b"[" * 60_000])
def test_unreadable_bodies_are_answered(line: Line, body: bytes) -> None:
    """No body, however odd, makes the server fail."""
    assert line.ask("PUT", TRANSFER, body, JSON | basic("a", "b")).status == 400
    assert line.ask("POST", CREDIT, body, JSON).json["response-code"] == 1009


def test_bodies_have_a_limit(line: Line) -> None:
    """More than 64 KiB is not read to its end."""
    assert line.ask("PUT", TRANSFER, b" " * 70_000, JSON | basic("a", "b")).status == 413


def test_special_clients(line: Line) -> None:
    """Without a list of accounts, some names are refused, so that a rehearsal has refusals."""
    unknown, banned = line.clicksend("10404"), line.clicksend("10403")
    assert (unknown.status, unknown.json["response_code"]) == (404, "NOT_FOUND")
    assert (banned.status, banned.json["response_code"]) == (400, "BAD_REQUEST")
    assert "banned" in banned.json["response_msg"]
    assert line.fastmessage("Closed-1").json["response-code"] == 4093


def test_amounts_stay_the_text_of_the_wire(line: Line, control: Control) -> None:
    """The book shows digits as they were sent; the balance is exact where a float would not be."""
    control.set(accounts={"62": {"opening": "0.000001"}}, wallet="1000000000000000")
    answer = line.clicksend("62", "900719925474099.1230")
    assert control.book()[-1]["amount"] == "900719925474099.1230"
    assert answer.json["data"]["balance"] == "900719925474099.123001"


def test_fastmessage_does_not_tell_capitals_apart(line: Line) -> None:
    """`Ann` and `ann` are one client: the second transfer begins where the first one ended."""
    first, second = line.fastmessage("Capital-ANN", "2.50").json, line.fastmessage("capital-ann", "1").json
    assert first["new-balance"] == second["prev-balance"]


def test_own_account_shows_the_wallet(line: Line, control: Control) -> None:
    """What was given away is gone from the own balance, on both sides."""
    control.set(wallet="1000", wallet_currency="USD")
    line.clicksend("63", "12.5")
    line.fastmessage("a", "455")
    own = line.read("/account").json["data"]
    assert (own["balance"], own["username"], own["_currency"]["currency_name_short"]) == (
        "987.500000",
        "shop",
        "USD",
    )
    partner = json.dumps({"apikey": "key", "partnerID": "7"})
    assert line.ask("POST", "/fastmessage/api/services/getbalance", partner, JSON).json == {
        "response-code": 200,
        "credit": "545.00",
        "partner-id": "7",
    }


def test_client_is_read_as_after_its_transfer(line: Line) -> None:
    """One client's account has the shape and the values of the answer to its last transfer."""
    transfer = line.clicksend("64", "3.25", "EUR").json
    assert line.read("/reseller/accounts/64").json["data"] == transfer["data"]
    assert line.read("/reseller/accounts/10404").status == 404


def test_list_of_clients_in_pages(line: Line, control: Control) -> None:
    """Every client is on one page of the list, the banned one marked and the unknown one missing."""
    names = [str(number) for number in range(5000, 5040)]
    states = {"5003": {"state": "closed"}, "5004": {"state": "unknown"}}
    control.set(accounts={name: states.get(name, {}) for name in names})
    login = ("pages", "key")
    first = line.read("/reseller/accounts?page=1&limit=15", login).json["data"]
    rows = [
        row
        for page in range(1, first["last_page"] + 1)
        for row in line.read(f"/reseller/accounts?page={page}&limit=15", login).json["data"]["data"]
    ]
    assert (first["total"], first["last_page"], len(first["data"])) == (39, 3, 15)
    assert [str(row["user_id"]) for row in rows] == [name for name in names if name != "5004"]
    assert [row["user_id"] for row in rows if row["banned"]] == [5003]


@pytest.mark.parametrize("query", ["limit=14", "limit=101", "limit=x", "page=0"])
def test_list_of_clients_has_limits(line: Line, query: str) -> None:
    """A page is 15 to 100 rows."""
    assert line.read(f"/reseller/accounts?{query}").status == 400


@pytest.mark.parametrize(
    ("fractions", "status", "credited"),
    [("accepted", 200, "2.5"), ("refused", 400, None), ("truncated", 200, "2")],
)
def test_switch_fractions(
    line: Line, control: Control, fractions: str, status: int, credited: str | None
) -> None:
    """A fraction of ClickSend's currency is taken, refused, or silently cut, as the setting says."""
    control.set(clicksend_fractions=fractions)
    seen = control.totals()["executions"]
    assert line.clicksend("65", "2.5").status == status
    assert [row["credited"] for row in control.book(seen)] == ([credited] if credited else [])


@pytest.mark.parametrize(
    ("mismatch", "status", "credited"), [("as_is", 200, "12"), ("convert", 200, "18"), ("refuse", 400, None)]
)
def test_switch_currency_mismatch(
    line: Line, control: Control, mismatch: str, status: int, credited: str | None
) -> None:
    """USD for a client who has AUD are taken one for one, converted or refused, as the setting says."""
    control.set(clicksend_mismatch=mismatch, accounts={"66": {"currency": "AUD"}}, rates={"USD": "1.5"})
    seen = control.totals()["executions"]
    assert line.clicksend("66", "12").status == status
    assert [Decimal(row["credited"]) for row in control.book(seen)] == (
        [Decimal(credited)] if credited else []
    )


def test_switch_codes_of_an_empty_wallet(line: Line, control: Control) -> None:
    """Too little credit has the status and code of the settings, and a refill lets the same transfer pass."""
    control.set(
        wallet="0.5", clicksend_poor_status=403, clicksend_poor_code="NO_MONEY", fastmessage_poor_code=4711
    )
    answer = line.clicksend("67")
    assert (answer.status, answer.json["response_code"]) == (403, "NO_MONEY")
    assert line.fastmessage("a").json["response-code"] == 4711
    control.set(wallet="1")
    assert (line.clicksend("67").status, line.fastmessage("a").json["response-code"]) == (200, 200)


def test_switch_codes_of_an_unknown_client(line: Line, control: Control) -> None:
    """An unknown client has the status and code of the settings."""
    control.set(clicksend_unknown_status=400, clicksend_unknown_code="NOBODY", fastmessage_unknown_code=1001)
    control.set(fastmessage_error_status=400)
    clicksend, fastmessage = line.clicksend("10404"), line.fastmessage("unknown")
    assert (clicksend.status, clicksend.json["response_code"]) == (400, "NOBODY")
    assert (fastmessage.status, fastmessage.json["response-code"]) == (400, 1001)


@pytest.mark.parametrize(
    ("rounding", "decimals", "units"),
    [("half_up", 2, "3.33"), ("up", 2, "3.34"), ("down", 0, "3"), ("up", 0, "4")],
)
def test_switch_units_and_rounding(
    line: Line, control: Control, rounding: str, decimals: int, units: str
) -> None:
    """Shillings become units at the rate, rounded as the setting says, and the answer adds up."""
    control.set(sms_rate="3", fastmessage_rounding=rounding, fastmessage_unit_decimals=decimals)
    answer = line.fastmessage("rounded", "10").json
    assert answer["sms-units"] == units
    assert Decimal(answer["new-balance"]) - Decimal(answer["prev-balance"]) == Decimal(units)


def test_switch_whose_balances_come_back(line: Line, control: Control) -> None:
    """The reseller's balances fall by what the client's would have risen."""
    control.set(fastmessage_balances="reseller", wallet="100")
    answer = line.fastmessage("whose", "5").json
    assert (answer["prev-balance"], answer["new-balance"]) == ("100.00", "95.00")


def test_rate_limit(line: Line, control: Control) -> None:
    """The window lets its number pass, then answers 429 with the headers of a limit, and moves nothing."""
    control.set(rate_limit=3, rate_window_s=60)
    login = ("limited", "key")
    seen = control.totals()["executions"]
    answers = [line.clicksend("68", login=login) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert answers[3].json["response_code"] == "HTTP_TOO_MANY_REQUESTS"
    assert answers[3].headers["retry-after"] == answers[3].headers["ratelimit-reset"]
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    assert len(control.book(seen)) == 3


def test_rate_limit_of_the_own_account(line: Line, control: Control) -> None:
    """Reading the own account has a limit of its own."""
    control.set(account_rate_limit=1)
    assert [line.read("/account", ("poller", "key")).status for _ in range(2)] == [200, 429]


def test_fastmessage_rate_limit_has_no_envelope(line: Line, control: Control) -> None:
    """The second vendor documents no limit: the 429 is a proxy's page."""
    control.set(rate_limit=1)
    line.fastmessage("a", login=("limited", "key"))
    answer = line.fastmessage("a", login=("limited", "key"))
    assert (answer.status, answer.headers["content-type"]) == (429, "text/html; charset=utf-8")
    assert "x-ratelimit-limit" not in answer.headers
