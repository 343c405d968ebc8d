"""An empty wallet: what is missing, and whether it was filled. Asking moves nothing."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import anyio

from batchcredit.engine.lane import WALLET_EMPTY, Lane
from batchcredit.engine.loop import now
from batchcredit.providers.base import Balance
from batchcredit.runner.outgoing.preflight import read_own_balance
from batchcredit.transfer import Event, shortest

#: The first look at the balance comes after so long, each later one after twice the time, up to the most: a
#: provider is known that lets this be asked twenty times a minute.
FIRST_WAIT_S, WAIT_MOST_S = 2.0, 30.0


class FundsWatch:
    """Looks after the wallet of one lane until it is cancelled."""

    def __init__(
        self, lane: Lane, say: Callable[[str], None], give_up: Callable[[Lane], Awaitable[None]]
    ) -> None:
        self._lane = lane
        self._say = say
        self._give_up = give_up
        self._deadline = 0.0
        self._wait_s = FIRST_WAIT_S
        self._credited = -1

    async def run(self) -> None:
        """Whenever the wallet is empty, wait until it was filled; halt the lane when that takes too long."""
        lane = self._lane
        while True:
            await lane.until_short()
            self._renew()
            if await self._is_filled():
                lane.refill()
            elif lane.goes_on:
                lane.halt(WALLET_EMPTY, f"nobody filled the wallet within {lane.policy.wait_funds_s:.0f} s")
                await self._give_up(lane)
            if not lane.goes_on:
                return

    def _renew(self) -> None:
        """The time begins anew once something was credited: else a wallet that only looks full asks on."""
        credited = self._lane.meter.rows[Event.CREDIT]
        if credited != self._credited:
            self._deadline, self._wait_s = now() + self._lane.policy.wait_funds_s, FIRST_WAIT_S
        self._credited = credited

    async def _is_filled(self) -> bool:
        lowest: Decimal | None = None
        while self._lane.goes_on and now() < self._deadline:
            await anyio.sleep(min(self._wait_s, max(0.0, self._deadline - now())))
            self._wait_s = min(self._wait_s * 2, WAIT_MOST_S)
            found = await read_own_balance(self._lane)
            if not isinstance(found, Balance):
                continue
            if self._is_enough(found) or (lowest is not None and found.amount > lowest):
                self._say(f"{self._lane.profile}: there are {_told(found)} now: going on")
                return True
            if lowest is None:
                self._say(f"{self._lane.profile}: the wallet is empty: {self._missing(found)}")
            lowest = found.amount
        return False

    def _is_enough(self, balance: Balance) -> bool:
        """Whether all that is left can be paid from it. Units can not be compared with money."""
        return bool(balance.currency) and balance.amount >= self._left(balance.currency) > 0

    def _left(self, currency: str) -> Decimal:
        credited = self._lane.meter.credited.get(currency, Decimal(0))
        return self._lane.amounts.get(currency, Decimal(0)) - credited

    def _missing(self, balance: Balance) -> str:
        minutes = max(1, round((self._deadline - now()) / 60))
        waits = f"waiting up to {minutes} min for a top-up, then it goes on by itself"
        left = self._left(balance.currency) if balance.currency else Decimal(0)
        if left <= balance.amount:
            return f"there are {_told(balance)}, too little for the next row; {waits}"
        missing = f"{shortest(left - balance.amount)} {balance.currency}"
        return f"{missing} are missing for what is left, there are {_told(balance)}; {waits}"


def _told(balance: Balance) -> str:
    return f"{shortest(balance.amount)} {balance.currency or 'units'}"
