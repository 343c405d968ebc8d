"""A report from a ledger: its sums are those of the rows, whatever was played, and forged rows show."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from unittest import mock

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_parts import Clock, Lanes, Row, SqliteHome, begin, claim, drive, enrol, settle
from postgres_server import PASSWORD
from runner_parts import how

from batchcredit import host
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, Ledger, OwnBalance, Pause
from batchcredit.report.model import ROWS, Report, as_json
from batchcredit.runner import figures
from batchcredit.runner.outgoing.made_with import MadeWith
from batchcredit.runner.settling.reporting import report_of
from batchcredit.settings import Settings, load
from batchcredit.transfer import STATUS, STATUSES, Event, State

ROW = st.builds(
    Row,
    amount=st.sampled_from(["0.0001", "1", "12.5", "99999999999.99"]),
    currency=st.sampled_from(["USD", "KES"]),
    profile=st.sampled_from(["shop", "kiosk"]),
)
ENDS = st.sampled_from(
    [State.CREDITED, State.REJECTED, State.IN_DOUBT, State.UNSENT, State.PENDING, State.CANCELLED]
)


@pytest.fixture
def known(tmp_path: Path) -> Settings:
    return load(None, None, {}, tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    still = Clock()
    monkeypatch.setattr(host, "now_ms", still.now_ms)
    return still


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with closing(SqliteHome(tmp_path / "ledger.db").hold()) as held:
        yield held


def end(ledger: Ledger, batch: BatchRecord) -> None:
    """Its run has ended."""
    ledger.end_run(ledger.runs(batch.id)[-1].id, batch.id, "stopped")


def reported(ledger: Ledger, batch: BatchRecord, known: Settings) -> Report:
    """The report of a batch as it stands now."""
    return report_of(ledger, ledger.batches(batch.name)[0], how(), known)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(ROW, ENDS), min_size=1, max_size=9), others=st.lists(ROW, max_size=2))
def test_sums_are_those_of_the_rows(
    ledger: Ledger, known: Settings, rows: list[tuple[Row, State]], others: list[Row]
) -> None:
    """By status, provider and currency, of this batch and no other; each row that needs somebody is told."""
    name = f"b{len(ledger.batches())}"
    enrol(ledger, f"{name}-other", [Row(f"{name}x"), *others])
    asked = [
        Row(f"{name}-{number}", row.amount, row.currency, None, row.profile)
        for number, (row, _) in enumerate(rows)
    ]
    batch = enrol(ledger, name, asked)
    drive(ledger, batch, [state for _, state in rows])
    end(ledger, batch)
    report = reported(ledger, batch, known)
    there = ledger.rows(batch.id, 1, batch.rows)
    assert report.is_conserved
    assert report.counts == Counter(STATUS[row.state] for row in there)
    for lane in report.lanes:
        for money in lane.money:
            for status in STATUSES:
                mine = [
                    Decimal(row.amount)
                    for row in there
                    if (row.provider, row.currency) == (lane.provider, money.currency)
                    and STATUS[row.state] == status
                ]
                assert (len(mine), sum(mine, Decimal(0))) == money.by_status.get(status, (0, Decimal(0)))
    for money in report.totals:
        assert money.asked.amount == sum(
            Decimal(row.amount) for row in there if row.currency == money.currency
        )
        assert money.asked.amount == batch.totals[money.currency]
    needy = [row.row for row in there if STATUS[row.state] in ("in_doubt", "rejected", "not_sent")]
    assert sorted(need.row for need in report.needs) == needy
    assert report.needs_total == len(needy)
    order = [("in_doubt", "rejected", "not_sent").index(need.status) for need in report.needs]
    assert order == sorted(order)
    assert report.requests == sum(row.attempts for row in there)
    assert sum(sum(series.counts) for series in report.series) == report.dated
    assert json.dumps(as_json(report))


FORGERIES = {
    "an amount": ("UPDATE transfer SET amount = '1.01' WHERE row = 1", {"USD"}),
    "a row gone": ("DELETE FROM transfer WHERE row = 1", {ROWS, "USD"}),
    "another currency": ("UPDATE transfer SET currency = 'KES' WHERE row = 1", {"USD", "KES"}),
    "a row from nowhere": (
        "INSERT INTO transfer (batch, row, lane, provider, account, account_key, amount, currency, state) "
        "SELECT batch, 99, lane, provider, 'x', 'x', '7', currency, 'credited' FROM transfer WHERE row = 1",
        {ROWS, "USD"},
    ),
    "the enrolled total": ('UPDATE batch SET totals = \'{"USD": "4"}\'', {"USD"}),
    "a row made invalid": ("UPDATE transfer SET state = 'invalid' WHERE row = 1", {"USD"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_rows_show(forgery: str, tmp_path: Path, clock: Clock, known: Settings) -> None:
    """The two sides of conservation come from different places: where one was changed, they differ."""
    home = SqliteHome(tmp_path / "ledger.db")
    with closing(home.hold()) as ledger:
        batch = enrol(ledger, "b", [Row(), Row("Berta", "2")])
        drive(ledger, batch, [State.CREDITED, State.REJECTED])
        assert reported(ledger, batch, known).is_conserved
    sql, expected = FORGERIES[forgery]
    with closing(apsw.Connection(str(home.path))) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(sql)
    with closing(home.hold()) as ledger:
        report = reported(ledger, batch, known)
    assert {balance.what for balance in report.conservation if not balance.holds} == expected
    assert not report.is_conserved


def test_the_most_urgent_rows_are_told_and_the_rest_counted(
    ledger: Ledger, known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more than fit, however many need somebody; what was paid twice comes first."""
    monkeypatch.setattr(figures, "NEEDS_MOST", 3)
    batch = enrol(ledger, "b", [Row(f"c{number}") for number in range(6)])
    ends = [State.REJECTED, State.UNSENT, State.IN_DOUBT, State.CREDITED, State.IN_DOUBT, State.REJECTED]
    drive(ledger, batch, ends)
    end(ledger, batch)
    with ledger._transaction():  # type: ignore[attr-defined]
        ledger._change("UPDATE transfer SET reason = 'overpaid' WHERE row IN (4, 5)")  # type: ignore[attr-defined]
    report = reported(ledger, batch, known)
    assert [need.row for need in report.needs] == [4, 5, 3]
    assert report.needs_total == 6
    assert report.overpaid == 2


def test_each_row_has_a_next_step(ledger: Ledger, known: Settings) -> None:
    """A sentence for everyone, and a command wherever typing one helps."""
    wanted = [State.IN_DOUBT, State.REJECTED, State.UNSENT, State.PENDING]
    batch = enrol(ledger, "b", [Row(f"c{number}") for number in range(4)])
    drive(ledger, batch, wanted)
    end(ledger, batch)
    with ledger._transaction():  # type: ignore[attr-defined]
        ledger._change("UPDATE transfer SET reason = 'open_elsewhere' WHERE row = 4")  # type: ignore[attr-defined]
    needs = {need.row: need for need in reported(ledger, batch, known).needs}
    assert needs[1].command == "batchcredit reconcile b"
    assert "Do not send it again" in needs[1].next_step
    assert needs[2].command == "batchcredit results b"
    assert needs[3].command == "batchcredit resume b"
    assert needs[4].command == ""
    assert all(need.next_step.endswith(".") for need in needs.values())


def test_a_run_that_goes_on_is_not_interrupted(ledger: Ledger, known: Settings) -> None:
    """What is being sent, or waits for its turn, needs nobody and has no reason; nobody has to type anything
    yet. The same, when it has ended: what is left is to be sent."""
    batch = enrol(ledger, "b", [Row(f"c{number}") for number in range(5)])
    begin(ledger, batch)
    for row in (1, 2, 3):
        claim(ledger, batch, row)
    settle(ledger, batch, 1, Event.REJECT, reason="unknown_account")
    settle(ledger, batch, 2, Event.DOUBT, reason="timeout")
    report = reported(ledger, batch, known)
    assert report.standing.running
    assert (report.standing.next, report.standing.stop_reason) == ("", "")
    assert [(need.row, need.command) for need in report.needs] == [(2, ""), (1, "")]
    assert report.needs_total == 2
    assert {reason.reason for reason in report.reasons} == {"unknown_account", "timeout"}
    assert report.counts == {"rejected": 1, "in_doubt": 2, "not_sent": 2}
    end(ledger, batch)
    report = reported(ledger, batch, known)
    assert report.standing.next == "batchcredit reconcile b"
    assert report.needs_total == 5
    assert all(need.command for need in report.needs)


def test_a_batch_of_which_nothing_is_left_was_not_stopped(ledger: Ledger, known: Settings) -> None:
    """What ended its last run is no news once the rest was withdrawn."""
    batch = enrol(ledger, "b", [Row(), Row("Berta", "2")])
    drive(ledger, batch, [State.CREDITED, State.PENDING])
    end(ledger, batch)
    assert reported(ledger, batch, known).standing.stop_reason == "stopped"
    ledger.cancel(batch.id, 2, "")
    assert reported(ledger, batch, known).standing.stop_reason == ""


def test_runs_are_told_apart(ledger: Ledger, clock: Clock, known: Settings) -> None:
    """Each with its settings, its end, its requests against its limit; a resumed one a week later too."""
    made = MadeWith("run b.csv", "1.2", "3.11", "Linux", {"shop.rate": "20/min"}, 2, {"USD": "3"})
    batch, began_ms = enrol(ledger, "b", [Row(), Row("Berta", "2")]), clock.ms
    run = ledger.begin_run(batch.id, 0, None, rejected=False, approval="--yes", settings=made.as_text())
    claim(ledger, batch, 1)
    settle(ledger, batch, 1, Event.CREDIT)
    pause = Pause(batch.id, Lanes(ledger)["shop"], clock.ms + 5_000, "HTTP 429: slow down")
    ledger.commit([pause])
    ledger.end_run(run, batch.id, "stopped")
    clock.ms += 7 * 86_400_000
    begin(ledger, batch)
    clock.ms += 60_000
    claim(ledger, batch, 2)
    settle(ledger, batch, 2, Event.REJECT, reason="unknown_account")
    report = reported(ledger, batch, known)
    first, second = report.runs
    assert (first.number, first.stop_reason, first.version, first.approval) == (1, "stopped", "1.2", "--yes")
    assert first.settings == {"shop.rate": "20/min"}
    assert (second.ended, second.settings, second.version) == (None, {}, "")
    assert [(one.what, one.expected, one.run, one.agrees) for one in report.controls] == [
        (ROWS, Decimal(2), 1, True),
        ("USD", Decimal(3), 1, True),
    ]
    early, late = report.series
    assert (early.run, early.counts, early.limit_per_s) == (1, (1,), Decimal(20) / 60)
    assert (late.run, sum(late.counts), late.limit_per_s) == (2, 1, None)
    assert len(late.counts) * late.width_ms <= 2 * 60_000
    assert [(one.provider, one.why) for one in report.pauses] == [("shop", pause.why)]
    assert report.pauses[0].began.timestamp() * 1000 == began_ms
    assert any("run 2 " in sentence for sentence in report.absent)
    (latency,) = report.latencies
    assert (latency.p50_ms, latency.max_ms) == (12, 12)
    assert [tuple(bucket) for bucket in latency.buckets] == [(8, 16, 2)]


def test_own_accounts_stand_in_it(ledger: Ledger, clock: Clock, known: Settings) -> None:
    """What the provider told of them, compared as `show` compares it."""
    batch = enrol(ledger, "b", [Row()])
    lane = Lanes(ledger)["shop"]
    ledger.note_own_balances(batch.id, [OwnBalance(lane, "before", clock.ms, Decimal(10), "USD")])
    drive(ledger, batch, [State.CREDITED])
    ledger.note_own_balances(batch.id, [OwnBalance(lane, "after", clock.ms, Decimal("8.5"), "USD")])
    (account,) = reported(ledger, batch, known).own_accounts
    assert (account.before, account.after, account.expected) == (Decimal(10), Decimal("8.5"), Decimal(9))
    assert (account.difference, account.explained) == (Decimal("-0.5"), False)


def test_no_row_is_read_that_needs_nobody(ledger: Ledger, known: Settings) -> None:
    """The database counts: a million rows that are credited cost no memory."""
    batch = enrol(ledger, "b", [Row(f"c{number}") for number in range(8)])
    drive(ledger, batch, [State.CREDITED] * 7 + [State.REJECTED])
    with (
        mock.patch.object(ledger, "rows", side_effect=AssertionError),
        mock.patch.object(ledger, "rows_in", wraps=ledger.rows_in) as read,
    ):
        report = reported(ledger, batch, known)
    assert [need.row for need in report.needs] == [8]
    assert all(State.CREDITED not in call.args[1] for call in read.call_args_list)
    assert all(call.args[3] <= figures.NEEDS_MOST for call in read.call_args_list)


def test_a_shared_ledger_tells_the_same(request: pytest.FixtureRequest, known: Settings) -> None:
    """With who sent beside whom, and without the password of its address."""
    url = request.getfixturevalue("postgres").fresh_url()
    assert PASSWORD in url
    with closing(registry.hold(url, "run b.csv")) as ledger:
        batch = enrol(ledger, "b", [Row(), Row("Berta", "2")])
        drive(ledger, batch, [State.CREDITED, State.IN_DOUBT])
        with closing(registry.hold(url, "sender")) as second:
            second.enlist(ledger.runs(batch.id)[0].id)
        report = reported(ledger, batch, known)
    assert report.is_conserved
    assert report.counts == {"credited": 1, "in_doubt": 1}
    assert [len(run.senders) for run in report.runs] == [2]
    assert sum(sum(series.counts) for series in report.series) == 2
    assert PASSWORD not in json.dumps(as_json(report)) + repr(report)


@given(moments=st.lists(st.integers(0, 40 * 86_400_000), min_size=1, max_size=40), most=st.integers(1, 50))
def test_pieces_of_a_file_are_bounded_and_lose_nothing(moments: list[int], most: int) -> None:
    """However far apart: never more of them than fit, and each request is in the piece in which it began."""
    pieces = figures.Pieces(most)
    for at_ms in moments:
        pieces.add(at_ms)
    series = pieces.series("shop")
    assert len(series.counts) <= most
    began_ms = round(series.began.timestamp() * 1000)
    assert began_ms % series.width_ms == 0
    where = Counter((at_ms - began_ms) // series.width_ms for at_ms in moments)
    assert dict(where) == {piece: number for piece, number in enumerate(series.counts) if number}
