"""The quick door and the wide one: which requests take which, and that nobody can tell them apart."""

import asyncio
import json
import queue
import re
import threading
import time
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from itertools import count, pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from raw_line import BASIC, CLOSED, RESET, RawLine, request, transfer
from sandbox_client import CREDIT, TRANSFER
from starlette.types import Receive, Scope, Send

from batchcredit.sandbox import Control, Fault, SandboxAddress, SandboxSettings, sandbox_process
from batchcredit.sandbox.clicksend import ClickSend
from batchcredit.sandbox.front import Front
from batchcredit.sandbox.server import SandboxServer
from batchcredit.sandbox.simulation import Simulation

_numbers = count(1)
ACCOUNTS = 12_000
_TIMES = {"arrived_at", "executed_at"}

bodies = st.one_of(
    st.builds(
        '{{"client_user_id":{},"balance":{},"currency":"{}"}}'.format,
        st.sampled_from(["7", "8", "9", "10403", "10404", '"10"', "0", "x"]),
        st.sampled_from(["1", "0.0001", "2.50", "12.34567", '"1"', "0", "1e3", "999999999999999"]),
        st.sampled_from(["USD", "AUD", "usd"]),
    ),
    st.builds(
        '{{"apikey":"{}","partnerID":"{}","childID":"{}","amount":"{}"}}'.format,
        st.sampled_from(["key", ""]),
        st.sampled_from(["7", "\\u00e9", ""]),
        st.sampled_from(["a", "B", "b", "closed", "unknown", "\u00e9", ""]),
        st.sampled_from(["1", "0.01", "2.50", "1.234", "-1"]),
    ),
    st.sampled_from(["", "[]", "{", '{"balance":NaN}', " \n{} ", "\r\n\r\n", "x" * 70_000]),
)


class Sent(NamedTuple):
    """A request but for the end of its path, and where it is cut into pieces."""

    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, bytes], ...]
    cuts: tuple[float, ...]

    def pieces(self, end_of_path: str) -> list[bytes]:
        whole = request(self.body, method=self.method, path=self.path + end_of_path, headers=self.headers)
        places = [0, *sorted(int(cut * len(whole)) for cut in self.cuts), len(whole)]
        pieces = [whole[start:end] for start, end in pairwise(places)]
        return [piece for piece in pieces if piece]


sent = st.builds(
    Sent,
    st.sampled_from(["PUT", "PUT", "PUT", "POST", "GET"]),
    st.just(TRANSFER),
    bodies.map(str.encode),
    st.sampled_from(
        [
            (("content-type", b"application/json"), ("authorization", BASIC)),
            (("content-type", b"application/json"), ("authorization", BASIC)),
            (("authorization", BASIC),),
            (("content-type", b"application/json"), ("authorization", b"Basic ???")),
            (),
        ]
    ),
    st.one_of(st.just(()), st.lists(st.floats(0, 1), max_size=2).map(tuple)),
).flatmap(
    lambda one: st.sampled_from([one, one._replace(path=CREDIT, method="POST")]),
)


def _without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in _TIMES} for row in rows]


def _seen(control: Control) -> list[Any]:
    """All that a sandbox tells of what it did."""
    return [
        _without_times(control.book()),
        _without_times(control.arrivals()),
        control.accounts(),
        control.totals(),
    ]


ALL_THAT_ANSWER = frozenset(Fault) - {Fault.LATE, Fault.LATE_BEFORE, Fault.HUGE}


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"keep_book": "totals"},
        {"fault_rates": dict.fromkeys(ALL_THAT_ANSWER, 0.02)},
        {"rate_limit": 40, "rate_window_s": 3600, "retry_after_form": "none"},
        {"latency_s": 0.001, "jitter_s": 0.002},
        {"wallet": Decimal(20), "clicksend_fractions": "truncated", "fastmessage_balances": "reseller"},
    ],
    ids=["plain", "totals", "faults", "limit", "slow", "poor"],
)
def twins(request: pytest.FixtureRequest) -> Iterator[tuple[SandboxAddress, SandboxAddress]]:
    """Two sandboxes with the same settings."""
    settings = SandboxSettings(**request.param)
    with sandbox_process(settings) as one, sandbox_process(settings) as other:
        yield one, other


def _conversation(address: SandboxAddress, requests: list[Sent], end_of_path: str) -> list[bytes]:
    """Everything over one connection, as long as it lasts, and then over another."""
    answers: list[bytes] = []
    left = iter(requests)
    while len(answers) < len(requests):
        with RawLine(address) as line:
            for one in left:
                answers.append(line.ask(*one.pieces(end_of_path)))
                if answers[-1].endswith((CLOSED, RESET)):
                    break
    # What is left of a window depends on when it began.
    return [re.sub(rb"(ratelimit-reset: )\d+", rb"\1", answer) for answer in answers]


@given(requests=st.lists(sent, min_size=1, max_size=10))
@examples(max_examples=60, deadline=None)
def test_both_doors_say_and_do_the_same(
    twins: tuple[SandboxAddress, SandboxAddress], requests: list[Sent]
) -> None:
    """Byte for byte the same answers and the same book: a question mark is all it takes to go wide."""
    quick, wide = twins
    assert _conversation(quick, requests, "") == _conversation(wide, requests, "?")
    assert _seen(quick.control()) == _seen(wide.control())


class Passage(NamedTuple):
    address: SandboxAddress
    simulation: Simulation
    wide: list[str]  # the path of each request that went through the wide door


@pytest.fixture
def passage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passage]:
    """A sandbox in a thread of this process, whose wide door is watched."""
    wide: list[str] = []
    through = Front.__call__

    async def watched(front: Front, scope: Scope, receive: Receive, send: Send) -> None:
        wide.append(scope["path"])
        await through(front, scope, receive, send)

    monkeypatch.setattr(Front, "__call__", watched)
    simulation, ports = Simulation(SandboxSettings()), queue.Queue[int]()
    server = SandboxServer(simulation, 0, ports.put)
    thread = threading.Thread(target=_run, args=(server,))
    thread.start()
    yield Passage(SandboxAddress("127.0.0.1", ports.get(timeout=10)), simulation, wide)
    server.should_exit = True
    thread.join()


def _run(server: SandboxServer) -> None:
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.run_until_stopped())


def _account() -> str:
    """A client that no other test has named."""
    return str(next(_numbers) * 10)


CHUNKED = [("transfer-encoding", b"chunked")]


def _chunked(account: str) -> bytes:
    head, _, body = transfer(account, extra=CHUNKED).partition(b"\r\n\r\n")
    head = head.replace(b"\r\ncontent-length: %d" % len(body), b"")
    return b"%b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (head, len(body), body)


def test_a_plain_transfer_takes_the_quick_door(passage: Passage) -> None:
    """The first of a connection and those whose head is known, whole, in pieces, or chunked."""
    whole = transfer(_account())
    with RawLine(passage.address) as line:
        for pieces in ([whole], [whole], [whole[:50], whole[50:]], [whole[:-9], whole[-9:]], [whole]):
            assert line.ask(*pieces).startswith(b"HTTP/1.1 200 OK\r\n")
        assert line.ask(_chunked(_account())).startswith(b"HTTP/1.1 200 OK\r\n")
    assert passage.wide == []
    assert passage.simulation.book.executed == 6


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize(
    ("version", "extra"),
    [("1.1", ("connection", b"close")), ("1.0", ("x-any", b"1")), ("1.0", ("connection", b"keep-alive"))],
)
def test_the_last_request_of_a_connection_takes_the_wide_door(
    passage: Passage, version: str, extra: tuple[str, bytes], is_known: bool
) -> None:
    """It is answered, says that it closes, and closes; what comes behind it is not carried out."""
    account = _account()
    with RawLine(passage.address) as line:
        if is_known:
            line.ask(transfer(account))
        line.send(transfer(account, version=version, extra=[extra]) + transfer(account))
        assert b"\r\nconnection: close\r\n" in line.answer()
        assert line.answer() == CLOSED
    assert passage.wide == [TRANSFER]
    assert passage.simulation.book.executed == 1 + is_known


def test_who_expects_to_be_asked_is_asked(passage: Passage) -> None:
    """100 Continue comes before the body is sent, from the wide door."""
    head, _, body = transfer(_account(), extra=[("expect", b"100-continue")]).partition(b"\r\n\r\n")
    with RawLine(passage.address) as line:
        assert line.ask(head + b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert line.ask(body).startswith(b"HTTP/1.1 200 OK\r\n")
    assert passage.wide == [TRANSFER]


@pytest.mark.parametrize("fault", [Fault.STATUS_500_AFTER, Fault.CLOSE_AFTER, Fault.LATE, Fault.LATE_BEFORE])
@pytest.mark.parametrize("is_known", [False, True])
def test_a_fault_takes_the_wide_door(passage: Passage, fault: Fault, is_known: bool) -> None:
    """The request is entered once, on whichever way it came."""
    passage.simulation.change({"late_s": 0.05})
    account = _account()
    with RawLine(passage.address) as line:
        if is_known:
            line.ask(transfer(account))
        passage.simulation.script.add(account, [fault])
        line.ask(transfer(account))
    assert passage.wide == [TRANSFER]
    assert passage.simulation.book.arrived == 1 + is_known
    assert passage.simulation.book.executed == 1 + is_known


def test_pipelined_requests_are_answered_in_order(passage: Passage) -> None:
    """Quick and wide ones in one piece of bytes: the answers and the book keep their order."""
    accounts = [_account() for _ in range(6)]
    paths = [TRANSFER, TRANSFER, TRANSFER + "?", TRANSFER, TRANSFER + "?", TRANSFER]
    with RawLine(passage.address) as line:
        line.ask(transfer(accounts[0]))
        line.send(
            b"".join(transfer(account, path=path) for account, path in zip(accounts, paths, strict=True))
        )
        answers = [line.answer() for _ in accounts]
    assert [_user(answer) for answer in answers] == accounts
    assert [row[3] for row in passage.simulation.book.arrivals] == [accounts[0], *accounts]


@pytest.mark.parametrize("together", [False, True])
def test_requests_behind_a_slow_one_wait(passage: Passage, together: bool) -> None:
    """Each of them is executed and answered only when the one before was answered."""
    accounts = [_account() for _ in range(3)]
    with RawLine(passage.address) as line:
        line.ask(transfer(accounts[0]))
        passage.simulation.change({"latency_s": 0.1})
        began = time.monotonic()
        pieces = [*map(transfer, accounts)]
        line.send(*[b"".join(pieces)] if together else pieces)
        assert [_user(line.answer()) for _ in accounts] == accounts
        assert time.monotonic() - began > 0.28
    executed_at = [row[8] for row in passage.simulation.book.executions[1:]]
    assert all(later - earlier > 0.09 for earlier, later in pairwise(executed_at))
    assert passage.wide == [TRANSFER, TRANSFER]


def _user(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["data"]["user_id"])


def test_only_a_whole_request_makes_its_head_known(passage: Passage) -> None:
    """The end of a head, sent for itself, is no head: it is refused and nothing arrives."""
    whole = transfer(_account(), extra=[("x-any", b"1")])
    middle = whole.index(b"x-any")
    with RawLine(passage.address) as line:
        line.ask(whole[:middle], whole[middle:])
        assert line.ask(whole[middle:]).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert line.answer() == CLOSED
    assert passage.simulation.book.arrived == 1


def test_a_head_without_its_end_is_awaited(passage: Passage) -> None:
    """A transfer without a body is known by no head: the blank line could still be missing."""
    whole = request(b"", headers=[("authorization", BASIC)])
    with RawLine(passage.address) as line:
        line.ask(whole)
        answer = line.ask(whole[:-4], b"\r\nx-any: 1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert line.ask(whole) == answer
    assert passage.simulation.book.arrived == 3


def test_a_known_request_within_a_head_is_no_request(passage: Passage) -> None:
    """What the parser is in the middle of decides what the next bytes are."""
    whole = transfer(_account())
    with RawLine(passage.address) as line:
        line.ask(whole)
        answer = line.ask(b"PUT /clicksend/v3/nowhere HTTP/1.1\r\nx-any: ", whole)
        assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert passage.simulation.book.arrived == 1


def test_a_body_of_another_length_is_no_whole_request(passage: Passage) -> None:
    """A known head with less or more than its body: the rest is awaited, or begins the next request."""
    whole = transfer(_account())
    with RawLine(passage.address) as line:
        line.ask(whole)
        assert line.ask(whole[:-1], whole[-1:]).startswith(b"HTTP/1.1 200 OK\r\n")
        assert line.ask(whole + whole[:20], whole[20:]).startswith(b"HTTP/1.1 200 OK\r\n")
        assert line.answer().startswith(b"HTTP/1.1 200 OK\r\n")
    assert passage.simulation.book.arrived == 4


@pytest.mark.parametrize("end_of_path", ["", "?"], ids=["quick", "wide"])
def test_a_held_answer_says_that_the_door_is_closing(passage: Passage, end_of_path: str) -> None:
    """Whoever waits for an answer when the sandbox stops listening still gets it, as the last one."""
    passage.simulation.change({"latency_s": 0.3})
    with RawLine(passage.address) as line:
        line.send(transfer(_account(), path=TRANSFER + end_of_path))
        time.sleep(0.1)
        passage.address.control().refuse(0.1)
        assert b"\r\nconnection: close\r\n" in line.answer()
        assert line.answer() == CLOSED


@pytest.mark.parametrize("end_of_path", ["", "?"], ids=["quick", "wide"])
def test_a_half_sent_request_may_end_when_the_door_closes(passage: Passage, end_of_path: str) -> None:
    """Whoever is still sending when the sandbox stops listening is answered, and then let go."""
    whole = transfer(_account(), path=TRANSFER + end_of_path)
    with RawLine(passage.address) as line:
        line.send(whole[:-9])
        time.sleep(0.05)
        passage.address.control().refuse(0.1)
        assert b"\r\nconnection: close\r\n" in line.ask(whole[-9:])
        assert line.answer() == CLOSED


@pytest.mark.parametrize("end_of_path", ["", "?"], ids=["quick", "wide"])
def test_only_an_idle_connection_is_closed(end_of_path: str) -> None:
    """Requests keep a connection beyond the time after which an idle one is closed."""
    with sandbox_process(SandboxSettings(keep_alive_s=0.5)) as address, RawLine(address) as line:
        for _ in range(4):
            assert line.ask(transfer("7", path=TRANSFER + end_of_path)).startswith(b"HTTP/1.1 200 OK\r\n")
            time.sleep(0.25)
        began = time.monotonic()
        assert line.answer() == CLOSED
        assert 0.1 < time.monotonic() - began < 2


def test_an_answer_longer_than_the_idle_time_is_awaited() -> None:
    """A connection that waits for its answer is not idle, and is once it has it."""
    settings = SandboxSettings(keep_alive_s=0.2)
    with sandbox_process(settings) as address, RawLine(address) as line:
        line.ask(transfer("7"))
        address.control().set(latency_s=0.5)
        assert line.ask(transfer("7")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert line.answer() == CLOSED


def test_a_client_who_left_is_credited_all_the_same(
    passage: Passage, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer to nobody is dropped without a word, and the sandbox goes on."""
    passage.simulation.change({"latency_s": 0.1})
    with RawLine(passage.address) as line:
        line.send(transfer(_account()))
        time.sleep(0.03)
    time.sleep(0.15)
    with RawLine(passage.address) as line:
        assert line.ask(transfer(_account())).startswith(b"HTTP/1.1 200 OK\r\n")
    assert passage.simulation.book.executed == 2
    assert caplog.records == []


def test_an_account_is_small() -> None:
    """Five million clients fit into a gigabyte and a half: 300 bytes each, in a book of totals."""
    simulation = Simulation(SandboxSettings(keep_book="totals"))
    dialect = ClickSend(simulation)
    headers = [(b"content-type", b"application/json"), (b"authorization", BASIC)]
    tracemalloc.start()
    try:
        for number in range(ACCOUNTS):
            body = b'{"client_user_id":%d,"balance":1.5,"currency":"USD"}' % (500_000_010 + 10 * number)
            order, _ = dialect.read(headers, body)
            simulation.arrive(order, 0.0)
            dialect.execute(order, 0.0, "")
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert simulation.book.executed == ACCOUNTS
    assert taken / ACCOUNTS < 300
