"""A batch that goes on in another ledger: adopted from its results, or handed over."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, Sandbox, command_line, refused, run, wait_for
from test_resume_file import ROWS, edited, first_row_sent, paid, results_of


@pytest.fixture
def other(shop: CommandLine, sandbox: Sandbox, tmp_path: Path) -> Iterator[CommandLine]:
    """A second person with a ledger of their own, who works in the same folder."""
    (tmp_path / "other").mkdir()
    with command_line(tmp_path / "other", shop.forks) as line:
        line.configure(sandbox.address, sandbox.login)
        line.env["BATCHCREDIT_CONFIG"] = str(line.folder / "batchcredit.toml")
        line.folder = shop.folder
        (shop.folder / "batchcredit.toml").rename(shop.home / "batchcredit.toml")
        shop.env["BATCHCREDIT_CONFIG"] = str(shop.home / "batchcredit.toml")
        yield line


def test_an_adopted_batch_goes_on(shop: CommandLine, other: CommandLine, sandbox: Sandbox) -> None:
    """Without --adopt it is refused with the command to type; with it the rest is sent, once; the trail has
    it; and neither a second adoption nor the ledger that was left can go on."""
    first_row_sent(shop)
    path = results_of(shop)
    assert f"resume {path.name} --adopt" in refused(other("resume", path, "--yes", "--json"), "unknown_batch")
    ended = other("resume", path, "--adopt", "--yes", "--json")
    assert ended.counts == {"credited": 3, "rejected": 1}, ended
    assert max(paid(sandbox).values()) == 1
    rows = shop.results(path.name)
    assert len({row["transfer_id"].split("-")[1] for row in rows}) == 1
    refused(other("resume", path, "--adopt", "--yes", "--json"), "known_batch")
    refused(shop("resume", path, "--yes", "--json"), "results_ahead")
    refused(shop("resume", "march", "--yes", "--json"), "other_ledger")
    ended = other("resume", edited(path, (2, "account", "12")), "--yes", "--json")
    assert ended.counts == {"credited": 4}, ended
    assert shop.results(path.name)[1]["transfer_id"].endswith(".2")
    assert other("results", "march", "--json").code == 0
    audit = other("audit", "march", "--json")
    assert "adopted" in json.dumps(audit.json)


EDITED: list[tuple[list[tuple[int, str, str]], set[int] | None, str]] = [
    ([(3, "amount", "2")], None, "edited_row"),
    ([(1, "status", "not_sent")], None, "edited_row"),
    ([], {1, 2, 4}, "edited_row"),
    ([], {1, 2, 3}, "edited_row"),
    ([(3, "seal", "")], None, "edited_row"),
]


def test_an_edited_file_is_not_adopted(shop: CommandLine, other: CommandLine, sandbox: Sandbox) -> None:
    """The file is the record, so it has to be whole and as it was written; nothing is kept of any other."""
    first_row_sent(shop)
    path = results_of(shop)
    written = path.read_bytes()
    for changes, keep, reason in EDITED:
        path.write_bytes(written)
        ended = other("resume", edited(path, *changes, keep=keep), "--adopt", "--yes", "--json")
        refused(ended, reason)
    assert sum(paid(sandbox).values()) == 1
    assert not other.ledger.exists()


def test_a_to_fix_file_is_no_record(shop: CommandLine, other: CommandLine) -> None:
    """Who has only the rows to be fixed is told to adopt the results first."""
    run(shop, shop.write("march.csv", ROWS))
    (path,) = shop.folder.glob("*.to-fix.csv")
    assert "--adopt" in refused(other("resume", path, "--adopt", "--yes", "--json"), "not_whole")


def test_a_batch_is_handed_over(shop: CommandLine, other: CommandLine, sandbox: Sandbox) -> None:
    """Its ledger never sends it again; the other one goes on without --adopt; the command again writes the
    same file, as long as it is not the other's."""
    first_row_sent(shop)
    ended = shop("results", "march", "--hand-over", "--yes", "--json")
    assert ended.code == 0, ended
    path = results_of(shop)
    once = path.read_bytes()
    assert shop("results", "march", "--hand-over", "--yes", "--json").code == 0
    assert path.read_bytes() == once
    for command in (("resume", "march"), ("resume", path), ("cancel", "march", "--note", "x")):
        refused(shop(*command, "--yes", "--json"), "batch_closed")
    refused(run(shop, shop.folder / "march.csv"), "batch_closed")
    ended = other("resume", path, "--yes", "--json")
    assert ended.counts == {"credited": 3, "rejected": 1}, ended
    assert max(paid(sandbox).values()) == 1


def test_a_kill_in_the_middle_of_an_adoption(shop: CommandLine, other: CommandLine, sandbox: Sandbox) -> None:
    """The batch is there whole or not at all, and what was credited is not paid again."""
    rows = [("clicksend", f"{row}1", "1.5", "USD", f"r{row}") for row in range(1, 3001)]
    run(shop, shop.write("march.csv", rows), "--limit", 1000)
    path = results_of(shop)
    running = other.start("resume", path, "--adopt", "--yes", "--json")
    wait_for(other.ledger.exists)
    running.kill()
    ended = other("resume", path, "--adopt", "--yes", "--json")
    if ended.code == 2:  # the kill came after the last transaction
        refused(ended, "known_batch")
        ended = other("resume", "march", "--yes", "--json")
    assert ended.json["rows"] == 3000, ended.stderr[-600:]
    assert sum(ended.counts.values()) == 3000
    assert max(paid(sandbox).values()) == 1
