"""Random plays against each ledger: it does what the model does, and keeps its invariants whatever comes.

The play also has a provider, which executes what it is sent or does not; verdicts tell the truth about it. So
"never pay twice" is checked against what was executed, and not against what the ledger believes.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger_model import LEFT, Model, ModelBatch, ModelRow
from ledger_parts import (
    DAY_MS,
    HOUR_MS,
    WINDOW_MS,
    Clock,
    Home,
    Lanes,
    PostgresHome,
    Row,
    SqliteHome,
    begin,
    correct,
    enrol,
    say,
)

from batchcredit import host
from batchcredit.errors import DefectError
from batchcredit.ledger.base import (
    Answered,
    BatchRecord,
    Caps,
    Claim,
    Claimed,
    NotClaimed,
    Operation,
    Pause,
    ResultRow,
    Settle,
)
from batchcredit.ledger.postgres.database import PostgresDatabase
from batchcredit.transfer import MOVES, SPENT, Event, Outcome, State, Transfer, states_allowing

PROFILES = ("shop", "kiosk")
ENDINGS = (Event.CREDIT, Event.REJECT, Event.RETRY, Event.GIVE_UP, Event.DOUBT)

#: In these the rows of another batch may be equal, may share a reference, or both.
ROWS = st.builds(
    Row,
    account=st.sampled_from(["anna", "berta", "Anna"]),
    amount=st.sampled_from(["1", "2.5"]),
    reference=st.sampled_from([None, None, "r1", "r2", "r3"]),
    profile=st.sampled_from(PROFILES),
    state=st.sampled_from([State.PENDING] * 7 + [State.INVALID]),
)
BATCHES = st.lists(ROWS, min_size=1, max_size=5)

#: The day turns at 21:00 UTC.
CAPS = st.builds(
    Caps,
    day_start=st.just(lambda ms: (ms + 3 * HOUR_MS) // DAY_MS * DAY_MS - 3 * HOUR_MS),
    **{
        name: st.one_of(
            st.just({}), st.sampled_from(["1", "2.5", "4", "6"]).map(lambda cap: {"USD": Decimal(cap)})
        )
        for name in ("transfer", "account_day", "batch", "day")
    },
)

PICK = st.integers(0, 30)

#: What one call may make of a row: a run reopens and recognises, a group claims and settles.
STEPS = {(was, now) for (was, _), now in MOVES.items()}
for through in (State.PENDING, State.SENDING):
    STEPS |= {(was, now) for was, first in STEPS for last, now in STEPS if first is last is through}


@dataclass(frozen=True)
class Act:
    """One operation: the next thing that may happen to a row, a claim of any row, or a pause."""

    what: str
    pick: int
    event: Event
    reason: str
    executed: bool


ACTS = st.builds(
    Act,
    what=st.sampled_from([*["next"] * 6, "claim", "pause"]),
    pick=st.integers(0, 30),
    event=st.sampled_from(ENDINGS),
    reason=st.sampled_from(["", "wallet_empty", "timeout"]),
    executed=st.booleans(),
)

RARELY = st.sampled_from([True, False, False, False])


class LedgerPlay(RuleBasedStateMachine):
    """One ledger, one model, one provider, one clock."""

    new_home: Callable[[Path], Home] = SqliteHome

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patch = patch.object(host, "now_ms", self.clock.now_ms)
        self.patch.start()
        self.offset = patch.object(PostgresDatabase, "_measured_offset_ms", lambda _: 0)
        self.offset.start()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.home = type(self).new_home(self.folder / "ledger.db")
        self.ledger = self.home.hold()
        self.model = Model()
        self.run: tuple[int, int] | None = None  # the run and its batch
        self.names = 0
        self.before: dict[tuple[int, int], ResultRow] = {}
        self.forgotten: set[str] = set()

    def teardown(self) -> None:
        self.ledger.close()
        self.offset.stop()
        self.patch.stop()
        shutil.rmtree(self.folder)

    # what people do between runs

    @precondition(lambda self: self.run is None and len(self.model.batches) < 5)
    @rule(rows=BATCHES, allow=st.booleans(), skip=st.booleans())
    def enrol(self, rows: list[Row], allow: bool, skip: bool) -> None:
        self.names += 1
        skip_ms = self.clock.ms - WINDOW_MS if skip else None
        allowed_ms = self.clock.ms if allow else 0
        times: dict[str, Any] = {"repeats_allowed_ms": allowed_ms, "skip_repeats_since_ms": skip_ms}
        batch = enrol(self.ledger, f"batch-{self.names}", rows, **times)
        lanes = Lanes(self.ledger)
        model = [_model_row(batch.id, number, row, lanes) for number, row in enumerate(rows, 1)]
        ids = {row.profile: lanes[row.profile] for row in rows}
        self.model.batches[batch.id] = ModelBatch(batch.name, model, allowed_ms, ids)
        self.model.recognise(batch.id, skip_ms)

    @precondition(lambda self: self.run is None and 0 < len(self.model.batches) < 5)
    @rule(picks=st.lists(PICK, min_size=1, max_size=3), allow=st.booleans(), skip=st.booleans())
    def enrol_once_more(self, picks: list[int], allow: bool, skip: bool) -> None:
        """A file of which the ledger has seen every row."""
        same = [self._row(pick) for pick in picks]
        texts = [(row.account_key, row.amount, row.currency, row.reference, row.profile) for row in same]
        self.enrol([Row(*row) for row in texts], allow, skip)

    @initialize(rows=BATCHES)
    def enrol_first(self, rows: list[Row]) -> None:
        self.enrol(rows, allow=False, skip=False)
        self.enrol(rows[:2], allow=False, skip=False)

    @precondition(lambda self: self.run is None and self.model.batches)
    @rule(
        pick=PICK,
        allow=st.booleans(),
        skip=st.booleans(),
        rejected=st.booleans(),
        only=st.none() | st.sets(st.integers(1, 5)),
        caps=st.none() | CAPS,
    )
    def begin_run(
        self, pick: int, allow: bool, skip: bool, rejected: bool, only: set[int] | None, caps: Caps | None
    ) -> None:
        number = self._batch(pick)
        now_ms = self.clock.ms
        given: dict[str, Any] = {"allow_ms": now_ms if allow else 0, "rejected": rejected, "only": only}
        given["skip_since_ms"] = now_ms - WINDOW_MS if skip else None
        none = Caps(day_start=lambda ms: ms)
        run = begin(self.ledger, self._record(number), caps=caps or none, **given)
        self.model.begin_run(number, given["allow_ms"], given["skip_since_ms"], rejected=rejected, only=only)
        self.model.caps, self.model.window_ms = caps, WINDOW_MS
        self.run = run, number

    @precondition(lambda self: self.run is None and self.model.batches)
    @rule(
        pick=PICK,
        verdict=st.sampled_from(["credited", "not-credited", "in-doubt", "truth"]),
        quiet=st.booleans(),
        prefer=st.booleans(),
    )
    def resolve(self, pick: int, verdict: str, quiet: bool, prefer: bool) -> None:
        """A person says the truth, too early, or takes it back; anything else is refused."""
        row = self._row(pick, prefer=(State.IN_DOUBT,) if prefer else ())
        truth = "credited" if row.executed else "not-credited"
        if verdict == "truth" or (verdict != "in-doubt" and row.state is State.IN_DOUBT):
            verdict = truth
        event = {"credited": Event.CONFIRM, "not-credited": Event.DENY, "in-doubt": Event.RETRACT}[verdict]
        problem = say(self.ledger, row.batch, row.row, verdict, "note", HOUR_MS if quiet else 0)
        taken = (
            event is Event.RETRACT
            and row.state in (State.PENDING, State.UNSENT)
            and "reference_taken" in self.model._taken(row)
        )
        early = event is Event.DENY and quiet and self.clock.ms < row.ended_ms + HOUR_MS
        not_theirs = event is Event.RETRACT and row.settled_by != "person"
        refused = (row.state, event) not in MOVES or taken or early or not_theirs
        assert bool(problem) == refused, problem
        if not refused:
            self.model.verdict(row, event, self.clock.ms)

    @precondition(lambda self: self.run is None and self.model.batches)
    @rule(pick=PICK, now=RARELY, whole=RARELY)
    def cancel(self, pick: int, now: bool, whole: bool) -> None:
        if not now:
            return
        row = self._row(pick)
        batch = self.model.batches[row.batch]
        gone = [r for r in batch.rows if (whole or r is row) and r.state in states_allowing(Event.CANCEL)]
        assert self.ledger.cancel(row.batch, None if whole else row.row, "note") == len(gone)
        for each in gone:
            self.model.cancel(each)
        self.model.finish(batch)

    @precondition(lambda self: self.run is None and self.model.batches)
    @rule(pick=PICK, account=st.sampled_from(["anna", "carla"]), amount=st.sampled_from(["2.5", "3"]))
    def correct(self, pick: int, account: str, amount: str) -> None:
        """One row is handed in changed; only one that has a reference and may be sent again is taken."""
        row = self._row(pick)
        batch, rows = self.model.batches[row.batch], []
        for each in self.ledger.rows(row.batch, 1, len(batch.rows)):
            texts = (account, amount) if each.row == row.row else (each.account, each.amount)
            state = State.INVALID if each.state is State.INVALID and each.row != row.row else State.PENDING
            rows.append(Row(*texts, each.currency, each.reference, each.provider, state))
        was = self.ledger.rows(row.batch, row.row, row.row)[0]
        is_mended = row.state is State.INVALID and row.reference
        if (was.account, was.amount) == (account, amount) and not is_mended:
            assert correct(self.ledger, self._record(row.batch), rows) == 0
            batch.finished = False
        elif row.reference and row.state in (State.PENDING, *states_allowing(Event.REOPEN)):
            assert correct(self.ledger, self._record(row.batch), rows) == 1
            self.model.correct(row, account, amount, Lanes(self.ledger)[row.profile])
            batch.finished = False
        else:
            with pytest.raises(DefectError):
                correct(self.ledger, self._record(row.batch), rows)

    @precondition(lambda self: self.run is None and self.model.batches)
    @rule(pick=PICK, profile=st.sampled_from(PROFILES), identity=st.sampled_from(["shop", "kiosk", "third"]))
    def change_lane(self, pick: int, profile: str, identity: str) -> None:
        number, lane = self._batch(pick), Lanes(self.ledger)[identity]
        if profile not in {row.profile for row in self.model.batches[number].rows}:
            return
        self.ledger.change_lane(number, profile, lane)
        self.model.batches[number].lanes[profile] = lane
        for row in self.model.batches[number].rows:
            if row.profile == profile and row.state in (*LEFT, State.REJECTED):
                row.lane = lane

    @precondition(lambda self: self.run is None and len(self.model.batches) > 2)
    @rule(pick=PICK)
    def forget(self, pick: int) -> None:
        number = self._batch(pick)
        self.ledger.forget(number)
        gone = self.model.batches.pop(number)
        self.forgotten |= {row.reference for row in gone.rows if row.reference and row.executed}

    @rule(ms=st.sampled_from([1, HOUR_MS, 5 * HOUR_MS, DAY_MS, WINDOW_MS]))
    def time_goes_by(self, ms: int) -> None:
        self.clock.ms += ms

    # what a run does

    @precondition(lambda self: self.run is None and self.model.batches)
    @rule(
        pick=PICK,
        again=st.sampled_from([{}, {"allow": True}, {"skip": True}, {"rejected": True}]),
        caps=st.none() | CAPS,
        groups=st.lists(st.lists(ACTS, min_size=1, max_size=4), min_size=1, max_size=4),
        hours=st.sampled_from([0, 1, 5]),
    )
    def whole_run(
        self, pick: int, again: dict[str, bool], caps: Caps | None, groups: list[list["Act"]], hours: int
    ) -> None:
        """A run from its begin to its end, with time between its groups."""
        self.begin_run(
            pick, caps=caps, **({"allow": False, "skip": False, "rejected": False, "only": None} | again)
        )
        for acts in groups:
            self.commit(acts)
            self.clock.ms += hours * HOUR_MS
        self.end_run("stopped", executed=hours > 0)

    @precondition(lambda self: self.run is not None)
    @rule(acts=st.lists(ACTS, min_size=1, max_size=8))
    def commit(self, acts: list["Act"]) -> None:
        """A group of claims, endings and pauses; the model takes them one by one."""
        assert self.run
        rows = self.model.batches[self.run[1]].rows
        operations, expected = [], []
        for act in acts:
            busy = [row for row in rows if row.state in (State.PENDING, State.SENDING)]
            among = busy if busy and act.what == "next" else rows
            row = among[act.pick % len(among)]
            if act.what == "pause" and row.lane:
                operations.append(Pause(row.batch, row.lane, act.pick))
                expected.append({"-"})
            elif act.what == "next" and row.state is State.SENDING:
                operations.append(self._settle(row, act.event, act.reason))
                expected.append({"-"})
                row.executed += act.event is Event.CREDIT or (act.event is Event.DOUBT and act.executed)
                self.model.settle(row, act.event, act.reason, self.clock.ms)
            else:
                operations.append(Claim(row.batch, row.lane, self._transfer(row)))
                expected.append(self._claimed(row))
        for answer, words in zip(self._committed(operations), expected, strict=True):
            told = (
                answer.reason
                if isinstance(answer, NotClaimed)
                else ""
                if isinstance(answer, Claimed)
                else "-"
            )
            assert told in words or (told == "" and not words), (answer, words)

    def _committed(self, operations: Sequence[Operation]) -> list[Answered]:
        """In one group, or one by one where a group may tell endings before claims that came sooner."""
        if self.ledger.is_shared:
            return [answer for operation in operations for answer in self.ledger.commit([operation])]
        return self.ledger.commit(operations)

    def _claimed(self, row: ModelRow) -> set[str]:
        words = self.model.refusals(row, self.clock.ms)
        if not words:
            self.model.claim(row, self.clock.ms)
        elif row.state is State.PENDING:
            row.reason = min(words)
            if len(words) > 1:
                row.reason = "any"  # the ledger may name either
        return words

    @precondition(lambda self: self.run is not None)
    @rule(pick=PICK)
    def settle_twice(self, pick: int) -> None:
        """An ending of what is not being sent is a defect that ends the run and leaves nothing behind."""
        assert self.run
        rows = self.model.batches[self.run[1]].rows
        row = rows[pick % len(rows)]
        if row.state is not State.SENDING:
            with pytest.raises(DefectError):
                self.ledger.commit([self._settle(row, Event.CREDIT, "")])

    @precondition(lambda self: self.run is not None)
    @rule(pick=PICK, now=RARELY)
    def halt(self, pick: int, now: bool) -> None:
        assert self.run
        if not now:
            return
        batch = self.model.batches[self.run[1]]
        row = batch.rows[pick % len(batch.rows)]
        lanes = self.ledger.batch_lanes(row.batch)
        lane = lanes[pick % len(lanes)].lane.id
        self.ledger.halt(row.batch, lane, "wallet_empty", "words")
        batch.halts |= {each.profile: "wallet_empty" for each in lanes if each.lane.id == lane}

    @precondition(lambda self: self.run is not None)
    @rule(reason=st.sampled_from(["", "stopped", "limit"]), executed=st.booleans())
    def end_run(self, reason: str, executed: bool) -> None:
        assert self.run
        self._lose_what_is_in_flight(executed)
        self.ledger.end_run(*self.run, reason)
        batch = self.model.batches[self.run[1]]
        self.model.doubt_what_is_sending(self.clock.ms)
        batch.stop_reason = reason
        self.model.finish(batch)
        self.run = None

    @rule(executed=st.booleans(), now=RARELY)
    def crash(self, executed: bool, now: bool) -> None:
        """The holder is gone and the next one comes: what was being sent is in doubt, and nothing else."""
        if not now:
            return
        self._lose_what_is_in_flight(executed)
        self.ledger.close()
        self.ledger = self.home.hold()
        self.model.doubt_what_is_sending(self.clock.ms)
        for batch in self.model.batches.values():
            self.model.finish(batch)
        self.run = None

    def _lose_what_is_in_flight(self, executed: bool) -> None:
        for row in self.model.where(lambda o: o.state is State.SENDING):
            row.executed += executed

    # what must hold after each step

    @invariant()
    def the_ledger_agrees_with_the_model(self) -> None:
        for number, batch in self.model.batches.items():
            known = self.ledger.rows(number, 1, 100)
            assert [row.row for row in known] == list(range(1, len(batch.rows) + 1))
            for row, model in zip(known, batch.rows, strict=True):
                assert (row.state, row.attempts) == (model.state, model.attempts), (row, model)
                assert (row.amount, row.account.lower()) == (model.amount, model.account_key)
                assert row.settled_by == model.settled_by
                assert model.reason == "any" or row.reason == self.model.shown_reason(model), (row, model)
                assert row.transfer_id.endswith(f".{model.generation}") == (model.generation > 1)
            assert (self._record(number).finished_ms is not None) == batch.finished, batch
        assert {batch.id for batch in self.ledger.batches()} == set(self.model.batches)

    @invariant()
    def rows_move_only_as_the_table_says(self) -> None:
        now = {(n, row.row): row for n in self.model.batches for row in self.ledger.rows(n, 1, 100)}
        for key in self.before.keys() & now.keys():
            was, is_ = self.before[key].state, now[key].state
            assert was is is_ or (was, is_) in STEPS, (was, is_)
        self.before = now

    @invariant()
    def rows_and_money_are_conserved(self) -> None:
        for number, batch in self.model.batches.items():
            tallies = self.ledger.tallies(number)
            assert sum(tally.rows for tally in tallies) == len(batch.rows)
            valid = [row for row in batch.rows if row.state is not State.INVALID]
            amount = sum((Decimal(row.amount) for row in valid), Decimal(0))
            assert sum((tally.amount for tally in tallies), Decimal(0)) == amount
            left = self.ledger.left(number, rejected=False)
            keys = list(self.ledger.left_keys(number, rejected=False))
            to_send = [row.row for row in batch.rows if row.state in LEFT]
            assert [key.row for key in keys] == to_send
            assert sum(part.rows for part in left) == len(to_send)

    @invariant()
    def a_reference_is_spent_once(self) -> None:
        rows = list(self.before.values())
        spent = Counter(row.reference for row in rows if row.reference and row.state in SPENT)
        assert all(count == 1 for count in spent.values()), spent

    @invariant()
    def an_account_has_one_request_in_flight(self) -> None:
        sending = Counter(
            (row.lane, row.account_key) for row in self.model.where(lambda o: o.state is State.SENDING)
        )
        assert all(count == 1 for count in sending.values()), sending

    @invariant()
    def nobody_is_paid_twice(self) -> None:
        """No transfer, and no reference, was executed more than once; what is credited was executed."""
        for row in self.model.rows():
            assert row.executed <= 1, row
            assert row.executed or row.state is not State.CREDITED, row
            assert not row.executed or row.state in (*SPENT,), row
        executed = Counter(row.reference for row in self.model.rows() if row.reference and row.executed)
        assert all(count == 1 for count in executed.values()), executed

    @invariant()
    def transfer_ids_are_unique(self) -> None:
        ids = [row.transfer_id for row in self.before.values()]
        assert len(set(ids)) == len(ids)

    # the way to one row

    def _batch(self, pick: int) -> int:
        return sorted(self.model.batches)[pick % len(self.model.batches)]

    def _row(self, pick: int, prefer: tuple[State, ...] = ()) -> ModelRow:
        rows = self.model.where(lambda o: o.state in prefer) or list(self.model.rows())
        return rows[pick % len(rows)]

    def _record(self, number: int) -> BatchRecord:
        return next(batch for batch in self.ledger.batches() if batch.id == number)

    def _transfer(self, row: ModelRow) -> Transfer:
        known = self.ledger.rows(row.batch, row.row, row.row)[0]
        number = int(known.transfer_id.split("-")[2].partition(".")[0])
        texts = (known.account, row.account_key, row.amount, row.currency, row.reference or "")
        return Transfer(number, row.row, *texts)

    def _settle(self, row: ModelRow, event: Event, reason: str) -> Settle:
        return Settle(row.batch, self._transfer(row), Outcome(event, reason), 5)


def _model_row(batch: int, number: int, row: Row, lanes: Lanes) -> ModelRow:
    lane = 0 if row.state is State.INVALID else lanes[row.profile]
    texts = (row.account.lower(), row.amount, row.currency, row.reference)
    return ModelRow(batch, number, row.profile, lane, *texts, row.state)


@pytest.mark.parametrize(("kind", "plays"), [("sqlite", 120), ("postgres", 8)])
def test_any_play_keeps_the_promise(kind: str, plays: int, request: pytest.FixtureRequest) -> None:
    """Whatever is enrolled, claimed, settled, resolved, corrected or killed in whatever order."""
    new_home: Callable[[Path], Home] = SqliteHome
    if kind == "postgres":
        server = request.getfixturevalue("postgres")
        new_home = lambda _: PostgresHome(server.fresh_url())  # noqa: E731
    play = type("Play", (LedgerPlay,), {"new_home": staticmethod(new_home)})
    bounds = settings(
        max_examples=plays,
        phases=[
            phase for phase in Phase if kind == "sqlite" or phase is not Phase.shrink
        ],  # it takes minutes
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(play, settings=bounds)
