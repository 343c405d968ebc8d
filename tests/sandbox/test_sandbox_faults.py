"""Each fault, on each provider, over fresh and used connections: what arrives, and what the book says."""

import email.utils
import http.client
import json
import socket
import time
from collections.abc import Callable
from itertools import count

import pytest
from sandbox_client import JSON, TRANSFER, Heard, Line, basic

from batchcredit.sandbox import SIMULATED_KINDS, Control, Fault, SandboxAddress
from batchcredit.sandbox.faults import EXECUTES

_numbers = count(1000)

LATE_S = 0.2
TIMER_GRAIN_S = 0.01  # the loop may wake up a little early

STATUSES = {
    Fault.STATUS_401: 401,
    Fault.STATUS_403: 403,
    Fault.STATUS_404: 404,
    Fault.STATUS_429: 429,
    Fault.STATUS_500_BEFORE: 500,
    Fault.STATUS_500_AFTER: 500,
    Fault.STATUS_503: 503,
    Fault.HTML_403: 403,
    Fault.REDIRECT_302: 302,
    Fault.REDIRECT_307: 307,
}
BROKEN: dict[Fault, type[BaseException]] = {
    Fault.CLOSE_BEFORE: http.client.RemoteDisconnected,
    Fault.CLOSE_AFTER: http.client.RemoteDisconnected,
    Fault.RESET_BEFORE: ConnectionResetError,
    Fault.RESET_AFTER: ConnectionResetError,
    Fault.HALF_ANSWER: http.client.IncompleteRead,
    Fault.GARBAGE: http.client.BadStatusLine,
}
CONTENTS: dict[Fault, Callable[[bytes], bool]] = {
    Fault.HTML_200: lambda body: body.startswith(b"<html>"),
    Fault.HTML_403: lambda body: body.startswith(b"<html>"),
    Fault.HUGE: lambda body: len(body) > 2**20 and isinstance(json.loads(body), dict),
    Fault.NOT_JSON: lambda body: body == b"OK",
    Fault.EMPTY: lambda body: body == b"",
    Fault.INNER_ERROR: lambda body: b"INTERNAL_ERROR" in body or b"4090" in body,
}


def _account(kind: str) -> str:
    """A client that no other test has named."""
    number = next(_numbers) * 10
    return str(number) if kind == "clicksend" else f"client{number}"


def _used(line: Line, kind: str) -> Line:
    assert line.transfer(kind, _account(kind)).status == 200
    return line


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("kind", SIMULATED_KINDS)
@pytest.mark.parametrize("fault", Fault)
def test_fault(line: Line, control: Control, fault: Fault, kind: str, used: bool) -> None:
    """One request arrives, executed exactly if the fault says so, and the client sees the fault's ending."""
    account = _account(kind)
    control.set(late_s=LATE_S)
    control.script(account, [fault])
    if used:
        _used(line, kind)
    before = control.totals()
    if fault in BROKEN:
        with pytest.raises(BROKEN[fault]):
            line.transfer(kind, account)
    else:
        _check_answer(fault, line.transfer(kind, account))
    assert [row["fault"] for row in control.arrivals(before["arrivals"])] == [fault]
    executed = [(row["account"], row["fault"]) for row in control.book(before["executions"])]
    assert executed == ([(account, fault)] if fault in EXECUTES else [])


def _check_answer(fault: Fault, answer: Heard) -> None:
    assert answer.status == STATUSES.get(fault, 200)
    assert CONTENTS.get(fault, lambda body: True)(answer.body)


@pytest.mark.parametrize("fault", sorted(set(Fault) - BROKEN.keys() - {Fault.HALF_HEAD}))
def test_answered_faults_leave_the_connection_usable(line: Line, control: Control, fault: Fault) -> None:
    """A fault that is an answer is well-formed HTTP: the next request on the same connection is served."""
    account = _account("clicksend")
    control.set(late_s=LATE_S)
    control.script(account, [fault])
    line.transfer("clicksend", account)
    assert line.clicksend(account).json["data"]["user_id"] == int(account)


def test_half_head_ends_inside_the_headers(address: SandboxAddress, control: Control) -> None:
    """What arrives of the head is no head: it has no end."""
    control.script("70", [Fault.HALF_HEAD])
    received, error = _raw(address, "70")
    assert received.startswith(b"HTTP/1.1 200")
    assert b"\r\n\r\n" not in received
    assert error is None


@pytest.mark.parametrize(
    ("fault", "resets"),
    [
        (Fault.CLOSE_BEFORE, False),
        (Fault.CLOSE_AFTER, False),
        (Fault.RESET_BEFORE, True),
        (Fault.RESET_AFTER, True),
    ],
)
def test_reset_and_close_differ_on_the_socket(
    address: SandboxAddress, control: Control, fault: Fault, resets: bool
) -> None:
    """A reset is an RST, a close is a FIN, and neither is preceded by a byte."""
    control.script("71", [fault])
    received, error = _raw(address, "71")
    assert received == b""
    assert isinstance(error, ConnectionResetError) is resets


def _raw(address: SandboxAddress, account: str) -> tuple[bytes, OSError | None]:
    body = f'{{"balance": 1, "client_user_id": {account}, "currency": "USD"}}'
    headers = JSON | basic("a", "b") | {"host": "sandbox", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    received = b""
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(f"PUT {TRANSFER} HTTP/1.1\r\n{head}\r\n{body}".encode())
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError as error:
            return received, error
    return received, None


def test_late_answers_come_late(line: Line, control: Control) -> None:
    """The order is executed at once; only the answer waits."""
    control.set(late_s=LATE_S)
    control.script("72", [Fault.LATE])
    began = time.monotonic()
    assert line.clicksend("72").status == 200
    assert time.monotonic() - began >= LATE_S - TIMER_GRAIN_S
    row = control.book()[-1]
    assert row["executed_at"] - row["arrived_at"] < LATE_S


def test_late_orders_are_executed_after_the_client_left(address: SandboxAddress, control: Control) -> None:
    """A client that timed out and closed is credited nevertheless, later."""
    control.set(late_s=0.5)
    control.script("73", [Fault.LATE_BEFORE])
    seen = control.totals()["executions"]
    with Line(address, timeout_s=0.1) as impatient, pytest.raises(TimeoutError):
        impatient.clicksend("73")
    assert control.book(seen) == []
    deadline = time.monotonic() + 10
    while not (rows := control.book(seen)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [row["account"] for row in rows] == ["73"]
    assert rows[0]["executed_at"] - rows[0]["arrived_at"] >= 0.5 - TIMER_GRAIN_S


def test_redirects_point_at_themselves(line: Line, control: Control) -> None:
    """A client that follows shows itself by a second arrival at the same path."""
    control.script("74", [Fault.REDIRECT_307])
    assert line.clicksend("74").headers["location"] == TRANSFER


def test_wrong_user_and_wrong_sum(line: Line, control: Control) -> None:
    """The answers are well-formed and speak of another client, or of another sum."""
    control.script("75", [Fault.WRONG_USER])
    assert line.clicksend("75").json["data"]["user_id"] != 75
    control.script("sum", [Fault.WRONG_SUM])
    answer = line.fastmessage("sum", "5").json
    assert float(answer["new-balance"]) - float(answer["prev-balance"]) != float(answer["sms-units"])


@pytest.mark.parametrize("kind", SIMULATED_KINDS)
@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_429_asks_for_patience_in_three_forms(line: Line, control: Control, kind: str, form: str) -> None:
    """`Retry-After` is a number, a date, or missing, as the setting says."""
    account = _account(kind)
    control.set(retry_after_form=form, retry_after_s=90)
    control.script(account, [Fault.STATUS_429])
    headers = line.transfer(kind, account).headers
    if form == "none":
        assert "retry-after" not in headers
        assert "ratelimit-reset" not in headers
    elif form == "seconds":
        assert (headers["retry-after"], headers["ratelimit-reset"]) == ("90", "90")
    else:
        date = email.utils.parsedate_to_datetime(headers["retry-after"])
        assert 80 < date.timestamp() - time.time() <= 91


def test_refused_orders_are_not_executed_by_a_fault(line: Line, control: Control) -> None:
    """A fault loses an answer; it does not turn a refusal into a payment."""
    seen = control.totals()["executions"]
    control.script("20404", [Fault.STATUS_500_AFTER, Fault.INNER_ERROR, Fault.WRONG_USER])
    assert [line.clicksend("20404").status for _ in range(3)] == [500, 200, 404]
    assert control.book(seen) == []


def test_script_is_taken_in_order_by_its_account(line: Line, control: Control) -> None:
    """Each request takes one entry, `none` lets one through, `*` is for whoever comes."""
    control.script("76", ["none", Fault.STATUS_503])
    control.script("*", [Fault.EMPTY])
    assert [line.clicksend("76").status for _ in range(2)] == [200, 503]
    assert line.clicksend("77").body == b""
    assert line.clicksend("76").json["http_code"] == 200


def test_script_knows_every_spelling(line: Line, control: Control) -> None:
    """Fast Message does not tell capitals apart, and so neither does a script."""
    control.script("Spelled", [Fault.STATUS_503])
    assert line.fastmessage("sPELLED").status == 503


def test_cuts_of_a_connection_that_is_gone_are_harmless(address: SandboxAddress, control: Control) -> None:
    """When the client left before the fault would reset it, the server goes on."""
    control.set(latency_s=0.3)
    control.script("79", [Fault.RESET_AFTER])
    with Line(address, timeout_s=0.1) as impatient, pytest.raises(TimeoutError):
        impatient.clicksend("79")
    time.sleep(0.4)
    assert control.book()[-1]["fault"] == Fault.RESET_AFTER


def test_latency(line: Line, control: Control) -> None:
    """Every answer waits for so long, the execution does not."""
    control.set(latency_s=0.1, jitter_s=0.05)
    began = time.monotonic()
    line.fastmessage("slow")
    assert time.monotonic() - began >= 0.1 - TIMER_GRAIN_S
    row = control.book()[-1]
    assert row["executed_at"] - row["arrived_at"] < 0.1


def test_idle_connections_are_closed(address: SandboxAddress, control: Control) -> None:
    """After `keep_alive_s` a client that reuses its connection meets the end of it."""
    control.set(keep_alive_s=0.2)
    time.sleep(0.3)  # the server takes the value over within a tenth of a second
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(b"GET /clicksend/v3/account HTTP/1.1\r\nhost: sandbox\r\n\r\n")
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401")


def test_refuse_and_listen_again(address: SandboxAddress, line: Line, control: Control) -> None:
    """While the door is closed a connect is refused and idle connections end; then the same port answers."""
    line.clicksend("78")
    began = time.monotonic()
    control.refuse(0.5)
    with pytest.raises(ConnectionRefusedError):
        control.totals()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
        line.clicksend("78")
    while time.monotonic() < began + 10:
        try:
            totals = address.control().totals()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    assert time.monotonic() - began >= 0.5 - TIMER_GRAIN_S
    assert totals["arrivals"] >= 1


@pytest.mark.parametrize("seconds", [-1, 601, "soon", None])
def test_refuse_has_a_limit(control: Control, seconds: float) -> None:
    """A door that would stay closed for ever is refused."""
    with pytest.raises(ValueError, match=r"seconds|float|string"):
        control.refuse(seconds)
