"""The same money asked for twice: each sentence of the contract, with the provider's book as the oracle."""

import csv
import gzip
import io
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from command_line import (
    HEADER,
    CommandLine,
    Ended,
    Running,
    Sandbox,
    command_line,
    refused,
    run,
    wait_for,
)
from forked_program import ForkedProgram
from terminal import terminal

from batchcredit.sandbox import sandbox_process

Row = tuple[object, ...]

ROWS: list[Row] = [
    ("clicksend", "11", "1.50", "USD", "A-1"),
    ("clicksend", "12", "2", "USD"),
    ("clicksend", "12", "0.0301", "USD"),
    ("fastmessage", "jane", "20", "KES", "A-4"),
    ("fastmessage", "Élan", "5.25", ""),
]


def executed(sandbox: Sandbox) -> Counter[tuple[str, str, Decimal]]:
    """What the providers executed: provider, account as it was sent, amount by value."""
    return Counter(
        (entry["provider"], entry["account"], Decimal(entry["amount"])) for entry in sandbox.book()
    )


def meant(rows: Iterable[Row]) -> Counter[tuple[str, str, Decimal]]:
    """What these rows ask for."""
    return Counter((str(row[0]), str(row[1]), Decimal(str(row[2]))) for row in rows)


def batches(cli: CommandLine) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = cli("show", "--json").json["batches"]
    return shown


def text_of(rows: Sequence[Row], header: Sequence[str] = HEADER, **how: Any) -> str:
    """CSV with short rows filled up."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, **how)
    writer.writerow(header)
    writer.writerows([*row, *[""] * (len(header) - len(row))] for row in rows)
    return out.getvalue()


def as_parquet(path: Path) -> None:
    full = [[*row, *[""] * (5 - len(row))] for row in ROWS]
    frame = pl.DataFrame(full, schema=list(HEADER), orient="row", infer_schema_length=None)
    frame.with_columns(pl.col("amount").cast(pl.Decimal(20, 6))).write_parquet(path)


def with_other_columns(path: Path) -> None:
    header = ("note", "reference", "currency", "Amount", "account", "provider")
    rows = [("=1+1", *reversed([*row, *[""] * (5 - len(row))])) for row in ROWS]
    path.write_text(text_of(rows, header))


def with_padding(path: Path) -> None:
    padded = [(row[0], row[1], f"0{Decimal(str(row[2])):.4f}", *row[3:]) for row in ROWS]
    path.write_text(text_of(padded))


FORMS: dict[str, Callable[[Path], object]] = {
    "copy of march.csv": lambda path: path.write_text(text_of(ROWS)),
    "sorted.csv": lambda path: path.write_text(text_of(sorted(ROWS, key=str))),
    "unix.csv": lambda path: path.write_text(text_of(ROWS, lineterminator="\n")),
    "bom.csv": lambda path: path.write_text(text_of(ROWS), "utf-8-sig"),
    "quoted.csv": lambda path: path.write_text(text_of(ROWS, quoting=csv.QUOTE_ALL, delimiter=";")),
    "march.csv.gz": lambda path: path.write_bytes(gzip.compress(text_of(ROWS).encode())),
    "march.parquet": as_parquet,
    "other_columns.csv": with_other_columns,
    "padded.csv": with_padding,
}


def test_the_same_rows_in_any_file_are_the_same_batch(shop: CommandLine, sandbox: Sandbox) -> None:
    """A copy, sorted, re-saved, compressed or converted, is the batch it was, and nothing is sent again."""
    first = run(shop, shop.write("march.csv", ROWS))
    assert first.code == 0, first
    for name, write in FORMS.items():
        write(shop.folder / name)
        again = run(shop, shop.folder / name)
        assert again.code == 0, again
        assert (again.json["batch"], again.json["counts"]) == (first.json["batch"], first.json["counts"])
    assert executed(sandbox) == meant(ROWS)
    assert len(sandbox.arrivals()) == len(ROWS)
    assert [batch["batch"] for batch in batches(shop)] == [first.json["batch"]]


def test_a_sorted_copy_of_a_batch_under_way_goes_on_with_it(shop: CommandLine, sandbox: Sandbox) -> None:
    """What was sent of a batch is not sent again when its rows come in another order."""
    first = run(shop, shop.write("march.csv", ROWS), "--limit", 2)
    assert first.code == 4, first
    again = run(shop, shop.write("sorted.csv", ROWS[::-1]))
    assert (again.code, again.counts) == (0, {"credited": len(ROWS)})
    assert executed(sandbox) == meant(ROWS)
    assert [row["account"] for row in shop.results(Path(first.json["results"]).name)] == [
        row[1] for row in ROWS
    ]


def test_a_finished_batch_needs_no_network(cli: CommandLine) -> None:
    """With nothing left to send, run exits as it did, though the provider is gone."""
    rows = [("clicksend", 11, "1.50", "USD"), ("clicksend", 10404, "2", "USD")]
    with sandbox_process() as address:
        cli.configure(address)
        path = cli.write("march.csv", rows)
        first = run(cli, path)
    assert first.code == 1, first
    results = Path(first.json["results"])
    written = results.read_bytes()
    results.unlink()
    again = run(cli, path)
    assert again.code == 1, again
    assert again.json["counts"] == first.json["counts"]
    assert results.read_bytes() == written


def test_a_batch_finished_long_ago_is_refused_with_its_date(shop: CommandLine, sandbox: Sandbox) -> None:
    """Next month's file may look the same, so it is not taken for the old batch, nor sent."""
    shop.configure(sandbox.address, sandbox.login, top='repeat_window = "1s"')
    path = shop.write("march.csv", ROWS)
    first = run(shop, path)
    assert first.code == 0, first
    time.sleep(1.1)
    said = refused(run(shop, path), "finished_batch")
    assert first.json["batch"] in said
    assert time.strftime("%Y-%m-%d", time.gmtime()) in said
    assert "--batch NAME" in said
    refused(run(shop, shop.write("copy.csv", ROWS[::-1])), "finished_batch")
    assert executed(sandbox) == meant(ROWS)
    anew = run(shop, path, "--batch", "april")
    assert (anew.code, anew.json["batch"]) == (0, "april")
    assert anew.counts == {"credited": 3, "already_credited": 2}, "references stand for ever"
    assert executed(sandbox) == meant(ROWS) + meant(row for row in ROWS if len(row) < 5 or not row[4])


def test_only_a_name_makes_known_content_new(shop: CommandLine, sandbox: Sandbox) -> None:
    """Under a new name the rows are repeats: refused, left out, or sent once more, as a person says."""
    rows = [row[:4] for row in ROWS]
    path = shop.write("march.csv", rows)
    first = run(shop, path)
    assert first.code == 0, first
    said = refused(run(shop, path, "--batch", "april"), "repeat")
    assert first.json["batch"] in said
    assert "--allow-repeat" in said
    left_out = run(shop, path, "--batch", "april", "--skip-repeats")
    assert (left_out.code, left_out.counts) == (0, {"already_credited": 5})
    assert left_out.json["reasons"] == {"repeat": 5}
    assert executed(sandbox) == meant(rows)
    again = run(shop, path, "--batch", "may", "--allow-repeat")
    assert (again.code, again.counts) == (0, {"credited": 5})
    assert executed(sandbox) == meant(rows) + meant(rows)


def test_the_repeat_window_ends(shop: CommandLine, sandbox: Sandbox) -> None:
    """Rows credited longer ago than repeat_window are no repeats: each month has its batch."""
    shop.configure(sandbox.address, sandbox.login, top='repeat_window = "1s"')
    rows: list[Row] = [("clicksend", "11", "1.50", "USD"), ("clicksend", "12", "2", "USD")]
    assert run(shop, shop.write("march.csv", rows)).code == 0
    time.sleep(1.1)
    april = [*rows, ("clicksend", "13", "3", "USD")]
    assert run(shop, shop.write("april.csv", april)).code == 0
    assert executed(sandbox) == meant(rows) + meant(april)


def test_a_part_of_a_file_is_refused(shop: CommandLine, sandbox: Sandbox) -> None:
    """Rows copied out of a batch that is done are repeats of it."""
    rows = [row[:4] for row in ROWS]
    first = run(shop, shop.write("march.csv", rows))
    part = shop.write("part.csv", rows[1:3])
    said = refused(run(shop, part), "repeat")
    assert f"row 1 is row 2 of batch {first.json['batch']}" in said
    left_out = run(shop, part, "--skip-repeats")
    assert (left_out.code, left_out.counts) == (0, {"already_credited": 2})
    assert executed(sandbox) == meant(rows)


def test_a_file_plus_new_rows_sends_only_these(shop: CommandLine, sandbox: Sandbox) -> None:
    """With --skip-repeats what was credited is left out and the new rows go."""
    rows, new = [row[:4] for row in ROWS], [("clicksend", "99", "7", "USD"), ("fastmessage", "new", "8", "")]
    assert run(shop, shop.write("march.csv", rows)).code == 0
    longer = shop.write("longer.csv", [new[0], *rows, new[1]])
    refused(run(shop, longer), "repeat")
    ended = run(shop, longer, "--skip-repeats")
    assert (ended.code, ended.counts) == (0, {"credited": 2, "already_credited": 5})
    assert executed(sandbox) == meant(rows) + meant(new)


def test_a_corrected_file_after_a_long_weekend(shop: CommandLine, sandbox: Sandbox) -> None:
    """Half the rows credited by a batch with rows left: it is that batch's correction, at any age."""
    shop.configure(sandbox.address, sandbox.login, top='repeat_window = "1s"')
    good: list[Row] = [("clicksend", "11", "1.50", "USD"), ("clicksend", "12", "2", "USD")]
    first = run(shop, shop.write("march.csv", [*good, ("clicksend", "10404", "3", "USD")]))
    assert first.code == 1, first
    time.sleep(1.1)
    mended: list[Row] = [("clicksend", "14", "3", "USD"), ("clicksend", "15", "4", "USD")]
    half = shop.write("march mended.csv", [*good, *mended])
    said = refused(run(shop, half), "looks_like_correction")
    assert f"batchcredit resume {first.json['batch']}" in said
    assert "--batch NAME" in said
    assert executed(sandbox) == meant(good)
    new = run(shop, half, "--batch", "april")
    assert (new.code, new.counts) == (0, {"credited": 4}), new
    assert executed(sandbox) == meant(good) + meant([*good, *mended]), "a person said that it is new"


def test_less_than_half_is_no_correction(shop: CommandLine, sandbox: Sandbox) -> None:
    """With fewer than half of its rows credited by a batch that has rows left, a file only has repeats."""
    good: list[Row] = [("clicksend", "11", "1.50", "USD"), ("clicksend", "12", "2", "USD")]
    assert run(shop, shop.write("march.csv", [*good, ("clicksend", "10404", "3", "USD")])).code == 1
    others: list[Row] = [("clicksend", "14", "3", "USD"), ("clicksend", "15", "4", "USD")]
    path = shop.write("april.csv", [good[0], *others])
    refused(run(shop, path), "repeat")
    ended = run(shop, path, "--skip-repeats")
    assert (ended.code, ended.counts) == (0, {"credited": 2, "already_credited": 1})
    assert executed(sandbox) == meant([*good, *others])


NAMED: list[Row] = [
    ("clicksend", "11", "1.50", "USD", "R-1"),
    ("clicksend", "10404", "2", "USD", "R-2"),
    ("clicksend", "20404", "3", "USD"),
    ("clicksend", "14", "4", "USD", "R-4"),
]


def changed(**cells: Row) -> list[Row]:
    """NAMED with other rows: `row2=(...)`."""
    return [cells.get(f"row{number}", row) for number, row in enumerate(NAMED, 1)]


def test_a_correction_under_the_same_name(shop: CommandLine, sandbox: Sandbox) -> None:
    """A rejected row with a reference may be corrected; it is sent anew under an id linked to the old one."""
    path = shop.write("march.csv", NAMED)
    first = run(shop, path, "--batch", "march")
    assert (first.code, first.counts) == (1, {"credited": 2, "rejected": 2})
    was = shop.results("march.results.csv")
    shop.write("march.csv", changed(row2=("clicksend", "12", "2.25", "USD", "R-2")))
    corrected = run(shop, path, "--batch", "march")
    assert (corrected.code, corrected.counts) == (1, {"credited": 3, "rejected": 1}), corrected
    assert executed(sandbox) == meant([NAMED[0], NAMED[3], ("clicksend", "12", "2.25")])
    now = shop.results("march.results.csv")
    assert [row["transfer_id"] for row in now] == [
        was[0]["transfer_id"],
        f"{was[1]['transfer_id']}.2",
        was[2]["transfer_id"],
        was[3]["transfer_id"],
    ]
    assert (now[1]["account"], now[1]["amount"], now[1]["status"]) == ("12", "2.25", "credited")
    assert corrected.json["amounts"] == {"USD": {"credited": "7.75", "rejected": "3"}}


def test_what_is_no_correction_is_refused(shop: CommandLine, sandbox: Sandbox) -> None:
    """Other rows or order, a row without reference, credited or in doubt: nothing is sent or changed."""
    sandbox.control.script("14", ["close_after"])
    path = shop.write("march.csv", NAMED)
    first = run(shop, path, "--batch", "march")
    assert first.counts == {"credited": 1, "rejected": 2, "in_doubt": 1}, first
    mended = changed(row2=("clicksend", "12", "2", "USD", "R-2"))
    variants: dict[str, list[Row]] = {
        "row 1 differs, and it is credited": changed(row1=("clicksend", "11", "9", "USD", "R-1")),
        "row 4 differs, and it is in_doubt": changed(row4=("clicksend", "15", "4", "USD", "R-4")),
        "row 3 differs, and only its reference": changed(row3=("clicksend", "13", "3", "USD")),
        "row 2 differs, and only its reference": changed(row2=("clicksend", "12", "2", "USD", "R-9")),
        "the number of rows differs": [*mended, ("clicksend", "16", "5", "USD", "R-5")],
        "the number of rows differs from": mended[:3],
        "row 1 differs": [mended[1], mended[0], *mended[2:]],
    }
    arrived = len(sandbox.arrivals())
    for why, rows in variants.items():
        shop.write("march.csv", rows)
        assert why in refused(run(shop, path, "--batch", "march"), "changed_content")
    assert len(sandbox.arrivals()) == arrived
    shop.write("march.csv", NAMED)
    assert run(shop, path, "--batch", "march").counts == first.counts


def test_a_correction_under_another_name(shop: CommandLine, sandbox: Sandbox) -> None:
    """References say which rows were credited: the file under a new name sends the corrected ones alone."""
    rows = [row for row in NAMED if len(row) == 5]
    assert run(shop, shop.write("march.csv", rows)).code == 1
    mended = [(*row[:1], "12", *row[2:]) if row[1] == "10404" else row for row in rows]
    path = shop.write("mended.csv", mended)
    refused(run(shop, path), "looks_like_correction")
    ended = run(shop, path, "--batch", "mended")
    assert (ended.code, ended.counts) == (0, {"credited": 1, "already_credited": 2})
    assert executed(sandbox) == meant(mended)


OPEN: Row = ("clicksend", "21", "5", "USD")
REST: Row = ("fastmessage", "rest", "6", "KES")


def waits(ended: Ended, cli: CommandLine, place: str) -> None:
    """Row 1 waits for the row at `place` of another batch; row 2 went."""
    assert (ended.code, ended.counts) == (4, {"not_sent": 1, "credited": 1}), ended
    row = cli.results(Path(ended.json["results"]).name)[0]
    assert (row["status"], row["reason"], row["attempts"]) == ("not_sent", "open_elsewhere", "0")
    assert place in row["message"]


def doubtful(cli: CommandLine, sandbox: Sandbox) -> str:
    """A batch whose row OPEN is in doubt, and was executed."""
    sandbox.control.script("21", ["close_after"])
    first = run(cli, cli.write("march.csv", [("clicksend", "20", "1", "USD"), OPEN]))
    assert (first.code, first.counts) == (3, {"credited": 1, "in_doubt": 1}), first
    name: str = first.json["batch"]
    return name


def test_what_is_in_doubt_elsewhere_is_sent_by_no_flag(shop: CommandLine, sandbox: Sandbox) -> None:
    """A repeat of a row in doubt waits, at any age, until a person says that it was not credited."""
    top, tables = 'repeat_window = "1s"', '[reconcile]\nquiet = "0s"'
    shop.configure(sandbox.address, sandbox.login, top=top, tables=tables)
    march = doubtful(shop, sandbox)
    time.sleep(1.1)
    for name in ("--allow-repeat", "--skip-repeats", "--accept-profile=clicksend"):
        path = shop.write("other.csv", [OPEN, ("fastmessage", name, "6", "KES")])
        waits(run(shop, path, name, "--batch", f"with{name[1:4]}"), shop, f"row 2 of batch {march}, in_doubt")
        assert shop("cancel", f"with{name[1:4]}", "--note", "enough", "--yes").code == 0
    path = shop.write("april.csv", [OPEN, REST])
    april = run(shop, path)
    waits(april, shop, march)
    waits(run(shop, path, "--allow-repeat"), shop, march)
    assert [entry["account"] for entry in sandbox.arrivals()].count("21") == 1
    verdict = ["--row", 2, "--account", "21", "--note", "looked it up", "--yes", "--json"]
    assert shop("resolve", march, "--as", "not-credited", *verdict).code == 0
    waits(shop("resume", april.json["batch"], "--yes", "--json"), shop, f"{march}, pending")
    assert shop("cancel", march, "--row", 2, "--note", "sent by april", "--yes").code == 0
    last = shop("resume", april.json["batch"], "--yes", "--json")
    assert (last.code, last.counts) == (0, {"credited": 2})
    assert [entry["account"] for entry in sandbox.book()].count("21") == 2


def test_what_was_in_doubt_and_is_credited_is_a_repeat(shop: CommandLine, sandbox: Sandbox) -> None:
    """Resolved as credited, the other row is one that was credited lately: sent only when asked for."""
    march = doubtful(shop, sandbox)
    path = shop.write("april.csv", [OPEN, REST])
    waits(run(shop, path), shop, march)
    verdict = ["--row", 2, "--account", "21", "--note", "seen", "--yes"]
    assert shop("resolve", march, "--as", "credited", *verdict).code == 0
    refused(run(shop, path), "repeat")
    left_out = run(shop, path, "--skip-repeats")
    assert (left_out.code, left_out.counts) == (0, {"already_credited": 1, "credited": 1})
    assert executed(sandbox) == meant([("clicksend", "20", "1"), OPEN, REST])


@pytest.mark.parametrize("flags", [[], ["--allow-repeat"], ["--skip-repeats"]])
def test_what_is_not_sent_elsewhere_waits_until_it_is_sent(
    shop: CommandLine, sandbox: Sandbox, flags: list[str]
) -> None:
    """The older batch goes first; once its row is credited, the younger one's is a repeat."""
    march = run(shop, shop.write("march.csv", [("clicksend", "20", "1", "USD"), OPEN]), "--limit", 1)
    assert march.code == 4, march
    path = shop.write("april.csv", [OPEN, REST])
    waits(run(shop, path, *flags), shop, f"row 2 of batch {march.json['batch']}, pending")
    assert shop("resume", march.json["batch"], "--yes").code == 0
    last = run(shop, path, *flags)
    if not flags:
        refused(last, "repeat")
    else:
        twice = flags == ["--allow-repeat"]
        status = {"credited": 2} if twice else {"already_credited": 1, "credited": 1}
        assert (last.code, last.counts) == (0, status)
    times = 2 if flags == ["--allow-repeat"] else 1
    assert Counter(entry["account"] for entry in sandbox.book()) == {"20": 1, "21": times, "rest": 1}


def test_what_was_being_sent_when_its_sender_was_killed_waits(shop: CommandLine, sandbox: Sandbox) -> None:
    """Rows that were sending are in doubt for whoever comes next, and so are their repeats."""
    sandbox.control.set(latency_s=30)
    march = shop.start("run", shop.write("march.csv", [("clicksend", "20", "1", "USD"), OPEN]), "--yes")
    wait_for(lambda: len(sandbox.arrivals()) == 2)
    march.signal(signal.SIGKILL)
    wait_for(lambda: march.has_ended)
    sandbox.control.set(latency_s=0)
    waits(run(shop, shop.write("april.csv", [OPEN, REST]), "--allow-repeat"), shop, "in_doubt")
    assert Counter(entry["account"] for entry in sandbox.book()) == {"20": 1, "21": 1, "rest": 1}


def test_a_reference_that_was_credited_is_recognised(shop: CommandLine, sandbox: Sandbox) -> None:
    """The same row under its reference was credited, at any age: already_credited, without a flag."""
    shop.configure(sandbox.address, sandbox.login, top='repeat_window = "1s"')
    row: Row = ("clicksend", "11", "1.50", "USD", "R-1")
    assert run(shop, shop.write("march.csv", [row])).code == 0
    time.sleep(1.1)
    ended = run(shop, shop.write("april.csv", [(*row[:2], "1.5", *row[3:]), REST]), "--allow-repeat")
    assert (ended.code, ended.counts) == (0, {"already_credited": 1, "credited": 1})
    assert executed(sandbox) == meant([row, REST])
    assert shop.results(Path(ended.json["results"]).name)[0]["reason"] == "same_reference"


@pytest.mark.parametrize(
    "other",
    [
        ("clicksend", "12", "1.50", "USD", "R-1"),
        ("clicksend", "11", "1.51", "USD", "R-1"),
        ("clicksend", "11", "1.50", "AUD", "R-1"),
        ("fastmessage", "11", "1.50", "KES", "R-1"),
    ],
)
def test_a_reference_stands_for_one_transfer(shop: CommandLine, sandbox: Sandbox, other: Row) -> None:
    """A known reference with other content is refused, naming the batch, also on a lane that is new."""
    march = run(shop, shop.write("march.csv", [("clicksend", "11", "1.50", "USD", "R-1")]))
    path = shop.write("april.csv", [REST, other])
    for command in ("run", "check"):
        flags = ["--yes", "--allow-repeat"] if command == "run" else ["--allow-repeat"]
        said = refused(shop(command, path, "--json", *flags, "--batch", "april"), "reference_taken")
        assert f"row 2 is row 1 of batch {march.json['batch']}" in said
    assert len(sandbox.arrivals()) == 1


@pytest.mark.parametrize("first", ["march", "april"])
def test_one_reference_in_two_batches(shop: CommandLine, sandbox: Sandbox, first: str) -> None:
    """Whichever batch is resumed first, the transfer that both name is executed once."""
    shared: Row = ("clicksend", "21", "5", "USD", "R-1")
    for name, begin in (("march", "20"), ("april", "30")):
        path = shop.write(f"{name}.csv", [("clicksend", begin, "1", "USD"), shared])
        assert run(shop, path, "--batch", name, "--limit", 1).code == 4
    order = [first, "april" if first == "march" else "march", first]
    ended = {name: shop("resume", name, "--yes", "--json") for name in order}
    assert [each.code for each in ended.values()] == [0, 0]
    assert ended["march"].counts == {"credited": 2}
    assert ended["april"].counts == {"credited": 1, "already_credited": 1}
    assert executed(sandbox) == meant([("clicksend", "20", "1"), ("clicksend", "30", "1"), shared])


def test_a_reference_that_another_batch_took_meanwhile_is_not_sent(
    shop: CommandLine, sandbox: Sandbox
) -> None:
    """A rejected row's reference is free; once another row was credited under it, each claim refuses it."""
    clients: dict[str, Any] = {"777": {"state": "unknown"}, "778": {}}
    sandbox.control.set(accounts=clients)
    assert (
        run(shop, shop.write("march.csv", [("clicksend", "777", "1", "USD", "R-1")]), "--batch", "march").code
        == 1
    )
    assert run(shop, shop.write("april.csv", [("clicksend", "778", "2", "USD", "R-1")])).code == 0
    sandbox.control.set(accounts=clients | {"777": {}})
    again = shop("resume", "march", "--include", "rejected", "--yes", "--json")
    assert (again.code, again.counts, again.json["reasons"]) == (4, {"not_sent": 1}, {"reference_taken": 1})
    assert executed(sandbox) == meant([("clicksend", "778", "2")])


def test_spellings_of_an_account_are_one_account(shop: CommandLine, sandbox: Sandbox) -> None:
    """Fast Message's clients are compared folded and composed; what is sent is the cell as it stands."""
    march: list[Row] = [("fastmessage", "Jos\u00e9", "5", "KES"), ("fastmessage", "STRASSE", "6", "KES")]
    april: list[Row] = [("fastmessage", "JOSE\u0301", "5", ""), ("fastmessage", "stra\u00dfe", "6.0", "KES")]
    assert run(shop, shop.write("march.csv", march)).code == 0
    path = shop.write("april.csv", april)
    said = refused(run(shop, path), "repeat")
    assert said.startswith("2 rows")
    assert run(shop, path, "--allow-repeat").code == 0
    assert executed(sandbox) == meant([*march, *april])


@pytest.mark.parametrize(
    ("rows", "flags", "reason"),
    [
        ([("clicksend", 11, "5", "USD"), ("clicksend", 11, "5.0", "USD")], [], "duplicate_rows"),
        ([("fastmessage", "Jane", "5"), ("fastmessage", "JANE", "5", "KES")], [], "duplicate_rows"),
        ([("clicksend", 11, "5", "USD", "A"), ("clicksend", 11, "5", "USD")], [], "duplicate_rows"),
        ([("clicksend", 11, "5", "USD", "A"), ("clicksend", 11, "5", "USD", "B")], [], ""),
        ([("clicksend", 11, "5", "USD"), ("clicksend", 11, "5", "USD")], ["--allow-duplicates"], ""),
        (
            [("clicksend", 11, "5", "USD", "A"), ("clicksend", 12, "5", "USD", "A")],
            ["--allow-duplicates"],
            "duplicate_reference",
        ),
    ],
)
def test_equal_rows_of_one_file(
    shop: CommandLine, sandbox: Sandbox, rows: list[Row], flags: list[str], reason: str
) -> None:
    """Equal rows stop the batch unless references tell them apart or a person says so; references never."""
    ended = run(shop, shop.write("march.csv", rows), *flags)
    if reason:
        assert "row 2 (line 3) and row 1 (line 2)" in refused(ended, reason)
        assert sandbox.arrivals() == []
        return
    assert (ended.code, ended.counts) == (0, {"credited": 2})
    assert executed(sandbox) == meant(rows)


def test_a_batch_keeps_its_lanes(shop: CommandLine, sandbox: Sandbox) -> None:
    """Another login under the profile's name is refused until it is accepted by name."""
    other = Sandbox(sandbox.address, f"{sandbox.login}b")
    path = shop.write("march.csv", [row for row in ROWS if row[0] == "clicksend"])
    first = run(shop, path, "--limit", 1)
    shop.configure(sandbox.address, other.login)
    for again in (run(shop, path), shop("resume", first.json["batch"], "--yes", "--json")):
        said = refused(again, "other_lane")
        assert sandbox.login in said
        assert "--accept-profile clicksend" in said
    assert other.arrivals() == []
    ended = run(shop, path, "--accept-profile", "clicksend")
    assert (ended.code, ended.counts) == (0, {"credited": 3})
    assert (len(sandbox.book()), len(other.book())) == (1, 2)


def test_a_login_has_one_profile(shop: CommandLine, sandbox: Sandbox) -> None:
    """Two profiles of the same kind, address and login are two names for one lane, and are refused."""
    twin = f'[providers.twin]\nkind = "clicksend"\nbase_url = "{sandbox.address.clicksend_url}/"\n'
    shop.configure(sandbox.address, sandbox.login, tables=f'{twin}username = "{sandbox.login}"\n')
    said = refused(run(shop, shop.write("march.csv", ROWS)), "settings")
    assert "the same kind, base_url and login as profile" in said
    assert sandbox.arrivals() == []


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_results_file_is_no_input(shop: CommandLine, sandbox: Sandbox, command: str) -> None:
    """Results given to run or check are refused with the command that goes on with their batch."""
    first = run(shop, shop.write("march.csv", ROWS), "--limit", 1)
    flags = ["--yes"] if command == "run" else []
    said = refused(shop(command, first.json["results"], "--json", *flags), "results_file")
    assert f"batchcredit resume {first.json['batch']}" in said
    assert len(sandbox.arrivals()) == 1


@pytest.mark.parametrize("flags", [[], ["--allow-repeat"], ["--batch", "march"]])
def test_a_lost_ledger_is_noticed_by_the_results(
    shop: CommandLine, sandbox: Sandbox, flags: list[str]
) -> None:
    """With a new ledger the file looks new; the results beside it say that it is not."""
    path = shop.write("march.csv", ROWS)
    first = run(shop, path, *flags)
    assert first.code == 0, first
    for left in shop.home.glob("ledger.db*"):
        left.unlink()
    said = refused(run(shop, path, *flags), "other_ledger")
    ledger_id = shop.results(Path(first.json["results"]).name)[0]["transfer_id"].split("-")[1]
    assert f"that place belongs to ledger {ledger_id}, by " in said
    assert batches(shop) == []
    assert executed(sandbox) == meant(ROWS)


def test_two_colleagues_with_one_file(sandbox: Sandbox, tmp_path: Path, forks: ForkedProgram) -> None:
    """Two ledgers, one file in a shared folder, started at once: one of them sends, the other is refused."""
    sandbox.control.set(latency_s=0.3)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "march.csv").write_text(text_of(ROWS))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with command_line(tmp_path / "a", forks) as one, command_line(tmp_path / "b", forks) as other:
        started: list[Running] = []
        for cli in (one, other):
            cli.configure(sandbox.address, sandbox.login)
            started.append(cli.start("run", shared / "march.csv", "--yes", "--json"))
        ended = [each.end() for each in started]
    assert sorted(each.code for each in ended) == [0, 2], ended
    refused(next(each for each in ended if each.code), "other_ledger")
    assert executed(sandbox) == meant(ROWS)


def test_what_was_refused_is_not_kept(shop: CommandLine, sandbox: Sandbox) -> None:
    """After a refused preflight, a tripped limit or a wrong control total there is no batch and no claim."""
    path = shop.write("march.csv", ROWS)
    limit = '[limits]\nmax_total = { USD = "3" }'
    shop.configure(sandbox.address, sandbox.login, tables=limit)
    assert "3.5301 USD" in refused(run(shop, path), "limit_max_total")
    shop.configure(sandbox.address, sandbox.login)
    refused(run(shop, path, "--expect-rows", 4), "control_totals")
    refused(run(shop, path, "--expect-total", "USD=3.5301"), "control_totals")
    sandbox.control.set(wallet="1", wallet_currency="USD")
    refused(run(shop, path), "wallet_empty")
    sandbox.control.set(logins={"nobody": "x"})
    refused(run(shop, path), "credentials")
    sandbox.control.set(logins=None, wallet="1000000", wallet_currency="AUD")
    assert batches(shop) == []
    assert sandbox.arrivals() == []
    assert [entry.name for entry in shop.folder.iterdir() if "results" in entry.name] == []
    assert run(shop, path).code == 0


@pytest.mark.parametrize("answer", ["no", "y", "", "3.53", "\x04"])
def test_what_was_not_agreed_to_is_not_kept(shop: CommandLine, sandbox: Sandbox, answer: str) -> None:
    """Anything but the total is a No, and after a No there is no batch."""
    path = shop.write("march.csv", [row for row in ROWS if row[0] == "clicksend"])
    with terminal(shop, "run", path) as person:
        person.wait_for("type the total in USD")
        person.type(answer if answer == "\x04" else f"{answer}\n")
        assert person.end() == 2, person.shown
    assert "nothing is kept" in person.shown
    assert batches(shop) == []
    assert sandbox.arrivals() == []


def test_check_writes_nothing_to_the_ledger(shop: CommandLine, sandbox: Sandbox) -> None:
    """check of a new file makes no ledger, and of a known one changes none."""
    path = shop.write("march.csv", ROWS)
    looked = shop("check", path, "--json")
    assert (looked.code, looked.json["counts"]["not_sent"]) == (0, len(ROWS))
    assert not shop.ledger.exists()
    assert run(shop, path, "--limit", 1).code == 4
    before = shop.ledger.read_bytes()
    assert shop("check", path, "--json").json["counts"]["not_sent"] == len(ROWS) - 1
    longer = shop.write("longer.csv", [*ROWS, REST])
    assert shop("check", longer, "--json").code == 0
    assert shop.ledger.read_bytes() == before
    assert len(sandbox.arrivals()) == 1


def test_any_unique_beginning_of_a_name_will_do(shop: CommandLine, sandbox: Sandbox) -> None:
    """`resume m` goes on with march unless there is another batch in m; the full name always will do."""
    for name, account in (("march", "11"), ("mar", "12"), ("april", "13")):
        rows = [("clicksend", account, "1", "USD"), ("clicksend", account, "2", "USD")]
        assert run(shop, shop.write(f"{name}.csv", rows), "--batch", name, "--limit", 1).code == 4
    said = refused(shop("resume", "m", "--yes", "--json"), "no_batch")
    assert "mar, march" in said
    assert shop("resume", "mar", "--yes", "--json").json["batch"] == "mar"
    assert shop("resume", "a", "--yes", "--json").json["batch"] == "april"
    default = run(shop, shop.write("may.csv", [REST]))
    assert default.json["batch"].startswith("may-")
    assert len(default.json["batch"]) == len("may-") + 8


def test_a_limit_of_the_day_counts_a_batch_once(shop: CommandLine, sandbox: Sandbox) -> None:
    """A batch within the limit of the day can be resumed and run again: what it sent counts once."""
    rows = [("clicksend", account, "40", "USD") for account in ("11", "12")]
    limits = '[limits]\nmax_day = { USD = "100" }\nmax_total = { USD = "90" }'
    shop.configure(sandbox.address, sandbox.login, tables=limits)
    path = shop.write("march.csv", rows)
    assert run(shop, path, "--limit", 1).code == 4
    assert run(shop, path).code == 0
    assert run(shop, path).code == 0
    other = [("clicksend", "13", "21", "USD")]
    assert "101 USD" in refused(run(shop, shop.write("april.csv", other)), "limit_max_day")
    assert executed(sandbox) == meant(rows)
