"""A third party's adapter: installed as a package of its own, and credited through."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from answering_server import Asked, Said, answering_server
from command_line import SECRETS, CommandLine, Sandbox
from plugins import search

SAMPLE = Path(__file__).parents[2] / "samples" / "acme_adapter"
HEADER = ("provider", "account", "amount", "currency", "reference")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, installed by pip into a folder of its own."""
    site = tmp_path_factory.mktemp("plugin") / "site"
    source = tmp_path_factory.mktemp("source") / "acme_adapter"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "batchcredit_acme.py"):
        (source / name).write_bytes((SAMPLE / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, *_isolation(), "--target", site, source],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return site


def _isolation() -> list[str]:
    """Where the build backend is installed already, pip need not fetch it."""
    try:
        import hatchling  # noqa: F401
    except ImportError:
        return []
    return ["--no-build-isolation"]


@pytest.fixture
def alone(cli: CommandLine) -> CommandLine:
    """`cli` without anything set for the built-in providers."""
    for name in SECRETS:
        del cli.env[name]
    return cli


def acme(asked: Asked) -> Said:
    """Acme as the sample describes it: plain text, one pair a line, and `end`."""
    topup = json.loads(asked.body)
    customer = topup["customer"]
    refusals = {"C-404": "no-such-customer"}
    lines = [f"result: {refusals.get(customer, 'done')}", f"customer: {customer}", "balance: 170.25"]
    lines += [] if customer == "C-500" else ["end"]
    return Said(200, "\n".join([*lines, ""]).encode(), "text/plain")


def test_rows_are_credited_through_it(site: Path, cli: CommandLine, sandbox: Sandbox) -> None:
    """One profile beside the built-in ones, in one file with them; each row ends as its provider says."""
    search(cli, site)
    with answering_server(acme) as server:
        shop = (
            f'[providers.corner]\nkind = "acme"\nbase_url = "{server.url}"\nshop = "corner"\nrate = "none"\n'
        )
        cli.configure(sandbox.address, sandbox.login, tables=shop)
        cli.env["BATCHCREDIT_PROVIDERS__CORNER__TOKEN"] = "acme-token"
        rows = [
            ("corner", "C-1", "10.50", "EUR", "a"),
            ("corner", "C-404", "3", "EUR", "b"),
            ("corner", "C-500", "4", "", "c"),
            ("clicksend", "7", "5", "USD", "d"),
        ]
        path = cli.write("batch.csv", rows, HEADER)
        ended = cli("run", path, "--yes", "--json", "--out", "batch.results.csv")
        assert ended.code == 3, ended
        assert [row["status"] for row in cli.results()] == ["credited", "rejected", "in_doubt", "credited"]
        assert cli.results()[0]["balance_after"] == "170.25"
        assert cli.results()[1]["reason"] == "unknown_account"
        asked = {json.loads(each.body)["customer"]: each for each in server.asked}
    assert sorted(asked) == ["C-1", "C-404", "C-500"]
    assert len(server.asked) == 3
    assert asked["C-1"].headers["authorization"] == "Bearer acme-token"
    assert json.loads(asked["C-1"].body)["euros"] == "10.5"
    assert sandbox.sums() == {"USD": Decimal(5)}


def test_it_is_listed(site: Path, alone: CommandLine) -> None:
    """`providers` shows its kind and the package that it comes from, without a profile of it too."""
    search(alone, site)
    assert "acme" in alone("providers").stdout
    assert alone("providers", "--json").json["adapters"]["acme"].startswith("batchcredit-acme")


def test_without_it_its_kind_is_unknown(alone: CommandLine) -> None:
    """A profile of a kind that is not installed is refused, naming those that are."""
    (alone.folder / "batchcredit.toml").write_text(
        '[providers.corner]\nkind = "acme"\nbase_url = "https://a.invalid"\n'
    )
    ended = alone("providers", "--json")
    assert ended.refusal == (2, "settings")
    assert "'acme'" in ended.stderr
    assert "clicksend" in ended.stderr


def test_it_is_held_to_its_own_rules(site: Path, alone: CommandLine) -> None:
    """Its account pattern, decimals and currency are checked before anything is sent, with its own cure."""
    search(alone, site)
    (alone.folder / "batchcredit.toml").write_text(
        '[providers.corner]\nkind = "acme"\nbase_url = "http://127.0.0.1:9"\nshop = "corner"\n'
    )
    rows = [("corner", "42", "1", "EUR"), ("corner", "C-1", "1.005", "EUR"), ("corner", "C-2", "1", "USD")]
    ended = alone("check", alone.write("batch.csv", rows), "--json")
    assert ended.refusal == (2, "invalid_rows")
    assert "the customer's code, such as C-1042" in ended.stderr
    assert ended.stderr.count("row ") >= 3
