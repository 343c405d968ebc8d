"""An empty wallet: when it counts as filled, what is said, and when nobody waits any more."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest

from batchcredit.engine.judgement import Ending, Judged
from batchcredit.engine.lane import Lane, LanePolicy
from batchcredit.engine.limiter import Pace
from batchcredit.engine.wire.base import Exchange
from batchcredit.ledger.base import LaneIdentity, LaneRecord
from batchcredit.providers.base import Answer, Balance, Refusal, Request
from batchcredit.runner.outgoing import funds
from batchcredit.runner.outgoing.funds import FundsWatch
from batchcredit.transfer import Event, Outcome


@dataclass
class Wallet:
    """A provider and its wire in one, which tells of these balances one by one, the last one for ever."""

    balances: Sequence[Balance | Refusal]
    asked: int = 0
    secrets: tuple[str, ...] = ()

    async def exchange(self, request: Request, timeout_s: float) -> Exchange:
        self.asked += 1
        return Exchange(True, Answer(200, {}, b""))

    def own_balance(self) -> Request:
        return Request("GET", "/account")

    def read_own_balance(self, answer: Answer) -> Balance | Refusal:
        return self.balances[min(self.asked, len(self.balances)) - 1]


@dataclass
class Watched:
    """A lane whose wallet is empty, and what its watch said and did."""

    wallet: Wallet
    wait_s: float = 30.0
    said: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = Lane(
            profile="shop",
            record=LaneRecord(1, LaneIdentity("clicksend", "https://one.test", "shop"), True, None, None),
            provider=cast(Any, self.wallet),
            wire=cast(Any, self.wallet),
            pace=Pace(None),
            policy=LanePolicy(4, 1.0, 3, 3, 0.05, 1.0, self.wait_s),
            dice=random.Random(1),
            amounts={"USD": Decimal(100)},
            short=True,
        )
        self.lane.meter.credited["USD"] = Decimal(40)

    async def runs(self) -> bool:
        """Whether the lane goes on in the end; then it is closed, as at the end of a run."""

        def say(text: str) -> None:
            self.said.append(text)
            if "going on" in text:
                self.lane.closed = True

        await FundsWatch(self.lane, say, self.give_up).run()
        return not self.lane.short

    async def give_up(self, lane: Lane) -> None:
        self.given_up.append(lane.profile)


REFUSED = Judged(Ending.LANE_REFUSED, Outcome(Event.RETRY, "wallet_empty"), halts=True)


def usd(amount: object) -> Balance:
    return Balance(Decimal(str(amount)), "USD")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times as fast as for a provider."""
    monkeypatch.setattr(funds, "FIRST_WAIT_S", 0.002)
    monkeypatch.setattr(funds, "WAIT_MOST_S", 0.004)


@pytest.mark.parametrize(
    ("balances", "looks"),
    [
        ([usd(60)], 1),  # all that is left can be paid
        ([usd("59.99"), usd("59.99"), usd(60)], 3),
        ([usd(3), usd(3), usd("3.01")], 3),  # somebody pays in, if not all of it
        ([usd(5), usd(3), usd(4)], 3),  # requests on their way still took from it
        ([Balance(Decimal(900)), Balance(Decimal(900)), Balance(Decimal(901))], 3),  # units of its own
        ([Balance(Decimal(900), "AUD"), Balance(Decimal(901), "AUD")], 2),
        ([Refusal("lost_answer", "gone"), usd(1), Refusal("lost_answer", "gone"), usd(2)], 4),
    ],
)
async def test_it_goes_on_once_the_wallet_was_filled(balances: list[Balance | Refusal], looks: int) -> None:
    """Enough for all that is left, or more than there was; what can not be read is asked again."""
    watched = Watched(Wallet(balances))
    assert await watched.runs()
    assert watched.wallet.asked == looks
    assert watched.given_up == []


async def test_it_says_what_is_missing() -> None:
    """The sum that a person has to pay in, once."""
    watched = Watched(Wallet([usd("12.5"), usd("12.5"), usd("12.5"), usd(70)]))
    await watched.runs()
    missing, goes_on = watched.said
    assert "47.5 USD are missing for what is left, there are 12.5 USD" in missing
    assert goes_on == "shop: there are 70 USD now: going on"


@pytest.mark.parametrize("balance", [usd("59.99"), Balance(Decimal(900)), Refusal("lost_answer", "gone")])
async def test_patience_ends(balance: Balance | Refusal) -> None:
    """When nobody fills it in time the lane halts, as it does where nobody waits."""
    watched = Watched(Wallet([balance]), wait_s=0.02)
    assert not await watched.runs()
    assert watched.lane.halted is not None
    assert (watched.lane.halted.reason, watched.given_up) == ("wallet_empty", ["shop"])


async def test_a_signal_ends_the_wait() -> None:
    """A lane that was closed is not looked after, and not halted."""
    watched = Watched(Wallet([usd(1)]))
    watched.lane.closed = True
    assert not await watched.runs()
    assert (watched.lane.halted, watched.given_up, watched.wallet.asked) == (None, [], 0)


async def test_a_wallet_that_only_looks_full_wears_out_the_patience() -> None:
    """Where nothing is credited in between, being refused again begins no new time."""
    watched = Watched(Wallet([usd(60)]), wait_s=0.03)

    async def refused_again() -> None:
        while watched.lane.goes_on:
            watched.lane.heard(REFUSED, Exchange(True), 1)
            await asyncio.sleep(0.001)

    async with asyncio.timeout(10):
        refusing = asyncio.create_task(refused_again())
        await FundsWatch(watched.lane, watched.said.append, watched.give_up).run()
        await refusing
    assert watched.given_up == ["shop"]
    assert watched.wallet.asked < 30
