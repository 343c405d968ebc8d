"""A sender on a machine that is set up otherwise than its driver's sends nothing."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from batchcredit.distributed.messages import Errand
from batchcredit.distributed.sender import _records
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchLane, BatchRecord, LaneRecord, Ledger
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.settings import default_profile

OURS = default_profile("clicksend")


def records(kept_for: str = OURS.base_url, *, live: bool = True) -> dict[str, LaneRecord]:
    """What a sender opens whose profile leads to OURS, where the batch was enrolled for `kept_for`."""
    nothing = cast(Any, None)
    kept = LaneRecord(7, replace(OURS, base_url=kept_for).lane, True, None, None)
    ledger = SimpleNamespace(batch_lanes=lambda _: [BatchLane("clicksend", kept, "", "")])
    batch = cast(BatchRecord, SimpleNamespace(id=1))
    errand = Errand(nothing, nothing, "", batch, 1, 1, ("clicksend",), live=live, listens=False)
    desk = Desk(nothing, SendOptions("run"), nothing, {"clicksend": OURS}, live=True)
    return _records(cast(Ledger, ledger), errand, desk)


def test_the_lanes_are_those_of_the_batch() -> None:
    assert records()["clicksend"].id == 7


@pytest.mark.parametrize("other", [{"kept_for": "https://elsewhere.test"}, {"live": False}])
def test_a_profile_that_leads_elsewhere_is_refused(other: dict[str, Any]) -> None:
    """Another address than the batch was enrolled for, or real money where the driver means none."""
    with pytest.raises(RefusedError) as refused:
        records(**other)
    assert refused.value.reason == "other_lane"
