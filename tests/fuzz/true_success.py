"""What a true success for one client is, written from the providers' pages and not from the adapters."""

import json
import re
from fractions import Fraction

from strict_json import NotJsonError, Number, document

from batchcredit.transfer import Transfer

TRANSFERS = {
    "clicksend": Transfer(1, 1, "60", "60", "12", "USD", ""),
    "fastmessage": Transfer(1, 1, "Amina", "amina", "5", "KES", ""),
}

#: The client's own secrets, which ClickSend puts into its answer.
CLIENT_SECRETS = ("C9B4AFBA-BDBA-E343-950B-2C63BF6E7901", "fZpbUQfzE0@NQ9Nt.com", "+61353787898")


def answer_of(kind: str, account: str) -> dict[str, object]:
    """The answer of the provider's page to a transfer that was executed."""
    return _clicksend(account) if kind == "clicksend" else _fastmessage()


def _clicksend(account: str) -> dict[str, object]:
    api_key, email, phone = CLIENT_SECRETS
    data = {
        "_currency": {"currency_name_short": "AUD", "currency_prefix_d": "$"},
        "_subaccount": {"access_billing": 1, "api_key": api_key, "email": email, "phone_number": phone},
        "active": 0,
        "balance": "170.728701",
        "banned": 0,
        "user_id": int(account),
        "username": "FHJatAkKXD",
    }
    words = "Your balance has been successfully transferred."
    return {"data": data, "http_code": 200, "response_code": "SUCCESS", "response_msg": words}


def _fastmessage() -> dict[str, object]:
    words = "Partner ID xxxx has been credited with 5 units"
    numbers = {"prev-balance": "524.00", "sms-units": "5", "new-balance": "529.00"}
    return {"response-code": 200, "response-description": words, **numbers}


def body_of(kind: str, account: str) -> bytes:
    return json.dumps(answer_of(kind, account), indent=1).encode()


def is_true_success(kind: str, account: str, status: int, body: bytes) -> bool:
    """Whether the provider says with this answer that it credited this client."""
    try:
        said = document(body)
    except NotJsonError:
        return False
    if status != 200 or not isinstance(said, dict):
        return False
    return _is_clicksend(account, said) if kind == "clicksend" else _is_fastmessage(said)


def _is_clicksend(account: str, said: dict[str, object]) -> bool:
    """The page: both codes say success, and the data are the client's, its id as number or text."""
    data = said.get("data")
    return (
        said.get("http_code") == Number("200")
        and said.get("response_code") == "SUCCESS"
        and isinstance(data, dict)
        and data.get("user_id") in (account, Number(account))
    )


def _is_fastmessage(said: dict[str, object]) -> bool:
    """The page, and one other place and spelling that were seen: one code, 200, and numbers that add up."""
    if "responses" in said:
        others = {"response-code", "respose-code"} & said.keys()
        inner = said["responses"]
        if others or not isinstance(inner, list) or len(inner) != 1 or not isinstance(inner[0], dict):
            return False
        said = inner[0]
    codes = [said[name] for name in ("response-code", "respose-code") if name in said]
    if not codes or any(code not in ("200", Number("200")) for code in codes):
        return False
    return _adds_up(*(_decimal(said.get(name)) for name in ("prev-balance", "sms-units", "new-balance")))


_PLAIN = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


def _decimal(value: object) -> tuple[Fraction, int] | None:
    """A number and its digits behind the point; a JSON number may have an exponent, a text none."""
    if isinstance(value, Number):
        mantissa, _, exponent = value.text.lower().partition("e")
    elif isinstance(value, str):
        mantissa, exponent = value, ""
    else:
        return None
    plain = _PLAIN.fullmatch(mantissa)
    if not plain or not mantissa.isascii() or abs(int(exponent or "0")) > 99:
        return None
    places = len(plain[3] or "") - int(exponent or "0")
    return Fraction(mantissa) * Fraction(10) ** int(exponent or "0"), max(0, places)


def _adds_up(
    before: tuple[Fraction, int] | None,
    units: tuple[Fraction, int] | None,
    after: tuple[Fraction, int] | None,
) -> bool:
    """The balance did not fall, and grew by `units` but for less than one of the coarsest digit printed."""
    if before is None or units is None or after is None:
        return False
    grown = after[0] - before[0]
    step = Fraction(1, 10 ** min(before[1], units[1], after[1]))
    return units[0] > 0 and grown >= 0 and abs(grown - units[0]) < step
