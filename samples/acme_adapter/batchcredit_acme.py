"""Acme, a provider that does not exist: what an adapter written outside batchcredit looks like.

Acme takes `POST /topups` with a JSON body and a bearer token. It answers in plain text, one `name: value` a
line, and closes a whole answer with the line `end`:

    result: done
    customer: C-1042
    balance: 170.25
    end
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from batchcredit.providers.base import Answer, Judgement, Provider, Request, Rules, Ruling
from batchcredit.providers.cleaning import cleaned, cleaned_code
from batchcredit.providers.credential import secret_of
from batchcredit.providers.reading import exact, ruled_by_status, unreadable
from batchcredit.transfer import Transfer

REFUSALS = {
    "no-such-customer": (Ruling.REJECTED, "unknown_account"),
    "bad-token": (Ruling.LANE_REFUSED, "credentials"),
    "purse-empty": (Ruling.LANE_REFUSED, "wallet_empty"),
}


class AcmeSettings(BaseModel):
    """The keys of a profile of kind `acme`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    shop: str
    token: SecretStr | None = None
    token_file: Path | None = None


class Acme(Provider):
    """A shop's login at Acme."""

    kind = "acme"
    settings = AcmeSettings
    rules = Rules(
        account="C-[0-9]{1,10}",
        account_cure="the customer's code, such as C-1042",
        decimals=2,
        currencies=frozenset({"EUR"}),
        default_currency="EUR",
        columns={"customer": "account"},
    )

    def __init__(self, base_url: str, settings: AcmeSettings) -> None:
        self._token = secret_of("token", settings.token, settings.token_file)
        self._shop = settings.shop
        self._headers = (("Authorization", f"Bearer {self._token}"), ("Content-Type", "application/json"))

    @property
    def login(self) -> str:
        return self._shop

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._token,)

    def transfer(self, transfer: Transfer) -> Request:
        topup = {"shop": self._shop, "customer": transfer.account, "euros": transfer.amount}
        return Request("POST", "/topups", self._headers, json.dumps(topup).encode())

    def judge(self, transfer: Transfer, answer: Answer) -> Judgement:
        if (ruled := ruled_by_status(answer.status)) is not None:
            return ruled
        said = _lines(answer.body)
        if "result" not in said:
            return unreadable(answer.status)
        ruling, reason = _verdict(said, transfer.account, answer.status)
        return Judgement(
            ruling,
            reason=reason,
            provider_code=cleaned_code(said["result"], self.secrets),
            message=cleaned(said.get("text", ""), self.secrets),
            balance_after=exact(said.get("balance")) if ruling is Ruling.CREDITED else None,
        )


def _lines(body: bytes) -> dict[str, str]:
    """The pairs of a whole answer, or nothing: half an answer proves nothing."""
    lines = body.decode("ascii", errors="replace").splitlines()
    pairs = [tuple(line.split(": ", 1)) for line in lines[:-1]]
    said = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return said if lines[-1:] == ["end"] and len(said) == len(pairs) else {}


def _verdict(said: dict[str, str], account: str, status: int) -> tuple[Ruling, str]:
    if said["result"] in REFUSALS:
        return REFUSALS[said["result"]]
    if said["result"] != "done":
        return Ruling.DOUBTFUL, "unknown_code"
    if status != 200:
        return Ruling.DOUBTFUL, "does_not_add_up"
    return (Ruling.CREDITED, "") if said.get("customer") == account else (Ruling.DOUBTFUL, "other_account")
