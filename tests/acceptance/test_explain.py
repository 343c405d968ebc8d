"""explain: every word that a user can meet is told, from the page of the reference alone."""

from pathlib import Path
from zipfile import ZipFile

from command_line import CommandLine
from hatchling.builders.wheel import WheelBuilder

import batchcredit
from batchcredit.reasons import reasons

ROOT = Path(batchcredit.__file__).parents[1]


def test_a_reason_is_told_in_full(cli: CommandLine) -> None:
    """Whose fault, whether anything was paid, what it means, what to do; without marks of the page."""
    told = cli("explain", "wallet_empty")
    assert told.code == 0
    for part in ("Whose fault:", "Paid: nothing", "credited?  no", "too little", "--wait-funds 2h"):
        assert part in told.stdout
    assert not {"`", "|"} & {*told.stdout}
    assert "](" not in told.stdout


def test_a_paragraph_about_a_word_is_told_with_it(cli: CommandLine) -> None:
    """What the page says of a word outside its table is not lost."""
    assert "also stands" not in cli("explain", "timeout").stdout
    assert "also stands with not_sent rows" in cli("explain", "interrupted").stdout


def test_all_reasons_are_listed_in_their_groups(cli: CommandLine) -> None:
    """Without a word each of them has a line."""
    told = cli("explain").stdout
    lines = {line.split()[0] for line in told.splitlines() if line.startswith("  ")}
    assert lines == reasons().keys()
    assert {reason.group for reason in reasons().values()} <= {*told.splitlines()}


def test_a_word_that_is_nearly_one_is_told(cli: CommandLine) -> None:
    """Refused with the likely word in the cure; with --json, too."""
    refused = cli("explain", "walet_emty", "--json")
    assert refused.refusal == (2, "usage")
    assert refused.json["error"]["cure"] == "batchcredit explain wallet_empty"
    assert cli("explain", "wallet_empty", "--json").json["explained"][0]["word"] == "wallet_empty"


def test_each_reason_says_whose_fault_it_is_and_whether_anything_was_paid() -> None:
    """Of each word, in the words of its group."""
    for word, reason in reasons().items():
        assert "Whose fault: " in reason.about, word
        assert "Paid: " in reason.about, word


def test_the_wheel_carries_the_page(tmp_path: Path) -> None:
    """An installed batchcredit has no docs beside it."""
    builder = WheelBuilder(str(ROOT))
    (wheel,) = builder.build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(wheel) as files:
        assert files.read("batchcredit/reasons.md") == (ROOT / "docs" / "reasons.md").read_bytes()
