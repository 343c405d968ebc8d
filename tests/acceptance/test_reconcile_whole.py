"""From a file to a settled batch, with lost answers, stops, late executions and credits of others in between:
what is certain is as the sandbox's book has it, and nothing is paid that the file does not ask for."""

import csv
import io
import json
import os
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from command_line import HEADER, SECRETS, CommandLine, Sandbox
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from batchcredit import host
from batchcredit.cli import run
from batchcredit.sandbox import SandboxAddress

MINUTE_MS = 60_000
QUIET_MS = 15 * MINUTE_MS
#: Beyond this a line is of no row's time: the quiet time, and the other clock.
APART_MS = 25 * MINUTE_MS
LATE_S, TIMEOUT_S = 1.2, 1

FAULTS = ("none", "none", "reset_before", "reset_after", "half_answer", "wrong_user")
AMOUNTS = ("5", "5", "7.5", "11")
CLIENTS = (("clicksend", "111", "AUD"), ("clicksend", "222", "AUD"), ("fastmessage", "anna", "KES"))
ZONE = ZoneInfo("Africa/Nairobi")

_LOGINS = count(1)


@dataclass
class Clock:
    """A wall clock that jumps; the sandbox's own clock, which does not, is read by what was true then."""

    jumps: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.jumps[-1][1]

    def jump(self, by_ms: int) -> None:
        self.jumps.append((time.monotonic(), self.jumps[-1][1] + by_ms))

    def at_ms(self, ticks: float) -> int:
        """What the clock showed at this moment of the sandbox."""
        offset = next(each for since, each in reversed(self.jumps) if since <= ticks)
        return int((time.time() - time.monotonic() + ticks) * 1000) + offset


@dataclass
class Shop:
    """A folder, a login and a ledger of one example; commands run in this process."""

    sandbox: Sandbox
    clock: Clock
    folder: Path
    foreign: int = 0
    late: bool = False

    def __call__(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run([*map(str, arguments), "--json"])
        said = json.loads(out.getvalue().splitlines()[-1])
        assert said["reasons"].keys().isdisjoint({"defect"}), err.getvalue()
        return code, said

    def write(self, name: str, rows: Sequence[Sequence[str]]) -> str:
        with (self.folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *rows])
        return name

    def credit_elsewhere(self, client: tuple[str, str, str], amount: str) -> None:
        """Somebody credits a client past our ledger, with the same login."""
        self.foreign += 1
        provider, account, currency = client
        name = self.write(f"foreign{self.foreign}.csv", [(provider, account, amount, currency, "")])
        code, _ = self("run", name, "--yes", "--ledger", "sqlite:///other.db", "--allow-repeat")
        assert code == 0

    def rows(self) -> list[sqlite3.Row]:
        with closing(sqlite3.connect("ledger.db")) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute("SELECT * FROM transfer WHERE sent_at IS NOT NULL").fetchall()

    def executed(self) -> set[int]:
        """Which attempts of the ledger, by the id of their row, the provider has carried out. An account has
        one request at a time, so a request belongs to the row that was sent last before it arrived."""
        found, foreign, rows = set[int](), self.foreign_entries(), self.rows()
        for entry in sorted(self.sandbox.book(), key=lambda entry: -entry["arrived_at"]):
            if entry["seq"] in foreign:
                continue
            at_ms = self.clock.at_ms(entry["arrived_at"])
            mine = [
                row
                for row in rows
                if row["account"] == entry["account"]
                and Decimal(row["amount"]) == Decimal(entry["amount"])
                and row["sent_at"] <= at_ms
                and row["id"] not in found
            ]
            row = max(mine, key=lambda row: row["sent_at"])
            found.add(row["id"])
        return found

    def foreign_entries(self) -> set[int]:
        """Executions that were not ordered by our ledger: they lie in the time of the other one's rows."""
        if not self.foreign:
            return set()
        with closing(sqlite3.connect("other.db")) as connection:
            spans = connection.execute("SELECT account, sent_at, ended_at FROM transfer").fetchall()
        return {
            entry["seq"]
            for entry in self.sandbox.book()
            for account, sent_ms, ended_ms in spans
            if entry["account"] == account
            and sent_ms - 2 <= self.clock.at_ms(entry["arrived_at"]) <= ended_ms + 2
        }

    def wait_out_late(self) -> None:
        """Until what the provider carries out late is carried out."""
        if self.late:
            time.sleep(LATE_S - TIMEOUT_S + 0.2)


@pytest.fixture(scope="module")
def in_process() -> Iterator[None]:
    """Commands run here, with their secrets; what they do to signals is taken back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("BATCHCREDIT_")]:
            patch.delenv(name)
        for name, secret in SECRETS.items():
            patch.setenv(name, secret)
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(host, "now_ms", lambda: clock.now_ms())
    return clock


def opened(address: SandboxAddress, clock: Clock, folder: Path) -> Shop:
    """A shop with a login that nobody has had."""
    sandbox = Sandbox(address, f"whole{next(_LOGINS)}")
    profile = {"concurrency": 2, "timeout": TIMEOUT_S, "in_doubt_limit": 100, "attempts": 2}
    cli = CommandLine(folder, folder)
    cli.configure(address, sandbox.login, clicksend=profile, fastmessage=profile)
    sandbox.control.clear_script()
    sandbox.control.set(late_s=LATE_S)
    os.chdir(folder)
    clock.jumps = [(0.0, 0)]
    return Shop(sandbox, clock, folder)


def played(data: st.DataObject, shop: Shop) -> dict[str, list[tuple[str, ...]]]:
    """Two batches with faults, stops and jumps of the clock; others credit the same clients in between."""
    batches = {}
    for name in ("march", "april")[: data.draw(st.integers(1, 2))]:
        chosen = data.draw(
            st.lists(st.tuples(st.sampled_from(CLIENTS), st.sampled_from(AMOUNTS)), min_size=1, max_size=9)
        )
        rows = [(*client[:2], amount, client[2], f"{name}{at}") for at, (client, amount) in enumerate(chosen)]
        batches[name] = rows
        _others(data, shop)
        for _, account, _ in CLIENTS:
            faults = data.draw(st.lists(st.sampled_from(FAULTS), max_size=5))
            if data.draw(st.integers(0, 5)) == 5:
                faults.append("late_before")
                shop.late = True
            shop.sandbox.control.script(account, faults)
        path = shop.write(f"{name}.csv", rows)
        limit = ("--limit", data.draw(st.integers(1, 5))) if data.draw(st.booleans()) else ()
        flags = ("--yes", "--batch", name, "--allow-duplicates", "--allow-repeat")
        snapshot = ("--snapshot",) if data.draw(st.booleans()) else ()
        code, said = shop("run", path, *flags, *limit, *snapshot)
        assert code in (0, 3, 4), said.get("error", said)
        shop.clock.jump(data.draw(st.sampled_from([0, MINUTE_MS, 10 * MINUTE_MS])))
        shop.wait_out_late()
        if limit:
            shop("run", path, *flags)
            shop.wait_out_late()
        shop.sandbox.control.clear_script()
    _others(data, shop)
    return batches


def _others(data: st.DataObject, shop: Shop) -> None:
    """Somebody credits a client: not our amounts, or one of them when no row's line can be of then."""
    who = data.draw(st.sampled_from([None, None, *CLIENTS]))
    if who is None:
        return
    amount = data.draw(st.sampled_from(["3.33", "5"]))
    if amount == "5":
        shop.clock.jump(APART_MS)
    shop.credit_elsewhere(who, amount)
    if amount == "5":
        shop.clock.jump(APART_MS)


def exported(data: st.DataObject, shop: Shop, known: set[tuple[str, str]]) -> tuple[object, ...]:
    """A statement made from the book, and how it is to be understood: whole, cut, with holes that show."""
    lines = [(shop.clock.at_ms(entry["executed_at"]), entry) for entry in shop.sandbox.book()]
    lines.sort(key=lambda line: line[0])
    flags: list[object] = ["--statement-tz", ZONE.key]
    now = datetime.fromtimestamp(shop.clock.now_ms() / 1000, UTC).isoformat(timespec="seconds")
    until = ["--statement-until", now, "--statement-from", "2001-01-01T00:00:00Z"]
    how = data.draw(st.sampled_from(["whole", "whole", "open", "front", "back", "holes"]))
    event(f"statement {how}")
    cut = data.draw(st.integers(0, len(lines)))
    if how == "whole":
        flags += until
    elif how == "front":
        lines = lines[cut:]
        flags += until[:2]
    elif how == "back":
        lines = lines[:cut]
        flags += until[2:]
    elif how == "holes":
        lines = [
            line
            for at, line in enumerate(lines)
            if (line[1]["account"], line[1]["amount"]) not in known or at % 2
        ]
        flags += until
    with_times = data.draw(st.sampled_from([True, True, True, False]))
    header = ["provider", "account", "amount", "currency", *(["time"] if with_times else [])]
    table = [
        [entry["provider"], entry["account"], entry["amount"], entry["currency"]]
        + ([f"{datetime.fromtimestamp(at // 1000, ZONE):%Y-%m-%d %H:%M:%S}"] if with_times else [])
        for at, entry in lines
    ]
    if data.draw(st.booleans()):
        table = data.draw(st.permutations(table))
    if not table:
        return ()
    return ("--statement", _saved(data.draw(st.sampled_from([".csv", ".xlsx"])), [header, *table]), *flags)


def _saved(suffix: str, table: Sequence[Sequence[str]]) -> str:
    path = Path(f"statement{suffix}")
    if suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(table)
    else:
        book = openpyxl.Workbook()
        for line in table:
            book.active.append(line)
        book.save(path)
    return str(path)


@dataclass
class Judge:
    """What was written, and which of it was wrong because a person accepted what was likely."""

    shop: Shop
    before: list[sqlite3.Row] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    wrong: Counter[tuple[str, int]] = field(default_factory=Counter)

    def hear(self, batch: str, said: dict[str, Any], executed: set[int], *, likely: bool) -> None:
        rows = {(row["batch"], row["row"]): row for row in self.before}
        number = self.numbers[batch]
        for finding in said["findings"]:
            event(f"{finding['verdict']} {finding['certainty']}")
            row = rows[number, finding["row"]]
            true = (finding["verdict"] == "credited") == (row["id"] in executed)
            if finding["certainty"] == "certain":
                assert true, finding
            if finding["applied"]:
                assert likely or finding["certainty"] == "certain", finding
                if finding["verdict"] == "not credited":
                    assert self.shop.clock.now_ms() >= row["ended_at"] + QUIET_MS, finding
                if not true:
                    self.wrong[batch, finding["row"]] += 1 if finding["verdict"] == "not credited" else -1

    def look(self) -> None:
        self.before = self.shop.rows()
        with closing(sqlite3.connect("ledger.db")) as connection:
            self.numbers = dict(connection.execute("SELECT name, id FROM batch").fetchall())


@pytest.mark.usefixtures("in_process")
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],
)
@given(data=st.data())
def test_what_is_certain_is_true_and_each_client_has_what_the_file_said(
    data: st.DataObject, clock: Clock, sandbox_address: SandboxAddress
) -> None:
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            settle(data, opened(sandbox_address, clock, Path(folder)))
        finally:
            os.chdir(here)


def settle(data: st.DataObject, shop: Shop) -> None:
    """Play, reconcile, resume, and compare with the book."""
    batches, judge = played(data, shop), Judge(shop)
    for jump_ms in (0, QUIET_MS + MINUTE_MS):
        shop.clock.jump(jump_ms)
        for name in batches:
            judge.look()
            known = {(row["account"], row["amount"]) for row in judge.before if row["state"] == "credited"}
            evidence = data.draw(st.sampled_from(["none", "balances", "statement", "both"]))
            flags = () if evidence in ("balances", "both") else ("--offline",)
            if evidence in ("statement", "both"):
                flags = (*flags, *exported(data, shop, known))
            likely = data.draw(st.booleans())
            also = ("--apply", "--yes", *(("--accept-likely",) if likely else ()))
            code, said = shop("reconcile", name, *flags, *also)
            assert code in (0, 3, 4), said.get("error", said)
            judge.hear(name, said, shop.executed(), likely=likely)
    executed = shop.executed()
    for name in batches:
        code, said = shop(
            "run", f"{name}.csv", "--batch", name, "--yes", "--allow-repeat", "--allow-duplicates"
        )
        assert code in (0, 3), said.get("error", said)
    compare(batches, shop, judge.wrong, executed)


def compare(
    batches: dict[str, list[tuple[str, ...]]], shop: Shop, wrong: Counter[tuple[str, int]], executed: set[int]
) -> None:
    """What each client got from our ledger is what the file said, but for accepted errors and open rows."""
    foreign = shop.foreign_entries()
    got = Counter(
        (e["account"], Decimal(e["amount"])) for e in shop.sandbox.book() if e["seq"] not in foreign
    )
    asked: Counter[tuple[str, Decimal]] = Counter()
    ids = {(row["batch"], row["row"]): row["id"] for row in shop.rows()}
    with closing(sqlite3.connect("ledger.db")) as connection:
        numbers = dict(connection.execute("SELECT name, id FROM batch").fetchall())
    for name in batches:
        with Path(f"{name}.results.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                assert row["status"] in ("credited", "in_doubt"), row
                number = int(row["row"])
                open_ = row["status"] == "in_doubt"
                times = int(ids[numbers[name], number] in executed) if open_ else 1 + wrong[name, number]
                asked[row["account"], Decimal(row["amount"])] += times
    assert +got == +asked
