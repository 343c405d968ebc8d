"""docs/providers.md tells how answers are judged: each line of its tables is asked of the adapters."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from documents import ROOT, quoted, table_behind
from pydantic import SecretStr

from batchcredit.providers.base import Answer, Provider
from batchcredit.providers.clicksend import ClickSend, ClickSendSettings
from batchcredit.providers.fastmessage import FastMessage, FastMessageSettings
from batchcredit.sandbox.faults import EXECUTES, Fault
from batchcredit.sandbox.settings import SandboxSettings
from batchcredit.transfer import Transfer

TRANSFER = Transfer(1, 1, "60", "60", "12", "KES", "")
CLICKSEND = ClickSend(
    "https://a.example", ClickSendSettings(username="reseller", api_key=SecretStr("secret"))
)
FASTMESSAGE = FastMessage(
    "https://b.example", FastMessageSettings(partner_id="1", apikey=SecretStr("secret"))
)

Body = Callable[[int, str], bytes]


def envelope(http_code: int, code: str, message: str = "Words.", data: object = None) -> bytes:
    said = {"http_code": http_code, "response_code": code, "response_msg": message, "data": data}
    return json.dumps(said).encode()


def coded(code: str, text: str = "Words.", **fields: str) -> bytes:
    return json.dumps({"response-code": int(code), "response-description": text, **fields}).encode()


def credited(code: str, units: str) -> bytes:
    return coded(code, **{"prev-balance": "524.00", "sms-units": units, "new-balance": "529.00"})


CLICKSEND_BODIES: dict[str, Body] = {
    "not their envelope": lambda status, code: b"<html></html>",
    "their envelope": envelope,
    "an inner http_code 400": lambda status, code: envelope(400, code),
    '"Invalid endpoint"': lambda status, code: envelope(status, code, "Invalid endpoint. Please try again."),
    "another http_code": lambda status, code: envelope(status + 1, code),
    "no client": lambda status, code: envelope(status, code, data={}),
    "another client": lambda status, code: envelope(status, code, data={"user_id": 61}),
    "the client we meant": lambda status, code: envelope(status, code, data={"user_id": 60}),
}

FASTMESSAGE_BODIES: dict[str, Body] = {
    "not theirs": lambda status, code: b"<html></html>",
    "any text": lambda status, code: coded(code),
    "says that the child account is invalid": lambda status, code: coded(
        code, "The child acount is invalid. Kindly verify the details"
    ),
    "lacks a balance or the units": lambda status, code: coded(code, **{"sms-units": "5"}),
    "does not add up": lambda status, code: credited(code, "6"),
    "adds up": lambda status, code: credited(code, "5"),
}


def cases(
    mark: str, provider: Provider, bodies: dict[str, Body]
) -> Iterator[tuple[Provider, int, bytes, str, str]]:
    """One case for each status and code of each line."""
    for statuses, codes, body, judgement, reason in table_behind("docs/providers.md", mark):
        for status in ("400", "401", "404", "409") if statuses == "any 4xx" else statuses.split(", "):
            for code in [text.strip("`") for text in codes.split(", ")]:
                content = bodies[body](int(status), code)
                yield provider, int(status), content, judgement, reason.strip("`")


@pytest.mark.parametrize(
    ("provider", "status", "body", "judgement", "reason"),
    [
        *cases("<!-- clicksend -->", CLICKSEND, CLICKSEND_BODIES),
        *cases("<!-- fastmessage -->", FASTMESSAGE, FASTMESSAGE_BODIES),
    ],
)
def test_an_answer_is_judged_as_documented(
    provider: Provider, status: int, body: bytes, judgement: str, reason: str
) -> None:
    """A line of the tables holds for each status and each code that it names."""
    said = provider.judge(TRANSFER, Answer(status, {}, body))
    assert (f"{said.ruling}{', halts' if said.halts else ''}", said.reason) == (judgement, reason)


def test_every_code_of_the_adapters_is_in_the_tables() -> None:
    """A code that the adapters know is documented."""
    from batchcredit.providers import clicksend, fastmessage

    rows = [*table_behind("docs/providers.md", "<!-- clicksend -->")]
    rows += table_behind("docs/providers.md", "<!-- fastmessage -->")
    named = {word.strip("`") for row in rows for word in row[1].split(", ")}
    known = {*clicksend._LANE_CODES, *clicksend._BROKEN_CODES}
    known |= {*fastmessage._LANE_CODES, *fastmessage._BROKEN_CODES}
    assert known <= named


def test_each_open_question_is_a_switch_of_the_sandbox() -> None:
    """Names and defaults of the switches are those of the sandbox."""
    settings = SandboxSettings()
    for _, switches, defaults in table_behind("docs/providers.md", "## Open questions"):
        for name, default in zip(quoted(switches), quoted(defaults), strict=True):
            assert getattr(settings, name) == json.loads(default), name


def test_each_fault_is_listed_with_what_it_does() -> None:
    """The list of faults is whole, and marks those that move money."""
    text = (ROOT / "docs" / "providers.md").read_text().partition("<!-- faults -->")[2].partition("\n##")[0]
    listed = dict(re.findall(r"`(\w+)`(\+?)", text))
    assert listed == {fault.value: "+" if fault in EXECUTES else "" for fault in Fault}


@pytest.mark.parametrize("adapter", [ClickSend, FastMessage])
def test_who_looks_rows_up_and_takes_credit_back_is_told_in_the_words_of_the_program(
    adapter: type[Provider],
) -> None:
    """What the lists for people say of a provider stands in the document."""
    text = (ROOT / "docs" / "providers.md").read_text()
    assert adapter.where_to_look in text
    assert adapter.taking_back in text
