"""Each fault of the sandbox, through the real pipeline, wire and ledger: how the row ends, and the book."""

import asyncio

import pytest
from rig import KINDS, Rig, account, accounts

from batchcredit.sandbox import Control, Fault
from batchcredit.sandbox.faults import EXECUTES
from batchcredit.transfer import State

LATE_S = 0.5
TIMEOUT_S = 0.3

DOUBT, PENDING, CREDITED = State.IN_DOUBT, State.PENDING, State.CREDITED

#: state, reason, and whether the lane halts by it.
Ending = tuple[State, str, bool]

ENDINGS: dict[Fault, Ending] = {
    Fault.STATUS_401: (PENDING, "credentials", True),
    Fault.STATUS_403: (PENDING, "suspended", True),
    Fault.STATUS_404: (PENDING, "wrong_address", True),
    Fault.STATUS_429: (CREDITED, "", False),
    Fault.STATUS_500_BEFORE: (DOUBT, "server_error", False),
    Fault.STATUS_500_AFTER: (DOUBT, "server_error", False),
    Fault.STATUS_503: (DOUBT, "server_error", False),
    Fault.CLOSE_BEFORE: (DOUBT, "lost_answer", False),
    Fault.RESET_BEFORE: (DOUBT, "lost_answer", False),
    Fault.CLOSE_AFTER: (DOUBT, "lost_answer", False),
    Fault.RESET_AFTER: (DOUBT, "lost_answer", False),
    Fault.HALF_ANSWER: (DOUBT, "lost_answer", False),
    Fault.HALF_HEAD: (DOUBT, "lost_answer", False),
    Fault.GARBAGE: (DOUBT, "lost_answer", False),
    Fault.LATE: (DOUBT, "timeout", False),
    Fault.LATE_BEFORE: (DOUBT, "timeout", False),
    Fault.HTML_200: (DOUBT, "not_readable", False),
    Fault.NOT_JSON: (DOUBT, "not_readable", False),
    Fault.EMPTY: (DOUBT, "not_readable", False),
    Fault.HUGE: (DOUBT, "too_large", False),
    Fault.INNER_ERROR: (DOUBT, "provider_error", False),
    Fault.HTML_403: (DOUBT, "foreign_answer", True),
    Fault.REDIRECT_302: (DOUBT, "redirect", True),
    Fault.REDIRECT_307: (DOUBT, "redirect", True),
    Fault.WRONG_USER: (DOUBT, "other_account", False),
    Fault.WRONG_SUM: (CREDITED, "", False),  # its answer has no sum that could be checked
}

#: Where Fast Message differs: its pages of errors are no envelope, and its answers name nobody but add up.
FAST_MESSAGE: dict[Fault, Ending] = {
    Fault.STATUS_403: (DOUBT, "foreign_answer", True),
    Fault.STATUS_404: (DOUBT, "foreign_answer", True),
    Fault.WRONG_USER: (CREDITED, "", False),
    Fault.WRONG_SUM: (DOUBT, "does_not_add_up", False),
}


def _ending(fault: Fault, kind: str) -> Ending:
    return FAST_MESSAGE.get(fault, ENDINGS[fault]) if kind == "fastmessage" else ENDINGS[fault]


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", Fault)
async def test_fault(rig: Rig, control: Control, fault: Fault, kind: str, used: bool) -> None:
    """The row ends as the table says after one arrival, the rows around it as if nothing had been."""
    state, reason, halts = _ending(fault, kind)
    lane = rig.lane(kind, timeout_s=TIMEOUT_S)
    before, struck, after = accounts(kind, 3)
    rig.enrol((lane, client) for client in ([before] if used else []) + [struck, after])
    control.set(late_s=LATE_S, retry_after_s=0)
    control.script(struck, [fault])
    await rig.send()

    *earlier, row, later = rig.rows()
    assert (row.state, row.reason) == (state, reason)
    assert [(one.state, one.attempts) for one in earlier] == [(CREDITED, 1)] * used
    assert later.state is (PENDING if halts else CREDITED)
    assert (lane.halted is not None) is halts
    assert lane.halted is None or lane.halted.reason == later.reason == reason
    tries = 2 if fault is Fault.STATUS_429 else 1
    assert row.attempts == tries
    assert [one["account"] for one in rig.arrivals(lane)].count(struck) == tries
    if fault is Fault.LATE_BEFORE:
        await asyncio.sleep(LATE_S - TIMEOUT_S)
    rig.check_book()
    executed = [one["account"] for one in rig.executions(lane)].count(struck)
    assert executed == (fault in EXECUTES or fault is Fault.STATUS_429)


@pytest.mark.parametrize("kind", KINDS)
async def test_row_that_the_provider_refuses(rig: Rig, kind: str) -> None:
    """An unknown and a banned client are rejected, each by one request, and the rest goes on."""
    names = {"clicksend": ("70404", "70403"), "fastmessage": ("unknown1", "closed1")}[kind]
    lane = rig.lane(kind)
    rig.enrol((lane, client) for client in [*names, account(kind)])
    await rig.send()
    assert [row.state for row in rig.rows()] == [State.REJECTED, State.REJECTED, State.CREDITED]
    assert all(row.reason and row.message for row in rig.rows()[:2])
    assert len(rig.arrivals(lane)) == 3
    rig.check_book()


@pytest.mark.parametrize("kind", KINDS)
async def test_empty_wallet_halts(rig: Rig, control: Control, kind: str) -> None:
    """Out of credit: what was sent stays, the row that met it is not executed and pending with the rest."""
    control.set(wallet="4")
    lane = rig.lane(kind)
    rig.enrol((lane, client) for client in accounts(kind, 5))
    await rig.send()
    assert [row.state for row in rig.rows()] == [CREDITED] * 2 + [PENDING] * 3
    assert {row.reason for row in rig.rows()[2:]} == {"wallet_empty"}
    assert [row.attempts for row in rig.rows()] == [1, 1, 1, 0, 0]
    rig.check_book()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_storm_of_faults(rig: Rig, control: Control, kind: str) -> None:
    """Many faults at once, many rows in flight: the book agrees row by row, each lost answer one arrival."""
    rates = dict.fromkeys(("close_after", "reset_before", "half_answer", "status_500_after"), 0.04)
    control.set(fault_rates=rates | {"status_429": 0.05}, retry_after_s=0)
    lane = rig.lane(kind, concurrency=16, in_doubt_limit=1000, timeout_s=TIMEOUT_S)
    rig.enrol((lane, client) for client in accounts(kind, 300))
    await rig.send()
    control.set(fault_rates={})
    rig.check_book()
    assert rig.states().keys() == {CREDITED, DOUBT}
    throttled = sum(row["fault"] == "status_429" for row in rig.arrivals(lane))
    assert len(rig.arrivals(lane)) == 300 + throttled == sum(row.attempts for row in rig.rows())
