"""Fast Message and the brands on its platform: `POST /api/services/credit`, which adds units to a client.

The vendor's table of codes is marked unfinished; what it leaves open is doubtful. docs/providers.md has it.
"""

import re
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Annotated, NamedTuple
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from batchcredit.providers.base import Answer, Balance, Judgement, Provider, Refusal, Request, Rules, Ruling
from batchcredit.providers.cleaning import cleaned
from batchcredit.providers.credential import secret_of
from batchcredit.providers.reading import EXACT, exact, read_object, ruled_by_status, unreadable
from batchcredit.transfer import Transfer

_HEADERS = (("Content-Type", "application/json"), ("Accept", "application/json"))
_CREDITED = "200"
_SYSTEM_ERROR = "1005"

_LANE_CODES = {
    "1004": "wallet_empty",
    "1006": "credentials",
    "1009": "unsupported_request",
    "1010": "unsupported_request",
    "4091": "credentials",
    "4092": "credentials",
}
_BROKEN_CODES = frozenset({"1007", "4090", _SYSTEM_ERROR})
_FINAL = frozenset({"credentials", "unknown_account"})

# "respose-code" is no slip of ours: such answers have been seen.
_CODE_NAMES = ("response-code", "respose-code")
_CODE = re.compile("[0-9]{1,9}")
# Brands spell "account" in their own ways.
_INVALID_CHILD = re.compile(
    r"\bchild ac{1,2}ou?n?t (?:is )?(?:invalid|not valid)\b|\binvalid child ac{1,2}ou?n?t\b", re.IGNORECASE
)


class FastMessageSettings(BaseModel):
    """The keys of a profile of kind `fastmessage`. The key comes from exactly one of the last two."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
    )

    partner_id: Annotated[str, Field(min_length=1)]
    """the partner id"""
    apikey: SecretStr | None = None
    """the key, or `apikey_file`"""
    apikey_file: Path | None = None
    """a file that only you can read"""


class _Said(NamedTuple):
    """What an answer of the platform says; `fields` is the object that says it."""

    code: str
    text: str
    fields: dict[str, object]


class FastMessage(Provider):
    """A reseller's login at one brand; clients are named by their username, amounts are in shillings."""

    kind = "fastmessage"
    where_to_look = "the dashboard's Credit History"
    taking_back = "its API can only add units; ask the brand's support"
    counts_units = True
    lowers_ascii = True
    settings = FastMessageSettings
    rules = Rules(
        account=".{1,128}",
        account_cure="Give the client's username, at most 128 characters.",
        decimals=2,
        currencies=frozenset({"KES"}),
        default_currency="KES",
        columns={"childID": "account"},
    )
    default_rate = "5/s"
    default_concurrency = 8

    def __init__(self, base_url: str, settings: FastMessageSettings) -> None:
        apikey = secret_of("apikey", settings.apikey, settings.apikey_file)
        quoted = encode_basestring_ascii(apikey)
        self._partner_id = settings.partner_id
        self._secrets = tuple(dict.fromkeys((apikey, quoted[1:-1])))
        self._login = f'{{"apikey":{quoted},"partnerID":{encode_basestring_ascii(settings.partner_id)}'

    @property
    def login(self) -> str:
        return self._partner_id

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._secrets

    @classmethod
    def account_key(cls, account: str) -> str:
        # Decomposed first: folding some composed letters and folding their parts differ.
        return normalize("NFC", normalize("NFD", account).casefold())

    def transfer(self, transfer: Transfer) -> Request:
        child = encode_basestring_ascii(transfer.account)
        body = f'{self._login},"childID":{child},"amount":"{transfer.amount}"}}'
        return Request("POST", "/api/services/credit", _HEADERS, body.encode())

    def judge(self, transfer: Transfer, answer: Answer) -> Judgement:
        if (ruled := ruled_by_status(answer.status)) is not None:
            return ruled
        said = _said(answer.body)
        if said is None:
            return unreadable(answer.status)
        message = cleaned(said.text, self._secrets)
        if said.code == _CREDITED:
            return _credited(answer.status, said, message)
        ruling, reason = _refused(said)
        return Judgement(ruling, reason=reason, provider_code=said.code, message=message)

    def own_balance(self) -> Request:
        return Request("POST", "/api/services/getbalance", _HEADERS, f"{self._login}}}".encode())

    def read_own_balance(self, answer: Answer) -> Balance | Refusal:
        ruled = ruled_by_status(answer.status)
        said = _said(answer.body)
        if ruled is not None or said is None:
            return Refusal((ruled or unreadable(answer.status)).reason, f"HTTP status {answer.status}")
        if answer.status == 200 and said.code == _CREDITED:
            credit = exact(said.fields.get("credit"))
            return Refusal("not_readable", "the answer has no credit") if credit is None else Balance(credit)
        reason = "does_not_add_up" if said.code == _CREDITED else _refused(said)[1]
        return Refusal(reason, cleaned(said.text, self._secrets), final=reason in _FINAL)


def _said(body: bytes) -> _Said | None:
    fields = _fields(body)
    if fields is None or not (code := _code(fields)):
        return None
    text = fields.get("response-description")
    return _Said(code, text if isinstance(text, str) else "", fields)


def _fields(body: bytes) -> dict[str, object] | None:
    """The object that speaks, at the top or as the only one of `responses`; two voices are none."""
    top = read_object(body)
    if top is None or "responses" not in top:
        return top
    responses = top["responses"]
    if _code(top) or not isinstance(responses, list) or len(responses) != 1:
        return None
    return responses[0] if isinstance(responses[0], dict) else None


def _code(fields: dict[str, object]) -> str:
    """The code as text, or "" where there is none or more than one."""
    given = {_digits(fields[name]) for name in _CODE_NAMES if name in fields}
    return given.pop() if len(given) == 1 else ""


def _digits(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    text = str(value)
    return text if _CODE.fullmatch(text) else ""


def _refused(said: _Said) -> tuple[Ruling, str]:
    """What a code other than success means."""
    if said.code in _LANE_CODES:
        return Ruling.LANE_REFUSED, _LANE_CODES[said.code]
    if said.code == "4093" or (said.code == _SYSTEM_ERROR and _INVALID_CHILD.search(said.text)):
        return Ruling.REJECTED, "unknown_account"
    return Ruling.DOUBTFUL, "provider_error" if said.code in _BROKEN_CODES else "unknown_code"


def _credited(status: int, said: _Said, message: str) -> Judgement:
    """The judgement on an answer that claims success: it must come with HTTP 200 and add up."""
    before, units, after = (
        exact(said.fields.get(name)) for name in ("prev-balance", "sms-units", "new-balance")
    )
    if before is None or units is None or after is None:
        return Judgement(Ruling.DOUBTFUL, "not_readable", said.code, message)
    sound = status == 200 and _adds_up(before, units, after)
    return Judgement(
        Ruling.CREDITED if sound else Ruling.DOUBTFUL,
        reason="" if sound else "does_not_add_up",
        provider_code=said.code,
        message=message,
        units=units,
        balance_before=before,
        balance_after=after,
    )


def _adds_up(before: Decimal, units: Decimal, after: Decimal) -> bool:
    """Whether the balance grew by `units`, at the coarsest precision printed, which may be rounded or cut."""
    grown = EXACT.subtract(after, before)
    if units <= 0 or grown < 0:  # cut to their coarsest digit, a loss and a gain may look the same
        return False
    step = max((before, units, after), key=_exponent)
    return any(
        grown.quantize(step, rounding, EXACT) == units.quantize(step, rounding, EXACT)
        for rounding in (ROUND_HALF_UP, ROUND_DOWN)
    )


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent
