"""From profiles to lanes: live or test, known or new, and no second burst after a restart."""

import random
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import how, profile

from batchcredit import host
from batchcredit.engine.limiter import Rate
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchLane, LaneIdentity, LaneRecord, Ledger, LedgerReader, Slots
from batchcredit.ledger.journal import open_journal
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.outgoing import lanes
from batchcredit.settings import Settings

REAL = profile("real")
OTHER = profile("other", login="elsewhere")
LOCAL = profile("local", wire_url="http://127.0.0.1:1/v3")
KNOWN = {one.name: one for one in (REAL, OTHER, LOCAL)}


@settings(deadline=None)
@given(st.lists(st.sampled_from(["real", "other", "local"]), min_size=1, max_size=4), st.booleans())
def test_a_batch_is_live_or_test(names: list[str], sandbox: bool) -> None:
    """Loopback and rehearsals are test, all else is live, and no batch is both."""
    live = {name != "local" and not sandbox for name in names}
    if len(live) == 1:
        assert lanes.is_live(names, KNOWN, how(sandbox=sandbox)) is live.pop()
        return
    with pytest.raises(RefusedError) as caught:
        lanes.is_live(names, KNOWN, how(sandbox=sandbox))
    assert caught.value.reason == "live_and_test"
    assert "local (test)" in str(caught.value)


def ledger_with(*identities: LaneIdentity) -> LedgerReader:
    known = {one: LaneRecord(number, one, True, None, None) for number, one in enumerate(identities, 1)}
    return cast(LedgerReader, SimpleNamespace(lane=known.get))


def test_another_identity_under_a_name_has_to_be_accepted_by_name() -> None:
    """A batch keeps its lanes; only --accept-profile of this very profile changes one."""
    was = LaneIdentity("clicksend", REAL.base_url, "predecessor")
    kept = [BatchLane("real", LaneRecord(7, was, True, None, None), "", "")]
    ledger = ledger_with(was, REAL.lane)
    for accepted in (frozenset[str](), frozenset({"other"})):
        with pytest.raises(RefusedError, match="predecessor") as caught:
            lanes.ways(["real"], KNOWN, ledger, kept, how(accept_profiles=accepted))
        assert "--accept-profile real" in caught.value.cure
    found = lanes.ways(["real"], KNOWN, ledger, kept, how(accept_profiles=frozenset({"real"})))
    assert found["real"].lane == ledger.lane(REAL.lane)


def test_a_batch_may_not_name_what_is_not_configured() -> None:
    """A profile that was removed from the settings is asked back, by name."""
    with pytest.raises(RefusedError, match="gone") as caught:
        lanes.ways(["gone"], KNOWN, ledger_with(), [], how())
    assert "[providers.gone]" in caught.value.cure


@pytest.mark.parametrize(
    ("seen", "yes", "accepted", "answer", "passes"),
    [
        (True, True, False, False, True),
        (False, True, False, True, False),
        (False, True, True, False, True),
        (False, False, False, True, True),
        (False, False, False, False, False),
    ],
)
def test_a_new_lane_is_confirmed(seen: bool, yes: bool, accepted: bool, answer: bool, passes: bool) -> None:
    """A known lane passes, a new one by name or by a person's yes; --yes is no answer to this question."""
    ways = lanes.ways(["real"], KNOWN, ledger_with(*([REAL.lane] if seen else [])), [], how())
    attendant = cast(Attendant, SimpleNamespace(accept_lane=lambda *_: answer))
    settings = cast(Settings, SimpleNamespace(source=Path("batchcredit.toml")))
    given_ = how(yes=yes, accept_profiles=frozenset({"real"} if accepted else ()))
    if passes:
        lanes.confirm_new(ways, given_, attendant, settings)
        return
    with pytest.raises(RefusedError) as caught:
        lanes.confirm_new(ways, given_, attendant, settings)
    assert caught.value.reason == "new_lane"


@settings(deadline=None)
@given(st.integers(0, 200_000), st.one_of(st.none(), st.sampled_from([(20, 60), (10, 1), (1, 3600)])))
def test_a_restart_waits_for_what_is_left_of_one_spacing(ago_ms: int, rate: tuple[int, int] | None) -> None:
    """After a restart the first request keeps its distance from the last one, and no more than that."""
    record = LaneRecord(1, REAL.lane, True, host.now_ms() - ago_ms, None)
    paced = profile(rate=Rate(Decimal(rate[0]), rate[1]) if rate else None)
    wait_s = lanes._wait_s(record, paced)
    spacing_s = rate[1] / rate[0] if rate else 0.0
    assert wait_s == pytest.approx(max(0.0, spacing_s - ago_ms / 1000), abs=0.5)
    assert 0 <= wait_s <= spacing_s


class SharedLedger:
    """Grants whatever is asked for at once, and notes in which thread."""

    is_shared = True

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []

    def reserve(self, lane: int, count: int, spacing_us: int, horizon_us: int, after_us: int = 0) -> Slots:
        self.asked.append((lane, threading.current_thread().name.split("_")[0]))
        return Slots(tuple((after_us + number * spacing_us) / 1e6 for number in range(count)))


async def test_a_shared_ledger_sets_the_pace() -> None:
    """Each turn is a slot of its lane, reserved in the journal's thread as long as a journal has the ledger,
    and at once before and after."""
    ledger = SharedLedger()
    paced = replace(LOCAL, rate=Rate(Decimal(1000), 1))
    record = LaneRecord(7, LOCAL.lane, True, host.now_ms(), None)
    settings = cast(Settings, SimpleNamespace(max_pause_s=1.0, outage_wait_s=1.0))
    as_ledger = cast(Ledger, ledger)
    [lane] = lanes.opened({"local": record}, {"local": paced}, settings, random.Random(1), 0, as_ledger)
    async with open_journal(as_ledger) as journal:
        await lane.pace.turn()
        with lanes.through(journal, [lane]):
            await lane.pace.turn()
        await lane.pace.turn()
    assert ledger.asked == [(7, "MainThread"), (7, "ledger"), (7, "MainThread")]
    [free] = lanes.opened(
        {"local": record}, {"local": replace(paced, rate=None)}, settings, random.Random(1), 0, as_ledger
    )
    assert free.pace.is_free
    await lanes.close_all([lane, free])
