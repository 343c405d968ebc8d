"""The engine without what surrounds it in a run, on its SQLite ledger or on one that remembers nothing.

python -m benchmarks.engine_alone {sqlite,memory} SETTINGS ROWS [PROFILE]

With PROFILE, a file, the sending is sampled and what took the time is written there.
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import cast

from batchcredit.engine.lane import Lane
from batchcredit.engine.loop import in_loop
from batchcredit.engine.pipeline import Pipeline
from batchcredit.engine.queue import Budget
from batchcredit.ledger import registry
from batchcredit.ledger.base import BatchRecord, EnrolChunk, EnrolRow, LaneRecord, Ledger, NewBatch
from batchcredit.ledger.journal import open_journal
from batchcredit.runner.outgoing.lanes import close_all, opened
from batchcredit.settings import Settings, load
from benchmarks.memory_ledger import MemoryLedger

PROFILE = "clicksend"


def main(kind: str, settings_path: Path, rows: int, profile: Path | None) -> None:
    """Send so many rows; print how many seconds the sending took."""
    settings = load(settings_path, None, os.environ, settings_path.parent)
    ledger = registry.hold(settings.ledger_url, "benchmark")
    record = ledger.accept_lane(settings.profiles[PROFILE].lane)
    batch = _enrolled(ledger, record, rows)
    ledger.begin_run(batch.id, 0, None, rejected=False)
    ledger.guard(batch.id, settings.caps, settings.repeat_window_ms)
    with _sampled(profile):
        seconds = in_loop(lambda: _sent(_chosen(kind, ledger, batch, record), batch, record, settings))
    print(json.dumps({"rows": rows, "seconds": seconds}))


def _enrolled(ledger: Ledger, record: LaneRecord, rows: int) -> BatchRecord:
    totals = {"USD": Decimal("1.5") * rows}
    new = NewBatch("bench", b"bench", "in.csv", "out.csv", totals, {PROFILE: record.id}, live=False)
    entered = [enrol_row(number, record.id) for number in range(1, rows + 1)]
    return ledger.enrol(new, [EnrolChunk(1, entered, b"")])


def enrol_row(number: int, lane: int) -> EnrolRow:
    """A row for a client of its own."""
    account, reference = f"7{number}1", f"B-{number}"
    return (number, lane, PROFILE, account, account, "1.5", "USD", reference, "pending", "", "")


def _chosen(kind: str, ledger: Ledger, batch: BatchRecord, record: LaneRecord) -> Ledger:
    if kind == "sqlite":
        return ledger
    pending = ledger.candidates(batch.id, record.id, 0, batch.rows)
    return cast("Ledger", MemoryLedger([transfer for transfer, _ in pending]))


async def _sent(ledger: Ledger, batch: BatchRecord, record: LaneRecord, settings: Settings) -> float:
    lanes = opened({PROFILE: record}, settings.profiles, settings, random.Random(1))
    started = time.perf_counter()
    await _pipeline(ledger, batch, lanes)
    seconds = time.perf_counter() - started
    await close_all(lanes)
    return seconds


async def _pipeline(ledger: Ledger, batch: BatchRecord, lanes: list[Lane]) -> None:
    async with open_journal(ledger) as journal:
        await Pipeline(batch.id, lanes, journal).run([Budget()])


@contextmanager
def _sampled(profile: Path | None) -> Iterator[None]:
    if profile is None:
        yield
        return
    from pyinstrument import Profiler

    profiler = Profiler(interval=0.001, async_mode="disabled")
    with profiler:
        yield
    profile.write_text(profiler.output_text(unicode=True, color=False))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else None)
