"""What has to hold for any answer, body or bytes, whoever made it up: hypothesis or atheris."""

import unicodedata
from decimal import Decimal

from rig import KINDS, provider
from strict_http import Told, whole_answer
from true_success import CLIENT_SECRETS, TRANSFERS, is_true_success

from batchcredit.engine.judgement import Judged, judge
from batchcredit.engine.wire.answer_reader import AnswerError, AnswerReader
from batchcredit.engine.wire.base import Exchange
from batchcredit.providers.base import Answer
from batchcredit.providers.cleaning import CODE_CHARS, MESSAGE_CHARS
from batchcredit.transfer import Event

PROVIDERS = {kind: provider(kind, "reseller", "https://provider.invalid") for kind in KINDS}


def judged(kind: str, status: int, body: bytes) -> Judged:
    return judge(PROVIDERS[kind], TRANSFERS[kind], Exchange(True, Answer(status, {}, body)))


def steers(character: str) -> bool:
    """Whether it moves a terminal or the direction of reading, ends a line, or can't be written at all."""
    turns = unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF"} | _ISOLATES
    return turns or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in "\u200e\u200f"


_ISOLATES = {"LRI", "RLI", "FSI", "PDI"}


def check_outcome(kind: str, said: Judged) -> None:
    """What is kept of an answer is short, on one line, printable, and free of everybody's secrets."""
    outcome = said.outcome
    assert len(outcome.message) <= MESSAGE_CHARS
    assert len(outcome.provider_code) <= CODE_CHARS
    for text in (outcome.reason, outcome.provider_code, outcome.message):
        assert not [one for one in text if steers(one)]
        for secret in (*PROVIDERS[kind].secrets, *CLIENT_SECRETS):
            assert secret.casefold() not in text.casefold()
    for number in (outcome.units, outcome.balance_before, outcome.balance_after):
        assert number is None or (isinstance(number, Decimal) and len(format(number, "f")) < 40)


def check_answer(kind: str, status: int, body: bytes) -> Judged:
    """The property: credited implies a true success, and whatever is kept is fit to be kept."""
    said = judged(kind, status, body)
    account = TRANSFERS[kind].account
    if said.outcome.event is Event.CREDIT:
        assert is_true_success(kind, account, status, body)
    check_outcome(kind, said)
    return said


def check_bytes(data: bytes, place: int) -> Answer | None:
    """The property: what our reader calls an answer, in one piece or in two, is a whole one."""
    found = _read(data), _read(data[:place], data[place:])
    for answer in found:
        assert answer is None or Told(answer.status, answer.body) == whole_answer(data, ended=True)
    return found[0]


def _read(*pieces: bytes) -> Answer | None:
    reader = AnswerReader()
    try:
        for piece in filter(None, pieces):
            if answer := reader.feed(piece):
                return answer
    except AnswerError:
        return None
    return reader.end()
