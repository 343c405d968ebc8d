"""Files that come back, edited in every way, and the provider's own book: nobody is paid twice.

A batch is really run, with rows refused, lost and left; its results or to-fix file is edited, given back and
given back again. Whatever is accepted or refused: what the provider executed is what the ledger says.
"""

import csv
import gzip
import io
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import polars as pl
from command_line import HEADER, SECRETS, CommandLine, Sandbox
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import ResultRow
from batchcredit.reader import ReadOptions
from batchcredit.runner import batch as batches
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.returned import handing_over, returning
from batchcredit.sandbox import SandboxAddress
from batchcredit.settings import load
from batchcredit.transfer import INPUT_COLUMNS, SPENT, STATUS, State
from batchcredit.writer import seal

ROWS = 8
_LOGINS = itertools.count(1)

#: How the one attempt of a row ends, the last two in doubt: executed, and not.
ENDS = ("good", "good", "refused", "status_500_after", "reset_before")

#: An example is whole batches, so that a smaller one would take minutes to find.
WHOLE_BATCHES = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)

Edit = Callable[[list[dict[str, str]]], object]
Key = tuple[str, str, Decimal]


class Agreeing:
    """Nobody sits there; what is asked is agreed to."""

    listens = False

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: True


@dataclass
class Person:
    """Somebody with a ledger of their own, who works in the same folder."""

    config: Path
    folder: Path
    ledger: Path
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.ledger}"

    def _do(self, call: Callable[..., Any], *arguments: Any) -> str:
        """The reason of a refusal, "" where there was none."""
        attendant = Agreeing()
        try:
            anyio.run(partial(call, *arguments, load(self.config, self.url, SECRETS, self.folder), attendant))
        except RefusedError as error:
            self.said = [str(error)]
            return error.reason
        self.said = attendant.said
        return ""

    def run(self, path: Path, **how: Any) -> str:
        given = InputOptions(path, ReadOptions(), batch="march", skip_invalid=True)
        return self._do(batches.run, given, self.options(**how))

    def resume_file(self, path: Path, *, adopt: bool = False, **how: Any) -> str:
        return self._do(
            returning.resume_file, InputOptions(path, ReadOptions(), adopt=adopt), self.options(**how)
        )

    def resume(self, **how: Any) -> str:
        return self._do(batches.resume, "march", self.options(**how))

    def hand_over(self, out: Path) -> str:
        try:
            known = load(self.config, self.url, SECRETS, self.folder)
            handing_over.hand_over("march", self.options(out=out), known, lambda _: True)
        except RefusedError as error:
            return error.reason
        return ""

    def options(self, **how: Any) -> SendOptions:
        return SendOptions(command="test", yes=True, skip_preflight=True, **how)

    def rows(self) -> list[ResultRow]:
        """The batch as this ledger has it."""
        reader = registry.read(self.url)
        try:
            (batch,) = reader.batches("march")
            return list(reader.rows(batch.id, 1, batch.rows))
        finally:
            reader.close()

    @property
    def has_batch(self) -> bool:
        if not registry.exists(self.url):
            return False
        reader = registry.read(self.url)
        try:
            return bool(reader.batches("march"))
        finally:
            reader.close()


def key_of(row: ResultRow) -> Key:
    return row.provider, row.account, Decimal(row.amount)


class World:
    """One folder, one login at the sandbox, and what its book says."""

    def __init__(self, folder: Path, address: SandboxAddress) -> None:
        self.folder = folder
        self.number = next(_LOGINS)
        self.sandbox = Sandbox(address, f"returned{self.number}")
        home = folder / "home"
        home.mkdir()
        config = CommandLine(folder, home).configure(address, self.sandbox.login, top="outage_wait = '1s'")
        self.one = Person(config, folder, home / "one.db")
        self.others = [Person(config, folder, home / f"other{number}.db") for number in (1, 2)]

    def send(self, ends: Sequence[str], limit: int, invalid: bool) -> list[tuple[str, ...]]:
        """Run a batch of which row by row ends so; at most `limit` rows are sent."""
        rows = [self.row(number, end) for number, end in enumerate(ends, 1)]
        if invalid:
            rows.append(("clicksend", f"{self.number}900", "1;5", "USD", ""))
        for row, end in zip(rows, ends, strict=False):
            if end not in ("good", "refused"):
                self.sandbox.control.script(row[1], [end] * 1)
        path = self.folder / "march.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *rows])
        reason = self.one.run(path, limit=limit)
        assert not reason, self.one.said
        return rows

    def row(self, number: int, end: str) -> tuple[str, ...]:
        account = f"{self.number}{number:03}"
        reference = f"R-{number}" if number % 3 else ""
        if number % 2:
            unknown = f"{number}0404"
            return "clicksend", unknown if end == "refused" else account, f"{number}.50", "USD", reference
        name = f"unknown{account}" if end == "refused" else f"00{account}"
        return "fastmessage", name, f"{number}", "KES", reference

    def executed(self) -> Counter[Key]:
        return Counter(
            (each["provider"], each["account"], Decimal(each["amount"])) for each in self.sandbox.book()
        )

    def check(self, rows: Sequence[ResultRow]) -> None:
        """What was executed is what is credited, once each, and of what is in doubt some, once each."""
        executed = self.executed()
        credited = Counter(key_of(row) for row in rows if row.state is State.CREDITED)
        doubtful = Counter(key_of(row) for row in rows if row.state is State.IN_DOUBT)
        assert not credited - executed, f"credited, and not executed: {credited - executed}"
        assert executed - credited <= doubtful, f"paid too much: {executed - credited - doubtful}"
        assert not [row for row in rows if row.state is State.SENDING]

    def check_results(self, rows: Sequence[ResultRow], path: Path) -> None:
        """Every row is there, in order, as the ledger has it, and its seal verifies."""
        table = read(path)
        assert [int(row["row"]) for row in table] == [row.row for row in rows]
        for told, known in zip(table, rows, strict=True):
            assert (told["status"], told["transfer_id"]) == (STATUS[known.state], known.transfer_id)
            texts = (known.provider, known.account, known.amount, known.currency, known.reference)
            sealed = (told["status"], told["transfer_id"])
            assert told["seal"] in {
                seal("march", len(rows), known.row, *texts, *sealed, handed_over=closed)
                for closed in (False, True)
            }


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Sequence[dict[str, str]], separator: str = ",", bom: bool = False) -> Path:
    """The rows in the format of the name's ending; cells are text everywhere."""
    names = list(rows[0])
    if path.suffix == ".parquet":
        pl.DataFrame(
            [[row[name] or None for name in names] for row in rows],
            dict.fromkeys(names, pl.String),
            orient="row",
        ).write_parquet(path)
        return path
    if path.suffix == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        assert book.active is not None
        for line in (names, *([row[name] or None for name in names] for row in rows)):
            book.active.append(line)
        book.save(path)
        return path
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator)
    writer.writerows([names, *([row[name] for name in names] for row in rows)])
    data = text.getvalue().encode("utf-8-sig" if bom else "utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


# edits

PLACE = st.integers(0, ROWS)
VALUES = {
    "provider": ("clicksend", "fastmessage", "nobody", "CLICKSEND"),
    "account": ("71", "72", "73", "1", "R-1", "unknown7", "", "1.2E+05", "01-Feb"),
    "amount": ("3", "77.5", "0", "-1", "", "1.2E+05", "99,5", "1.500", "12:30", "1;5"),
    "currency": ("USD", "KES", "usd", "", "EUR"),
    "reference": ("", "R-1", "R-2", "R-77", "R-4"),
    "status": ("not_sent", "rejected", "credited", "in_doubt", "invalid", "x", ""),
    "attempts": ("0", "1", "9", ""),
    "transfer_id": ("", "t-x-1"),
    "seal": ("", "s-0000000000000000"),
    "row": ("1", "3", "9", "0", "2.0", ""),
    "batch": ("april",),
    "settled_by": ("person", ""),
    "sent_at": ("2001-01-01T00:00:00.000Z", "", "yesterday"),
    "balance_after": ("1,5",),
}


def set_cell(column: str, place: int, text: str) -> Edit:
    def edit(rows: list[dict[str, str]]) -> None:
        row = rows[place % len(rows)]
        if column in row:
            row[column] = text

    return edit


def copy_cell(columns: Sequence[str], source: int, place: int) -> Edit:
    """Cells of one row stand in another as well."""

    def edit(rows: list[dict[str, str]]) -> None:
        rows[place % len(rows)] |= {
            name: rows[source % len(rows)][name] for name in columns if name in rows[0]
        }

    return edit


def swap(columns: Sequence[str], source: int, place: int) -> Edit:
    """As when some columns are sorted and others are not."""

    def edit(rows: list[dict[str, str]]) -> None:
        one, two = rows[source % len(rows)], rows[place % len(rows)]
        for name in columns:
            if name in one:
                one[name], two[name] = two[name], one[name]

    return edit


def resaved(column: str, form: Callable[[str], str]) -> Edit:
    def edit(rows: list[dict[str, str]]) -> None:
        for row in rows:
            if row.get(column):
                row[column] = form(row[column])

    return edit


def numeric(form: str) -> Callable[[str], str]:
    def formed(text: str) -> str:
        try:
            return format(Decimal(text), form)
        except ArithmeticError:
            return text

    return formed


def drop_row(place: int) -> Edit:
    return lambda rows: rows.pop(place % len(rows)) if len(rows) > 1 else None


def double_row(place: int) -> Edit:
    return lambda rows: rows.append(dict(rows[place % len(rows)]))


def drop_column(name: str) -> Edit:
    return lambda rows: [row.pop(name, None) for row in rows]


def add_column(name: str) -> Edit:
    return lambda rows: [row.setdefault(name, "note") for row in rows]


RESAVED = st.sampled_from(
    [
        resaved("account", lambda text: text.lstrip("0") or "0"),
        resaved("account", lambda text: f"{text}.0" if text.isdecimal() else text),
        resaved("amount", numeric(".2f")),
        resaved("amount", numeric(".4f")),
        resaved("amount", lambda text: text.replace(".", ",")),
        resaved("amount", numeric(".6E")),
        resaved("row", numeric(".1f")),
        resaved("attempts", numeric(".1f")),
        resaved("status", str.upper),
        resaved("sent_at", lambda text: text.replace("T", " ")[:16]),
        resaved("transfer_id", str.upper),
        resaved("reference", str.lower),
        resaved("seal", lambda text: f" {text} "),
    ]
)
COLUMNS = st.sampled_from(
    [
        ("account",),
        ("amount", "currency", "provider"),
        tuple(INPUT_COLUMNS),
        ("status",),
        ("row",),
        ("transfer_id",),
        ("seal", "transfer_id", "status"),
        ("row", "transfer_id", "seal"),
        ("row", "seal", "status", "transfer_id", "attempts"),
        ("reference",),
    ]
)
CELL = st.sampled_from(
    [*sorted(VALUES), *INPUT_COLUMNS, *INPUT_COLUMNS, "status", "seal", "transfer_id"]
).flatmap(lambda column: st.builds(set_cell, st.just(column), PLACE, st.sampled_from(VALUES[column])))
CORRECTION = st.builds(
    set_cell,
    st.sampled_from(["account", "amount"]),
    PLACE,
    st.integers(70, 99).map(str),
)
STRANGE = st.one_of(
    CELL,
    st.builds(copy_cell, COLUMNS, PLACE, PLACE),
    st.builds(swap, COLUMNS, PLACE, PLACE),
    CELL,
    st.builds(
        drop_column,
        st.sampled_from(
            ["seal", "transfer_id", "attempts", "message", "settled_by", "status", "reference", "currency"]
        ),
    ),
    st.builds(add_column, st.sampled_from(["note", "account_name"])),
    st.one_of(st.builds(double_row, PLACE), st.builds(add_column, st.just("Reference"))),
)
MILD = st.one_of(
    CORRECTION,
    CORRECTION,
    st.builds(drop_row, PLACE),
    st.permutations(range(12)).map(
        lambda order: (
            lambda rows: rows.sort(
                key=lambda row: order[int(float(row["row"]))] if row["row"][:1].isdigit() else 0
            )
        )
    ),
    RESAVED,
)
EDITS = st.one_of(st.lists(MILD, max_size=4), st.lists(st.one_of(MILD, STRANGE), max_size=5))
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "rejected": st.just(True),
        "only_statuses": st.sampled_from([frozenset({"not_sent"}), frozenset({"rejected"})]),
        "only_providers": st.sampled_from([frozenset({"clicksend"}), frozenset({"fastmessage"})]),
        "limit": st.integers(1, 3),
    },
)
FORMAT = st.sampled_from([*[".csv"] * 12, ".csv.gz", ".parquet", ".xlsx"])  # the last two cost a process
ENDINGS = st.lists(st.sampled_from(ENDS), min_size=ROWS, max_size=ROWS)


def edited(rows: list[dict[str, str]], edits: Sequence[Edit]) -> list[dict[str, str]]:
    rows = [dict(row) for row in rows]
    for edit in edits:
        edit(rows)
    return rows


def given_back(world: World, person: Person, path: Path, results: Path, flags: dict[str, Any]) -> str:
    """One `resume FILE`, and what has to hold whatever becomes of it."""
    before, book, arrived = person.rows(), world.executed(), len(world.sandbox.arrivals())
    reason = person.resume_file(path, **flags)
    after = person.rows()
    world.check(after)
    if reason:
        assert len(world.sandbox.arrivals()) == arrived, reason
        assert after == before, reason
        return reason
    told = {row.row: row for row in after}
    for row in before:
        if row.state in (*SPENT, State.ALREADY_CREDITED, State.CANCELLED):
            assert told[row.row] == row, "what was spent is never touched"
    new = world.executed() - book
    assert new.total() <= sum(row.state in SPENT for row in after)
    world.check_results(after, results)
    return ""


@settings(WHOLE_BATCHES, max_examples=8)
@given(
    ends=ENDINGS,
    limit=st.integers(1, ROWS),
    invalid=st.booleans(),
    to_fix=st.booleans(),
    rounds=st.lists(st.tuples(EDITS, FLAGS, FORMAT, st.booleans(), st.booleans()), min_size=1, max_size=3),
    last=st.booleans(),
)
def test_nobody_is_paid_twice_through_a_file_that_comes_back(
    address: SandboxAddress,
    ends: list[str],
    limit: int,
    invalid: bool,
    to_fix: bool,
    rounds: list[tuple[list[Edit], dict[str, Any], str, bool, bool]],
    last: bool,
) -> None:
    """Edited, sorted, cut, re-saved, doubled: accepted corrections are paid once, and nothing else is."""
    with TemporaryDirectory() as name:
        world = World(Path(name), address)
        world.send(ends, limit, invalid)
        results = world.folder / "march.results.csv"
        world.check(world.one.rows())
        fixes = sorted(world.folder.glob("*.to-fix.csv"))
        source = fixes[0] if to_fix and fixes else results
        kept = read(source)
        for edits, flags, ending, again, old in rounds:
            rows = edited(kept if old or not source.exists() else read(source), edits)
            path = write(world.folder / f"returned{ending}", rows, ";" if again else ",", bom=again)
            reason = given_back(world, world.one, path, results, flags)
            event(f"{'to-fix' if source is not results else 'results'}: {reason or 'sent'}")
            if again:
                given_back(world, world.one, path, results, flags)
        if last:
            world.one.resume()
            world.check(world.one.rows())
        world.sandbox.control.clear_script()


#: What no seal covers: it may be lost or changed, and the file is still the record.
UNSEALED = st.one_of(
    st.builds(set_cell, st.just("sent_at"), PLACE, st.sampled_from(VALUES["sent_at"])),
    st.builds(set_cell, st.just("attempts"), PLACE, st.sampled_from(VALUES["attempts"])),
    st.builds(set_cell, st.just("settled_by"), PLACE, st.sampled_from(VALUES["settled_by"])),
    st.sampled_from(
        [resaved("amount", numeric(".4f")), resaved("row", numeric(".1f")), drop_column("message")]
    ),
)
TRIES = st.lists(
    st.tuples(
        st.one_of(st.lists(UNSEALED, max_size=3), st.lists(CELL, min_size=1, max_size=2), EDITS), FORMAT
    ),
    max_size=5,
)
SEALED = ("row", "status", "transfer_id", "batch", "seal", *INPUT_COLUMNS)


def differs(rows: Sequence[dict[str, str]], written: Sequence[dict[str, str]]) -> bool:
    """Whether a file is not as it was written, as far as it is sealed; amounts and numbers by value."""

    def sealed(row: dict[str, str]) -> list[object]:
        texts = [row.get(name, "").strip() for name in SEALED]
        if row.get("provider") == "fastmessage":  # which takes an empty currency for its own
            texts = [*texts, row.get("currency") or "KES"]
            texts.remove(row.get("currency", "").strip())
        return [
            Decimal(text) if text.replace(".", "").isdecimal() and text.isascii() else text for text in texts
        ]

    return [sealed(row) for row in rows] != [sealed(row) for row in written]


def adopted(
    world: World,
    person: Person,
    results: Path,
    tries: Sequence[tuple[list[Edit], str]],
    flags: dict[str, Any],
) -> Path:
    """The place of the results, once the person's ledger has the batch: by the first of the edited files
    that is as it was written, else by the file itself. All others leave nothing behind."""
    written = read(results)
    for edits, ending in (*tries, ([], ".csv")):
        place = world.folder / f"adopted{len(list(world.folder.iterdir()))}" / "march.results.csv"
        place.parent.mkdir()
        rows, arrived = edited(written, edits), len(world.sandbox.arrivals())
        reason = person.resume_file(write(place.with_suffix(ending), rows), out=place, **flags)
        event(f"adopted: {reason or 'yes'}")
        if not reason:
            assert not differs(rows, written)
            return place
        assert not person.has_batch
        assert len(world.sandbox.arrivals()) == arrived
        assert edits, person.said
    raise AssertionError("the last one was as it was written")


@settings(WHOLE_BATCHES, max_examples=5)
@given(
    ends=ENDINGS,
    limit=st.integers(1, ROWS),
    invalid=st.booleans(),
    moves=st.lists(st.tuples(TRIES, FLAGS, st.booleans()), min_size=2, max_size=2),
    correction=EDITS,
)
def test_nobody_is_paid_twice_by_ledgers_that_follow_each_other(
    address: SandboxAddress,
    ends: list[str],
    limit: int,
    invalid: bool,
    moves: list[tuple[list[tuple[list[Edit], str]], dict[str, Any], bool]],
    correction: list[Edit],
) -> None:
    """From ledger to ledger, handed over or vouched for: what may have been paid in one is not sent by the
    next, an edited file is no record, and a ledger that was left can't go on with what the next one wrote."""
    with TemporaryDirectory() as name:
        world = World(Path(name), address)
        world.send(ends, limit, invalid)
        results, before = world.folder / "march.results.csv", world.one
        for after, (tries, flags, closes) in zip(world.others, moves, strict=True):
            known = before.rows()
            if closes:
                assert not before.hand_over(results)
                assert before.resume() == before.resume_file(results) == "batch_closed"
            place = adopted(world, after, results, tries, {"adopt": not closes, **flags})
            now = after.rows()
            world.check(now)
            spent = {(row.state, row.transfer_id, key_of(row)) for row in known if row.state in SPENT}
            assert spent <= {(row.state, row.transfer_id, key_of(row)) for row in now if row.state in SPENT}
            path = write(world.folder / "returned.csv", edited(read(place), correction))
            given_back(world, after, path, place, flags)
            went_on = {row.row for row in after.rows() if row.state in SPENT}
            if not closes and went_on - {row.row for row in known if row.state in SPENT}:
                kept = before.rows()
                assert before.resume_file(place, out=world.folder / "elsewhere.csv")
                assert before.rows() == kept
            before, results = after, place
        assert not before.resume(), before.said
        world.check(before.rows())
        world.check_results(before.rows(), results)
        world.sandbox.control.clear_script()


def test_what_a_ledger_wrote_that_went_on_is_ahead_of_the_one_that_was_left(address: SandboxAddress) -> None:
    """Handed over by the second ledger, it is no file that somebody edited: the first one knows too little.
    So does a ledger in which a row is left that was withdrawn, or found to be paid, where it was written."""
    with TemporaryDirectory() as name:
        world = World(Path(name), address)
        world.send(["good"] * ROWS, 2, invalid=False)
        first, second = world.one, world.others[0]
        results = world.folder / "march.results.csv"
        kept = first.rows()
        assert not second.resume_file(results, adopt=True, limit=2)
        assert not second.hand_over(results)
        moved = write(world.folder / "moved.csv", read(results))
        assert first.resume_file(moved, out=world.folder / "elsewhere.csv") == "results_ahead"
        rows = [dict(row) for row in read(results)]
        for status in ("cancelled", "already_credited"):
            for row, known in zip(rows, kept, strict=True):
                row["status"] = STATUS[known.state] if known.state in SPENT else status
                row["attempts"] = str(known.attempts)
                texts = (known.provider, known.account, known.amount, known.currency, known.reference)
                row["seal"] = seal("march", ROWS, known.row, *texts, row["status"], known.transfer_id)
            assert first.resume_file(write(moved, rows)) == "results_ahead"
        assert first.rows() == kept
        assert not world.others[1].resume_file(results), "the place is free for whoever goes on"
        world.check(world.others[1].rows())


def test_a_ledger_that_was_never_made_whole_knows_no_batch(address: SandboxAddress) -> None:
    """Its first holder may have been killed before there was a byte in it, or a table: it can adopt then."""
    with TemporaryDirectory() as name:
        world = World(Path(name), address)
        world.send(["good"] * ROWS, 2, invalid=False)
        results, (empty, bare) = world.folder / "march.results.csv", world.others
        empty.ledger.touch()
        with closing(sqlite3.connect(bare.ledger)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        for person in (empty, bare):
            assert person.resume_file(results) == "unknown_batch"
            place = world.folder / person.ledger.stem / "march.results.csv"
            place.parent.mkdir()
            flags = {"adopt": True, "only_statuses": frozenset({"rejected"})}  # of which there is none
            assert not person.resume_file(write(place, read(results)), out=place, **flags), person.said
            world.check(person.rows())
