"""What a person is asked to agree to adds up."""

from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import profile

from batchcredit.engine.limiter import Rate
from batchcredit.ledger.base import LaneIdentity
from batchcredit.reader import Total
from batchcredit.runner.plan import ASSUMED_LATENCY_S, LanePlan, LedgerNote, Plan, seconds_needed

LANES = st.lists(
    st.builds(
        LanePlan,
        profile=st.sampled_from(["one", "two"]),
        identity=st.just(LaneIdentity("clicksend", "https://one.test", "shop")),
        totals=st.dictionaries(
            st.sampled_from(["USD", "KES"]),
            st.builds(Total, st.integers(1, 9), st.decimals("0.01", "999", places=2)),
        ),
        balance=st.none(),
        seconds=st.floats(0, 100),
    ),
    max_size=4,
)


@settings(deadline=None)
@given(LANES)
def test_a_plan_adds_up(lanes: list[LanePlan]) -> None:
    """Rows and totals of a plan are the sums over its lanes, and lanes go side by side."""
    plan = Plan("LIVE", "march", False, tuple(lanes), LedgerNote("", "", 0, ""), None, Path("x"), ())
    parts = [(currency, total) for lane in lanes for currency, total in lane.totals.items()]
    assert plan.rows == sum(total.rows for _, total in parts)
    assert plan.totals == {
        currency: Total(
            sum(total.rows for code, total in parts if code == currency),
            sum((total.amount for code, total in parts if code == currency), Decimal(0)),
        )
        for currency in {code for code, _ in parts}
    }
    assert plan.seconds == max([lane.seconds for lane in lanes], default=0.0)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 64), st.one_of(st.none(), st.integers(1, 100)))
def test_a_lane_takes_what_its_narrowest_place_takes(rows: int, concurrency: int, per_s: int | None) -> None:
    """No plan promises more than the rate, or than the requests in flight, allow."""
    rate = Rate(Decimal(per_s), 1) if per_s else None
    seconds = seconds_needed(rows, profile(rate=rate, concurrency=concurrency))
    assert seconds >= rows * ASSUMED_LATENCY_S / concurrency
    assert seconds >= (rows / per_s if per_s else 0)
    assert seconds in (rows * ASSUMED_LATENCY_S / concurrency, rows / per_s if per_s else 0.0)
