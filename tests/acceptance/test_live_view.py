"""--serve: a run in a browser while it goes on, for whoever knows the address, and no harm to the run."""

import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import pytest
from chromium import LEFT_OUT, find, launched
from command_line import CommandLine, Running, Sandbox, refused, wait_for

from batchcredit.live.server import bound, server

if TYPE_CHECKING:
    from postgres_server import Server

ADDRESS = re.compile(r"live view: (http://127\.0\.0\.1:\d+/[0-9a-f]{32}/)")
SLOW = {"rate": "20/s", "timeout": 10}


@pytest.fixture
def slow(shop: CommandLine, sandbox: Sandbox) -> CommandLine:
    """The shop, with a limit that makes runs last."""
    shop.configure(sandbox.address, sandbox.login, clicksend=SLOW)
    return shop


def started(cli: CommandLine, rows: int, *flags: object) -> tuple[Running, str]:
    """A run of so many rows on its way, and where its page is."""
    path = cli.write("march.csv", [("clicksend", 1000 + number, "2.50", "USD") for number in range(rows)])
    running = cli.start("run", path, "--yes", "--serve", *flags)
    wait_for(lambda: running.has_ended or ADDRESS.search(running.stderr))
    found = ADDRESS.search(running.stderr)
    assert found, running.stderr
    return running, found[1]


def asked(address: str, method: str = "GET", path: str = "", **headers: str) -> http.client.HTTPResponse:
    """The answer to one request, read."""
    parts = urlsplit(address)
    line = http.client.HTTPConnection("127.0.0.1", parts.port or 0, timeout=10)
    try:
        line.request(method, path or parts.path, headers=headers)
        answer = line.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        return answer
    finally:
        line.close()


def is_served(address: str) -> bool:
    """Whether anybody listens there."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", urlsplit(address).port or 0)) == 0


def server_of(pid: int) -> int:
    """The process that serves the page of a run."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [
        int(child) for child in children if b"batchcredit.live" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return found


def test_only_who_has_the_address_and_only_reads(slow: CommandLine) -> None:
    """Another path, host name or method gets nothing; and nobody else can keep, frame or forward the page."""
    running, address = started(slow, 900)
    wait_for(lambda: "march" in asked(address).text)  # type: ignore[attr-defined]
    answer = asked(address)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    port, token = urlsplit(address).port, urlsplit(address).path.strip("/")
    assert asked(address, "HEAD").status == 200
    assert asked(address, Host=f"localhost:{port}").status == 200
    for path in ("/", f"/{token[:-1]}{'0' if token[-1] != '0' else '1'}/", f"/{token}", f"//{token}/"):
        assert asked(address, path=path).status == 404
    for host in ("evil.test", f"evil.test:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.test"):
        assert asked(address, Host=host).status == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert asked(address, method).status == 405
    with suppress(ConnectionError):  # it may hang up while we still write
        assert asked(address, Cookie="x" * 1_000_000).status == 400
    running.signal(signal.SIGINT)
    assert running.end().code == 4
    assert not is_served(address)


def test_who_asks_nothing_keeps_nobody_out(slow: CommandLine) -> None:
    """Silent connections and half-sent requests, more than there may be: whoever knows the address still gets
    the page, and the server holds no more of them than it may."""
    running, address = started(slow, 900)
    wait_for(lambda: "march" in asked(address).text)  # type: ignore[attr-defined]
    server = Path(f"/proc/{server_of(running.pid)}/fd")
    before = len([*server.iterdir()])
    with ExitStack() as open_ones:
        for half in (b"", b"GET / HTTP/1.1\r\nHost: x") * 30:
            line = open_ones.enter_context(
                socket.create_connection(("127.0.0.1", urlsplit(address).port or 0))
            )
            with suppress(ConnectionError):
                line.sendall(half)
        assert asked(address).status == 200
        assert len([*server.iterdir()]) - before <= 16
    running.signal(signal.SIGINT)
    assert running.end().code == 4


def test_an_exchange_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is never whole is hung up on."""
    monkeypatch.setattr("batchcredit.live.server.EXCHANGE_S", 0.2)

    async def nobody(scope: object, receive: object, send: object) -> None:
        raise AssertionError(scope)

    async def hung_up_on() -> None:
        listener = bound(0)
        web = server(nobody)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(web.serve, [listener])
            async with await anyio.connect_tcp(*listener.getsockname()) as line:
                await line.send(b"GET / HTTP/1.1\r\nHost: x")
                with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await line.receive()
            web.should_exit = True

    anyio.run(hung_up_on)


def test_the_token_is_told_once(slow: CommandLine) -> None:
    """On stderr, and neither in a file nor on a command line nor in the environment of the server."""
    running, address = started(slow, 60)
    token = urlsplit(address).path.strip("/")
    server = server_of(running.pid)
    for name in ("cmdline", "environ"):
        seen = Path(f"/proc/{server}/{name}").read_bytes() if os.geteuid() == 0 else b""
        assert token.encode() not in seen
        assert b"clicksend-key" not in seen
        assert str(slow.ledger).encode() not in seen
    running.signal(signal.SIGINT)
    ended = running.end()
    assert ended.stderr.count(token) == 1
    assert token not in ended.stdout
    for path in [*slow.folder.rglob("*"), *slow.home.rglob("*")]:
        if path.is_file() and path.suffix != ".err":
            assert token.encode() not in path.read_bytes()


def test_the_password_of_a_shared_ledger_stays_in_it(slow: CommandLine, postgres: "Server") -> None:
    """The page of a batch in PostgreSQL is served, and its server shows the password nowhere."""
    settings = slow.folder / "batchcredit.toml"
    settings.write_text(re.sub("(?m)^ledger = .*$", "", settings.read_text()))
    slow.env["BATCHCREDIT_LEDGER"] = postgres.fresh_url()
    password = urlsplit(slow.env["BATCHCREDIT_LEDGER"]).password
    assert password
    running, address = started(slow, 900)
    wait_for(lambda: "march" in asked(address).text and "so far" in asked(address).text)  # type: ignore[attr-defined]
    server = server_of(running.pid)
    shown = [Path(f"/proc/{server}/{name}").read_text() for name in ("cmdline", "environ")]
    shown.append(asked(address).text)  # type: ignore[attr-defined]
    running.signal(signal.SIGINT)
    ended = running.end()
    assert ended.code == 4, ended
    files = [path for path in (*slow.folder.rglob("*"), *slow.home.rglob("*")) if path.is_file()]
    shown += [ended.stdout, ended.stderr, *(path.read_text(errors="replace") for path in files)]
    assert not [text for text in shown if password in text]


def test_json_log_tells_it_in_one_event(slow: CommandLine) -> None:
    """`live_view` has the address, and no other line has."""
    path = slow.write("march.csv", [("clicksend", 1001, "2.50", "USD")])
    ended = slow("run", path, "--yes", "--serve", "--log-format", "json")
    assert ended.code == 0, ended
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    (address,) = [line["address"] for line in told if line["event"] == "live_view"]
    assert ended.stderr.count(urlsplit(address).path.strip("/")) == 1


def test_a_run_that_is_killed_takes_its_page_along(slow: CommandLine) -> None:
    """kill -9: the server is gone within seconds."""
    running, address = started(slow, 100)
    running.kill()
    wait_for(lambda: not is_served(address), 10)


def test_a_page_that_is_killed_is_no_harm(slow: CommandLine, sandbox: Sandbox) -> None:
    """kill -9 of the server: the run says so, and pays each row once."""
    running, _ = started(slow, 60)
    wait_for(lambda: sandbox.book())
    os.kill(server_of(running.pid), signal.SIGKILL)
    ended = running.end()
    assert ended.code == 0, ended
    assert "the live view has ended; the run goes on" in ended.stderr
    assert len({entry["account"] for entry in sandbox.book()}) == len(sandbox.book()) == 60


def test_a_port_in_use_is_refused_before_anything_is_sent(slow: CommandLine, sandbox: Sandbox) -> None:
    """With the cure, and nothing is kept."""
    path = slow.write("march.csv", [("clicksend", 1001, "2.50", "USD")])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = slow("run", path, "--yes", "--json", "--serve", taken.getsockname()[1])
    assert "--serve 8642" in refused(ended, "serve")
    assert sandbox.book() == []
    assert not slow.ledger.exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    program = find()
    if program is None:
        pytest.skip(LEFT_OUT)
    with launched(program) as found:
        yield found


def test_figures_change_and_the_end_is_seen(slow: CommandLine, browser: object) -> None:
    """In a real browser: credited rows grow without a reload; then the end, and what stands there stays."""
    context = browser.new_context()  # type: ignore[attr-defined]
    page = context.new_page()
    page.set_default_timeout(30_000)
    running, address = started(slow, 120)
    page.goto(address)
    page.wait_for_selector("#live-state", state="attached")
    made = page.locator("main").get_attribute("data-made")
    page.wait_for_function("(made) => document.querySelector('main').dataset.made !== made", arg=made)
    assert "REHEARSAL" in page.content()
    ended = running.end()
    assert ended.code == 0, ended
    page.wait_for_function("() => document.querySelector('main').innerText.includes('120')")
    page.wait_for_function(
        "() => document.querySelector('#live-state').textContent.includes('batchcredit report')"
    )
    assert "120 of 120 rows" in page.locator("main").inner_text() or "All 120" in page.content()
    assert not is_served(address)
    context.close()


@pytest.mark.torture
def test_a_page_is_drawn_rarely(slow: CommandLine) -> None:
    """Whoever asks how often: the same drawing is given for at least two seconds."""
    running, address = started(slow, 900)
    wait_for(lambda: 'data-made="' in asked(address).text)  # type: ignore[attr-defined]
    seen, until = set(), time.monotonic() + 3
    while time.monotonic() < until:
        seen.add(re.search(r'data-made="([^"]*)"', asked(address).text)[1])  # type: ignore[attr-defined, index]
    assert len(seen) <= 3
    running.signal(signal.SIGINT)
    assert running.end().code == 4
