"""The plan that a person agrees to: on terminals of all sizes all of it, nothing broken in two."""

from decimal import Decimal
from pathlib import Path

import pytest

from batchcredit.console.terminal import TerminalConsole
from batchcredit.ledger.base import LaneIdentity
from batchcredit.providers.base import Balance
from batchcredit.reader import Total
from batchcredit.runner.plan import LanePlan, LedgerNote, Plan

LOGIN, HOST = "top-up.month-end@reseller.example.com", "rest.clicksend.com"


def plan(login: str = LOGIN) -> Plan:
    lanes = (
        LanePlan(
            "clicksend",
            LaneIdentity("clicksend", f"https://{HOST}/v3", login),
            {"USD": Total(12_031, Decimal("1234567.8901")), "AUD": Total(7, Decimal("31.5"))},
            Balance(Decimal("1234000000.5"), "USD"),
            60.0,
        ),
        LanePlan(
            "kenya",
            LaneIdentity("fastmessage", "https://sms.example.co.ke:8443", "KE-1041"),
            {"KES": Total(30, Decimal("939.3"))},
            None,
            60.0,
        ),
    )
    ledger = LedgerNote("sqlite:///ledger.db", "", 0, "")
    return Plan("LIVE", "march", False, lanes, ledger, None, Path("march.results.csv"), ())


@pytest.mark.parametrize("columns", [200, 120, 100, 80, 60, 40])
def test_logins_hosts_and_amounts_are_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the balance after is only told where it is in the same currency."""
    monkeypatch.setenv("COLUMNS", str(columns))
    TerminalConsole().show_plan(plan())
    shown = capsys.readouterr().err
    whole = (LOGIN, HOST, "KE-1041", "sms.example.co.ke:8443", "12,031", "1,234,567.8901 USD", "31.50 AUD")
    for text in (*whole, "1,234,000,000.50 USD", "1,232,765,432.6099", "939.30 KES", "not known"):
        assert text in shown
    assert shown.count("1,232,765,432.6099") == 1


def test_a_login_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in the table nor in lines."""
    for columns in (200, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        TerminalConsole().show_plan(plan("[red]shop[/red]\x1b[2J\r"))
        shown = capsys.readouterr().err
        assert "[red]shop[/red]" in shown
        assert "\x1b[2J" not in shown
        assert "\r" not in shown
