"""What is asked of every adapter: the built-in two, and one that somebody else wrote."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest
from batchcredit_acme import Acme
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from batchcredit.errors import RefusedError
from batchcredit.providers.base import Answer, Provider, Refusal, Ruling
from batchcredit.providers.clicksend import ClickSend
from batchcredit.providers.fastmessage import FastMessage
from batchcredit.transfer import Transfer, shortest

SECRET = "k3y-FOR-t3sts-0nly"
BASE_URL = "https://provider.invalid"


@dataclass(frozen=True)
class Case:
    """One adapter with what the tests need to know of its provider's language."""

    adapter: type[Provider]
    settings: dict[str, str]
    secret_key: str
    account: str
    other_account: str | None  # None: the provider's answer does not name the client
    success: Callable[[str], bytes]  # account -> the answer to an executed transfer
    refusal: Callable[[str, str], bytes]  # code, words -> an answer in the provider's own form

    def build(self) -> Provider:
        values = {**self.settings, self.secret_key: SECRET}
        return self.adapter(BASE_URL, self.adapter.settings(**values))


def _clicksend(account: str = "60", **changes: object) -> bytes:
    data = {"user_id": int(account), "balance": "170.728701", "_subaccount": {"api_key": "C9B4AFBA-BDBA"}}
    envelope = {"http_code": 200, "response_code": "SUCCESS", "response_msg": "Done.", "data": data}
    return json.dumps({**envelope, **changes}).encode()


def _fastmessage(_account: str) -> bytes:
    said = {"response-code": 200, "response-description": "Partner ID 7 has been credited with 5 units"}
    return json.dumps({**said, "prev-balance": "524.00", "sms-units": "5", "new-balance": "529.00"}).encode()


def _acme(account: str) -> bytes:
    return f"result: done\ncustomer: {account}\nbalance: 170.25\nend\n".encode()


CASES = {
    "clicksend": Case(
        ClickSend,
        {"username": "reseller"},
        "api_key",
        "60",
        "61",
        _clicksend,
        lambda code, words: _clicksend(http_code=400, response_code=code, response_msg=words, data=None),
    ),
    "fastmessage": Case(
        FastMessage,
        {"partner_id": "7"},
        "apikey",
        "Amina",
        None,
        _fastmessage,
        lambda code, words: json.dumps({"response-code": code, "response-description": words}).encode(),
    ),
    "acme": Case(
        Acme,
        {"shop": "corner"},
        "token",
        "C-60",
        "C-61",
        _acme,
        lambda code, words: f"result: {code}\ntext: {words}\nend".encode(errors="replace"),
    ),
}

each_adapter = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
statuses = st.one_of(
    st.sampled_from([200, 201, 204, 301, 400, 401, 404, 408, 429, 500, 503]), st.integers(0, 999)
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        "http_code",
        "response_code",
        "response_msg",
        "data",
        "user_id",
        "balance",
        "last_page",
        "credit",
        "responses",
        "response-code",
        "respose-code",
        "response-description",
        "prev-balance",
        "sms-units",
    ]
)
# "new-balance" is left out: with it chance could write a true success.
nearly = st.dictionaries(names, values | st.sampled_from([200, "200", "SUCCESS", 401, 1005]), max_size=6)
bodies = st.one_of(st.binary(max_size=60), (values | nearly).map(lambda value: json.dumps(value).encode()))

HOSTILE = [
    b"",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"data":{"balance":1e999999999999999999999}}',
    b'{"response-code":' + b"9" * 100_000 + b"}",
    b'{"response-code":200,"prev-balance":1e999999,"sms-units":-1e-999999,"new-balance":1e999999}',
    b'{"http_code":200,"http_code":400}',
    b'{"response-description":"\\ud800","response-code":1005}',
    b'{"http_code":NaN,"response-code":-Infinity}',
    b"result: done\nresult: done\nend",
    b"\x00\nend",
]


def a_transfer(account: str, amount: str = "5", currency: str = "USD") -> Transfer:
    return Transfer(1, 1, account, account, amount, currency, "")


def judged(case: Case, status: int, body: bytes) -> Ruling:
    return case.build().judge(a_transfer(case.account), Answer(status, {}, body)).ruling


@each_adapter
@given(status=statuses, body=bodies)
def test_no_answer_but_success_credits(case: Case, status: int, body: bytes) -> None:
    """Whatever a server sends is judged without an exception, and never taken for a success."""
    assert judged(case, status, body) is not Ruling.CREDITED


@each_adapter
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("status", [200, 400, 503])
def test_hostile_bodies_are_doubtful(case: Case, status: int, body: bytes) -> None:
    """Bodies that are made to break a parser leave nothing but doubt."""
    assert judged(case, status, body) is Ruling.DOUBTFUL


@each_adapter
@given(status=st.integers(0, 999))
def test_success_needs_http_200(case: Case, status: int) -> None:
    """The words of a success count only under HTTP 200."""
    body = case.success(case.account)
    assert (judged(case, status, body) is Ruling.CREDITED) == (status == 200)


@each_adapter
@pytest.mark.parametrize("status", [300, 302, 399, 408, 429, 500, 503, 599])
def test_some_statuses_are_doubtful_whatever_the_body(case: Case, status: int) -> None:
    """Redirects, throttling, timeouts and server errors prove nothing, not even with a refusal inside."""
    for body in (case.success(case.account), case.refusal("1005", "invalid child account"), b"", b"<html>"):
        assert judged(case, status, body) is Ruling.DOUBTFUL


@each_adapter
def test_half_a_success_is_no_success(case: Case) -> None:
    """No part of a success that was cut off is taken for the whole."""
    body = case.success(case.account).rstrip()
    assert {judged(case, 200, body[:end]) for end in range(len(body))} == {Ruling.DOUBTFUL}


@each_adapter
def test_a_success_for_another_client_is_doubtful(case: Case) -> None:
    """Where an answer names the client, it must be the one that was meant."""
    if case.other_account is not None:
        assert judged(case, 200, case.success(case.other_account)) is Ruling.DOUBTFUL


@each_adapter
@pytest.mark.parametrize("body", [b"<html>blocked</html>", b"{}", b'"ok"', b""])
def test_a_foreign_4xx_halts_the_lane(case: Case, body: bytes) -> None:
    """A refusal that is not in the provider's own form may come after the work was done: stop and ask."""
    judgement = case.build().judge(a_transfer(case.account), Answer(403, {}, body))
    assert (judgement.ruling, judgement.reason, judgement.halts) == (Ruling.DOUBTFUL, "foreign_answer", True)


@each_adapter
@given(data=st.data())
def test_a_request_says_exactly_what_was_asked(case: Case, data: st.DataObject) -> None:
    """Account and amount reach the wire digit by digit, for each amount that the rules allow."""
    rules = case.adapter.rules
    account = data.draw(st.from_regex(rules.account, fullmatch=True).filter(lambda text: "\n" not in text))
    places = data.draw(st.integers(0, rules.decimals))
    amount = shortest(Decimal(data.draw(st.integers(1, 10**12 - 1))).scaleb(-places))
    request = case.build().transfer(a_transfer(account, amount))
    sent = json.loads(request.body, parse_float=str, parse_int=str)
    assert list(sent.values()).count(amount) >= 1
    assert list(sent.values()).count(account) >= 1
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert request.path.startswith("/")


@each_adapter
@given(before=st.text(max_size=20), after=st.text(max_size=20))
@example(before="\x1b[3", after="1m")
@example(before="x" * 1185 + " ", after="")
def test_a_secret_that_is_echoed_is_removed(case: Case, before: str, after: str) -> None:
    """No judgement repeats the profile's secrets, wherever the server put them."""
    provider = case.build()
    for secret in provider.secrets:
        words = f"{before} {secret} {after}"
        for code, said in ((secret, words), ("1005", words), ("BAD_REQUEST", secret.upper())):
            judgement = provider.judge(a_transfer(case.account), Answer(400, {}, case.refusal(code, said)))
            assert secret.casefold() not in repr(judgement).casefold()


@each_adapter
def test_nothing_shows_a_secret(case: Case) -> None:
    """Neither requests nor the adapter nor its settings show a secret when printed."""
    provider = case.build()
    settings = case.adapter.settings(**case.settings, **{case.secret_key: SECRET})
    requests = [provider.transfer(a_transfer(case.account)), provider.own_balance()]
    requests += [provider.client(case.account), provider.clients(1)]
    shown = repr([provider, settings, *requests, Answer(200, {"x": SECRET}, SECRET.encode())])
    assert not [secret for secret in provider.secrets if secret in shown]


@each_adapter
def test_the_secrets_are_those_on_the_wire(case: Case) -> None:
    """Each request carries a secret in a form that `secrets` names: so it can be removed from anything."""
    provider = case.build()
    request = provider.transfer(a_transfer(case.account))
    wire = repr(request.headers) + request.body.decode()
    assert SECRET in provider.secrets
    assert any(secret in wire for secret in provider.secrets)
    assert not any(secret in provider.login for secret in provider.secrets)


@each_adapter
@given(account=st.text())
@example(account="ǰ\u0345")
@example(account="ΐ\u0345\u0301")
def test_account_keys_are_stable(case: Case, account: str) -> None:
    """The canonical form of a canonical form is itself."""
    provider = case.build()
    key = provider.account_key(account)
    assert provider.account_key(key) == key


@each_adapter
@given(status=statuses, body=bodies)
@example(status=200, body=HOSTILE[2])
@example(status=200, body=HOSTILE[5])
def test_probes_read_anything(case: Case, status: int, body: bytes) -> None:
    """Readers of balances and clients turn whatever is no such answer into a refusal."""
    provider = case.build()
    answer = Answer(status, {}, body)
    if provider.own_balance() is not None and status != 200:
        assert isinstance(provider.read_own_balance(answer), Refusal)
    if provider.own_balance() is not None:
        provider.read_own_balance(answer)
    if provider.client(case.account) is not None:
        assert isinstance(provider.read_client(answer), Refusal)
    if provider.clients(1) is not None:
        assert isinstance(provider.read_clients(answer), Refusal)


@each_adapter
def test_the_promise_is_complete(case: Case) -> None:
    """Kind, settings, rules, rate and concurrency are declared in a form that the engine can use."""
    adapter = case.adapter
    assert issubclass(adapter.settings, BaseModel)
    assert adapter.settings.model_config["extra"] == "forbid"
    assert re.fullmatch("(?:none|[0-9]+/(?:s|min|h))", adapter.default_rate)
    assert adapter.default_concurrency >= 1
    assert re.fullmatch(adapter.rules.account, case.account)
    assert adapter.rules.default_currency in (adapter.rules.currencies or {""}) | {""}
    assert set(adapter.rules.columns.values()) <= {"account", "amount", "currency", "reference"}


@each_adapter
def test_a_missing_secret_is_refused(case: Case) -> None:
    """Without its secret no adapter is built, and the error names the key to set."""
    with pytest.raises(RefusedError) as refused:
        case.adapter(BASE_URL, case.adapter.settings(**case.settings))
    assert refused.value.reason == "settings"
    assert case.secret_key in refused.value.cure
