"""The end of a run: what was done, what somebody has to do, and the command to type next."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as RichConsole

from batchcredit.console import TerminalConsole
from batchcredit.console.base import QUIET
from batchcredit.runner.summary import Speed, Summary

NEXT = ("batchcredit", "reconcile", "march")


def summary(**changes: Any) -> Summary:
    """310 of 320 rows are credited, the others are not in ten different ways."""
    known: dict[str, Any] = {
        "batch": "march",
        "rows": 320,
        "counts": {"credited": 310, "rejected": 7, "in_doubt": 3},
        "reasons": {"unknown_account": 7, "lost_answer": 3},
        "amounts": {
            "USD": {"credited": Decimal(12345), "rejected": Decimal(120), "in_doubt": Decimal("30.5")}
        },
        "results": Path("/srv/finance/march.results.csv"),
        "speed": Speed(32.0, 320),
        "next": NEXT,
    }
    return Summary(**{**known, **changes})


def shown(one: Summary, width: int = 70, level: int = 0) -> list[str]:
    """What a terminal of that width gets."""
    console, out = TerminalConsole(level), io.StringIO()
    console._out = RichConsole(file=out, width=width, force_terminal=True, color_system=None, highlight=False)
    console.show_summary(one)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_fits_on_a_photo_of_a_phone() -> None:
    """The usual cases take at most fifteen lines of seventy letters."""
    mended = {"to_fix": Path("/srv/finance/march.to-fix.csv"), "mend": ("batchcredit", "resume", "x")}
    for one in (summary(**mended), summary(counts={"credited": 320}, reasons={}, next=None)):
        lines = shown(one)
        assert len(lines) <= 15
        assert all(len(line) <= 70 for line in lines)


def test_doubts_are_not_paid_in_another_way() -> None:
    """How many, what not to do, and the command that looks into it, at the very end."""
    text = " ".join(shown(summary()))
    assert "3 rows in doubt: may have been credited." in text
    assert "Do not send them again or pay them in another way" in text
    assert text.endswith("next: batchcredit reconcile march")
    assert "320 rows in about 32 seconds, 10.0 a second" in text


def test_where_rows_are_to_be_corrected_the_next_command_takes_them() -> None:
    """Refused rows alone: first the file, then the command that sends it."""
    mend = ("batchcredit", "resume", "/srv/finance/march.to-fix.csv")
    one = summary(
        counts={"credited": 313, "rejected": 7},
        next=("batchcredit", "show", "march"),
        to_fix=Path(mend[2]),
        mend=mend,
    )
    assert shown(one)[-2:] == [f"correct them in: {mend[2]}", f"next: {' '.join(mend)}"]
    with_doubts = shown(summary(to_fix=Path(mend[2]), mend=mend))
    assert with_doubts[-2:] == [f"then: {' '.join(mend)}", "next: batchcredit reconcile march"]


def test_where_all_is_well_the_report_is_named() -> None:
    """With the flags of this ledger; not where something else has to be done first."""
    done = summary(counts={"credited": 320}, reasons={}, next=None, again=("--ledger", "sqlite:///x.db"))
    assert shown(done)[-1] == "report: batchcredit report march --ledger sqlite:///x.db"
    assert not any("report:" in line for line in shown(summary()))


def test_commands_and_paths_are_whole() -> None:
    """However narrow the terminal: nothing is put into them, nothing is left out."""
    path = Path("/srv") / ("finance " * 12).strip() / "march.results.csv"
    command = ("batchcredit", "resume", "march", "--ledger", f"sqlite:///{path}.db")
    lines = shown(summary(results=path, next=command), width=60)
    assert f"results: {path}" in lines
    assert lines[-1] == f"next: batchcredit resume march --ledger 'sqlite:///{path}.db'"


@pytest.mark.parametrize("width", [60, 80])
def test_many_currencies_are_not_cut(width: int) -> None:
    """Each amount stands whole beside its currency."""
    names = ("AUD", "EUR", "GBP", "KES", "NZD", "USD")
    amounts = {name: {"credited": Decimal("9876543.21"), "rejected": Decimal(7)} for name in names}
    lines = shown(summary(amounts=amounts), width)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert all(f"9,876,543.21 {name}" in text for name in names)


def test_quiet_tells_what_needs_somebody() -> None:
    """-q: doubts, refusals and the next command; nothing where all is well."""
    lines = shown(summary(), level=QUIET)
    assert not any("results:" in line or "status" in line for line in lines)
    assert lines[-1] == "next: batchcredit reconcile march"
    assert shown(summary(counts={"credited": 320}, reasons={}, next=None), level=QUIET) == []


def test_hostile_names_steer_nothing() -> None:
    """A file name can hold what would clear the screen."""
    lines = shown(summary(results=Path("/srv/\x1b[2J\x07march.csv"), reasons={"x\x1b[31m": 2}))
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"counts": {"credited": 100, "not_sent": 220}, "reasons": {"wallet_empty": 220}},
            "safe to send again",
        ),
        ({"counts": {"not_sent": 320}, "held_up": 320}, "because of another batch"),
        ({"reasons": {"overpaid": 2}}, "2 rows may have been paid twice"),
        ({"counts": {"invalid": 1, "credited": 319}}, "1 row invalid, and not sent"),
        ({"reasons": {f"reason{n}": 1 for n in range(9)}}, "4 for other reasons"),
    ],
)
def test_each_case_says_what_to_do(changes: dict[str, Any], said: str) -> None:
    """In a sentence of its own."""
    assert said in " ".join(shown(summary(**changes)))
