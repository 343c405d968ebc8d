"""JSON logs: events with ids, for a collector that must not learn of clients."""

import json
from typing import Any

import pytest
from command_line import CommandLine, Ended, Sandbox, wait_for

from batchcredit.console.impersonal import impersonal

#: Everything about a client that a file says, none of it a word of ours.
ROWS = [
    ("clicksend", 7301, "91.37", "USD", "ref-ada-lovelace"),
    ("clicksend", 7320404, "92.37", "USD", "ref-alan-turing"),
    ("fastmessage", "grace-hopper", "93.37", "KES", "ref-grace"),
    ("clicksend", 7303, "94.37", "USD", "ref-edsger"),
]
#: Keys whose digits are of this moment and this machine.
NUMBERS = ("timestamp", "transfer_id", "seconds", "rows_per_s", "duration_ms", "ledger")
PRIVATE = ("7301", "7320404", "7303", "hopper", "ref-", ".37")


def events(ended: Ended) -> list[dict[str, Any]]:
    """What was logged."""
    return [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.mark.parametrize(("loud", "told"), [("-q", {2, 4}), ("--quiet", {2, 4}), ("-vv", {1, 2, 3, 4})])
def test_a_row_is_told_by_its_ids_alone(
    loud: str, told: set[int], shop: CommandLine, sandbox: Sandbox
) -> None:
    """Refused and doubtful rows at any level, with the row and the transfer id of the results; of the client
    and the money nothing."""
    sandbox.control.script("7303", ["half_answer"])
    path = shop.write("batch.csv", ROWS)
    ended = shop("run", path, "--yes", "--batch", "march", "--log-format", "json", loud)
    assert ended.code == 3
    attempts = {line["row"]: line for line in events(ended) if line["event"] == "attempt"}
    results = {int(row["row"]): row for row in shop.results("march.results.csv")}
    assert attempts.keys() == told
    for row, line in attempts.items():
        assert line["transfer_id"] == results[row]["transfer_id"]
        assert (line["reason"], line["batch"]) == (results[row]["reason"], "march")
        assert line["profile"] == results[row]["provider"]
        assert line["level"] == ("warning" if row in (2, 4) else "info")
    assert_impersonal(ended)


def assert_impersonal(ended: Ended) -> None:
    """No account, name, reference or single amount is anywhere in the log; totals may be."""
    for line in events(ended):
        for name in ("amounts", "totals", "credited", "money", *NUMBERS):
            line.pop(name, None)
        assert not [part for part in PRIVATE if part in json.dumps(line)], line


def test_a_corrected_row_has_the_id_of_the_results(shop: CommandLine, sandbox: Sandbox) -> None:
    """A correction gives a row another id, in the log as in the results."""
    rows = [(*ROWS[1][:4], ""), ROWS[0]]
    shop("run", shop.write("batch.csv", rows), "--yes", "--batch", "march")
    listed = shop.folder / "march.to-fix.csv"
    listed.write_text(listed.read_text().replace("7320404", "7330404"))
    ended = shop("resume", listed, "--yes", "--log-format", "json")
    (attempt,) = [line for line in events(ended) if line["event"] == "attempt"]
    assert attempt["transfer_id"] == shop.results("march.results.csv")[0]["transfer_id"]
    assert attempt["transfer_id"].endswith(".2")
    assert "7330404" not in ended.stderr
    assert "7320404" not in ended.stderr


def test_the_last_event_of_each_command_is_ended(shop: CommandLine, sandbox: Sandbox) -> None:
    """With its exit code and the keys of --json, whatever the command and its ending."""
    path = shop.write("batch.csv", ROWS)
    for command, code in (
        (("check", path), 0),
        (("run", path, "--yes", "--batch", "march"), 1),
        (("run", "missing.csv", "--yes"), 2),
        (("run", path, "--frobnicate"), 2),
        (("show",), 0),
        (("show", "march"), 0),
        (("history",), 0),
        (("cancel", "march", "--note", "x", "--yes"), 0),
        (("explain", "timeout"), 0),
    ):
        ended = shop(*command, "--log-format=json")
        assert ended.code == code, ended
        last = events(ended)[-1]
        assert (last["event"], last["exit_code"]) == ("ended", code)
        assert last.keys() >= {"schema", "batch", "rows", "counts", "reasons", "amounts", "results", "next"}
        assert [line["event"] for line in events(ended)].count("ended") == 1
        assert_impersonal(ended)


def test_what_is_refused_and_unusual_is_told_without_clients(shop: CommandLine, sandbox: Sandbox) -> None:
    """Sentences that quote rows are told without what they quote: bad rows, twins, repeats, what is unusual,
    a first row that does not end well, corrections, verdicts."""
    shop.write("batch.csv", ROWS[:1])
    assert shop("run", "batch.csv", "--yes", "--batch", "march").code == 0
    shop.write("big.csv", [("clicksend", 7301, "9137.37", "USD"), ("clicksend", 7303, "1.37", "USD")])
    shop.write("twins.csv", [("clicksend", 7303, "2.37", "USD")] * 2)
    shop.write("again.csv", [(*ROWS[0][:4], "ref-other"), (*ROWS[0][:4], "")])
    shop.write("taken.csv", [("clicksend", 7303, "5.37", "USD", "ref-ada-lovelace")])
    shop.write("bad.csv", [("clicksend", "grace-hopper", "1.37", "USD"), ("clicksend", 7303, "x.37", "USD")])
    shop.write("header.csv", [(7301, "1.37")], header=("acount", "amount"))
    (shop.folder / "quote.csv").write_text('provider,account,amount,currency\nclicksend,"7301"x,1.37,USD\n')
    said = [
        shop("check", "big.csv", "--log-format", "json"),
        shop("run", "twins.csv", "--yes", "--log-format", "json"),
        shop("run", "again.csv", "--yes", "--log-format", "json"),
        shop("run", "taken.csv", "--yes", "--log-format", "json"),
        shop("run", "bad.csv", "--yes", "--log-format", "json"),
        shop("run", "header.csv", "--yes", "--log-format", "json"),
        shop("run", "quote.csv", "--yes", "--log-format", "json"),
        shop(
            "resolve",
            "march",
            "--row",
            1,
            "--as",
            "credited",
            "--note",
            "x",
            "--account",
            7303,
            "--yes",
            "--log-format",
            "json",
        ),
        shop("cancel", "march", "--row", 1, "--note", "x", "--yes", "--log-format", "json"),
    ]
    assert [ended.code for ended in said] == [0, *[2] * 8]
    assert "unusual" in said[0].stderr
    for ended in said:
        assert_impersonal(ended)
        assert all(line["message"] for line in events(ended) if "message" in line)


def test_progress_and_a_signal_are_told(shop: CommandLine, sandbox: Sandbox) -> None:
    """A run that is stopped tells so, and ends with its event."""
    sandbox.control.set(latency_s=0.3)
    path = shop.write("batch.csv", [("clicksend", 7300 + number, 1, "USD") for number in range(600)])
    running = shop.start("run", path, "--yes", "--log-format", "json")
    wait_for(lambda: '"progress"' in running.stderr)
    running.signal(15)
    ended = running.end()
    assert ended.code == 4
    assert any(line["event"] == "warning" and "stopping" in line["message"] for line in events(ended))
    assert events(ended)[-1]["event"] == "ended"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("row 8: account unknown_shop, 4,307.50 KES; more", "row 8: account ***, *** KES; more"),
        ("row 4: account 1030404 -> 1030004, amount 5 -> 6", "row 4: account ***, amount ***"),
        (
            "march.csv: row 17 (line 18): 'Ada \"L\" Lovelace' is no amount",
            "march.csv: row 17 (line 18): *** is no amount",
        ),
        ("mail ada@example.com; client Ada", "mail ***; client ***"),
        (
            "USD in all, and no earlier batch had more than 91.37",
            "USD in all, and no earlier batch had more than ***",
        ),
        ("320 rows in 12 seconds; batch march-88b87e87", "320 rows in 12 seconds; batch march-88b87e87"),
    ],
)
def test_what_sentences_keep(said: str, kept: str) -> None:
    """Rows, lines, counts, files and batches stay; clients and their money do not."""
    assert impersonal(said) == kept
