"""Any answer to any adapter: credited only what the provider's page calls a success for this client."""

import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest
from answer_checks import PROVIDERS, check_answer, check_outcome, judged
from hostile_bodies import bodies, near_successes
from hypothesis import event, example, given
from hypothesis import strategies as st
from rig import KINDS
from true_success import CLIENT_SECRETS, TRANSFERS, body_of, is_true_success

from batchcredit.engine.judgement import judge
from batchcredit.engine.wire.base import ANSWER_MOST_BYTES, Exchange
from batchcredit.transfer import Event

each_kind = pytest.mark.parametrize("kind", KINDS)
STATUSES = st.sampled_from([200] * 40 + [201, 204, 206, 301, 400, 401, 403, 404, 408, 409, 429, 500, 999])


@each_kind
def test_the_page_s_own_answer_is_a_success(kind: str) -> None:
    """The reference and the adapter both take it for one: what follows is not true of nothing."""
    body = body_of(kind, TRANSFERS[kind].account)
    assert is_true_success(kind, TRANSFERS[kind].account, 200, body)
    assert check_answer(kind, 200, body).outcome.event is Event.CREDIT


@each_kind
def test_near_is_not_enough(kind: str) -> None:
    """Another client, another code, numbers that do not add up, text that is none: each of them by itself."""
    for body in near_successes(kind, TRANSFERS[kind].account):
        check_answer(kind, 200, body)


@each_kind
@given(data=st.data(), status=STATUSES)
def test_credited_is_a_true_success_for_this_client(kind: str, data: st.DataObject, status: int) -> None:
    """Changed in meaning, in writing or in its bytes, a success credits only while it still is one."""
    body = data.draw(bodies(kind, TRANSFERS[kind].account))
    event(check_answer(kind, status, body).outcome.event)


NUMBERS = st.builds(
    lambda number, places: f"{Decimal(number).scaleb(-places):f}",
    st.integers(-30, 30) | st.integers(-9999, 9999),
    st.integers(0, 3),
)


@given(before=NUMBERS, units=NUMBERS, after=NUMBERS, grown=st.booleans())
@example(before="5", units="0.9", after="4.1", grown=False)  # the balance fell; cut, both changes are 0
def test_numbers_that_do_not_add_up_credit_nothing(before: str, units: str, after: str, grown: bool) -> None:
    """Fast Message gives no other proof than its three numbers, here of any precision, near a sum or not."""
    if grown:
        after = f"{Decimal(before) + Decimal(units) + Decimal(after) / 1000:f}"
    numbers = {"prev-balance": before, "sms-units": units, "new-balance": after}
    said = check_answer("fastmessage", 200, json.dumps({"response-code": 200, **numbers}).encode())
    event(said.outcome.event)


@each_kind
@given(status=st.integers(100, 999), body=st.binary(max_size=99))
def test_noise_is_judged(kind: str, status: int, body: bytes) -> None:
    """Bytes without any form are judged without an exception as well, and credit nothing."""
    assert check_answer(kind, status, body).outcome.event is not Event.CREDIT


def filled(start: bytes, more: bytes, end: bytes) -> bytes:
    """A body of the largest size that a wire lets through."""
    return start + more * ((ANSWER_MOST_BYTES - len(start) - len(end)) // len(more)) + end


def wordy(words: str) -> bytes:
    """A refusal in both providers' form that talks as much as a wire lets through."""
    start = '{"http_code":402,"response_code":"X","response-code":1005,"%s":"'
    name = "response_msg", "response-description"
    half = ANSWER_MOST_BYTES // 2 - 99
    told = json.dumps(words, ensure_ascii=False)[1:-1]
    many = told * (half // len(told.encode()))
    return f'{start % name[0]}{many}","{name[1]}":"{many}"}}'.encode()


EXTREMES = {
    "arrays": filled(b'{"a":[', b"[],", b"0]}"),
    "objects": filled(b'{"a":[', b'{"":0},', b"0]}"),
    "names": b"{" + b",".join(b'"%x":0' % number for number in range(90_000)) + b"}",
    "one_name": filled(b"{", b'"a":0,', b'"a":0}'),
    "fractions": filled(b'{"a":[', b"0.1,", b"0]}"),
    "exponents": filled(b'{"a":[', b"1e9,", b"0]}"),
    "out_of_range": filled(b'{"a":[', b"1e999,", b"0]}"),
    "long_integers": filled(b'{"a":[', b"9" * 4300 + b",", b"0]}"),
    "one_integer": filled(b'{"response-code":', b"9", b"}"),
    "one_fraction": filled(b'{"response-code":0.', b"9", b"}"),
    "escapes": filled(b'{"a":"', b"\\u0041", b'"}'),
    "surrogates": filled(b'{"a":"', b"\\ud83d\\ude00", b'"}'),
    "backslashes": filled(b'{"a":"', b"\\\\", b'"}'),
    "blanks": filled(b'{"a":0', b" ", b"}"),
    "open_arrays": filled(b"", b"[", b""),
    "open_objects": filled(b"", b'{"a":', b""),
    "terminal": wordy("\x1b["),
    "terminal_words": wordy("\x1b]"),
    "terminal_open": wordy("\x9b0 "),
    "mails": wordy("a@"),
    "phones": wordy("+1 "),
    "keys": wordy("a1"),
    "invisible": wordy("\u200b"),
    "emoji": wordy("\U0001f600"),
    "nearly_the_words_of_1005": wordy("invalid child accoun "),
    "secrets": wordy("k3y "),
}
#: Several times what was measured for the worst of them, 0.3 s and 31 MB.
EXTREME_MOST_S = 3.0
EXTREME_MOST_BYTES = 64 << 20


@each_kind
@pytest.mark.parametrize("name", EXTREMES)
def test_the_largest_answers_take_little_time(kind: str, name: str) -> None:
    """Made to keep a parser busy: judged soon, and never a success."""
    assert len(EXTREMES[name]) <= ANSWER_MOST_BYTES
    began = time.process_time()
    assert check_answer(kind, 402, EXTREMES[name]).outcome.event is Event.DOUBT
    assert time.process_time() - began < EXTREME_MOST_S


@dataclass
class Memory:
    """Bytes of Python's own, since the beginning."""

    kept: int = 0
    peak: int = 0


@contextmanager
def traced() -> Iterator[Memory]:
    memory = Memory()
    tracemalloc.start()
    try:
        yield memory
        memory.kept, memory.peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["arrays", "objects", "names", "exponents", "emoji"])
def test_the_largest_answers_take_little_memory(name: str) -> None:
    """What a parser makes of an answer is a small multiple of it, and gone afterwards."""
    with traced() as memory:
        judged("clicksend", 402, EXTREMES[name])
    assert memory.peak < EXTREME_MOST_BYTES
    assert memory.kept < 1 << 20


@each_kind
def test_long_answers_are_not_remembered(kind: str) -> None:
    """Messages that differ, each as long as an answer may be, do not stay in memory."""
    with traced() as memory:
        for number in range(40):
            judged(kind, 402, wordy(f"{number}\U0001f600"))
    assert memory.kept < 1 << 20


SECRETS = st.sampled_from([secret for one in PROVIDERS.values() for secret in one.secrets])
WORDS = st.text(max_size=30) | st.sampled_from(
    ["\x1b[2J", "\x9b31m", "\x1b]0;", "\u202e", "\u200b", "a" * 400]
)


@each_kind
@given(
    words=st.lists(WORDS | SECRETS | st.sampled_from(CLIENT_SECRETS), max_size=8).map(" ".join),
    status=st.sampled_from([200, 400, 401, 404]),
)
@example(words="\x1b[2J\x1b]0;title\x07" * 99, status=400)
def test_what_is_kept_of_an_answer_is_fit_to_be_kept(kind: str, words: str, status: int) -> None:
    """Message and code are bounded and printable and repeat no secret, wherever a server puts what."""
    kept = words.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    said = {
        "clicksend": {"http_code": status, "response_code": kept, "response_msg": kept},
        "fastmessage": {"response-code": 1007, "response-description": kept},
    }
    for body in (said[kind], {**said[kind], "response_code": "X"}):
        check_answer(kind, status, json.dumps(body).encode())


@each_kind
@given(problem=st.sampled_from(["lost_answer", "timeout"]), sent=st.booleans(), detail=WORDS)
def test_what_is_kept_of_no_answer_is_fit_to_be_kept(
    kind: str, problem: str, sent: bool, detail: str
) -> None:
    """A wire's detail may quote bytes of the server."""
    exchange = Exchange(sent, problem=problem, detail=f"{detail} {PROVIDERS[kind].secrets[0]} {detail}")
    said = judge(PROVIDERS[kind], TRANSFERS[kind], exchange)
    check_outcome(kind, said)
    assert said.outcome.event is (Event.DOUBT if sent else Event.RETRY)
