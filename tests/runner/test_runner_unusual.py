"""What is unusual against earlier batches, against the rules computed the slow way."""

import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_parts import Row, enrolled

from batchcredit.ledger.base import RowKey
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.runner.intake import unusual
from batchcredit.runner.intake.unusual import Unusual
from batchcredit.transfer import State

AMOUNTS = st.sampled_from(["1", "3", "3.01", "9.5", "30"])
ACCOUNTS = st.sampled_from("abc")
KNOWN = st.lists(
    st.builds(
        Row,
        account=ACCOUNTS,
        amount=AMOUNTS,
        state=st.sampled_from([State.CREDITED, State.CREDITED, State.REJECTED, State.CANCELLED]),
    ),
    max_size=8,
)
NEW = st.lists(st.tuples(ACCOUNTS, AMOUNTS, st.sampled_from(["USD", "USD", "AUD"])), min_size=1, max_size=8)


def found(rows: Sequence[str], what: str) -> int:
    """How many rows a warning of this kind counts."""
    said = [text for text in rows if what in text]
    return int(said[0].split()[1]) if said else 0


@settings(deadline=None, max_examples=60)
@given(KNOWN, NEW, st.integers(1, 3))
def test_the_rules(known: list[Row], rows: list[tuple[str, str, str]], group: int) -> None:
    """Each row is counted where its rule says, however the rows are grouped; all of them go by in order."""
    got: dict[str, list[Decimal]] = {}
    for row in known:
        if row.state is State.CREDITED:
            got.setdefault(row.account, []).append(Decimal(row.amount))
    keys = [RowKey(number, 1, *row, None) for number, row in enumerate(rows, 1)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(unusual, "GROUP_ROWS", group)
        ledger = SqliteLedger.hold(Path(folder) / "ledger.db", "test")
        enrolled(ledger, "earlier", known or [Row(state=State.REJECTED)])
        seen = Unusual(ledger, 0)
        assert list(seen.watch(keys)) == keys
        said = seen.warnings({})
        ledger.close()
    usd = [(account, Decimal(amount)) for account, amount, currency in rows if currency == "USD"]
    large = [amount for account, amount in usd if account in got and amount > 3 * max(got[account])]
    assert found(said, "3 times") == len(large)
    strangers = [account for account, _, _ in rows if account not in got]
    assert found(said, "never credited before") == (len(strangers) if got else 0)
    foreign = [account for account, _, currency in rows if currency == "AUD" and account in got]
    assert found(said, "in a currency") == len(foreign)


def test_the_most_unusual_are_named(tmp_path: Path) -> None:
    """Five rows, the farthest from what is usual first, and how many more there are."""
    ledger = SqliteLedger.hold(tmp_path / "ledger.db", "test")
    earlier = [Row(account=f"c{number}", amount="2", state=State.CREDITED) for number in range(9)]
    batch = enrolled(ledger, "earlier", earlier)
    keys = [RowKey(row, 1, f"c{row}", f"{10 + row}", "USD", None) for row in range(9)]
    seen = Unusual(ledger, 0)
    list(seen.watch(keys))
    (said,) = seen.warnings({"USD": Decimal(54)})
    assert said.startswith(
        "unusual: 9 rows of more than 3 times what the client ever got: row 8: account c8, "
    )
    assert "18 USD, 9.0 times as much; row 7" in said
    assert said.endswith("row 4: account c4, 14 USD, 7.0 times as much; ... 4 more")
    assert "54.01 USD in all" in seen.warnings({"USD": Decimal("54.01")})[-1]
    own = Unusual(ledger, batch.id)  # a correction is not measured by itself
    list(own.watch(keys))
    assert own.warnings({"USD": Decimal(99)}) == ()
    ledger.close()


def test_a_lane_that_was_never_used_has_no_habits(tmp_path: Path) -> None:
    """In a first batch everybody is new, and nothing is said."""
    ledger = SqliteLedger.hold(tmp_path / "ledger.db", "test")
    enrolled(ledger, "earlier", [Row(state=State.CREDITED)])
    for lane in (-1, 2):
        seen = Unusual(ledger, 0)
        list(seen.watch([RowKey(1, lane, "z", "5", "USD", None)]))
        assert seen.warnings({}) == ()
    ledger.close()
