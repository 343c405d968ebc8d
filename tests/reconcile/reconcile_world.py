"""A small world to be judged: rows that were sent, what was executed, and what a provider would show."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from batchcredit.ledger.base import SentRow
from batchcredit.reconcile.statement import EARLY_MS, Line
from batchcredit.transfer import State

MINUTE_MS = 60_000
QUIET_MS = 15 * MINUTE_MS
BEGIN_MS = 1_800_000_000_000

AMOUNTS = ("5", "7.5", "10")


def clock(ms: int) -> str:
    """Minutes since the world began, as a time of day."""
    return "{:02d}:{:02d}".format(*divmod((ms - BEGIN_MS) // MINUTE_MS, 60))


def sent_row(
    number: int, *, minute: float, account: str = "anna", amount: str = "5", **changes: Any
) -> SentRow:
    """A row in doubt that was sent in this minute and ended one second later."""
    sent_ms = BEGIN_MS + round(minute * MINUTE_MS)
    given: dict[str, Any] = {
        "id": number,
        "batch": "march",
        "row": number,
        "provider": "clicksend",
        "account": account,
        "account_key": account,
        "amount": Decimal(amount),
        "currency": "USD",
        "state": State.IN_DOUBT,
        "settled_by": "",
        "sent_ms": sent_ms,
        "ended_ms": sent_ms + 1000,
    }
    return SentRow(**given | changes)


def known_row(number: int, *, minute: float, **changes: Any) -> SentRow:
    """The same, credited by the provider's word."""
    return sent_row(number, minute=minute, **{"state": State.CREDITED, "settled_by": "provider"} | changes)


def line(number: int, minute: float, *, account: str = "anna", amount: str = "5", **changes: Any) -> Line:
    """A line of a statement, dated to the second."""
    at_ms = BEGIN_MS + round(minute * MINUTE_MS)
    given: dict[str, Any] = {"currency": "USD", "from_ms": at_ms, "to_ms": at_ms + 999}
    return Line(number, account, Decimal(amount), **given | changes)


@dataclass
class World:
    """`executed`: when each row that was carried out was, by its id."""

    rows: list[SentRow] = field(default_factory=list)
    executed: dict[int, int] = field(default_factory=dict)

    @property
    def doubtful(self) -> frozenset[int]:
        """The rows in doubt of the batch `march`, which is the one that is reconciled."""
        return frozenset(row.id for row in self.rows if not row.is_known and row.batch == "march")

    @property
    def sent(self) -> list[int]:
        """When the rows of `march` were sent."""
        return [row.sent_ms for row in self.rows if row.batch == "march" and row.sent_ms is not None]

    def by_account(self) -> list[SentRow]:
        """The rows as a ledger gives them."""
        return sorted(self.rows, key=lambda row: (row.account_key, row.id))


@st.composite
def worlds(draw: st.DrawFn, amounts: Sequence[str] = AMOUNTS, most: int = 7) -> World:
    """Rows of two clients and two batches, an account at a time; some executed late or not at all."""
    world, free_at = World(), {"anna": 0, "ben": 0}
    for number in range(1, draw(st.integers(1, most)) + 1):
        account = draw(st.sampled_from(["anna", "ben"]))
        minute = free_at[account] + draw(st.sampled_from([0, 1, 4, 21, 70]))
        length_s = draw(st.sampled_from([1, 30, 120]))
        free_at[account] = minute + 3
        sent_ms = BEGIN_MS + minute * MINUTE_MS
        fate = draw(st.sampled_from(["known", "known", "executed", "late", "lost"]))
        make = known_row if fate == "known" else sent_row
        row = make(
            number,
            minute=minute,
            account=account,
            amount=draw(st.sampled_from(amounts)),
            batch=draw(st.sampled_from(["march", "march", "february"])),
            ended_ms=sent_ms + length_s * 1000,
        )
        world.rows.append(row)
        if fate != "lost":
            latest = length_s * 1000 + (QUIET_MS if fate == "late" else 0)
            world.executed[number] = sent_ms + draw(st.integers(0, latest))
    return world


@st.composite
def lines_of(draw: st.DrawFn, world: World, *, to_the_minute: bool) -> list[tuple[int, Line]]:
    """The whole statement of a world, in order of time, each line with its row (0: nobody's)."""
    lag_ms = draw(st.integers(0, EARLY_MS))
    known = {row.id: row for row in world.rows}
    found = [
        (at - lag_ms, row, known[row].account, f"{known[row].amount}") for row, at in world.executed.items()
    ]
    for _ in range(draw(st.integers(0, 3))):
        minute = draw(st.integers(-100, 300))
        found.append((BEGIN_MS + minute * MINUTE_MS, 0, draw(st.sampled_from(["anna", "carl"])), "3.33"))
    grain = MINUTE_MS if to_the_minute else 1
    return [
        (
            owner,
            Line(
                number,
                account,
                Decimal(amount),
                "USD",
                from_ms=at - at % grain,
                to_ms=at - at % grain + grain - 1,
            ),
        )
        for number, (at, owner, account, amount) in enumerate(sorted(found), 2)
    ]
