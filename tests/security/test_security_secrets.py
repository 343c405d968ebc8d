"""Secrets where things go wrong, and what the environment can ask for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, run

import batchcredit

KEY = "Marked-key-1"
VARIABLE = "BATCHCREDIT_PROVIDERS__CLICKSEND__API_KEY"
ROWS = [("clicksend", number, "5", "USD") for number in range(1, 4)]

#: Runs batchcredit with one function that raises, with the secret in its error and in the cause of that.
_BROKEN = """
import importlib, os, sys
module, _, path = sys.argv.pop(1).partition(":")
owner = importlib.import_module(module)
*parents, name = path.split(".")
for parent in parents:
    owner = getattr(owner, parent)

def broken(*_, **__):
    try:
        raise KeyError(os.environ["{VARIABLE}"])
    except KeyError as error:
        raise ValueError(os.environ["{VARIABLE}"]) from error

setattr(owner, name, broken)
from batchcredit.__main__ import main
main()
""".replace("{VARIABLE}", VARIABLE)

LAYERS = [
    "batchcredit.cli.app:app",
    "batchcredit.reader.examine:_with_lines",
    "batchcredit.ledger.sql.ledger:SqlLedger.enrol",
    "batchcredit.ledger.journal:Journal._commit_group",
    "batchcredit.engine.lane:Lane.admit",
    "batchcredit.engine.wire.direct:DirectWire._connect",
    "batchcredit.engine.wire.connection:Connection.data_received",
    "batchcredit.providers.clicksend:ClickSend.judge",
    "batchcredit.writer.results:Chunks.__init__",
    "batchcredit.console.terminal:TerminalConsole.show_summary",
]


def written(cli: CommandLine) -> bytes:
    """Every byte that was left in its folders, names included."""
    files = [path for root in (cli.home, cli.folder) for path in root.rglob("*")]
    return b"\n".join(str(path).encode() + (path.read_bytes() if path.is_file() else b"") for path in files)


@pytest.mark.parametrize("place", LAYERS)
def test_an_error_anywhere_is_told_without_its_words(place: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """In Python's own development mode, at its loudest: its kind and place, and no secret anywhere."""
    shop.configure(sandbox.address, sandbox.login, clicksend={"timeout": 1})
    shop.env |= {VARIABLE: KEY, "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}
    path = shop.write("batch.csv", ROWS)
    arguments = [place, "run", str(path), "--yes", "--skip-preflight", "-vv"]
    ended = shop.program(sys.executable, "-c", _BROKEN, *arguments)
    assert ended.returncode != 0, ended
    assert "a defect of batchcredit: ValueError in broken" in ended.stderr, ended.stderr
    assert KEY not in ended.stdout + ended.stderr, ended.stderr
    assert KEY.encode() not in written(shop)


@pytest.mark.parametrize(
    "place", ["batchcredit.runner.settling.reporting:report_of", "batchcredit.report.page:headline"]
)
def test_an_error_in_a_report_is_told_without_its_words(place: str, shop: CommandLine) -> None:
    """Where its figures are gathered, and where it is drawn: no secret anywhere, and no page."""
    shop.env |= {VARIABLE: KEY}
    assert run(shop, shop.write("batch.csv", ROWS)).code == 0
    ended = shop.program(sys.executable, "-c", _BROKEN, place, "report", "batch")
    assert "a defect of batchcredit: ValueError in broken" in ended.stderr, ended.stderr
    assert KEY not in ended.stdout + ended.stderr, ended.stderr
    assert KEY.encode() not in written(shop)
    assert not list(shop.folder.glob("*.html"))


@pytest.mark.parametrize("flag", [f"--api-key={KEY}", f"--secret={KEY}", f"--apikey={KEY}"])
def test_no_flag_takes_a_secret(flag: str, shop: CommandLine) -> None:
    """What stands in the process list would be read by everybody."""
    ended = shop("run", shop.write("batch.csv", ROWS), "--yes", "--json", flag)
    assert ended.refusal == (2, "usage")


def test_modules_in_the_working_directory_are_not_run(shop: CommandLine, sandbox: Sandbox) -> None:
    """A folder of input files may hold a json.py: started as people start it, nothing there is imported, by
    the sandbox's process neither."""
    shop.env["PYTHONPATH"] = str(Path(batchcredit.__file__).parents[1])
    for name in ("json", "ssl", "asyncio", "httptools", "polars", "batchcredit"):
        (shop.folder / f"{name}.py").write_text("import pathlib; pathlib.Path('imported').touch()\n")
    script = "import sys; from batchcredit.__main__ import main; sys.argv[0] = 'batchcredit'; main()"
    entry = shop.home / "batchcredit-entry.py"  # as pip writes it: its own folder counts
    entry.write_text(script)
    path = shop.write("batch.csv", ROWS)
    ended = shop.program(sys.executable, str(entry), "run", str(path), "--yes", "--sandbox")
    assert ended.returncode == 0, ended
    assert not (shop.folder / "imported").exists()


@pytest.mark.parametrize("transport", ["direct", "httpx"])
def test_the_environment_does_not_steer_requests(transport: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """Proxies that lead nowhere, a .netrc with another login, a .env and a locale change nothing."""
    nowhere = "http://127.0.0.1:9"
    shop.env |= dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), nowhere)
    shop.env |= {"NETRC": str(shop.home / "netrc"), "LC_ALL": "C", "LANG": "tr_TR.UTF-8", "PYTHONUTF8": "0"}
    for netrc in (shop.home / "netrc", shop.home / ".netrc"):
        netrc.write_text("default login theirs password theirs\n")
    (shop.folder / ".env").write_text(f"{VARIABLE}=theirs\n")
    shop.configure(sandbox.address, sandbox.login, clicksend={"transport": transport})
    ended = run(shop, shop.write("batch.csv", ROWS))
    assert (ended.code, ended.counts) == (0, {"credited": 3}), ended
    assert len(sandbox.book()) == 3, "under the login of the settings"


def test_the_sandbox_is_given_no_secret(shop: CommandLine) -> None:
    """Whatever it is named like, a variable of batchcredit does not reach the child process."""
    code = (
        "import os\n"
        "from batchcredit import host\n"
        "given = host.environment_of_a_child()\n"
        "assert not [name for name in given if name.upper().startswith('BATCHCREDIT_')]\n"
    )
    names = {VARIABLE: KEY, VARIABLE.lower(): KEY, "Batchcredit_Providers__Odd__Token": KEY}
    env = os.environ | shop.env | names
    subprocess.run([sys.executable, "-c", code], env=env, check=True, cwd=Path("/"), timeout=20)
