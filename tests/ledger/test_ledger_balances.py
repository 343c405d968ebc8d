"""What providers told of own accounts and clients, and what went through a lane meanwhile."""

from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_parts import Clock, Lanes, Row, SqliteHome, drive, enrol

from batchcredit.ledger.base import ClientBalance, Ledger, Moved, OwnBalance, Share
from batchcredit.transfer import State


def test_own_balances_are_kept_as_they_were_told(ledger: Ledger) -> None:
    """Exact, in order, of one batch alone, and of several runs of it."""
    first, second = (enrol(ledger, name, [Row(account=name)]) for name in ("a", "b"))
    lane = Lanes(ledger)["shop"]
    told = [
        OwnBalance(lane, "before", 5, Decimal("545.10"), ""),
        OwnBalance(lane, "after", 9, Decimal("0.000001"), "USD"),
    ]
    ledger.note_own_balances(first.id, told[:1])
    ledger.note_own_balances(second.id, [OwnBalance(lane, "before", 6, Decimal(1), "USD")])
    ledger.note_own_balances(first.id, told[1:])
    assert ledger.own_balances(first.id) == told


def test_a_clients_balances_are_found_across_batches(ledger: Ledger) -> None:
    """Oldest first, by lane and key."""
    first, second = (enrol(ledger, name, [Row(account=name)]) for name in ("a", "b"))
    lane, other = Lanes(ledger)["shop"], Lanes(ledger)["kenya"]
    told = [ClientBalance(lane, "anna", at, Decimal(at), "USD") for at in (1, 2)]
    ledger.note_snapshot(second.id, [told[1], ClientBalance(lane, "ben", 2, Decimal(9), "USD")])
    ledger.note_snapshot(first.id, [told[0], ClientBalance(other, "anna", 1, Decimal(9), "KES")])
    assert ledger.snapshots(lane, "anna") == told
    assert ledger.snapshots(other, "ben") == []


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.builds(
            Row,
            amount=st.sampled_from(["1", "0.25", "12.5"]),
            currency=st.sampled_from(["USD", "KES"]),
            profile=st.sampled_from(["shop", "kenya"]),
            state=st.sampled_from([State.PENDING, State.INVALID]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_shares_are_the_whole_batch(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    """Every row is in exactly one, by profile, state and currency; what is invalid has no amount."""
    with closing(SqliteHome(tmp_path_factory.mktemp("shares") / "ledger.db").hold()) as ledger:
        batch = enrol(ledger, "b", rows)
        expected: dict[tuple[str, State, str], tuple[int, Decimal]] = {}
        for row in rows:
            valid = row.state is not State.INVALID
            place = (row.profile, row.state, row.currency if valid else "")
            count, amount = expected.get(place, (0, Decimal(0)))
            expected[place] = count + 1, amount + (Decimal(row.amount) if valid else 0)
        assert sorted(ledger.shares(batch.id)) == sorted(
            Share(*place, *told) for place, told in expected.items()
        )


def test_what_went_through_a_lane_is_found_by_when_it_was_sent(ledger: Ledger, clock: Clock) -> None:
    """Of all batches; credited and in doubt, not what was refused or went elsewhere or before."""
    early = enrol(ledger, "early", [Row(account="e", amount="3")])
    drive(ledger, early, [State.CREDITED])
    clock.ms += 1000
    since = clock.ms
    one = enrol(ledger, "one", [Row(account=f"c{n}", amount="0.1") for n in range(4)])
    drive(ledger, one, [State.CREDITED, State.CREDITED, State.IN_DOUBT, State.REJECTED])
    two = enrol(ledger, "two", [Row(account="z", amount="7"), Row(account="z", profile="kenya")])
    drive(ledger, two, [State.CREDITED, State.CREDITED])
    moved = ledger.moved(Lanes(ledger)["shop"], since, clock.ms)
    assert sorted(moved) == [
        Moved("one", State.CREDITED, "USD", Decimal("0.2")),
        Moved("one", State.IN_DOUBT, "USD", Decimal("0.1")),
        Moved("two", State.CREDITED, "USD", Decimal(7)),
    ]
