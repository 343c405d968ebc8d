"""The ledger behind its group commit: what many senders ask for at once is answered to each of them."""

import asyncio
import random
from functools import partial

import anyio
import pytest
from ledger_parts import Row, SqliteHome, a_claim, a_settle, begin, enrol, row_of, states

from batchcredit.errors import DefectError
from batchcredit.ledger.base import BatchRecord, Claimed, Ledger, NotClaimed
from batchcredit.ledger.journal import Journal, open_journal
from batchcredit.transfer import Event, State

ROWS = 300


async def test_each_sender_gets_its_own_answer(ledger: Ledger) -> None:
    """Claims and endings of many senders at once; those of an account in flight are told so."""
    batch = enrol(ledger, "b", [Row(account=f"c{number // 2}") for number in range(ROWS)])
    begin(ledger, batch)
    claims = [a_claim(ledger, batch, row) for row in range(1, ROWS + 1)]
    async with open_journal(ledger) as journal:
        answers = await asyncio.gather(*(journal.claim(claim) for claim in claims))
        granted = [
            claim.transfer.row
            for claim, answer in zip(claims, answers, strict=True)
            if isinstance(answer, Claimed)
        ]
        refused = {answer.reason for answer in answers if isinstance(answer, NotClaimed)}
        settles = [a_settle(ledger, batch, row, Event.CREDIT, message=f"row {row}") for row in granted]
        random.Random(7).shuffle(settles)
        await asyncio.gather(*(journal.settle(settle) for settle in settles))
    assert granted == list(range(1, ROWS + 1, 2))
    assert refused == {"account_in_flight"}
    known = ledger.rows(batch.id, 1, ROWS)
    assert all((row.state is State.CREDITED) == (row.row % 2 == 1) for row in known)
    assert all(row.message == f"row {row.row}" for row in known if row.row % 2)


async def test_what_is_answered_is_durable(ledger: Ledger, home: SqliteHome) -> None:
    """When a sender hears of its claim, whoever opens the file finds it."""
    begin(ledger, batch := enrol(ledger, "b", [Row()]))
    async with open_journal(ledger) as journal:
        assert isinstance(await journal.claim(a_claim(ledger, batch)), Claimed)
        reader = home.read()
        assert states(reader, batch) == [State.SENDING]
        reader.close()


async def test_the_ledger_is_used_by_one_at_a_time(ledger: Ledger) -> None:
    """Pages are fetched and lanes are halted while groups are committed; nothing collides."""
    batch = enrol(ledger, "b", [Row(account=f"c{number}") for number in range(ROWS)])
    begin(ledger, batch)
    claims = [a_claim(ledger, batch, row) for row in range(1, ROWS + 1)]
    lane = claims[0].lane
    async with open_journal(ledger) as journal, anyio.create_task_group() as tasks:
        for number, claim in enumerate(claims):
            tasks.start_soon(journal.claim, claim)
            if number % 10 == 0:
                tasks.start_soon(journal.candidates, batch.id, lane, number, 5)
                tasks.start_soon(journal.halt, batch.id, lane, "stopped", "")
    assert set(states(ledger, batch)) == {State.SENDING}
    assert ledger.batch_lanes(batch.id)[0].halt_reason == "stopped"


async def test_an_error_of_the_ledger_ends_all_senders(ledger: Ledger) -> None:
    """Nobody is told that anything stands once the ledger has failed."""
    begin(ledger, batch := enrol(ledger, "b", [Row(), Row(account="B")]))
    never_claimed = a_settle(ledger, batch, 1, Event.CREDIT)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_journal(ledger) as journal:
            await journal.settle(never_claimed)
    assert caught.group_contains(DefectError)
    assert row_of(ledger, batch).state is State.PENDING


async def test_what_is_noted_is_durable_when_it_is_told(ledger: Ledger, home: SqliteHome) -> None:
    """Nobody waits for a noted ending, yet when it is told whoever opens the file finds it; in order."""
    rows = list(range(1, ROWS + 1))
    begin(ledger, batch := enrol(ledger, "b", [Row(account=f"c{row}") for row in rows]))
    reader, told = home.read(), []

    def tell(row: int) -> None:
        assert reader.rows(batch.id, row, row)[0].state is State.CREDITED
        told.append(row)

    async with open_journal(ledger) as journal:
        await asyncio.gather(*(journal.claim(a_claim(ledger, batch, row)) for row in rows))
        for row in rows:
            journal.note(a_settle(ledger, batch, row, Event.CREDIT), partial(tell, row))
        assert not told
        await journal.drained()
        assert told == rows
    reader.close()


async def test_an_intent_is_not_durable_before_what_was_noted(ledger: Ledger, home: SqliteHome) -> None:
    """A sender that goes on without waiting never has two rows that a crash would leave in doubt."""
    rows = range(1, 51)
    begin(ledger, batch := enrol(ledger, "b", [Row(account=f"c{row}") for row in rows]))
    reader = home.read()
    async with open_journal(ledger) as journal:
        for row in rows:
            assert isinstance(await journal.claim(a_claim(ledger, batch, row)), Claimed)
            assert states(reader, batch).count(State.SENDING) == 1
            journal.note(a_settle(ledger, batch, row, Event.CREDIT), lambda: None)
    assert states(ledger, batch) == [State.CREDITED] * 50
    reader.close()


async def test_what_was_noted_is_written_down_when_the_run_is_cancelled(ledger: Ledger) -> None:
    """Endings that were heard are committed, whoever was cancelled before that."""
    begin(ledger, batch := enrol(ledger, "b", [Row(account=f"c{row}") for row in range(2)]))
    told: list[int] = []
    with anyio.CancelScope() as scope:
        async with open_journal(ledger) as journal:
            await asyncio.gather(*(journal.claim(a_claim(ledger, batch, row)) for row in (1, 2)))
            journal.note(a_settle(ledger, batch, 1, Event.CREDIT), lambda: told.append(1))
            scope.cancel()
            await anyio.sleep(1)
    assert states(ledger, batch) == [State.CREDITED, State.SENDING]
    assert told == [1]


async def test_a_listener_that_fails_ends_the_journal_and_loses_nothing(ledger: Ledger) -> None:
    """Its error comes out; the endings behind it are written down all the same."""
    begin(ledger, batch := enrol(ledger, "b", [Row(account=f"c{row}") for row in range(2)]))
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_journal(ledger) as journal:
            await _note_two(journal, ledger, batch)
    assert caught.group_contains(RuntimeError, match="the listener")
    assert states(ledger, batch) == [State.CREDITED, State.REJECTED]


async def _note_two(journal: Journal, ledger: Ledger, batch: BatchRecord) -> None:
    def fail() -> None:
        raise RuntimeError("the listener")

    await asyncio.gather(*(journal.claim(a_claim(ledger, batch, row)) for row in (1, 2)))
    journal.note(a_settle(ledger, batch, 1, Event.CREDIT), fail)
    await asyncio.sleep(0)  # the group with it is on its way
    journal.note(a_settle(ledger, batch, 2, Event.REJECT), lambda: None)
    await journal.drained()
