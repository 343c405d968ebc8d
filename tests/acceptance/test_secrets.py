"""Secrets are marked, and every byte that batchcredit writes is searched for them."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from answering_server import Asked, Said, answering_server
from command_line import CommandLine, Sandbox, wait_for
from plugins import broken_in, install
from terminal import terminal

KEYS = {
    "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY": "Marked-1-clicksend",
    "BATCHCREDIT_PROVIDERS__FASTMESSAGE__APIKEY": "Marked-2-fastmessage",
    "BATCHCREDIT_PROVIDERS__FAR__APIKEY": "Marked-3-far",
    "BATCHCREDIT_PROVIDERS__FAR__PROXY": "http://me:Marked-4-proxy@127.0.0.1:9",
    "BATCHCREDIT_PROVIDERS__ODD__TOKEN": "Marked-5-token",
}
FAR = """
[providers.far]
kind = "fastmessage"
base_url = "https://sms.far.invalid"
partner_id = "77"
attempts = 1
timeout = 2
"""
PRIVATE = ("api_", "email", "phone", "mobile")
ROWS = [
    ("clicksend", 11, "1.50", "USD", "a"),
    ("clicksend", 20404, "2", "USD", "b"),
    ("clicksend", 30403, "2", "USD", "c"),
    ("fastmessage", "jane", "20", "KES", "d"),
    ("fastmessage", "unknown", "20", "KES", "e"),
]


def marked(login: str) -> list[bytes]:
    """Each secret in each form in which it goes over the wire."""
    plain = ["Marked-"]
    basic = [base64.b64encode(f"{login}:{key}".encode()).decode() for key in KEYS.values()]
    return [text.encode() for text in plain + basic]


def everything_written(cli: CommandLine) -> Iterator[tuple[str, bytes]]:
    """Every file that the commands of a test left, their stdout and stderr among them."""
    for root in (cli.home, cli.folder):
        for path in root.rglob("*"):
            if path.is_file() and "site" not in path.parts:
                yield path.name, path.read_bytes()


def assert_unseen(cli: CommandLine, *secrets: bytes) -> None:
    for name, content in everything_written(cli):
        for secret in secrets:
            assert secret not in content, f"{secret!r} stands in {name}"


@pytest.fixture
def shop(cli: CommandLine, sandbox: Sandbox) -> CommandLine:
    cli.configure(sandbox.address, sandbox.login, tables=FAR)
    cli.env.update({name: value for name, value in KEYS.items() if "__ODD__" not in name})
    return cli


def private_data(sandbox: Sandbox, account: int) -> list[bytes]:
    """Keys, mail addresses and phone numbers that ClickSend's answers carry for this client."""
    request = urllib.request.Request(f"{sandbox.address.clicksend_url}/reseller/accounts/{account}")
    login = base64.b64encode(f"{sandbox.login}:any".encode()).decode()
    request.add_header("authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        found = list(_private(json.loads(answer.read())))
    assert len(found) >= 3
    return found


def _private(node: Any, name: str = "") -> Iterator[bytes]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _private(value, key)
    elif isinstance(node, str) and len(node) >= 8 and any(word in name for word in PRIVATE):
        yield node.encode()


@pytest.mark.parametrize("log", ["text", "json"])
def test_runs_of_all_kinds(log: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """Credited, refused, doubtful and invalid rows, told as loudly as possible, and every command after."""
    rows = [*ROWS, ("clicksend", "not-a-number", "2", "USD", "f"), ("clicksend", 12, 5, "USD", "g")]
    path = shop.write("batch.csv", rows)
    sandbox.control.script("12", ["half_answer"])
    loud = ("-vv", "--log-format", log)
    assert shop("check", path, "--online", *loud).code == 2
    run = ("run", path, "--yes", "--skip-invalid", "--batch", "march", *loud, "--out", "batch.results.csv")
    ended = shop(*run, "--json")
    assert ended.code == 3, ended
    assert ended.json["counts"]["rejected"] == 3
    reports = (("report", "march"), ("report", "batch.results.csv", "--out", "by-file.html"))
    for command in (("show",), ("show", "march"), ("results", "march"), ("providers",), *reports):
        assert shop(*command).code == 0
        assert shop(*command, "--json", *loud).code == 0
    assert shop("providers", "test", "clicksend", *loud).code == 0
    assert shop("providers", "test", "far", *loud).code == 2
    private = [each for account in (11, 12) for each in private_data(sandbox, account)]
    assert_unseen(shop, *marked(sandbox.login), *private)


def test_a_run_that_was_killed(shop: CommandLine, sandbox: Sandbox) -> None:
    """What a kill leaves behind, the write-ahead log above all, has no secret in it."""
    path = shop.write("batch.csv", [("clicksend", number, 5, "USD") for number in range(1, 60)])
    sandbox.control.set(latency_s=0.1)
    running = shop.start("run", path, "--yes", "-vv")
    wait_for(lambda: running.has_ended or len(sandbox.book()) > 30)
    running.kill()
    assert any(name.endswith("-wal") and content for name, content in everything_written(shop))
    assert_unseen(shop, *marked(sandbox.login), *private_data(sandbox, 1), *private_data(sandbox, 2))


def echo(asked: Asked) -> Said:
    """Refuse everything, quoting the whole request as careless servers do."""
    header = asked.headers.get("authorization", "")
    quoted = f"{header} {base64.b64decode(header[6:]).decode()} {asked.body.decode()}"
    if asked.path.startswith("/api/services"):
        return Said(200, json.dumps({"response-code": 1006, "response-description": quoted}).encode())
    refusal = {"http_code": 401, "response_code": header, "response_msg": quoted, "data": None}
    return Said(401, json.dumps(refusal).encode())


@pytest.mark.parametrize("preflight", [(), ("--skip-preflight",)])
@pytest.mark.parametrize("log", ["text", "json"])
def test_a_server_that_quotes_the_request(
    preflight: tuple[str, ...], log: str, cli: CommandLine, sandbox: Sandbox
) -> None:
    """A refusal that repeats key and body is shown and kept without them."""
    with answering_server(echo) as server:
        url = {"base_url": server.url}
        cli.configure(sandbox.address, "shop", clicksend=url, fastmessage=url, tables=FAR)
        cli.env.update({name: value for name, value in KEYS.items() if "__ODD__" not in name})
        path = cli.write("batch.csv", ROWS)
        ended = cli("run", path, "--yes", "--json", "-vv", "--log-format", log, *preflight)
        assert ended.code == (4 if preflight else 2), ended
        assert "***" in ended.stderr
        assert cli("providers", "test", "clicksend", "--json").code == 2
        assert cli("providers", "test", "fastmessage", "--json").code == 2
        cli("show", "--json")
        logins = [asked.headers.get("authorization", "")[6:] for asked in server.asked]
        assert any(b"Marked-1" in base64.b64decode(login) for login in logins)
    assert_unseen(cli, *marked("shop"))


LOUD = pytest.mark.parametrize("loud", [(), ("-vv",), ("-vv", "--log-format", "json")])


@LOUD
@pytest.mark.parametrize("where", ["transfer", "judge"])
def test_an_adapter_that_raises(
    where: str, loud: tuple[str, ...], cli: CommandLine, sandbox: Sandbox
) -> None:
    """A defect: exit 70 and its place, without the secret in its message. What was claimed is in doubt."""
    install(cli, "broken", broken_in(where))
    with answering_server(lambda asked: Said(200, b"{}")) as server:
        odd = f'[providers.odd]\nkind = "broken"\nbase_url = "{server.url}"\nrate = "none"\n'
        cli.configure(sandbox.address, sandbox.login, tables=odd)
        cli.env["BATCHCREDIT_PROVIDERS__ODD__TOKEN"] = "Marked-5-token"
        path = cli.write("batch.csv", [("odd", number, 5, "EUR") for number in range(1, 9)])
        ended = cli("run", path, "--yes", "--json", *loud)
        assert (ended.code, ended.json["exit_code"]) == (70, 70), ended
        assert ended.json["error"]["reason"] == "defect"
        assert "ValueError" in ended.stderr
        assert len(server.asked) <= (8 if where == "judge" else 0)
        assert 1 <= cli("show", "--json").json["batches"][0]["counts"]["in_doubt"] <= 8
        assert all(asked.headers["x-token"] == "Marked-5-token" for asked in server.asked)
    assert_unseen(cli, *marked(sandbox.login))


def test_the_process_list(shop: CommandLine, sandbox: Sandbox) -> None:
    """Neither arguments of a run and its children, nor the surroundings of its sandbox, hold a secret."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("this system does not show processes as files")
    path = shop.write("batch.csv", ROWS)
    with terminal(shop, "run", path, "--sandbox") as person:
        person.wait_for("type the number of rows")
        pids = [person.pid, *children(person.pid)]
        assert len(pids) > 1, "the sandbox is a child process"
        told = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
        told += [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids[1:]]
        person.type("no\n")
        assert person.end() == 2
    assert b"batchcredit" in told[0]
    assert not [text for text in told for secret in marked(sandbox.login) if secret in text]


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_settings_file_that_others_can_read(shop: CommandLine) -> None:
    """A secret in a file that is open to others is refused, and the file's secret not repeated."""
    settings = shop.folder / "batchcredit.toml"
    settings.write_text(settings.read_text().replace("username", 'api_key = "Marked-6-file"\nusername'))
    settings.chmod(0o644)
    path = shop.write("batch.csv", ROWS)
    ended = shop("run", path, "--yes", "--json", "-vv")
    assert ended.refusal == (2, "settings")
    assert "Marked" not in ended.stdout + ended.stderr
    settings.chmod(0o600)
    assert shop("check", path, "--json").code == 0
    settings.unlink()
    assert_unseen(shop, b"Marked-")
