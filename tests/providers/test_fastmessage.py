"""Fast Message: the request to the letter, and each line of the table of judgement."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcredit.providers.base import Answer, Balance, Judgement, Refusal, Ruling
from batchcredit.providers.fastmessage import FastMessage, FastMessageSettings
from batchcredit.transfer import Transfer

KEY = 'k"ey-with-quote-1'
TRANSFER = Transfer(1, 1, "Amina", "amina", "5", "KES", "")

PAGE_SUCCESS = b"""{
  "response-code": 200,
  "response-description": "Partner ID xxxx has been credited with 5 units",
  "prev-balance": "524.00",
  "sms-units": "5",
  "new-balance": "529.00"
}"""
PAGE_ERROR = b"""{
  "response-code": 1005,
  "response-description": "The child acount is invalid. Kindly verify the details"
}"""


def fastmessage() -> FastMessage:
    return FastMessage("https://sms.invalid", FastMessageSettings(partner_id="0123", apikey=KEY))


def said(code: object, text: str = "Words.", **fields: object) -> bytes:
    return json.dumps({"response-code": code, "response-description": text, **fields}).encode()


def credited(before: object, units: object, after: object, code: object = 200) -> bytes:
    return said(code, **{"prev-balance": before, "sms-units": units, "new-balance": after})


def judged(status: int, body: bytes) -> Judgement:
    return fastmessage().judge(TRANSFER, Answer(status, {}, body))


def test_the_request_of_the_page() -> None:
    """Four fields, all of them text, to a path without a slash at its end."""
    request = fastmessage().transfer(TRANSFER)
    assert (request.method, request.path) == ("POST", "/api/services/credit")
    assert dict(request.headers)["Content-Type"] == "application/json"
    expected = {"apikey": KEY, "partnerID": "0123", "childID": "Amina", "amount": "5"}
    assert json.loads(request.body) == expected


@given(
    account=st.text(min_size=1, max_size=128),
    amount=st.from_regex(r"[1-9][0-9]{0,11}(\.[0-9])?", fullmatch=True),
)
def test_any_username_arrives_as_it_stands(account: str, amount: str) -> None:
    """Quotes, other scripts and even broken characters neither change a username nor break the request."""
    request = fastmessage().transfer(Transfer(1, 1, account, account, amount, "KES", ""))
    sent = json.loads(request.body)
    assert (sent["childID"], sent["amount"]) == (account, amount)


def test_the_answers_of_the_page() -> None:
    """The two examples on the vendor's page credit one row and reject the other."""
    assert judged(200, PAGE_SUCCESS) == Judgement(
        Ruling.CREDITED,
        provider_code="200",
        message="Partner ID xxxx has been credited with 5 units",
        units=Decimal(5),
        balance_before=Decimal("524.00"),
        balance_after=Decimal("529.00"),
    )
    assert judged(200, PAGE_ERROR) == Judgement(
        Ruling.REJECTED,
        reason="unknown_account",
        provider_code="1005",
        message="The child acount is invalid. Kindly verify the details",
    )


@pytest.mark.parametrize(
    ("before", "units", "after"),
    [
        ("524.00", "5", "529.00"),
        (524, 5, 529),
        (524.25, 5.5, "529.75"),
        ("0.00", "0.01", "0.01"),
        ("-3.50", "5", "1.50"),
        ("524.00", "12", "536.50"),  # units are cut
        ("524.00", "13", "536.50"),  # units are rounded
        ("524", "5.40", "529"),
        ("999999999999999", "0.00000000000000000001", "999999999999999.00000000000000000001"),
    ],
)
def test_what_adds_up_credits(before: object, units: object, after: object) -> None:
    """Balances and units as text or number credit when they agree at the coarsest precision printed."""
    assert judged(200, credited(before, units, after)).ruling is Ruling.CREDITED


@given(before=st.integers(0, 10**9), units=st.integers(1, 10**6), error=st.integers(-(10**6), 10**6))
def test_cents_must_agree(before: int, units: int, error: int) -> None:
    """With the same precision everywhere, the smallest difference is enough for doubt."""
    cents = [f"{Decimal(number).scaleb(-2):f}" for number in (before, units, before + units + error)]
    assert (judged(200, credited(*cents)).ruling is Ruling.CREDITED) == (error == 0)


@pytest.mark.parametrize(
    ("before", "units", "after"),
    [
        ("524.00", "5", "524.00"),
        ("524.00", "5", "530.00"),
        ("524.00", "5", "519.00"),
        ("524.00", "5", "528.49"),
        ("524.00", "0", "524.00"),
        ("529.00", "-5", "524.00"),
    ],
)
def test_what_does_not_add_up_is_doubtful(before: str, units: str, after: str) -> None:
    """A success that contradicts itself, or credits nothing, is no proof; its numbers are kept."""
    judgement = judged(200, credited(before, units, after))
    assert (judgement.ruling, judgement.reason) == (Ruling.DOUBTFUL, "does_not_add_up")
    assert judgement.balance_after == Decimal(after)


@pytest.mark.parametrize("status", [201, 202, 400, 404])
def test_a_success_under_another_status_is_doubtful(status: int) -> None:
    """The HTTP status comes before the code."""
    judgement = judged(status, PAGE_SUCCESS)
    assert (judgement.ruling, judgement.reason) == (Ruling.DOUBTFUL, "does_not_add_up")


@pytest.mark.parametrize("missing", ["prev-balance", "sms-units", "new-balance"])
@pytest.mark.parametrize("value", [None, "", "five", "1,524.00", True, [], "1e3", "5 "])
def test_a_success_without_a_number_is_doubtful(missing: str, value: object) -> None:
    """Each of the three numbers is needed."""
    fields = json.loads(PAGE_SUCCESS) | {missing: value}
    judgement = judged(200, json.dumps(fields).encode())
    assert (judgement.ruling, judgement.reason) == (Ruling.DOUBTFUL, "not_readable")


CODES = [
    ("1004", Ruling.LANE_REFUSED, "wallet_empty"),
    ("1006", Ruling.LANE_REFUSED, "credentials"),
    ("4091", Ruling.LANE_REFUSED, "credentials"),
    ("4092", Ruling.LANE_REFUSED, "credentials"),
    ("1009", Ruling.LANE_REFUSED, "unsupported_request"),
    ("1010", Ruling.LANE_REFUSED, "unsupported_request"),
    ("4093", Ruling.REJECTED, "unknown_account"),
    ("1005", Ruling.DOUBTFUL, "provider_error"),
    ("1007", Ruling.DOUBTFUL, "provider_error"),
    ("4090", Ruling.DOUBTFUL, "provider_error"),
    ("1001", Ruling.DOUBTFUL, "unknown_code"),
    ("0", Ruling.DOUBTFUL, "unknown_code"),
]


@pytest.mark.parametrize(("code", "ruling", "reason"), CODES)
@pytest.mark.parametrize("status", [200, 400, 401, 404])
def test_each_code_of_the_table(code: str, ruling: Ruling, reason: str, status: int) -> None:
    """A code means the same as text or number and under any HTTP status that lets the body speak."""
    expected = Judgement(ruling, reason=reason, provider_code=code, message="System error.")
    for body in (said(code, "System error."), said(int(code), "System error.")):
        assert judged(status, body) == expected


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("The child acount is invalid. Kindly verify the details", True),
        ("The child account is invalid", True),
        ("THE CHILD ACCOUNT INVALID", True),
        ("Invalid child account", True),
        ("System error", False),
        ("", False),
        ("Invalid state after crediting the child account", False),
        ("The child account is not invalid", False),
        ("The grandchild account is fine, the amount is invalid", False),
    ],
)
def test_1005_rejects_only_by_its_words(text: str, known: bool) -> None:
    """The code 1005 is also a system error, so the row is rejected only where the text blames the child."""
    expected = Ruling.REJECTED if known else Ruling.DOUBTFUL
    assert judged(200, said(1005, text)).ruling is expected


def test_other_spellings_and_places_are_read() -> None:
    """The misspelt name of the code and the object inside `responses` are understood."""
    fields = json.loads(PAGE_SUCCESS)
    misspelt = {"respose-code": "200"} | {name: fields[name] for name in fields if name != "response-code"}
    for body in (misspelt, {"responses": [fields]}, {"responses": [misspelt]}):
        assert judged(200, json.dumps(body).encode()).ruling is Ruling.CREDITED


@pytest.mark.parametrize(
    "body",
    [
        {"response-code": 200, "respose-code": 1004},
        {"responses": []},
        {"responses": [{"response-code": 1004}, {"response-code": 1004}]},
        {"response-code": 200, "responses": [{"response-code": 1004}]},
        {"responses": "1004"},
        {"responses": [1004]},
        {"response-code": True},
        {"response-code": 1004.0},
        {"response-code": "1004 "},
        {"response-code": None},
        {"response-description": "credited"},
    ],
)
def test_two_voices_or_none_are_doubtful(body: dict[str, object]) -> None:
    """Where no code, or more than one, can be read, the answer says nothing; under a 4xx the lane halts."""
    quiet, loud = judged(200, json.dumps(body).encode()), judged(400, json.dumps(body).encode())
    assert (quiet.ruling, quiet.reason, quiet.halts) == (Ruling.DOUBTFUL, "not_readable", False)
    assert (loud.ruling, loud.reason, loud.halts) == (Ruling.DOUBTFUL, "foreign_answer", True)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Amina", "AMINA"), ("Straße", "STRASSE"), ("Zoe\u0308", "zo\u00eb"), ("\uff21", "\uff41")],
)
def test_spellings_of_one_account_share_a_key(one: str, other: str) -> None:
    """Case and composition of letters do not make another account."""
    assert fastmessage().account_key(one) == fastmessage().account_key(other)


def test_different_accounts_keep_different_keys() -> None:
    """Digits, leading zeros and spaces inside tell accounts apart."""
    accounts = ["7", "07", "a b", "a  b", "ab", "\uff21b"]
    assert len({fastmessage().account_key(account) for account in accounts}) == len(accounts)


def test_own_balance_counts_in_units() -> None:
    """The own balance is asked with the login alone and comes in units, without a currency."""
    request = fastmessage().own_balance()
    answer = Answer(200, {}, b'{"response-code":200,"credit":"545.00","partner-id":"0123"}')
    assert (request.method, request.path) == ("POST", "/api/services/getbalance")
    assert json.loads(request.body) == {"apikey": KEY, "partnerID": "0123"}
    assert fastmessage().read_own_balance(answer) == Balance(Decimal("545.00"))


@pytest.mark.parametrize(
    ("status", "body", "reason", "final"),
    [
        (200, said(1006), "credentials", True),
        (401, said("4092"), "credentials", True),
        (200, said(4093), "unknown_account", True),
        (200, said(1007), "provider_error", False),
        (200, said(200), "not_readable", False),
        (404, said(200, credit="5"), "does_not_add_up", False),
        (429, said(200, credit="5"), "throttled", False),
        (500, b"", "provider_error", False),
        (403, b"<html>", "foreign_answer", False),
        (200, b"<html>", "not_readable", False),
    ],
)
def test_a_refused_balance_says_why(status: int, body: bytes, reason: str, final: bool) -> None:
    """Only a refused login or account is final; all else may pass."""
    refusal = fastmessage().read_own_balance(Answer(status, {}, body))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.final) == (reason, final)


def test_clients_can_not_be_asked() -> None:
    """No call of this platform reads a client."""
    assert fastmessage().client("Amina") is None
    assert fastmessage().clients(1) is None


def test_a_partner_id_may_be_a_number() -> None:
    """A settings file may hold the id without quotes; a key that is unknown is refused."""
    assert FastMessageSettings.model_validate({"partner_id": 7}).partner_id == "7"
    with pytest.raises(ValueError, match="api_key"):
        FastMessageSettings.model_validate({"partner_id": "7", "api_key": "x"})
