"""What a lane lets through, counted where requests arrive: throttling, outages, doubt, order, width."""

import asyncio
import itertools
import random
import time
from collections import defaultdict
from decimal import Decimal

import pytest
from rig import KINDS, Rig, account, accounts, most_at_once

from batchcredit.engine.limiter import Rate
from batchcredit.sandbox import Control, Fault
from batchcredit.transfer import State

SLOW = Rate(Decimal(1), 1)
PENDING, CREDITED, DOUBT = State.PENDING, State.CREDITED, State.IN_DOUBT


def _gaps(rows: list[dict[str, float]]) -> list[float]:
    times = [row["arrived_at"] for row in rows]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


# Throttled


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_pause_as_long_as_asked(rig: Rig, control: Control, form: str) -> None:
    """After a 429 nobody sends for as long as it asks, and then every row is credited."""
    control.set(retry_after_s=1 if form == "seconds" else 2, retry_after_form=form)
    lane = rig.lane("clicksend", concurrency=8)
    clients = accounts("clicksend", 20)
    control.script(clients[5], [Fault.STATUS_429])
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    assert rig.states() == {CREDITED: 20}
    gaps = _gaps(rig.arrivals(lane))
    assert max(gaps) > 0.9  # a date has whole seconds
    assert sum(gap > 0.5 for gap in gaps) == 1
    rig.check_book()


async def test_pause_of_our_own(rig: Rig, control: Control) -> None:
    """A 429 that does not say how long costs 1 s, the next one without a success in between 2 s."""
    control.set(retry_after_form="none")
    lane = rig.lane("fastmessage")
    client = account("fastmessage")
    control.script(client, [Fault.STATUS_429] * 2)
    rig.enrol([(lane, client)])
    await rig.send()
    first, second = _gaps(rig.arrivals(lane))
    assert 1.0 <= first < 1.9
    assert 2.0 <= second < 3.9
    assert rig.rows()[0].attempts == 3
    assert rig.record(lane).paused_until_ms


@pytest.mark.parametrize("kind", KINDS)
async def test_longer_than_max_pause(rig: Rig, control: Control, kind: str) -> None:
    """A provider that asks for a longer wait than the setting halts the lane; the row is pending."""
    control.set(retry_after_s=60)
    lane = rig.lane(kind, max_pause_s=30)
    clients = accounts(kind, 3)
    control.script(clients[1], [Fault.STATUS_429])
    rig.enrol((lane, client) for client in clients)
    async with asyncio.timeout(20):
        await rig.send()
    assert [row.state for row in rig.rows()] == [CREDITED, PENDING, PENDING]
    assert {row.reason for row in rig.rows()[1:]} == {"rate_limited"}
    assert lane.halted is not None
    rig.check_book()


async def test_ten_pauses_without_a_success(rig: Rig, control: Control) -> None:
    """The eleventh 429 in a row halts the lane instead of an eleventh pause."""
    control.set(retry_after_s=0)
    lane = rig.lane("clicksend")
    clients = accounts("clicksend", 2)
    control.script(clients[0], [Fault.STATUS_429] * 20)
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    assert len(rig.arrivals(lane)) == 11
    assert rig.states() == {PENDING: 2}
    assert rig.rows()[0].attempts == 11
    assert lane.halted is not None
    assert lane.halted.reason == "rate_limited"


async def test_a_success_forgives_pauses(rig: Rig, control: Control) -> None:
    """Pauses count only in a row: twenty with successes in between halt nothing."""
    control.set(retry_after_s=0)
    lane = rig.lane("clicksend")
    clients = accounts("clicksend", 20)
    for client in clients:
        control.script(client, [Fault.STATUS_429])
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    assert rig.states() == {CREDITED: 20}
    assert len(rig.arrivals(lane)) == 40


# Unreachable


async def test_outage_that_ends(rig: Rig, control: Control) -> None:
    """A server that is gone for a while: one row probes, uncounted, and at the end every row is credited."""
    lane = rig.lane("clicksend", concurrency=4)
    rig.enrol((lane, client) for client in accounts("clicksend", 40))
    control.refuse(1.5)
    seen = set()

    async def watch() -> None:
        while True:
            seen.add(lane.state)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(20):
        await rig.send()
    watching.cancel()
    assert "unreachable" in seen
    assert rig.states() == {CREDITED: 40}
    assert len(rig.arrivals(lane)) == 40
    tried = sorted((row.attempts for row in rig.rows()), reverse=True)
    assert sum(attempts > 2 for attempts in tried) <= 1, "one row probes"
    rig.check_book()


async def test_outage_in_the_middle(rig: Rig, control: Control) -> None:
    """Connections end under a running batch: whatever is not credited once is in doubt, the rest goes on."""
    control.set(latency_s=0.02)
    lane = rig.lane("fastmessage", concurrency=8, in_doubt_limit=100)
    rig.enrol((lane, client) for client in accounts("fastmessage", 200))

    async def strike_soon() -> None:
        await asyncio.sleep(0.15)
        await asyncio.to_thread(control.refuse, 1.5)

    async with asyncio.timeout(20):
        await asyncio.gather(rig.send(), strike_soon())
    states = rig.states()
    assert states[CREDITED] + states[DOUBT] == 200
    assert states[DOUBT] <= 8
    rig.check_book()


async def test_outage_that_does_not_end(rig: Rig, control: Control) -> None:
    """Down for longer than outage_wait: the lane halts, every row is pending, with that reason."""
    lane = rig.lane("clicksend", concurrency=2, outage_wait_s=1.0, url="http://127.0.0.1:9")
    rig.enrol((lane, client) for client in accounts("clicksend", 20))
    began = time.monotonic()
    async with asyncio.timeout(20):
        await rig.send()
    assert time.monotonic() - began >= 1.0
    assert rig.states() == {PENDING: 20}
    assert {row.reason for row in rig.rows()} == {"unreachable"}
    assert lane.halted is not None


async def test_a_few_rows_that_can_not_connect(rig: Rig) -> None:
    """Fewer rows than make an outage give up after `attempts` tries each, and are unsent."""
    lane = rig.lane("clicksend", concurrency=64, attempts=2, url="http://127.0.0.1:9")
    rig.enrol((lane, client) for client in accounts("clicksend", 3))
    async with asyncio.timeout(20):
        await rig.send()
    assert rig.states() == {State.UNSENT: 3}
    assert {(row.reason, row.attempts) for row in rig.rows()} == {("unreachable", 2)}


# Halted


async def test_halting_is_heard_by_all(rig: Rig, control: Control) -> None:
    """A refusal of the login: those in flight are heard out, no other row leaves."""
    control.set(latency_s=0.05)
    lane = rig.lane("clicksend", concurrency=4)
    clients = accounts("clicksend", 50)
    control.script(clients[0], [Fault.STATUS_401])
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    assert len(rig.arrivals(lane)) <= 8
    assert rig.rows()[0].state is PENDING
    assert rig.rows()[-1].reason == "credentials"
    assert rig.states().keys() == {PENDING, CREDITED}
    rig.check_book()


async def test_in_doubt_limit(rig: Rig, control: Control) -> None:
    """So many doubtful endings in a row halt the lane, with no row more in doubt; a credit in between
    starts the count again."""
    lane = rig.lane("clicksend", in_doubt_limit=3)
    clients = accounts("clicksend", 12)
    for number in (0, 1, 3, 4, 6, 7, 8):
        control.script(clients[number], [Fault.CLOSE_AFTER])
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    assert [row.state for row in rig.rows()] == [DOUBT, DOUBT, CREDITED] * 2 + [DOUBT] * 3 + [PENDING] * 3
    assert {row.reason for row in rig.rows()[9:]} == {"in_doubt_limit"}
    rig.check_book()


async def test_one_at_a_time_after_doubt(rig: Rig, control: Control) -> None:
    """After a doubtful ending requests go one by one until the next definite answer; then all at once."""
    control.set(latency_s=0.05)
    lane = rig.lane("clicksend", concurrency=6, in_doubt_limit=50)
    clients = accounts("clicksend", 40)
    control.script("*", [Fault.EMPTY] * 12)
    rig.enrol((lane, client) for client in clients)
    await rig.send()
    control.clear_script()
    rows = sorted((row.sent_ms or 0, row.ended_ms or 0, row.state) for row in rig.rows())
    spans = [(row["arrived_at"], row["arrived_at"] + 0.05) for row in rig.arrivals(lane)]
    assert most_at_once(spans[:6]) == 6
    assert most_at_once(spans[6:12]) == 1
    assert most_at_once(spans[13:]) >= 4
    assert [state for *_, state in rows].count(DOUBT) == 12
    rig.check_book()


async def test_doubt_recalls_those_that_wait_for_their_turn(rig: Rig, control: Control) -> None:
    """Rows that were let in before the doubt and wait for a token go one at a time as well."""
    control.set(latency_s=0.6)
    lane = rig.lane("fastmessage", Rate(Decimal(4), 1), concurrency=6, in_doubt_limit=50)
    rig.enrol((lane, client) for client in accounts("fastmessage", 6))
    control.script("*", [Fault.EMPTY] * 6)
    await rig.send()
    begun = [row["arrived_at"] for row in rig.arrivals(lane)]
    doubtful_since = begun[0] + 0.6
    assert sum(at < doubtful_since for at in begun) <= 4
    later = [at for at in begun if at > doubtful_since + 0.05]
    assert len(later) >= 2
    assert most_at_once((at, at + 0.6) for at in later) == 1


# Lanes, accounts, width


async def test_a_halted_slow_or_throttled_lane_holds_up_no_other(rig: Rig, control: Control) -> None:
    """The rows of three lanes in trouble stand first in the file; those of the fourth go meanwhile."""
    halted, slow, throttled = rig.lane("clicksend"), rig.lane("clicksend", SLOW), rig.lane("fastmessage")
    quick = rig.lane("fastmessage", concurrency=8)
    struck = {lane.profile: accounts(lane.record.identity.kind, 4) for lane in rig.lanes}
    control.set(retry_after_s=4)
    control.script(struck[halted.profile][0], [Fault.STATUS_401])
    control.script(struck[throttled.profile][0], [Fault.STATUS_429])
    more = accounts("fastmessage", 100)
    rig.enrol(
        [(lane, client) for lane in rig.lanes for client in struck[lane.profile]]
        + [(quick, client) for client in more]
    )
    await rig.send()
    times = [row["arrived_at"] for row in rig.arrivals(quick)]
    assert len(times) == 104
    assert rig.states(halted) == {PENDING: 4}
    assert rig.states(slow) == rig.states(throttled) == {CREDITED: 4}
    for lane in (slow, throttled):
        assert max(times) < max(row["arrived_at"] for row in rig.arrivals(lane))
    rig.check_book()


async def test_one_transfer_in_flight_per_account_in_file_order(rig: Rig, control: Control) -> None:
    """Rows of one account arrive in file order, each after the answer to the one before; even throttled."""
    control.set(latency_s=0.02, jitter_s=0.02, retry_after_s=0, fault_rates={"status_429": 0.03})
    lane = rig.lane("fastmessage", concurrency=8)
    clients = accounts("fastmessage", 6)
    names = [dice.choice([name, name.upper()]) for dice in [random.Random(1)] for name in clients * 12]
    random.Random(2).shuffle(names)
    rig.enrol((lane, name) for name in names)
    await rig.send()
    control.set(fault_rates={})
    assert rig.states() == {CREDITED: 72}
    rows = defaultdict(list)
    for row in rig.rows():
        rows[row.account.lower()].append(row)
    for name, own in rows.items():
        executed = [one["account"] for one in rig.executions(lane) if one["account"].lower() == name]
        assert executed == [row.account for row in own]
        chain = [(row.balance_before, row.balance_after) for row in own]
        assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(chain))
        assert all((a.ended_ms or 0) <= (b.sent_ms or 0) for a, b in itertools.pairwise(own))


@pytest.mark.parametrize("width", [1, 5])
async def test_width_is_kept_and_used(rig: Rig, control: Control, width: int) -> None:
    """Never more in flight at the server than the setting, and as many as it says."""
    control.set(latency_s=0.03)
    lane = rig.lane("clicksend", concurrency=width)
    rig.enrol((lane, client) for client in accounts("clicksend", 12 * width))
    await rig.send()
    spans = [(row["arrived_at"], row["arrived_at"] + 0.03) for row in rig.arrivals(lane)]
    assert most_at_once(spans) == width
