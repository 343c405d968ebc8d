"""A batch through a pipe: `-` as the input and as the place of the results, in a real shell."""

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import polars as pl
import pytest
from command_line import PROGRAM, CommandLine, Sandbox
from terminal import terminal

from batchcredit.cli import pipes
from batchcredit.errors import RefusedError, StorageError

ROWS = [("clicksend", 11, "1.50", "USD", "a"), ("fastmessage", "jane", "20.25", "KES", "b")]
PROGRAM_WORDS = " ".join(PROGRAM)


def shell(shop: CommandLine, line: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which `$bc` is the program."""
    return shop.program("bash", "-c", f"set -o pipefail; bc='{PROGRAM_WORDS}'; {line}")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_batch_through_a_pipe_and_out_of_it(shop: CommandLine, sandbox: Sandbox) -> None:
    """In by stdin, out by stdout, nothing else on it and no file beside; the same again sends nothing."""
    shop.write("in.csv", ROWS)
    before = {*shop.folder.iterdir()}
    flags = "run - --format csv --batch march --yes --out -"
    ended = shell(shop, f"cat in.csv | $bc {flags}")
    assert ended.returncode == 0, ended
    rows = read(ended.stdout)
    assert [(row["account"], row["status"], row["batch"]) for row in rows] == [
        ("11", "credited", "march"),
        ("jane", "credited", "march"),
    ]
    assert "credited" in ended.stderr
    assert {*shop.folder.iterdir()} == before
    assert len(sandbox.book()) == 2
    again = shell(shop, f"$bc {flags} < in.csv")
    assert (again.returncode, again.stdout) == (0, ended.stdout)
    assert len(sandbox.book()) == 2
    assert shell(shop, "$bc run in.csv --yes --json").returncode == 0, "a batch is known by its content"
    assert len(sandbox.book()) == 2
    assert shop("results", "march").code == 0
    assert shop.results("march.results.csv") == rows


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "xlsx"])
def test_every_format_goes_through_a_pipe(form: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """Each format comes out as it came in; stdin has a name in messages, and in the ledger."""
    shop.write("in.csv", ROWS)
    _converted(shop.folder / "in.csv", shop.folder / f"in.{form}")
    ended = shell(shop, f"$bc run - --format {form} --yes --out - < in.{form} > out.{form}")
    assert ended.returncode == 0, ended
    assert _accounts(shop.folder / f"out.{form}") == ["11", "jane"]
    (batch,) = shop("show", "--json").json["batches"]
    assert batch["batch"].startswith("stdin-")


def _converted(source: Path, target: Path) -> None:
    frame = pl.read_csv(source, infer_schema=False)
    if target.name.endswith(".gz"):
        target.write_bytes(gzip.compress(source.read_bytes()))
    elif target.suffix == ".parquet":
        frame.write_parquet(target)
    elif target.suffix == ".xlsx":
        frame.write_excel(target)


def _accounts(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)["account"].to_list()
    if path.suffix == ".xlsx":
        import openpyxl

        rows = list(openpyxl.load_workbook(path).worksheets[0].values)
        return [str(row[rows[0].index("account")]) for row in rows[1:]]
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [row["account"] for row in read(text.decode())]


def test_whoever_stops_reading_harms_nobody(shop: CommandLine, sandbox: Sandbox) -> None:
    """`| head`: all rows are sent, the exit code is theirs, nothing is printed twice or as a traceback, and
    the results can be had again."""
    shop.write("in.csv", [("clicksend", number, "1", "USD") for number in range(1, 3001)])
    ended = shell(shop, '{ $bc run in.csv --batch march --yes --out -; echo "code $?" >&2; } | head -n 2')
    assert len(ended.stdout.splitlines()) == 2
    assert "code 0" in ended.stderr
    assert "can be had again: batchcredit results march" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    assert len(sandbox.book()) == 3000
    whole = shell(shop, "$bc results march --out - --format csv")
    assert len(read(whole.stdout)) == 3000


def test_a_full_disk_behind_stdout_is_told(shop: CommandLine) -> None:
    """Where stdout is a file that can't be written, the exit code says so, and the rows are in the ledger."""
    shop.write("in.csv", ROWS)
    ended = shell(shop, "$bc run in.csv --batch march --yes --out - > /dev/full")
    assert ended.returncode == 5
    assert "credited" in ended.stderr
    assert "batchcredit results march" in ended.stderr
    assert shop("show", "march", "--json").counts == {"credited": 2}


def test_a_corrected_list_comes_back_through_a_pipe(shop: CommandLine, sandbox: Sandbox) -> None:
    """resume takes a file of ours from stdin, and gives results to stdout; so does a batch by name."""
    shop.write("in.csv", [("clicksend", 20404, "2", "USD"), ("clicksend", 12, "3", "USD")])
    assert shop("run", "in.csv", "--yes", "--batch", "march").code == 1
    ended = shell(shop, "sed 's/20404/13/' march.to-fix.csv | $bc resume - --format csv --yes --out -")
    assert ended.returncode == 0, ended
    assert [row["account"] for row in read(ended.stdout)] == ["13", "12"]
    named = shell(shop, "$bc resume march --yes --out - --format csv.gz | gzip -d")
    assert [row["status"] for row in read(named.stdout)] == ["credited", "credited"]


def test_other_data_goes_to_stdout(shop: CommandLine) -> None:
    """The history and the provider's clients, as data."""
    shop.write("in.csv", ROWS)
    assert shop("run", "in.csv", "--yes").code == 0
    history = shell(shop, "$bc history --out -")
    assert {row["account"] for row in read(history.stdout)} == {"11", "jane"}
    clients = shell(shop, "$bc providers clients clicksend --out -")
    assert clients.returncode == 0, clients
    assert "account" in clients.stdout.splitlines()[0]


def test_check_reads_a_pipe_and_says_the_run(shop: CommandLine, sandbox: Sandbox) -> None:
    """The next command is one that can be typed."""
    shop.write("in.csv", ROWS)
    ended = shell(shop, "$bc check - --format csv --json < in.csv")
    assert ended.returncode == 0
    assert '"next": ["batchcredit", "run", "-", "--format", "csv"]' in ended.stdout
    assert sandbox.arrivals() == []


def test_bad_rows_of_a_pipe_are_listed_again(shop: CommandLine) -> None:
    """The list stands in the working folder, and the next one takes its place."""
    shop.write("in.csv", [*ROWS, ("clicksend", "abc", 1, "USD", "c")])
    for _ in range(2):
        ended = shell(shop, "$bc check - --format csv < in.csv")
        assert (ended.returncode, "stdin.invalid.csv has them all" in ended.stderr) == (2, True), ended
    assert "abc" in (shop.folder / "stdin.invalid.csv").read_text()


def test_an_odd_ending_is_corrected(shop: CommandLine) -> None:
    """--format says what a file is where its ending does not; results have the ending that is true."""
    shop.write("in.csv", ROWS)
    shop.program("mv", "in.csv", "export.txt")
    assert shop("run", "export.txt", "--yes", "--json").refusal == (2, "file_kind")
    ended = shop("run", "export.txt", "--format", "csv", "--yes", "--json")
    assert ended.counts == {"credited": 2}
    assert ended.json["results"].endswith(".results.csv")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run - --yes", "--format csv"),
        ("run - --format csv", "--yes"),
        ("resume - --format csv", "--yes"),
        ("run in.csv --yes --json --out -", "leave one of them out"),
        ("results x --format csv", "leave out --format"),
        ("results x --hand-over --out - --yes", "name that file"),
        ("run - --format csv --yes", "empty"),
        ("run --yess in.csv", "--yess is no flag"),
    ],
)
def test_what_is_refused(line: str, said: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """What can't be is refused before anything is sent, with the cure; stdin is empty here."""
    shop.write("in.csv", ROWS)
    ended = shop(*line.split())
    assert ended.code == 2, ended
    assert said in ended.stderr + ended.stdout
    assert sandbox.arrivals() == []


def test_closed_streams_are_told(shop: CommandLine, sandbox: Sandbox) -> None:
    """As some daemons start their programs."""
    shop.write("in.csv", ROWS)
    ended = shell(shop, "$bc run - --format csv --yes <&-")
    assert (ended.returncode, "stdin is closed" in ended.stderr) == (2, True), ended
    ended = shell(shop, "$bc run in.csv --yes --out - >&-")
    assert (ended.returncode, "stdout is closed" in ended.stderr) == (2, True), ended
    assert sandbox.arrivals() == []


def test_a_terminal_gets_no_file_and_gives_none(shop: CommandLine) -> None:
    """Cells could steer it, and nobody types a batch."""
    shop.write("in.csv", ROWS)
    for arguments, said in (
        (("run", "in.csv", "--yes", "--out", "-"), "stdout is a terminal"),
        (("run", "-", "--format", "csv", "--yes"), "stdin is a terminal"),
    ):
        with terminal(shop, *arguments) as person:
            person.wait_for(said)
            assert person.end() == 2


def test_a_signal_while_stdin_is_awaited(shop: CommandLine) -> None:
    """Ctrl-C ends the waiting: nothing was sent."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcredit", "run", "-", "--format", "csv", "--yes"],
        stdin=reader,
        cwd=shop.folder,
        env=shop.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(reader)
    try:
        os.write(writer, b"provider,account\n")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        os.close(writer)
        process.kill()
        process.wait()
    assert process.returncode == 2
    assert "stopped before anything was sent" in said


@contextmanager
def stdin_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pipe as stdin; where it is written to."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        try:
            yield writer
        finally:
            os.close(writer)


def test_a_stalled_stdin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who holds the pipe and writes nothing does not hold the command for ever."""
    monkeypatch.setattr(pipes, "STALLED_S", 0.3)
    with stdin_pipe(monkeypatch) as writer:
        os.write(writer, b"provider")
        with (
            pytest.raises(RefusedError, match="nothing has come") as refused,
            pipes.incoming(pipes.PIPE, "csv"),
        ):
            pass
    assert refused.value.reason == "stdin_stalled"


def test_an_endless_stdin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end does not fill the disk."""
    monkeypatch.setattr(pipes, "MOST_BYTES", 1000)
    with stdin_pipe(monkeypatch) as writer:
        os.write(writer, b"x" * 1001)
        with pytest.raises(RefusedError, match="no end") as refused, pipes.incoming(pipes.PIPE, "csv"):
            pass
    assert refused.value.reason == "stdin_long"


def test_no_room_for_stdin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's limit says what it is, and where."""

    def full(stdin: int, file: IO[bytes]) -> None:
        with Path("/dev/full").open("wb", buffering=0) as disk:
            spool(stdin, disk)

    spool = pipes._spool
    monkeypatch.setattr(pipes, "_spool", full)
    with stdin_pipe(monkeypatch) as writer:
        os.write(writer, b"x")
        with pytest.raises(StorageError, match="No space left") as told, pipes.incoming(pipes.PIPE, "csv"):
            pass
    assert "TMPDIR" in told.value.cure


def test_nobody_reads_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stands still does not hold the command for ever."""
    monkeypatch.setattr(pipes, "STALLED_S", 0.3)
    reader, writer = os.pipe()
    try:
        assert not pipes._poured(io.BytesIO(b"x" * (1 << 20)), writer)
    finally:
        os.close(reader)
        os.close(writer)
