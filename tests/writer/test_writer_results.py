"""A results file: every row once, in order, whole or not at all."""

import csv
import errno
import gzip
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_ledger import MemoryLedger, as_reader, batch_of, cells_of, credited, result_row
from sheet_file import read_xlsx

from batchcredit import host
from batchcredit.errors import DefectError, RefusedError, StorageError
from batchcredit.formulas import unescaped
from batchcredit.ledger.base import ResultRow
from batchcredit.transfer import STATUS, State
from batchcredit.writer import COLUMNS, pack, results_path, seal, write_results

same_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)

ENDINGS = ["csv", "csv.gz", "parquet", "xlsx"]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


def read(path: Path) -> pl.DataFrame:
    """A results file as its reader sees it: text throughout for CSV, quotes taken off."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".xlsx":
        return read_xlsx(path)
    return unescaped(pl.read_csv(path, infer_schema=False))


@st.composite
def known_rows(draw: st.DrawFn) -> list[ResultRow]:
    """What a ledger may know of a batch."""
    states = draw(st.lists(st.sampled_from(list(State)), min_size=1, max_size=10))
    return [
        result_row(
            row,
            state=state,
            reason=draw(TEXT),
            message=draw(TEXT),
            reference=draw(st.none() | TEXT),
            units=draw(st.none() | st.just("5.00")),
            http_status=draw(st.none() | st.integers(100, 599)),
            attempts=draw(st.integers(0, 10**6)),
            sent_ms=draw(st.none() | st.integers(0, 4 * 10**12)),
        )
        for row, state in enumerate(states, 1)
    ]


@same_folder
@given(known=known_rows(), end=st.sampled_from(ENDINGS), chunk_rows=st.integers(1, 4))
def test_every_row_is_there_once_in_order_with_its_cells(
    tmp_path: Path, known: list[ResultRow], end: str, chunk_rows: int
) -> None:
    """Whatever the chunks and the format, a reader gets back what the ledger knows and the input had."""
    path, batch = tmp_path / f"out.{end}", batch_of(len(known))
    assert write_results(as_reader(MemoryLedger(known, chunk_rows)), batch, path) == path
    found = read(path)
    assert found.columns == ["account", "amount", "note", *COLUMNS]
    cells = cells_of(known)
    if end == "xlsx":  # there an amount is a number
        cells = cells.with_columns(pl.col("amount").str.strip_suffix("0"))
    assert found.select("account", "amount", "note").equals(cells)
    assert [int(row) for row in found["row"]] == [row.row for row in known]
    for line, row in zip(found.iter_rows(named=True), known, strict=True):
        assert line["status"] == STATUS[row.state]
        assert line["message"] == (row.message or None)
        assert int(line["attempts"]) == row.attempts
        assert line["seal"] == seal(
            *(batch.name, batch.rows, row.row, row.provider, row.account, row.amount, row.currency),
            *(row.reference, line["status"], line["transfer_id"]),
        )


@pytest.mark.parametrize("end", ENDINGS)
def test_a_credited_row_reads_as_documented(tmp_path: Path, end: str) -> None:
    """Balances keep their digits, times are UTC to the millisecond, what is absent is empty."""
    path = tmp_path / f"out.{end}"
    write_results(as_reader(MemoryLedger([credited(1)])), batch_of(1), path)
    line = read(path).row(0, named=True)
    sent = datetime(2023, 11, 14, 22, 13, 20, 123000, UTC) if end == "parquet" else "2023-11-14T22:13:20.123Z"
    numbers = {"row": 1, "http_status": 200, "attempts": 1, "duration_ms": 87}
    for name, number in numbers.items():
        assert line[name] == (number if end == "parquet" else str(number))
    assert (line["balance_after"], line["balance_before"], line["units"]) == ("170.728701", None, None)
    assert (line["sent_at"], line["settled_by"], line["batch"]) == (sent, "provider", "march-12ab34cd")


def test_parquet_has_the_documented_types(tmp_path: Path) -> None:
    """Types follow the columns, also where a whole column is empty."""
    path = tmp_path / "out.parquet"
    write_results(as_reader(MemoryLedger([result_row(1)])), batch_of(1), path)
    assert {name: kind for name, kind in pl.read_parquet_schema(path).items() if name in COLUMNS} == COLUMNS


def test_a_row_that_is_being_sent_says_so(tmp_path: Path) -> None:
    """`sending` is in doubt to a reader, with a reason."""
    path = tmp_path / "out.csv"
    write_results(as_reader(MemoryLedger([result_row(1, state=State.SENDING)])), batch_of(1), path)
    assert read(path).select("status", "reason").row(0) == ("in_doubt", "sending")


def test_progress_ends_with_all_rows(tmp_path: Path) -> None:
    """Who watches hears of each chunk, and at last of the whole."""
    heard: list[int] = []
    known = [result_row(row) for row in range(1, 9)]
    write_results(as_reader(MemoryLedger(known, 3)), batch_of(8), tmp_path / "out.csv", heard.append)
    assert heard == [3, 6, 8]


def test_a_corrected_file_with_other_columns_keeps_both(tmp_path: Path) -> None:
    """Blocks of different columns and types are lined up by name; what a block lacks is empty."""
    ledger = MemoryLedger([result_row(row) for row in range(1, 5)], 2)
    first, rows, _ = ledger.blocks[1]
    ledger.blocks[1] = (first, rows, pack(pl.DataFrame({"^n.*$": [1, 2], "amount": [3, 4]})))
    for end in ENDINGS:
        path = tmp_path / f"out.{end}"
        write_results(as_reader(ledger), batch_of(4), path)
        found = read(path)
        assert found.columns[:4] == ["account", "amount", "note", "^n.*$"]
        assert found["amount"].to_list() == [*["12.5" if end == "xlsx" else "12.50"] * 2, "3", "4"]
        assert found.get_column("account").to_list() == ["1001", "1002", None, None]


def lost(ledger: MemoryLedger) -> None:
    del ledger.known[1]


def doubled(ledger: MemoryLedger) -> None:
    ledger.known.insert(1, ledger.known[1])


def swapped(ledger: MemoryLedger) -> None:
    ledger.known[0], ledger.known[1] = ledger.known[1], ledger.known[0]


def without_cells(ledger: MemoryLedger) -> None:
    del ledger.blocks[-1]


def with_cells_twice(ledger: MemoryLedger) -> None:
    ledger.blocks.append(ledger.blocks[-1])


def with_a_short_block(ledger: MemoryLedger) -> None:
    first, rows, _ = ledger.blocks[0]
    ledger.blocks[0] = (first, rows, pack(cells_of(ledger.known[:1])))


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize(
    "harm", [lost, doubled, swapped, without_cells, with_cells_twice, with_a_short_block]
)
def test_a_ledger_that_does_not_add_up_writes_nothing(tmp_path: Path, end: str, harm: object) -> None:
    """A row that is missing, twice or out of place is a defect; the old file stays, and nothing beside it."""
    path, ledger = tmp_path / f"out.{end}", MemoryLedger([result_row(row) for row in range(1, 6)], 2)
    write_results(as_reader(ledger), batch_of(5), path)
    before = path.read_bytes()
    harm(ledger)  # type: ignore[operator]
    with pytest.raises(DefectError) as caught:
        write_results(as_reader(ledger), batch_of(5), path)
    assert caught.value.reason == "conservation"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


FILLED = """
    import resource, sys
    from pathlib import Path
    from memory_ledger import MemoryLedger, as_reader, batch_of, result_row
    from batchcredit.errors import StorageError
    from batchcredit.writer import write_results
    path = Path(sys.argv[1])
    known = [result_row(row, message=str(row ** 40)) for row in range(1, 5001)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        write_results(as_reader(MemoryLedger(known, 500)), batch_of(5000), path)
    except StorageError as error:
        print(error.reason, str(path) in str(error))
"""


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from memory_ledger import MemoryLedger, as_reader, batch_of, result_row
    from batchcredit.writer import write_results

    def die(rows):
        os.kill(os.getpid(), signal.SIGKILL)

    known = [result_row(row) for row in range(1, 7)]
    write_results(as_reader(MemoryLedger(known)), batch_of(6), Path(sys.argv[1]), die)
"""


def program(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """This code, run as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        check=False,
    )


@pytest.mark.parametrize("end", ENDINGS)
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, end: str) -> None:
    """Where there is no room, the error names the path, the old results stay, and no part is left."""
    path = tmp_path / f"out.{end}"
    path.write_bytes(b"old")
    ran = program(FILLED, path)
    assert ran.stdout.split() == ["disk_full", "True"]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_swept_but_not_what_lives(tmp_path: Path) -> None:
    """A part without a living writer goes at the next write; another process's part stays."""
    dead, alive = tmp_path / ".out.csv.dead.part", tmp_path / ".out.csv.alive.part"
    other = tmp_path / ".other.csv.dead.part"
    for left in (dead, alive, other):
        left.write_bytes(b"x")
    descriptor = os.open(alive, os.O_WRONLY)
    try:
        assert host.lock(descriptor)
        write_results(as_reader(MemoryLedger([result_row(1)])), batch_of(1), tmp_path / "out.csv")
    finally:
        os.close(descriptor)
    assert (dead.exists(), alive.exists(), other.exists()) == (False, True, True)


def test_a_kill_in_the_middle_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """kill -9 while chunks are written: the old file stands, and the next write cleans up."""
    path = tmp_path / "out.csv"
    ledger = MemoryLedger([result_row(row) for row in range(1, 7)])
    write_results(as_reader(ledger), batch_of(6), path)
    before = path.read_bytes()
    assert program(KILLED, path).returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
    write_results(as_reader(ledger), batch_of(6), path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_held_open_gets_a_second_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results go beside the file that a spreadsheet program holds, and the name is told."""
    path = tmp_path / "out.results.csv"
    rename = Path.replace

    def refuse_held(part: Path, target: Path) -> Path:
        if target == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(part, target)

    ledger = as_reader(MemoryLedger([result_row(1)]))
    write_results(ledger, batch_of(1), path)
    monkeypatch.setattr(Path, "replace", refuse_held)
    second = tmp_path / "out.results (2).csv"
    assert write_results(ledger, batch_of(1), path) == second
    assert write_results(ledger, batch_of(1), path) == second
    assert set(tmp_path.iterdir()) == {path, second}


@pytest.mark.parametrize("end", ENDINGS)
def test_another_file_is_never_overwritten(tmp_path: Path, end: str) -> None:
    """A file that came there meanwhile, another batch's results, or a link stay as they are."""
    path, elsewhere = tmp_path / f"out.{end}", tmp_path / "elsewhere"
    ledger, other = MemoryLedger([result_row(1)]), batch_of(1, name="april-1")
    write_results(as_reader(ledger), other, path)
    second = write_results(as_reader(ledger), batch_of(1), path)
    elsewhere.write_text("precious")
    link = tmp_path / f"link.{end}"
    link.symlink_to(elsewhere)
    assert second.name == f"out (2).{end}"
    assert read(path)["batch"].to_list() == ["april-1"]
    assert write_results(as_reader(ledger), batch_of(1), link).name == f"link (2).{end}"
    assert elsewhere.read_text() == "precious"


def test_permissions_follow_the_umask_or_the_old_file(tmp_path: Path) -> None:
    """A new file is as open as any other that the user makes; a rebuilt one stays as closed as it was."""
    path, ledger = tmp_path / "out.csv", as_reader(MemoryLedger([result_row(1)]))
    umask = os.umask(0o027)
    try:
        write_results(ledger, batch_of(1), path)
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o600)
        write_results(ledger, batch_of(1), path)
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(umask)


def test_the_same_ledger_writes_the_same_bytes(tmp_path: Path) -> None:
    """A rebuilt file does not differ by the time of its writing, compressed or not."""
    ledger = as_reader(MemoryLedger([credited(1), result_row(2)]))
    for end in ENDINGS:
        first, second = tmp_path / f"a.{end}", tmp_path / f"b.{end}"
        write_results(ledger, batch_of(2), first)
        write_results(ledger, batch_of(2), second)
        assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()


def test_csv_is_read_by_other_programs(tmp_path: Path) -> None:
    """Python's own reader finds the same cells, with line breaks and quotes in them."""
    path = tmp_path / "out.csv"
    row = result_row(1, message='say "no",\nthen go', account="007")
    write_results(as_reader(MemoryLedger([row])), batch_of(1), path)
    with path.open(newline="") as file:
        lines: Sequence[dict[str, str]] = list(csv.DictReader(file))
    assert [(line["message"], line["account"], line["note"]) for line in lines] == [
        (row.message, "007", "'=x")
    ]


@pytest.mark.parametrize(
    ("given_path", "out", "sandbox", "expected"),
    [
        ("in/march.csv", None, False, "in/march-12.results.csv"),
        ("in/march.CSV.GZ", None, False, "in/march-12.results.csv.gz"),
        ("in/march.parquet", None, True, "in/sandbox-march-12.results.parquet"),
        ("in/march.parquet", "x/y.csv", True, "x/y.csv"),
    ],
)
def test_results_are_named_after_their_batch(
    tmp_path: Path, given_path: str, out: str | None, sandbox: bool, expected: str
) -> None:
    """Beside the input, in its format, unless --out says otherwise."""
    named = tmp_path / out if out else None
    assert results_path(tmp_path / given_path, "march-12", named, sandbox=sandbox) == tmp_path / expected


def test_an_unknown_format_is_refused() -> None:
    """--out has to end in a format that we write."""
    with pytest.raises(RefusedError, match=r"out\.ods") as caught:
        results_path(Path("in.csv"), "march", Path("out.ods"), sandbox=False)
    assert caught.value.reason == "out_format"


def test_a_folder_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    """What was writable before the run and no longer is ends with the path, not with a traceback."""
    with pytest.raises(StorageError, match="gone"):
        write_results(as_reader(MemoryLedger([result_row(1)])), batch_of(1), tmp_path / "gone" / "out.csv")


GROWTH = """
    import resource, sys
    from pathlib import Path
    from memory_ledger import MemoryLedger, as_reader, batch_of, result_row
    from batchcredit.writer import pack, write_results
    import polars as pl

    class Endless(MemoryLedger):
        def cells(self, batch):
            for first in range(1, int(sys.argv[2]) + 1, 1000):
                yield first, 1000, pack(pl.DataFrame({"a": [str(n) * 9 for n in range(first, first + 1000)]}))

        def rows(self, batch, first, last):
            return [result_row(row) for row in range(first, last + 1)]

    write_results(as_reader(Endless([])), batch_of(int(sys.argv[2])), Path(sys.argv[1]))
    unit = 1 << (20 if sys.platform == "darwin" else 10)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit)
"""


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, end: str) -> None:
    """Ten times the rows take hardly more memory."""

    def peak_mb(rows: int) -> int:
        ran = program(GROWTH, tmp_path / f"out.{end}", rows)
        (tmp_path / f"out.{end}").unlink()
        return int(ran.stdout)

    assert peak_mb(200_000) <= peak_mb(20_000) * 1.35 + 10
