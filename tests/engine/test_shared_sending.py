"""The real engine, several times, on one real PostgreSQL ledger, whose sessions the server ends."""

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import pytest
from rig import Rig, accounts

from batchcredit.engine.lane import Lane
from batchcredit.engine.meter import Meter
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget
from batchcredit.engine.wire.direct import DirectWire
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, Caps, Ledger
from batchcredit.ledger.journal import open_journal
from batchcredit.ledger.postgres.ledger import PostgresLedger
from batchcredit.runner.outgoing.tidings import TidingsWatch
from batchcredit.sandbox import SandboxAddress
from batchcredit.transfer import State

if TYPE_CHECKING:
    from postgres_server import Server

SENDERS = 3


async def send(ledger: Ledger, batch: BatchRecord, lane: Lane) -> None:
    """As a run does, from its begin to its end."""
    run = ledger.begin_run(batch.id, 0, None, rejected=False)
    ledger.guard(batch.id, Caps(day_start=lambda _: 0), 0)
    async with open_journal(ledger) as journal, asyncio.TaskGroup() as tasks:
        pipeline = Pipeline(batch.id, [lane], journal)
        watch = tasks.create_task(TidingsWatch(batch.id, [lane], journal, pipeline, pytest.fail).run())
        await pipeline.run([Budget()])
        watch.cancel()
    ledger.end_run(run, batch.id, "")


async def end_sessions(server: "Server", ledgers: list[PostgresLedger], dice: random.Random) -> None:
    """Now one, now another."""
    for _ in range(6):
        await asyncio.sleep(dice.uniform(0.02, 0.15))
        session = dice.choice(ledgers)._database.connection
        if not session.closed:
            pid = session.info.backend_pid
            await asyncio.to_thread(server.ask, "SELECT pg_terminate_backend(%s)", pid)


@pytest.mark.parametrize(
    ("seed", "rows"), [(1, 500), *(pytest.param(n, 1500, marks=pytest.mark.torture) for n in range(2, 30))]
)
async def test_sessions_end_and_nobody_is_paid_twice(
    seed: int, rows: int, postgres: "Server", address: SandboxAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """Each sender goes on with a new session, all have their share, every row is credited once."""
    caplog.set_level(logging.CRITICAL, "psycopg")  # it warns of lines that break, where a program listens
    url = postgres.fresh_url()
    ledgers = [registry.hold(url, "test") for _ in range(SENDERS)]
    rig = Rig(ledgers[0], address)  # type: ignore[arg-type]
    first = rig.lane("fastmessage", concurrency=8)
    batch = rig.enrol((first, client) for client in accounts("fastmessage", rows))
    lanes = [first, *(twin(first, number) for number in range(1, SENDERS))]
    work = [send(ledger, batch, lane) for ledger, lane in zip(ledgers, lanes, strict=True)]
    trouble = asyncio.create_task(end_sessions(postgres, ledgers, random.Random(seed)))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        await asyncio.gather(*work, trouble, return_exceptions=False)
    rig.ledger = registry.read(url)  # type: ignore[assignment]
    rig.check_book()
    assert rig.states() == {State.CREDITED: rows}
    assert all(lane.meter.done for lane in lanes)
    assert caplog.messages == []
    rig.ledger.close()
    for lane in lanes:
        await lane.wire.aclose()
    for ledger in ledgers:
        ledger._database.connection.close()  # type: ignore[attr-defined]


def twin(lane: Lane, number: int) -> Lane:
    """The same lane in another process."""
    dice, wire = random.Random(number), DirectWire(lane.record.identity.base_url)
    return Lane(lane.profile, lane.record, lane.provider, wire, lane.pace, lane.policy, dice, meter=Meter())
