"""Several senders on one PostgreSQL ledger: who may claim, whose session has gone, what is heard late."""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from ledger_parts import (
    NO_CAPS,
    Clock,
    PostgresHome,
    Row,
    a_claim,
    a_settle,
    begin,
    claim,
    enrol,
    refusal,
    row_of,
    say,
    settle,
    states,
)

from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, Caps, Claimed, NewBatch, NotClaimed
from batchcredit.ledger.postgres import sender as hot_path
from batchcredit.ledger.postgres.database import lost
from batchcredit.ledger.postgres.ledger import PostgresLedger
from batchcredit.transfer import Event, State

if TYPE_CHECKING:
    from postgres_server import Server

pytestmark = pytest.mark.usefixtures("clock")

Holding = Callable[[], PostgresLedger]


@pytest.fixture
def home(postgres: "Server") -> PostgresHome:
    return PostgresHome(postgres.fresh_url())


@pytest.fixture
def hold(home: PostgresHome) -> Iterator[Holding]:
    """Holds the ledger once more each time that it is called; all are closed in the end."""
    held: list[PostgresLedger] = []

    def hold() -> PostgresLedger:
        ledger = home.hold()
        assert isinstance(ledger, PostgresLedger)
        held.append(ledger)
        return ledger

    yield hold
    for ledger in held:
        ledger.close()


def joined(hold: Holding, batch: BatchRecord, caps: Caps = NO_CAPS) -> PostgresLedger:
    """Another sender of the batch."""
    ledger = hold()
    begin(ledger, batch, caps=caps)
    return ledger


def lose(postgres: "Server", ledger: PostgresLedger) -> None:
    """End the session of this sender, and of nobody else."""
    pid = ledger._database.connection.info.backend_pid
    assert postgres.ask("SELECT pg_terminate_backend(%s, 5000)", pid) == [(True,)]


def claimed_by(ledger: PostgresLedger, witness: PostgresLedger, batch: BatchRecord, row: int) -> object:
    """What is answered to a claim, which the witness, whose session lives, has put together."""
    return ledger.commit([a_claim(witness, batch, row)])[0]


def heard_by(
    ledger: PostgresLedger, witness: PostgresLedger, batch: BatchRecord, row: int, event: Event, **said: str
) -> None:
    """An ending of what the ledger's holder has sent."""
    assert ledger.commit([a_settle(witness, batch, row, event, **said)]) == [None]


def audit(ledger: PostgresLedger) -> list[tuple[str, int | None]]:
    return [(entry.what, entry.row) for entry in ledger.audit("b")]


@pytest.fixture
def two(hold: Holding) -> tuple[PostgresLedger, PostgresLedger, BatchRecord]:
    """Two senders of a batch of three rows, the first two of one account."""
    first = hold()
    batch = enrol(first, "b", [Row(), Row(amount="2"), Row(account="berta", reference="r1")])
    begin(first, batch)
    return first, joined(hold, batch), batch


def test_a_row_is_claimed_by_one(two: tuple[PostgresLedger, PostgresLedger, BatchRecord]) -> None:
    """And its account is in flight for all; another account is not."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    assert refusal(second, batch, 1) == "not_pending"
    assert refusal(second, batch, 2) == "account_in_flight"
    assert isinstance(claim(second, batch, 3), Claimed)


def test_claims_at_the_same_moment_are_granted_once(hold: Holding) -> None:
    """Of many rows, by several sessions at once, each is granted to one of them, and so is each account."""
    first = hold()
    batch = enrol(
        first, "b", [Row(account=f"c{number // 2}", amount=str(number + 1)) for number in range(60)]
    )
    begin(first, batch)
    senders = [first, joined(hold, batch), joined(hold, batch)]
    wanted = [a_claim(first, batch, row) for row in range(1, 61)]
    with ThreadPoolExecutor(3) as threads:
        told = list(threads.map(lambda sender: sender.commit(wanted), senders))
    granted = [
        wanted[place].transfer.account_key
        for answers in told
        for place, answer in enumerate(answers)
        if isinstance(answer, Claimed)
    ]
    assert sorted(granted) == sorted({f"c{number}" for number in range(30)})
    assert states(first, batch).count(State.SENDING) == 30


def test_equal_rows_of_two_batches_are_not_sent_at_once(hold: Holding) -> None:
    """Whichever claims first; the other one waits, although both asked in the same moment."""
    first, second = hold(), hold()
    older, younger = enrol(first, "older", [Row()]), enrol(second, "younger", [Row()])
    begin(first, older, window_ms=0)
    begin(second, younger, window_ms=0)
    claims = [a_claim(first, older), a_claim(second, younger)]
    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(lambda sender, wanted: sender.commit([wanted])[0], [first, second], claims))
    assert sum(isinstance(answer, Claimed) for answer in told) <= 1


@pytest.mark.parametrize("limit", ["batch", "day"])
def test_limits_hold_over_all_senders(limit: str, hold: Holding) -> None:
    """The sum of what several sessions claim at once is never more than the limit."""
    caps = Caps(day_start=NO_CAPS.day_start, **{limit: {"USD": Decimal(10)}})
    first = hold()
    batch = enrol(first, "b", [Row(account=f"c{number}") for number in range(30)])
    begin(first, batch, caps=caps)
    senders = [first, joined(hold, batch, caps), joined(hold, batch, caps)]

    wanted = [range(1, 11), range(11, 21), range(21, 31)]
    claims = {row: a_claim(first, batch, row) for row in range(1, 31)}
    with ThreadPoolExecutor(3) as threads:
        list(
            threads.map(
                lambda place: [senders[place].commit([claims[row]]) for row in wanted[place]], range(3)
            )
        )
    assert states(first, batch).count(State.SENDING) == 10
    row = next(row for row in range(1, 31) if row_of(first, batch, row).state is State.SENDING)
    taker = next(sender for sender in senders if claims[row].transfer.id in sender._attempts)
    settle(taker, batch, row, Event.REJECT)  # gives its amount back
    left = [row for row in range(1, 31) if row_of(first, batch, row).state is State.PENDING]
    assert refusal(first, batch, left[0]) == ""
    assert refusal(first, batch, left[1]) == f"limit_max_{'total' if limit == 'batch' else 'day'}"


def test_rows_of_a_dead_sender_are_in_doubt(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord], postgres: "Server"
) -> None:
    """As soon as anybody looks; those of the living are not touched."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    assert isinstance(claim(second, batch, 3), Claimed)
    lose(postgres, first)
    second.tidings(batch.id)
    assert states(second, batch) == [State.IN_DOUBT, State.PENDING, State.SENDING]
    assert [sender.id for sender in second.senders()] == [second.sender]


def test_a_sender_whose_session_ended_claims_as_another(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord], postgres: "Server"
) -> None:
    """It finds out before an intent stands, and is a new sender then; what it has in flight goes along."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    was = first.sender
    lose(postgres, first)
    answer = claimed_by(first, second, batch, 3)
    assert isinstance(answer, NotClaimed)
    assert answer.busy_s is not None
    assert first.sender != was
    second.tidings(batch.id)
    assert states(second, batch) == [State.SENDING, State.PENDING, State.PENDING]
    heard_by(first, second, batch, 1, Event.CREDIT)
    assert isinstance(claimed_by(first, second, batch, 3), Claimed)
    assert states(second, batch) == [State.CREDITED, State.PENDING, State.SENDING]


@pytest.mark.parametrize(
    ("event", "after"),
    [
        (Event.CREDIT, State.CREDITED),
        (Event.REJECT, State.REJECTED),
        (Event.RETRY, State.PENDING),
        (Event.GIVE_UP, State.PENDING),
        (Event.DOUBT, State.IN_DOUBT),
    ],
)
def test_a_late_answer_settles_its_doubt(
    event: Event,
    after: State,
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord],
    postgres: "Server",
) -> None:
    """Others found the sender gone; then it hears how its request ended, and that is evidence."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    lose(postgres, first)
    second.tidings(batch.id)
    assert row_of(second, batch).state is State.IN_DOUBT
    heard_by(first, second, batch, 1, event, reason="said", message="late")
    assert row_of(second, batch).state is after
    assert row_of(second, batch).settled_by == ("provider" if event in (Event.CREDIT, Event.REJECT) else "")


def doubted(two: tuple[PostgresLedger, PostgresLedger, BatchRecord], postgres: "Server") -> None:
    """The first sender's row 1 is in doubt, and it has not heard of it yet."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    lose(postgres, first)
    second.tidings(batch.id)


def test_a_late_credit_proves_a_verdict_wrong(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord], postgres: "Server"
) -> None:
    """A person said not credited, nobody has sent it again: it is credited, and the trail says so."""
    first, second, batch = two
    doubted(two, postgres)
    assert say(second, batch.id, 1, "not-credited", "not seen", 0) == ""
    heard_by(first, second, batch, 1, Event.CREDIT)
    assert row_of(second, batch).state is State.CREDITED
    assert audit(second) == [("not-credited", 1), ("verdict-wrong", 1)]
    assert refusal(second, batch, 1) == "not_pending"


def test_a_late_refusal_of_what_a_person_called_credited_is_in_doubt(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord], postgres: "Server"
) -> None:
    """Two words against each other: somebody has to look."""
    first, second, batch = two
    doubted(two, postgres)
    assert say(second, batch.id, 1, "credited", "seen", 0) == ""
    heard_by(first, second, batch, 1, Event.REJECT)
    assert (row_of(second, batch).state, row_of(second, batch).reason) == (State.IN_DOUBT, "late_answer")
    assert audit(second)[-1] == ("verdict-wrong", 1)


@pytest.mark.parametrize(
    ("again", "after", "reason"),
    [
        (None, State.SENDING, "overpaid"),
        (Event.CREDIT, State.CREDITED, "overpaid"),
        (Event.DOUBT, State.IN_DOUBT, "overpaid"),
        (Event.REJECT, State.CREDITED, ""),
        (Event.RETRY, State.CREDITED, ""),
    ],
)
@pytest.mark.parametrize("heard_first", [True, False])
def test_a_late_credit_of_a_row_that_was_sent_again(
    heard_first: bool,
    again: Event | None,
    after: State,
    reason: str,
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord],
    postgres: "Server",
) -> None:
    """If the second attempt did anything, or may have, it is an incident; else the client has it once. In any
    case it is never sent a third time."""
    first, second, batch = two
    doubted(two, postgres)
    assert say(second, batch.id, 1, "not-credited", "not seen", 0) == ""
    assert isinstance(claim(second, batch, 1), Claimed)
    if heard_first:
        heard_by(first, second, batch, 1, Event.CREDIT)
    if again:
        settle(second, batch, 1, again)
    if not heard_first:
        heard_by(first, second, batch, 1, Event.CREDIT)
    known = row_of(second, batch)
    assert known.state is after
    assert known.reason == reason
    assert ("overpaid", 1) in audit(second) or (reason == "" and not heard_first)
    assert refusal(second, batch, 1) in ("not_pending", "account_in_flight")
    if known.state is State.IN_DOUBT:
        assert "earlier attempt" in say(second, batch.id, 1, "not-credited", "not seen", 0)


def test_an_evicted_sender_never_comes_back(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord],
) -> None:
    """Its rows are in doubt; it claims nothing any more, and what it heard is still written down."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    assert second.evict(first.sender, "hangs") == 1
    assert row_of(second, batch).state is State.IN_DOUBT
    answers = [claimed_by(first, second, batch, 3) for _ in range(2)]
    assert [getattr(answer, "reason", "") for answer in answers] == ["account_in_flight", "not_pending"]
    assert first.tidings(batch.id).evicted
    assert first.candidates(batch.id, batch.id, 0, 10) == []
    heard_by(first, second, batch, 1, Event.CREDIT)
    assert row_of(second, batch).state is State.CREDITED
    with pytest.raises(RefusedError, match="no sender"):
        second.evict(first.sender, "again")


def test_a_driver_that_has_gone_is_missed(
    hold: Holding, postgres: "Server", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at once: a connection that is made again is no end."""
    driver = hold()
    batch = enrol(driver, "b", [Row()])
    run = begin(driver, batch)
    sender = hold()
    sender.enlist(run, driver.sender)
    assert not sender.tidings(batch.id).driver_gone
    lose(postgres, driver)
    assert not sender.tidings(batch.id).driver_gone
    driver.tidings(batch.id)  # comes back under another number
    monkeypatch.setattr(sender, "_driver_seen_s", 0.0)
    assert not sender.tidings(batch.id).driver_gone
    driver.close()
    monkeypatch.setattr(hot_path, "DRIVER_MOST_S", 0.0)
    assert sender.tidings(batch.id).driver_gone


def test_a_pause_and_a_halt_reach_the_others(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord], clock: Clock
) -> None:
    """What one hears of a lane counts for all; that it can't reach it does not."""
    first, second, batch = two
    lane = second.batch_lanes(batch.id)[0].lane.id
    first.commit([hot_path.Pause(batch.id, lane, clock.ms + 5_000)])
    assert second.tidings(batch.id).paused_until_ms == {lane: clock.ms + 5_000}
    answer = claim(second, batch, 3)
    assert isinstance(answer, NotClaimed)
    assert answer.busy_s == 0.0
    clock.ms += 5_001
    assert second.tidings(batch.id).paused_until_ms == {}
    assert isinstance(claim(second, batch, 3), Claimed)
    first.halt(batch.id, lane, "unreachable", "no route")
    assert second.tidings(batch.id).halts == {}
    first.halt(batch.id, lane, "credentials", "wrong key")
    assert second.tidings(batch.id).halts == {lane: ("credentials", "wrong key")}


def test_rows_of_others_are_not_set_aside_while_they_send(
    hold: Holding, two: tuple[PostgresLedger, PostgresLedger, BatchRecord]
) -> None:
    """Who picks some rows of a batch leaves the rest; so nobody picks while others are sending the rest."""
    first, second, batch = two
    late = hold()
    with pytest.raises(RefusedError, match=f"sender {first.sender}, {second.sender}") as refused:
        begin(late, batch, only=[1])
    assert refused.value.reason == "senders_beside"
    assert not late.sender
    for ledger in (first, second):
        ledger.end_run(1, batch.id, "stopped")
        ledger.close()
    begin(late, batch, only=[1])
    assert states(late, batch) == [State.PENDING, State.UNSENT, State.UNSENT]


def test_moments_are_handed_out_once(two: tuple[PostgresLedger, PostgresLedger, BatchRecord]) -> None:
    """Two senders that ask in turns get moments apart from each other, and none beyond the horizon."""
    first, second, batch = two
    lane = second.batch_lanes(batch.id)[0].lane.id
    told = [ledger.reserve(lane, 3, 100_000, 1_000_000) for ledger in (first, second)]
    moments = sorted(slots.now_s + at_s for slots in told for at_s in slots.at_s)
    assert len(moments) == 6
    assert all(later - sooner > 0.0999 for sooner, later in itertools.pairwise(moments))
    rest = first.reserve(lane, 50, 100_000, 1_000_000)
    assert 0 < len(rest.at_s) <= 5
    assert max(rest.at_s) <= 1.0001
    assert not first.reserve(lane, 1, 100_000, 100_000).at_s


def test_another_session_in_between_claims_nothing(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord],
) -> None:
    """As a pooler does that changes sessions between transactions."""
    first, _, batch = two
    first._database.connection.execute("RESET batchcredit.sender")
    with pytest.raises(StorageError) as refused:
        claim(first, batch, 3)
    assert refused.value.reason == "ledger_pooled"
    assert states(first, batch) == [State.PENDING] * 3


def test_a_line_that_stays_silent_is_given_up(hold: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come in time ends the session, and the next one asks again."""
    ledger = hold()
    batch = enrol(ledger, "b", [Row()])
    begin(ledger, batch)
    other = joined(hold, batch)
    monkeypatch.setattr(hot_path, "ANSWER_MOST_S", 0.5)
    was, wanted = ledger.sender, a_claim(ledger, batch)
    with ThreadPoolExecutor(1) as thread:
        with other._database.transaction():  # nobody else gets a lock meanwhile
            answer = thread.submit(ledger.commit, [wanted])
            time.sleep(0.8)
            assert not answer.done()
        told = answer.result(20)[0]
    assert isinstance(told, NotClaimed)
    assert ledger.sender != was
    assert states(ledger, batch) == [State.PENDING]


def test_one_that_can_not_come_back_gives_up_in_a_hurry(
    home: PostgresHome, hold: Holding, monkeypatch: pytest.MonkeyPatch, postgres: "Server"
) -> None:
    """Somebody waits for the end: the wait for a server is bounded."""
    ledger = hold()
    batch = enrol(ledger, "b", [Row()])
    begin(ledger, batch)
    monkeypatch.setattr(hot_path, "HURRIED_MOST_S", 0.3)
    ledger.hurry()

    def refuse() -> None:
        raise StorageError("no server", reason="ledger_unusable", cure="")

    monkeypatch.setattr(ledger._database, "reconnect", refuse)
    wanted = a_claim(ledger, batch)
    lose(postgres, ledger)
    with pytest.raises(StorageError) as gone:
        ledger.commit([wanted])
    assert gone.value.reason == "ledger_lost"


def test_two_that_enrol_the_same_batch_share_it(hold: Holding) -> None:
    """The second takes what the first has made; another content under that name is refused."""
    first, second = hold(), hold()
    made = enrol(first, "b", [Row()])
    assert enrol(second, "b", [Row()]) == made
    with pytest.raises(RefusedError) as refused:
        enrol(second, "b", [Row(amount="2")], content=b"other")
    assert refused.value.reason == "enrolled_meanwhile"


def test_a_batch_that_is_being_loaded_is_left_to_its_loader(hold: Holding) -> None:
    """Until its session ends: then it goes."""
    first, second = hold(), hold()
    loading = first._begin_loading(NewBatch("half", b"c", "", "", {}, {}, live=False))
    enrol(second, "b", [Row()])
    assert second._all("SELECT name FROM batch ORDER BY name") == [("b",), ("half",)]
    first.close()
    enrol(second, "c", [Row(amount="3")])
    assert (loading,) not in second._all("SELECT id FROM batch")


def test_a_ledger_on_another_server_is_refused_until_it_is_accepted(
    hold: Holding, home: PostgresHome
) -> None:
    """What is not final may have been sent by the old one."""
    first = hold()
    batch = enrol(first, "b", [Row(), Row(amount="2")])
    first._change("UPDATE meta SET value = '1/00000001' WHERE key = 'home'")
    with pytest.raises(RefusedError) as refused:
        home.hold()
    assert refused.value.reason == "ledger_failover"
    with closing(home.hold_retired()) as ledger:
        assert ledger.accept("the old one burned") == 2
    with closing(home.hold()) as ledger:
        assert states(ledger, batch) == [State.IN_DOUBT] * 2


def test_a_server_that_forgets_is_refused(home: PostgresHome, postgres: "Server") -> None:
    """synchronous_commit is set for the session; a server that does not sync at all is no ledger."""
    with closing(home.hold()) as ledger:
        assert isinstance(ledger, PostgresLedger)
        assert ledger._all("SHOW synchronous_commit") == [("on",)]
    postgres.ask("ALTER SYSTEM SET full_page_writes = off")
    postgres.ask("SELECT pg_reload_conf()")
    while postgres.ask("SHOW full_page_writes") != [("off",)]:
        time.sleep(0.01)  # a reload takes a moment
    try:
        with pytest.raises(RefusedError, match="full_page_writes") as refused:
            home.hold()
        assert refused.value.reason == "ledger_not_durable"
    finally:
        postgres.ask("ALTER SYSTEM RESET full_page_writes")
        postgres.ask("SELECT pg_reload_conf()")


def test_a_password_is_shown_to_nobody(home: PostgresHome) -> None:
    """Neither in the ledger's name, nor where the server can't be reached."""
    password = home.url.partition("shop:")[2].partition("@")[0]
    assert password
    with closing(home.hold()) as ledger:
        assert password not in ledger.url
        assert password not in repr(getattr(ledger, "_database", "")) + repr(vars(ledger))
    there = home.url.rpartition("/")[0].rpartition(":")[0] + ":1/nowhere"
    with pytest.raises(StorageError) as gone:
        registry.hold(there, "run")
    assert password not in str(gone.value) + str(gone.value.cure) + repr(gone.value.__cause__)
    with pytest.raises(RefusedError) as refused:
        registry.refuse_secret(home.url)
    assert password not in str(refused.value) + str(refused.value.cure)


def test_a_settle_that_was_heard_of_twice_counts_once(
    two: tuple[PostgresLedger, PostgresLedger, BatchRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction was durable, its end was lost, and it is made again: the row stands as it stood."""
    first, second, batch = two
    assert isinstance(claim(first, batch, 1), Claimed)
    once = first._commit_once
    heard = list[bool]()

    def losing(group: hot_path.Group, claims: object) -> None:
        attempts = dict(first._attempts)
        settles = list(group.settles)
        once(group, claims)  # type: ignore[arg-type]
        if settles and not heard:
            heard.append(True)
            group.settles, first._attempts = settles, attempts
            raise lost("it")

    monkeypatch.setattr(first, "_commit_once", losing)
    assert first.commit([a_settle(second, batch, 1, Event.CREDIT)]) == [None]
    assert heard
    assert row_of(second, batch).state is State.CREDITED
    assert audit(second) == []


def test_a_claim_and_an_ending_go_to_their_row(hold: Holding) -> None:
    """Planned for any row, whatever there is: nothing reads the batch, or the table."""
    ledger = hold()
    batch = enrol(ledger, "b", [Row(account=f"c{number}") for number in range(200)])
    begin(ledger, batch)
    for sql, marks in ((hot_path._CLAIM, 11), (hot_path._SETTLE, 15)):
        plan = "\n".join(row[0] for row in ledger._all("EXPLAIN " + sql, *["1"] * marks))
        assert "Seq Scan on transfer t" not in plan
        assert "transfer_pkey on transfer" in plan
        assert "transfer_left" not in plan
