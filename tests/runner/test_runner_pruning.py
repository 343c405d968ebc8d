"""Which old batches may go, and what is no evidence any more once they are gone."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from runner_parts import how

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import (
    BatchRecord,
    Caps,
    Claim,
    EnrolChunk,
    LaneIdentity,
    Ledger,
    NewBatch,
    OwnBalance,
    Settle,
)
from batchcredit.reconcile.finding import Verdict
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.runner.settling import pruning, reconciling
from batchcredit.runner.settling.money import money_of
from batchcredit.runner.settling.pruning import PruneOptions, Pruning
from batchcredit.runner.settling.reconciling import ReconcileOptions
from batchcredit.runner.settling.statements import StatementOptions
from batchcredit.settings import Settings, load
from batchcredit.transfer import Event, Outcome
from batchcredit.writer import pack

DAY_MS = 86_400_000
START_MS = 1_800_000_000_000


class _Clock:
    ms = START_MS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """A wall clock that the test moves."""
    still = _Clock()
    monkeypatch.setattr(host, "now_ms", lambda: still.ms)
    return still


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(None, f"sqlite:///{tmp_path / 'ledger.db'}", {}, tmp_path)


def held(settings: Settings) -> AbstractContextManager[Ledger]:
    """The ledger, for as long as no command opens it."""
    return closing(registry.hold(settings.ledger_url, "test"))


@pytest.fixture
def ledger(settings: Settings, clock: _Clock) -> Iterator[Ledger]:
    """Held as long as the test lasts."""
    with held(settings) as found:
        yield found


def sent(
    ledger: Ledger,
    name: str,
    *endings: Event,
    login: str = "shop",
    before: int | None = None,
    after: int | None = None,
) -> BatchRecord:
    """A row of 5 USD for client 7 for each of these endings, and what the client had before and after."""
    told = [None if amount is None else Decimal(amount) for amount in (before, after)]
    lane = ledger.accept_lane(LaneIdentity("clicksend", "https://one.test", login)).id
    rows = [
        (number, lane, "clicksend", "7", "7", "5", "USD", f"{name}-{number}", "pending", "", "")
        for number in range(1, len(endings) + 1)
    ]
    cells = pack(pl.DataFrame({"account": ["7"] * len(rows)}))
    total = {"USD": Decimal(5) * len(rows)}
    new = NewBatch(
        name, name.encode(), "in.csv", f"/nowhere/{name}.csv", total, {"clicksend": lane}, live=False
    )
    batch = ledger.enrol(new, [EnrolChunk(1, rows, cells)])
    run = ledger.begin_run(batch.id, 0, None, rejected=False)
    ledger.guard(batch.id, Caps(day_start=lambda ms: ms), 0)
    for (transfer, _), event in zip(ledger.candidates(batch.id, lane, 0, 100), endings, strict=True):
        ledger.commit([Claim(batch.id, lane, transfer)])
        ledger.commit(
            [Settle(batch.id, transfer, Outcome(event, balance_before=told[0], balance_after=told[1]), 5)]
        )
    ledger.end_run(run, batch.id, "")
    [found] = ledger.batches(name)
    return found


def asked(settings: Settings, *batches: str, days: int = 100) -> tuple[list[str], dict[str, str]]:
    """The batches that prune takes, and those that stay with their reasons; all agreed to."""
    options = PruneOptions(days * DAY_MS, "old", batches)
    gone, staying = pruning.prune(options, how(), settings, lambda _: True)
    return [one.batch.name for one in gone], {each.batch.name: each.why for each in staying}


def test_neighbours_of_rows_in_doubt_stay(settings: Settings, clock: _Clock) -> None:
    """Those of the same lane, sent before or around it: without them its evidence would be read wrongly."""
    with held(settings) as ledger:
        sent(ledger, "before", Event.CREDIT)
        clock.ms += 5 * DAY_MS
        sent(ledger, "elsewhere", Event.CREDIT, login="kiosk")
        sent(ledger, "doubtful", Event.CREDIT, Event.DOUBT)
        clock.ms += DAY_MS // 2
        sent(ledger, "beside", Event.CREDIT)
        sent(ledger, "newest", Event.CREDIT)
    clock.ms += 200 * DAY_MS
    gone, staying = asked(settings)
    assert gone == ["before", "elsewhere"]
    assert staying["doubtful"] == "it is not finished: 1 in_doubt"
    assert "evidence for rows of batch doubtful" in staying["beside"]


@pytest.mark.parametrize(("apart_ms", "gone"), [(DAY_MS, []), (DAY_MS + 1, ["before"])])
def test_a_day_apart_is_no_neighbour(
    apart_ms: int, gone: list[str], settings: Settings, clock: _Clock
) -> None:
    """Up to a day counts as the time of a batch, as for a statement."""
    with held(settings) as ledger:
        sent(ledger, "before", Event.CREDIT)
        clock.ms += apart_ms
        sent(ledger, "doubtful", Event.DOUBT)
        sent(ledger, "newest", Event.CREDIT)
    clock.ms += 200 * DAY_MS
    assert asked(settings)[0] == gone


@pytest.mark.parametrize(("days", "problem"), [(20, True), (21, False)])
def test_what_is_still_compared_is_not_asked_for(days: int, problem: bool, settings: Settings) -> None:
    """21 days count for corrections, and more where the window is longer."""
    registry.hold(settings.ledger_url, "test").close()
    if problem:
        with pytest.raises(RefusedError, match="21d or more"):
            asked(settings, days=days)
    else:
        assert asked(settings, days=days) == ([], {})
    longer = replace(settings, repeat_window_ms=40 * DAY_MS)
    with pytest.raises(RefusedError, match="40d or more"):
        asked(longer, days=days)


def test_nothing_goes_that_nobody_agreed_to(settings: Settings, clock: _Clock) -> None:
    """The question has all that goes; after No there is no archive."""
    with held(settings) as ledger:
        old = sent(ledger, "old", Event.CREDIT)
        sent(ledger, "newest", Event.CREDIT)
    clock.ms += 200 * DAY_MS
    shown: list[Pruning] = []

    def refuse(found: Pruning) -> bool:
        shown.append(found)
        return False

    with pytest.raises(RefusedError) as refused:
        pruning.prune(PruneOptions(100 * DAY_MS, "old"), how(), settings, refuse)
    assert refused.value.reason == "not_approved"
    assert [batch.id for batch in shown[0].going] == [old.id]
    assert not shown[0].folder.exists()
    assert asked(settings) == (["old"], {"newest": "it is the newest batch"})


# evidence


class _Silent:
    def note(self, _: str) -> None: ...
    def warn(self, _: str) -> None: ...


async def findings(
    ledger: Ledger, batch: BatchRecord, settings: Settings, statement: StatementOptions | None = None
) -> list[tuple[Verdict, str]]:
    """What reconcile would say from the ledger and a statement alone."""
    desk = Desk(settings, how(), _Silent(), {}, live=True)  # type: ignore[arg-type]
    options = ReconcileOptions(batch.name, statement, offline=True)
    found = await reconciling._Evidence(ledger, batch, options, desk).findings()
    return [(one.verdict, one.reason) for one in found]


def pruned(ledger: Ledger, batch: BatchRecord) -> None:
    """Behind the back of the command, which would leave it."""
    ledger.prune(batch.id, host.now_ms() - 30 * DAY_MS, "/archive/x", "ab", "")


def statement(path: Path, lines: str) -> StatementOptions:
    path.write_text(lines)
    return StatementOptions(path)


async def test_nothing_is_decided_about_a_time_that_is_archived(
    ledger: Ledger, settings: Settings, clock: _Clock, tmp_path: Path
) -> None:
    """The archived batch's line would be taken for the row in doubt, which was never executed."""
    old = sent(ledger, "old", Event.CREDIT)
    clock.ms += DAY_MS // 2
    doubtful = sent(ledger, "doubtful", Event.DOUBT)
    sent(ledger, "newest", Event.REJECT)
    clock.ms += 60 * DAY_MS
    at = host.iso(START_MS + 1000)
    lines = statement(tmp_path / "history.csv", f"account,amount,currency,time\n7,5,USD,{at}\n")
    [(before, _)] = await findings(ledger, doubtful, settings, lines)
    assert before is not Verdict.CREDITED
    pruned(ledger, old)
    [(after, why)] = await findings(ledger, doubtful, settings, lines)
    assert after is Verdict.UNDECIDED
    assert "are archived" in why


async def test_a_gap_that_archived_rows_have_made_is_not_the_row_in_doubt(
    ledger: Ledger, settings: Settings, clock: _Clock
) -> None:
    """The client had 10 long ago, and 15 behind the row of 5 in doubt: another batch had credited that."""
    sent(ledger, "first", Event.CREDIT, before=5, after=10)
    clock.ms += 2 * DAY_MS
    old = sent(ledger, "old", Event.CREDIT)
    clock.ms += 2 * DAY_MS
    doubtful = sent(ledger, "doubtful", Event.DOUBT)
    clock.ms += DAY_MS
    sent(ledger, "next", Event.CREDIT, before=15, after=20)
    clock.ms += 60 * DAY_MS
    [(before, _)] = await findings(ledger, doubtful, settings)
    assert before is not Verdict.CREDITED
    pruned(ledger, old)
    [(after, why)] = await findings(ledger, doubtful, settings)
    assert after is Verdict.UNDECIDED, why


async def test_a_statement_without_times_may_speak_of_archived_rows(
    ledger: Ledger, settings: Settings, clock: _Clock, tmp_path: Path
) -> None:
    """However long ago they were sent."""
    old = sent(ledger, "old", Event.CREDIT)
    clock.ms += 40 * DAY_MS
    doubtful = sent(ledger, "doubtful", Event.DOUBT)
    sent(ledger, "newest", Event.REJECT)
    pruned(ledger, old)
    clock.ms += DAY_MS
    lines = statement(tmp_path / "history.csv", "account,amount,currency\n7,5,USD\n")
    [(found, why)] = await findings(ledger, doubtful, settings, lines)
    assert found is Verdict.UNDECIDED
    assert "has no times" in why


def test_own_accounts_are_not_compared_with_what_is_archived(ledger: Ledger, clock: _Clock) -> None:
    """Another batch moved the account meanwhile, and nobody knows by how much any more."""
    old = sent(ledger, "old", Event.CREDIT)
    other = sent(ledger, "other", Event.CREDIT)
    lane = ledger.batch_lanes(other.id)[0].lane.id
    for moment, amount in (("before", 100), ("after", 90)):
        told = OwnBalance(lane, moment, clock.ms, Decimal(amount), "USD")
        ledger.note_own_balances(other.id, [told])
    sent(ledger, "newest", Event.REJECT)
    [account] = money_of(ledger, other).accounts
    assert account.meaning.explained
    clock.ms += 60 * DAY_MS
    pruned(ledger, old)
    [account] = money_of(ledger, other).accounts
    assert (account.difference, account.meaning.explained) == (None, None)
    assert "is archived" in account.meaning.words
